"""The Leviathan study's figures, drawn from its tables alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app.studies import leviathan_tables as names

if TYPE_CHECKING:
    import plotly.graph_objects as go

Rows = Sequence[Mapping[str, Any]]


def figures(tables: Mapping[str, Rows]) -> dict[str, go.Figure]:
    """All figures by title."""
    made: dict[str, go.Figure] = {}
    for sampling in dict.fromkeys(row["sampling"] for row in tables[names.THEORY]):
        theory, rounds = (
            [row for row in tables[title] if row["sampling"] == sampling]
            for title in (names.THEORY, names.ROUNDS)
        )
        made[f"Theorem 3.8 (lines) and measured speedups (points, 90 %), {sampling}"] = _speedups(
            theory
        )
        drafted = [row for row in rounds if row["drafter"] == "draft"]
        made[f"Tokens per round of the draft model, {sampling}"] = _rounds(drafted)
    return made


def _speedups(rows: Rows) -> go.Figure:
    from app.style import FIDELITY_COLOURS, MEASURED, TAU_COLOUR, new_figure, parity_line

    figure = new_figure("draft tokens per round γ", "speedup [×]", 400)
    parity_line(figure)
    colours = {"draft": MEASURED, "trigram": FIDELITY_COLOURS["L2"], "lookup": TAU_COLOUR}
    for place, (drafter, colour) in enumerate(colours.items()):
        mine = [row for row in rows if row["drafter"] == drafter]
        if not mine:
            continue
        gammas = [row["γ"] for row in mine]
        figure.add_scatter(
            x=gammas, y=[row["theory"] for row in mine], mode="lines", line={"color": colour},
            name=f"{drafter}, theory", hovertemplate="theory %{y:.2f}×<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=[gamma + 0.08 * (place - 1) for gamma in gammas],  # side by side
            y=[row["measured"] for row in mine], mode="markers",
            name=f"{drafter}, measured", marker={"color": colour, "size": 9},
            error_y={
                "type": "data", "symmetric": False, "thickness": 1.2, "width": 3,
                "array": [row["high"] - row["measured"] for row in mine],
                "arrayminus": [row["measured"] - row["low"] for row in mine],
            },
            hovertemplate="measured %{y:.2f}×<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(rangemode="tozero")
    return figure


def _rounds(rows: Rows) -> go.Figure:
    from app.style import (
        FIDELITY_COLOURS,
        FIDELITY_DASHES,
        FIDELITY_LABELS,
        MEASURED,
        new_figure,
    )

    figure = new_figure("draft tokens per round γ", "tokens per round τ", 360)
    gammas = [row["γ"] for row in rows]
    for level, colour in FIDELITY_COLOURS.items():
        figure.add_scatter(
            x=gammas, y=[row[level] for row in rows], mode="lines", name=FIDELITY_LABELS[level],
            line={"color": colour, "dash": FIDELITY_DASHES[level]},
        )  # fmt: skip
    figure.add_scatter(
        x=gammas, y=[row["measured"] for row in rows], mode="markers", name="measured",
        marker={"color": MEASURED, "size": 9, "symbol": "diamond"},
    )  # fmt: skip
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(rangemode="tozero")
    return figure
