"""The staged study's figures, drawn from its tables alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from app.studies import staged_tables as names
from app.studies.staging import PAPER_GAIN

if TYPE_CHECKING:
    import plotly.graph_objects as go

Rows = Sequence[Mapping[str, Any]]
SYMBOLS = {"target": "circle", "draft": "triangle-up", "round": "diamond"}
STAGE_NAMES = {"target": "target forwards", "draft": "draft forwards", "round": "whole rounds"}
TICKS = [m * 10.0**e for e in range(-2, 7) for m in (1, 2, 5)]  # of logarithmic axes
LINE_WIDTH = 96  # characters of the coloured text


def figures(tables: Mapping[str, Rows]) -> dict[str, go.Figure]:
    """All figures by title."""
    made: dict[str, go.Figure] = {}
    samplings = [row["sampling"] for row in tables[names.SPEED]]
    for sampling in samplings:
        mine = {
            title: [row for row in rows if row.get("sampling") == sampling]
            for title, rows in tables.items()
        }
        made[f"Figure 1, {sampling}: stages and rounds under the roof of this machine"] = _roofline(
            mine[names.ROOFLINE], tables[names.CEILINGS][0]
        )
        made[f"Figure 2, {sampling}: speed by problem, each method sorted"] = _sorted(
            mine[names.PROBLEMS]
        )
        made[f"Where the time goes, {sampling}"] = _split(mine[names.SPLIT])
    made["Figure 3: who made the tokens"] = _provenance(tables[names.PROVENANCE], samplings)
    if text := [row for row in tables[names.TEXT] if row["sampling"] == samplings[0]]:
        made[f"Figure 3, {samplings[0]}: one text by the level that made each token"] = _text(text)
    if tables[names.BY_COST]:
        made["What staging would gain by the cost of a draft call"] = _by_cost(tables)
    return made


def _colours() -> dict[str, str]:
    from app.style import FIDELITY_COLOURS, MEASURED, NEUTRAL

    return {"baseline": NEUTRAL, "speculative": FIDELITY_COLOURS["L2"], "staged": MEASURED}


def _roofline(rows: Rows, ceilings: Mapping[str, Any]) -> go.Figure:
    import numpy as np

    from app.style import NEUTRAL, new_figure, wide_legend
    from simulator import roof

    figure = new_figure("arithmetic intensity [FLOP/byte]", "arithmetic done [GFLOP/s]", 440)
    bandwidth, rate = ceilings["read_bandwidth_bytes_per_s"], ceilings["flop_per_s"]
    reach = [row["intensity_flop_per_byte"] for row in rows] + [rate / bandwidth]
    x = np.geomspace(min(reach) / 2, max(reach) * 2, 80)
    figure.add_scatter(
        x=x, y=roof(x, bandwidth, rate) / 1e9, mode="lines", name="measured ceilings",
        line={"color": NEUTRAL, "width": 2.5},
        hovertemplate=f"{bandwidth / 1e9:.3g} GB/s, {rate / 1e9:.3g} GFLOP/s<extra></extra>",
    )  # fmt: skip
    for row in rows:
        figure.add_scatter(
            x=[row["intensity_flop_per_byte"]],
            y=[row["flop_per_s"] / 1e9],
            mode="markers",
            name=f"{row['role']}: {STAGE_NAMES[row['stage']]}",
            marker={
                "color": _colours()[row["role"]],
                "symbol": SYMBOLS[row["stage"]],
                "size": 13,
                "line": {"color": "white", "width": 1},
            },
            hovertemplate=f"{row['role']}, {STAGE_NAMES[row['stage']]}<br>%{{x:.3g}} FLOP/byte,"
            " %{y:.3g} GFLOP/s<extra></extra>",
        )
    figure.update_xaxes(type="log", tickvals=TICKS)
    figure.update_yaxes(type="log", tickvals=TICKS)
    wide_legend(figure)
    return figure


def _sorted(rows: Rows) -> go.Figure:
    from app.style import new_figure

    figure = new_figure("problem, by speed", "tokens/s", 360)
    for role, colour in _colours().items():
        speeds = sorted(row[role] for row in rows)
        figure.add_scatter(
            x=list(range(1, len(speeds) + 1)), y=speeds, mode="lines+markers", name=role,
            line={"color": colour}, marker={"size": 5},
            hovertemplate=role + ": %{y:.0f} tokens/s<extra></extra>",
        )  # fmt: skip
    ends = [0.5, len(rows) + 0.5]
    figure.update_xaxes(range=ends, tickformat="d", dtick=max(1, len(rows) // 12))
    figure.update_yaxes(rangemode="tozero")
    return figure


def _split(rows: Rows) -> go.Figure:
    from app.stage_groups import GROUP_LABELS, GROUPS, grouped
    from app.style import GROUP_COLOURS, GROUP_PATTERNS, new_figure

    figure = new_figure("", "time per token [ms]", 340)
    for group in GROUPS:
        sums = {
            role: grouped(
                {row["stage"]: row["seconds_per_token"] for row in rows if row["role"] == role}
            )[group]
            for role in names.ROLES
        }
        figure.add_bar(
            x=list(sums),
            y=[1e3 * seconds for seconds in sums.values()],
            name=GROUP_LABELS[group],
            marker={
                "color": GROUP_COLOURS[group],
                "line": {"width": 0},
                "pattern": {"shape": GROUP_PATTERNS[group], "size": 5, "fillmode": "replace",
                            "solidity": 0.4},
            },
            hovertemplate="%{x}, " + GROUP_LABELS[group] + ": %{y:.3f} ms<extra></extra>",
        )  # fmt: skip
    figure.update_layout(barmode="stack", bargap=0.45)
    return figure


def _levels(rows: Rows) -> dict[str, str]:
    """A colour for every level that made tokens."""
    from app.style import FIDELITY_COLOURS, GROUP_COLOURS, MEASURED, NEUTRAL, TAU_COLOUR

    known = {"target": NEUTRAL, "bonus": FIDELITY_COLOURS["L1"],
             "recovered": GROUP_COLOURS["draft"], "draft": FIDELITY_COLOURS["L2"]}  # fmt: skip
    levels = dict.fromkeys(str(row["level"]) for row in rows)
    lower = iter((TAU_COLOUR, MEASURED))
    return {level: known.get(level) or next(lower) for level in sorted(levels)}


def _provenance(rows: Rows, samplings: Sequence[str]) -> go.Figure:
    from app.style import names_down, new_figure

    bars = [(s, role) for s in samplings for role in names.ROLES if role != "baseline"]
    labels = [f"{sampling}<br>{role}" for sampling, role in bars]
    figure = new_figure("share of emitted tokens [%]", "", 110 + 52 * len(bars))
    shares = {(row["sampling"], row["role"], row["level"]): row["share"] for row in rows}
    for level, colour in _levels(rows).items():
        values = [100 * shares.get((*bar, level), 0.0) for bar in bars]
        if any(values):
            figure.add_bar(
                y=labels, x=values, orientation="h", name=level, marker={"color": colour},
                hovertemplate=level + ": %{x:.1f} %<extra></extra>",
            )  # fmt: skip
    figure.update_layout(barmode="stack", xaxis={"range": [0, 100]})
    names_down(figure, labels)
    return figure


def _text(rows: Rows) -> go.Figure:
    """The text as one annotation, every token in the colour of its level."""
    from app.style import new_figure

    colours = _levels(rows)
    parts, column, lines = [], 0, 1
    for row in rows:
        for piece in str(row["text"]).replace("\t", "    ").splitlines(keepends=True):
            shown, ends = piece.rstrip("\r\n"), piece.endswith(("\r", "\n"))
            if column + len(shown) > LINE_WIDTH:
                parts.append("<br>")
                column, lines = 0, lines + 1
            # a line's end is a token too: shown where one made nothing else
            visible = shown if shown.strip() else shown + ("¶" if ends else "")
            colour = colours[str(row["level"])]
            parts.append(f'<span style="color:{colour}">{escape(visible, quote=False)}</span>')
            column += len(shown)
            if ends:
                parts.append("<br>")
                column, lines = 0, lines + 1
    figure = new_figure("", "", 60 + 19 * (lines + 1))
    for level, colour in colours.items():  # the legend
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=level, marker={"color": colour, "size": 11}
        )
    figure.add_annotation(
        text="".join(parts), x=0, y=1, xref="paper", yref="paper", xanchor="left", yanchor="top",
        align="left", showarrow=False, font={"family": "monospace", "size": 13},
    )  # fmt: skip
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def _by_cost(tables: Mapping[str, Rows]) -> go.Figure:
    from app.style import FIDELITY_COLOURS, MEASURED, TAU_COLOUR, new_figure, parity_line

    figure = new_figure("cost ratio c: one draft call / one plain step", "staged / not staged", 360)
    parity_line(figure)
    colours = (FIDELITY_COLOURS["L2"], TAU_COLOUR)
    samplings = list(dict.fromkeys(row["sampling"] for row in tables[names.BY_COST]))
    for sampling, colour in zip(samplings, colours, strict=False):
        mine = [row for row in tables[names.BY_COST] if row["sampling"] == sampling]
        figure.add_scatter(
            x=[row["cost_ratio"] for row in mine],
            y=[row["predicted_gain"] for row in mine],
            mode="lines",
            name=f"predicted (M5.4), {sampling}",
            line={"color": colour},
        )
        here = [row for row in tables[names.STAGING] if row["sampling"] == sampling][-1]
        figure.add_scatter(
            x=[here["cost_ratio"]], y=[here["measured_gain"]], mode="markers",
            name=f"measured, {sampling}", marker={"color": colour, "size": 11, "symbol": "diamond"},
        )  # fmt: skip
    figure.add_hline(
        y=PAPER_GAIN, line={"color": MEASURED, "dash": "dot", "width": 1.5},
        annotation_text="the paper's", annotation_position="top left",
    )  # fmt: skip
    figure.update_xaxes(type="log", tickvals=TICKS)
    return figure
