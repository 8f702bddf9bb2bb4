"""Where is the best number of draft tokens, and where does the gain end?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from app.figures.speedup import CurvePoint, speedup_by_draft_tokens
from app.style import FIDELITY_COLOURS, MEASURED, new_figure
from app.words import times

_BREAK_EVEN = "#B3246F"
_SLOWER, _EVEN, _FASTER, _FASTEST = "#C75B12", "#E9E4DA", "#6FB1DD", "#0F4C81"


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
    height : int
        [pixels]

    Returns
    -------
    go.Figure
    """
    figure = new_figure(x_title, y_title, height)
    top = max(float(speedup.max()), 1.5)
    even = 1.0 / top
    figure.add_contour(
        x=x,
        y=y,
        z=speedup,
        zmin=0,
        zmax=top,
        colorscale=[
            [0, _SLOWER], [even, _EVEN], [even + (1 - even) * 0.4, _FASTER], [1, _FASTEST]
        ],
        contours={
            "start": 0,
            "end": top,
            "size": 0.5 if top <= 6 else 1,
            "showlabels": True,
            "labelfont": {"size": 12, "color": "#1B1F24"},
        },
        line={"width": 0.5, "color": "rgba(27,31,36,0.35)"},
        hovertemplate=f"{x_title}: %{{x}}<br>{y_title}: %{{y:.2f}}<br>"
        "speedup %{z:.2f}×<br>assumed: constant acceptance<extra></extra>",
        showscale=False,
        name="speedup",
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
    return figure
