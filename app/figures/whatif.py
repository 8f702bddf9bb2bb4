"""Where is the best number of draft tokens, and where does the gain end?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from app.figures.speedup import CurvePoint, speedup_by_draft_tokens
from app.style import (
    BASELINE_COLOUR,
    FIDELITY_COLOURS,
    MEASURED,
    NEUTRAL,
    broken,
    draft_token_axis,
    names_down,
    new_figure,
    parity_line,
)
from app.words import span, times

_BREAK_EVEN = "#B3246F"
_SLOWER, _EVEN, _FASTER, _FASTEST = "#C75B12", "#E9E4DA", "#8CC3E6", "#3A8CC9"
_ON_MAP = "#1B1F24"


def gain_curve(curve: Sequence[CurvePoint], chosen: int, best: int, height: int = 380) -> go.Figure:
    """Speedup over γ with the chosen and the best number of draft tokens marked.

    Parameters
    ----------
    curve : sequence of CurvePoint
        In order of γ; must hold ``chosen`` and ``best``.
    chosen, best : int
        [tokens]
    height : int
        [pixels]

    Returns
    -------
    go.Figure
    """
    figure = speedup_by_draft_tokens(curve, [], height)
    at = {point.num_draft_tokens: point.L2 for point in curve}
    marks = [
        (best, f"best: γ = {best}", "star", 16, FIDELITY_COLOURS["L2"]),
        (chosen, f"chosen: γ = {chosen}", "circle-open", 17, MEASURED),
    ]
    for gamma, name, symbol, size, colour in marks:
        figure.add_scatter(
            x=[gamma],
            y=[at[gamma]],
            mode="markers",
            name=name,
            marker={
                "symbol": symbol,
                "size": size,
                "color": colour,
                "line": {"width": 3 if "open" in symbol else 0, "color": colour},
            },
            hovertemplate=f"{name}<br>{times(at[gamma])}<extra></extra>",
        )
    return figure


def gain_map(
    x: Any,
    y: Any,
    speedup: Any,
    *,
    x_title: str,
    y_title: str,
    here: tuple[float, float],
    origin: str = "assumed",
    log_x: bool = False,
    height: int = 400,
) -> go.Figure:
    """Speedup over two settings; the heavy line is break-even.

    Parameters
    ----------
    x, y : array [nx], [ny]
        Axis values.
    speedup : array [ny, nx]
        [×]
    x_title, y_title : str
        Axis titles with units.
    here : (float, float)
        The present setting, marked.
    origin : str
        Where the costs come from.
    log_x : bool
        Whether x spans decades.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
    """
    figure = new_figure(x_title, y_title, height)
    top = max(float(speedup.max()), 1.5)
    even, step = 1.0 / top, 0.5 if top <= 6 else 1.0
    figure.add_contour(
        x=x,
        y=y,
        z=speedup,
        zmin=0,
        zmax=top,
        colorscale=[
            [0, _SLOWER], [even, _EVEN], [even + (1 - even) * 0.4, _FASTER], [1, _FASTEST]
        ],
        contours={"start": 0, "end": top, "size": step},
        line={"width": 0.5, "color": "rgba(27,31,36,0.35)"},
        hovertemplate=f"{x_title}: %{{x}}<br>{y_title}: %{{y:.2f}}<br>"
        f"speedup %{{z:.2f}}×<br>assumed: constant acceptance; costs {origin}<extra></extra>",
        showscale=False,
        name="speedup",
    )  # fmt: skip
    # numbers on the lines above break-even only: on its heavy line they could not be read
    figure.add_contour(
        x=x, y=y, z=speedup, showscale=False, hoverinfo="skip", showlegend=False,
        contours={
            "start": 1 + step, "end": top, "size": step, "coloring": "none", "showlabels": True,
            "labelfont": {"size": 12, "color": _ON_MAP},
        },
        line={"width": 0.5, "color": _ON_MAP},
    )  # fmt: skip
    figure.add_contour(
        x=x,
        y=y,
        z=speedup,
        contours={"start": 1, "end": 1, "size": 1, "coloring": "none"},
        line={"width": 4, "color": _BREAK_EVEN},
        name="break-even",
        showlegend=True,
        showscale=False,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[here[0]],
        y=[here[1]],
        mode="markers",
        name="you are here",
        marker={
            "symbol": "circle",
            "size": 13,
            "color": MEASURED,
            "line": {"width": 2.5, "color": "white"},
        },
        hovertemplate="the present setting<extra></extra>",
    )
    if log_x:
        ticks = [value for value in (1, 2, 4, 8, 16, 32, 64, 128, 256) if value <= max(x)]
        figure.update_xaxes(type="log", tickvals=ticks)
    elif max(x) <= 16 and all(value == round(value) for value in x):
        draft_token_axis(figure, [int(value) for value in x])
    return figure


def method_gain(
    lines: Mapping[str, Sequence[tuple[int, float]]],
    *,
    chosen: int,
    best: int,
    x_title: str,
    origin: str,
    height: int = 430,
) -> go.Figure:
    """Speedup of a method over its size, and of plain chains beside it.

    Parameters
    ----------
    lines : mapping of str to sequence of (int, float)
        Size and speedup [×]; the method first, of which ``chosen`` and ``best`` are marked.
    chosen, best : int
        Sizes of the method.
    x_title : str
        What a size is, with its unit.
    origin : str
        Where acceptance and costs come from.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
    """
    figure = new_figure(x_title, "speedup [×]", height)
    parity_line(figure)
    looks = ((FIDELITY_COLOURS["L2"], "solid"), (BASELINE_COLOUR, "dot"))
    for (name, points), (colour, dash) in zip(lines.items(), looks, strict=True):
        figure.add_scatter(
            x=[size for size, _ in points],
            y=[speedup for _, speedup in points],
            name=name,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.5},
            hovertemplate=f"{name}, %{{x}}<br>predicted %{{y:.2f}}×"
            f"<br>{origin.replace('; ', '<br>')}<extra></extra>",
        )
    at = dict(next(iter(lines.values())))
    for size, name, symbol, width, colour in (
        (best, "best", "star", 16, FIDELITY_COLOURS["L2"]),
        (chosen, "chosen", "circle-open", 17, MEASURED),
    ):
        figure.add_scatter(
            x=[size],
            y=[at[size]],
            mode="markers",
            name=f"{name}: {size}",
            marker={"symbol": symbol, "size": width, "color": colour,
                    "line": {"width": 3 if "open" in symbol else 0, "color": colour}},
            hovertemplate=f"{name}: {size}<br>{times(at[size])}<extra></extra>",
        )  # fmt: skip
    draft_token_axis(figure, [size for points in lines.values() for size, _ in points])
    return figure


def pinned_speedups(
    rows: Sequence[tuple[str, float, float | None, float | None, str]],
) -> go.Figure:
    """Speedups of a few scenarios, in the order they were pinned.

    Parameters
    ----------
    rows : sequence of (str, float, float or None, float or None, str)
        Name, speedup, its interval where there is one [×], where the numbers come from.

    Returns
    -------
    go.Figure
    """
    figure = new_figure("predicted speedup [×]", "", 90 + 46 * len(rows))
    figure.add_vline(x=1.0, line={"color": NEUTRAL, "width": 1.5})
    names = [broken(name) for name, *_ in rows]
    figure.add_bar(
        x=[speedup for _, speedup, *_ in rows],
        y=names,
        orientation="h",
        marker={"color": FIDELITY_COLOURS["L2"]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [high and high - speedup for _, speedup, _, high, _ in rows],
            "arrayminus": [low and speedup - low for _, speedup, low, _, _ in rows],
            "thickness": 2,
            "color": MEASURED,
        },
        text=[times(speedup) for _, speedup, *_ in rows],
        textposition="inside",
        insidetextanchor="start",
        textfont={"size": 13, "color": "white"},
        customdata=[
            f"{name}<br>predicted {times(speedup)}"
            + (f", 90 %: {span(low, high)}" if low is not None and high is not None else "")
            + f"<br>{origin.replace('; ', '<br>')}"
            for name, speedup, low, high, origin in rows
        ],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )
    names_down(figure, names)
    figure.update_xaxes(rangemode="tozero")
    return figure
