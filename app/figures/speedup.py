"""How does the speedup change with the number of draft tokens, predicted and measured?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from app.style import (
    FIDELITY_COLOURS,
    FIDELITY_DASHES,
    FIDELITY_LABELS,
    FIDELITY_MEANINGS,
    MEASURED,
    draft_token_axis,
    fade,
    new_figure,
    parity_line,
)
from app.words import drafts, origin, percent, plain_chains, span
from measurements import SettingRow
from simulator import Prediction


@dataclass(frozen=True)
class CurvePoint:
    """One predicted setting: speedups at the three fidelities and an interval of L2."""

    num_draft_tokens: int
    L0: float
    L1: float
    L2: float
    low: float | None
    high: float | None
    origin: str


def points_from_predictions(predictions: Iterable[Prediction]) -> list[CurvePoint]:
    """Points of fresh predictions, with the origin of their costs."""
    return [
        CurvePoint(
            one.num_draft_tokens,
            one.speedup.L0,
            one.speedup.L1,
            one.speedup.L2,
            one.speedup_low,
            one.speedup_high,
            "costs " + (origin(one.provenance) or "assumed"),
        )
        for one in predictions
    ]


def points_from_settings(settings: Iterable[SettingRow]) -> list[CurvePoint]:
    """Points of the predictions that a validation recorded."""
    return [
        CurvePoint(
            drafts(row),
            row.speedup.L0,
            row.speedup.L1,
            row.speedup.L2,
            row.speedup.L2_low,
            row.speedup.L2_high,
            "as predicted when it was validated",
        )
        for row in plain_chains(settings)
    ]


def speedup_by_draft_tokens(
    curve: Sequence[CurvePoint], measured: Sequence[SettingRow], height: int = 380
) -> go.Figure:
    """Predicted speedup at three fidelities over γ, measured points on top.

    Parameters
    ----------
    curve : sequence of CurvePoint
        In order of γ; the band is the interval of L2.
    measured : sequence of SettingRow
        Decoded settings; may be empty. Error bars are their 90 % intervals.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
    """
    figure = new_figure("draft tokens per round γ", "speedup [×]", height)
    parity_line(figure)
    gammas = [point.num_draft_tokens for point in curve]
    _add_band(figure, [point for point in curve if point.low is not None])
    for name in ("L0", "L1", "L2"):
        figure.add_scatter(
            x=gammas,
            y=[getattr(point, name) for point in curve],
            name=FIDELITY_LABELS[name],
            mode="lines",
            line={"color": FIDELITY_COLOURS[name], "dash": FIDELITY_DASHES[name], "width": 2.5},
            customdata=[_story(point, name) for point in curve],
            hovertemplate="γ = %{x}<br>predicted %{y:.2f}×<br>%{customdata}<extra></extra>",
        )
    chains = plain_chains(measured)
    if chains:
        _add_measured(figure, chains)
    draft_token_axis(figure, gammas + [drafts(row) for row in chains])
    figure.update_yaxes(rangemode="tozero" if not gammas else "normal")
    return figure


def _add_band(figure: go.Figure, curve: Sequence[CurvePoint]) -> None:
    gammas = [point.num_draft_tokens for point in curve]
    figure.add_scatter(
        x=gammas + gammas[::-1],
        y=[point.high for point in curve] + [point.low for point in curve][::-1],
        name="90 % interval (L2)",
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=fade(FIDELITY_COLOURS["L2"], 0.18),
        hoverinfo="skip",
    )


def _add_measured(figure: go.Figure, settings: Sequence[SettingRow]) -> None:
    rows = [row.speedup for row in settings]
    figure.add_scatter(
        x=[drafts(row) for row in settings],
        y=[row.measured for row in rows],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [row.measured_high - row.measured for row in rows],
            "arrayminus": [row.measured - row.measured_low for row in rows],
            "thickness": 1.5,
            "width": 4,
        },
        name="measured",
        mode="markers",
        marker={"color": MEASURED, "size": 9},
        customdata=[
            f"90 %: {span(row.measured_low, row.measured_high)}<br>decoded for real;"
            f" replay was off by {percent(row.L2 / row.measured - 1)}"
            for row in rows
        ],
        hovertemplate="γ = %{x}<br>measured %{y:.2f}×<br>%{customdata}<extra></extra>",
    )


def _story(point: CurvePoint, name: str) -> str:
    text = f"{FIDELITY_LABELS[name]}: {FIDELITY_MEANINGS[name]}"
    if name == "L0":
        return text
    if name == "L2" and point.low is not None and point.high is not None:
        text += f"<br>90 %: {span(point.low, point.high)}"
    return f"{text}<br>{point.origin}"
