"""Which method is how fast, where does its time go, and who made its tokens?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from app.comparison import overlaps, row_name
from app.stage_groups import GROUP_LABELS, GROUPS, grouped, members
from app.style import (
    FIDELITY_COLOURS,
    GROUP_COLOURS,
    GROUP_PATTERNS,
    MEASURED,
    NEUTRAL,
    TAU_COLOUR,
    names_down,
    new_figure,
)
from app.words import percent, span, times
from measurements import MethodRow

_ROW, _EDGES = 34, 170  # pixels a row takes, and axis with the legend of a phone
_MAKERS = {
    "drafts": (FIDELITY_COLOURS["L2"], ""),
    "lower levels": (TAU_COLOUR, "."),
    "recovered": (GROUP_COLOURS["draft"], ""),
    "bonus": (FIDELITY_COLOURS["L1"], ""),
    "plain steps": (NEUTRAL, ""),
}
_NOT_DRAFTED = {"recovered": "recovered", "bonus": "bonus", "target": "plain steps"}


def method_speedups(ranked: Sequence[MethodRow]) -> go.Figure:
    """Measured speedup of every row with its 90 % interval, fastest on top.

    Parameters
    ----------
    ranked : sequence of MethodRow
        Of one sampling, fastest first; at least one.

    Returns
    -------
    go.Figure
        Filled marks are lossless, open ones are not; the colour says whether the
        interval reaches into that of the best.
    """
    figure = new_figure("measured speedup [×]", "", _height(ranked))
    figure.add_vline(x=1.0, line={"color": NEUTRAL, "width": 1.5})
    best = ranked[0]
    groups = [
        ("fastest", MEASURED, "diamond", [best]),
        ("interval reaches into it", FIDELITY_COLOURS["L2"], "circle",
         [row for row in ranked[1:] if overlaps(row, best)]),
        ("slower", NEUTRAL, "square", [row for row in ranked[1:] if not overlaps(row, best)]),
    ]  # fmt: skip
    for name, colour, symbol, rows in groups:
        if not rows:
            continue
        figure.add_scatter(
            x=[row.speedup.median for row in rows],
            y=[_label(row) for row in rows],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [row.speedup.high - row.speedup.median for row in rows],
                "arrayminus": [row.speedup.median - row.speedup.low for row in rows],
                "thickness": 2.5,
                "width": 0,
                "color": colour,
            },
            mode="markers",
            name=name,
            marker={
                "color": colour,
                "size": 12,
                "symbol": [symbol if row.lossless else f"{symbol}-open" for row in rows],
                "line": {"width": 2, "color": colour},
            },
            customdata=[_story(row) for row in rows],
            hovertemplate="%{customdata}<extra></extra>",
        )
    names_down(figure, [_label(row) for row in ranked])
    return figure


def method_time(ranked: Sequence[MethodRow]) -> go.Figure:
    """Measured share of wall time in target, drafting and host, in the order of the speedup."""
    figure = new_figure("share of wall time [%]", "", _height(ranked))
    for group in GROUPS:
        figure.add_bar(
            y=[_label(row) for row in ranked],
            x=[100 * grouped(row.time_split)[group] for row in ranked],
            orientation="h",
            name="drafting" if group == "draft" else GROUP_LABELS[group],
            marker=_fill(GROUP_COLOURS[group], GROUP_PATTERNS[group]),
            customdata=[
                "<br>".join(
                    f"{name}: {percent(share)} of the time"
                    for name, share in members(group, row.time_split)
                )
                for row in ranked
            ],
            hovertemplate="%{y}<br>%{customdata}<br>measured<extra></extra>",
        )
    figure.update_layout(
        barmode="stack", xaxis={"range": [0, 101], "tickvals": [0, 25, 50, 75, 100]}
    )
    names_down(figure, [_label(row) for row in ranked])
    return figure


def token_makers(ranked: Sequence[MethodRow]) -> go.Figure:
    """Share of the emitted tokens by who made them, in the order of the speedup.

    Drafts of a level below the draft model, which it accepted, count as lower levels.
    """
    figure = new_figure("share of emitted tokens [%]", "", _height(ranked))
    for maker, (colour, pattern) in _MAKERS.items():
        shares = [_by_maker(row).get(maker, {}) for row in ranked]
        if not any(shares):
            continue
        figure.add_bar(
            y=[_label(row) for row in ranked],
            x=[100 * sum(parts.values()) for parts in shares],
            orientation="h",
            name=maker,
            marker=_fill(colour, pattern),
            customdata=[
                "<br>".join(f"{name}: {percent(share)} of the tokens" for name, share in p.items())
                for p in shares
            ],
            hovertemplate="%{y}<br>%{customdata}<br>measured<extra></extra>",
        )
    figure.update_layout(
        barmode="stack", xaxis={"range": [0, 101], "tickvals": [0, 25, 50, 75, 100]}
    )
    names_down(figure, [_label(row) for row in ranked])
    return figure


def _by_maker(row: MethodRow) -> dict[str, Mapping[str, float]]:
    """Provenance by the makers of the legend, with the names inside each."""
    found: dict[str, dict[str, float]] = {}
    for name, share in row.provenance.items():
        drafted = "lower levels" if row.method == "staged" and name != "draft" else "drafts"
        found.setdefault(_NOT_DRAFTED.get(name, drafted), {})[name] = share
    return dict(found)


def _label(row: MethodRow) -> str:
    """Method over parameters, narrow enough for a phone."""
    name, _, rest = row_name(row).partition(" ")
    lines: list[str] = []
    for part in rest.split(", ") if rest else []:
        if lines and len(lines[-1]) + len(part) < 20:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    if lines and len(name) + len(lines[0]) < 18:
        lines[0] = f"{name} {lines[0]}"
    else:
        lines.insert(0, name)
    return "<br>".join(lines)


def _story(row: MethodRow) -> str:
    s, kept = row.speedup, row.draft_efficiency
    law = "lossless" if row.lossless else "changes the law of the text"
    drafts = "" if kept is None else f"<br>{percent(kept, 0)} of the drafts kept"
    return (
        f"{row_name(row)}<br>measured {times(s.median)}, 90 %: {span(s.low, s.high)}"
        f"<br>{row.tau:.2f} tokens per round{drafts}<br>{law}"
    )


def _fill(colour: str, pattern: str) -> dict[str, object]:
    shape = {"shape": pattern, "size": 5, "fillmode": "replace", "solidity": 0.4}
    return {"color": colour, "line": {"width": 0}, "pattern": shape}


def _height(ranked: Sequence[MethodRow]) -> int:
    return _EDGES + sum(max(_ROW, 20 * (_label(row).count("<br>") + 1)) for row in ranked)
