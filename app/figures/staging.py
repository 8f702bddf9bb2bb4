"""Where does a draft under the draft pay, and what does it save?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from app.staging_study import Recorded
from app.style import (
    FIDELITY_COLOURS,
    MEASURED,
    NEUTRAL,
    TAU_COLOUR,
    draft_token_axis,
    names_down,
    new_figure,
    parity_line,
)
from app.words import span, times
from measurements import MethodRow

_STAGED, _PLAIN = TAU_COLOUR, FIDELITY_COLOURS["L2"]


def gain_over_draft_cost(
    costs: Any,
    lines: Mapping[str, Any],
    here: float,
    break_even: float | None,
    height: int = 380,
) -> go.Figure:
    """Speedup with and without a lower level over the cost of a draft call.

    Parameters
    ----------
    costs : array [n]
        Draft calls, in target steps.
    lines : mapping of str to array [n]
        ``staged`` and ``plain``, and each ``at its best γ``. [×]
    here : float
        The present cost, marked.
    break_even : float or None
        Cost from which staging pays at equal lengths, where there is one.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
    """
    figure = new_figure("cost ratio c [target steps per draft call]", "speedup [×]", height)
    parity_line(figure)
    for name, speedup in lines.items():
        figure.add_scatter(
            x=costs,
            y=speedup,
            mode="lines",
            name=name,
            line={
                "color": _STAGED if name.startswith("staged") else _PLAIN,
                "width": 2 if "best" in name else 3,
                "dash": "dot" if "best" in name else "solid",
            },
            hovertemplate=f"{name}<br>c = %{{x:.3f}}: %{{y:.2f}}×"
            "<br>closed form, constant acceptance<extra></extra>",
        )
    if break_even is not None and break_even <= float(max(costs)):
        figure.add_vline(x=break_even, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"})
        figure.add_annotation(
            x=break_even, y=1, yref="paper", text="break-even", showarrow=False,
            xanchor="left", yanchor="top", xshift=4, font={"size": 12},
        )  # fmt: skip
    figure.add_vline(x=here, line={"color": MEASURED, "width": 2})
    figure.add_annotation(
        x=here, y=0.93, yref="paper", text="you are here", showarrow=False,
        xanchor="left", yanchor="top", xshift=4, font={"size": 12, "color": MEASURED},
    )  # fmt: skip
    return figure


def calls_by_length(
    lengths: Sequence[int], plain: Any, staged: Any, here: int, height: int = 380
) -> go.Figure:
    """Draft calls of a round over γ, with and without a lower level.

    Parameters
    ----------
    lengths : sequence of int
        γ. [tokens]
    plain, staged : array [n]
        [calls/round]
    here : int
        The present γ, marked.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
    """
    figure = new_figure("draft tokens per round γ", "draft calls [calls/round]", height)
    for name, values, colour in (("plain", plain, _PLAIN), ("staged", staged, _STAGED)):
        figure.add_scatter(
            x=lengths,
            y=values,
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 3},
            marker={"size": [12 if g == here else 6 for g in lengths], "color": colour},
            hovertemplate=f"{name}, γ = %{{x}}<br>%{{y:.2f}} draft calls a round"
            "<br>closed form, constant acceptance<extra></extra>",
        )
    draft_token_axis(figure, list(lengths))
    figure.update_yaxes(rangemode="tozero")
    return figure


def staged_beside_plain(
    rows: Sequence[Recorded], decoded: Mapping[str, MethodRow], chosen: str
) -> go.Figure:
    """Predicted speedups of recorded settings with their intervals, measured ones beside them.

    Parameters
    ----------
    rows : sequence of Recorded
        Fastest first; at least one.
    decoded : mapping of str to MethodRow
        By name, where the setting was decoded for real.
    chosen : str
        Name of the setting that the page speaks of.

    Returns
    -------
    go.Figure
    """
    figure = new_figure("speedup [×]", "", 120 + 34 * len(rows))
    figure.add_vline(x=1.0, line={"color": NEUTRAL, "width": 1.5})
    groups = (
        ("staged, predicted", _STAGED, "diamond", [r for r in rows if r.method == "staged"]),
        ("plain, predicted", _PLAIN, "circle", [r for r in rows if r.method != "staged"]),
    )
    for name, colour, symbol, mine in groups:
        best = [row.prediction.speedup.L2 for row in mine]
        figure.add_scatter(
            x=best,
            y=[_label(row.name, chosen) for row in mine],
            error_x=_bars(
                best,
                [row.prediction.speedup_low or b for row, b in zip(mine, best, strict=True)],
                [row.prediction.speedup_high or b for row, b in zip(mine, best, strict=True)],
                colour,
            ),
            mode="markers",
            name=name,
            marker={"color": colour, "size": 11, "symbol": symbol},
            customdata=[_story(row) for row in mine],
            hovertemplate="%{customdata}<extra></extra>",
        )
    both = [row.name for row in rows if row.name in decoded]
    if both:
        spreads = [decoded[name].speedup for name in both]
        figure.add_scatter(
            x=[one.median for one in spreads],
            y=[_label(name, chosen) for name in both],
            mode="markers",
            name="decoded for real",
            marker={"color": MEASURED, "size": 13, "symbol": "line-ns",
                    "line": {"width": 3, "color": MEASURED}},
            customdata=[f"{name}<br>measured {times(one.median)}, 90 %: {span(one.low, one.high)}"
                        for name, one in zip(both, spreads, strict=True)],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    names_down(figure, [_label(row.name, chosen) for row in rows])
    return figure


def _bars(at: list[float], low: list[float], high: list[float], colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [top - middle for top, middle in zip(high, at, strict=True)],
        "arrayminus": [middle - bottom for bottom, middle in zip(low, at, strict=True)],
        "thickness": 2.5,
        "width": 0,
        "color": colour,
    }


def _label(name: str, chosen: str) -> str:
    """Short enough for a phone; the chosen one in bold."""
    text = name.replace(", lower ", "<br>over ")
    return f"<b>{text}</b>" if name == chosen else text


def _story(row: Recorded) -> str:
    p = row.prediction
    low, high = p.speedup_low or p.speedup.L2, p.speedup_high or p.speedup.L2
    return (
        f"{row.name}<br>predicted {times(p.speedup.L2)}, 90 %: {span(low, high)}"
        f"<br>replay of the recorded text, rounds timed whole<br>{row.draft_calls:.2f} draft calls"
        f" a round, {1e3 * row.drafting_seconds:.2f} ms of drafting"
    )
