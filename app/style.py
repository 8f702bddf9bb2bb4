"""How does every chart look? Palette, labels and the layout all figures share.

The colours are told apart with any colour vision (after Okabe and Ito, 2008)
and have a contrast of at least 3:1 on the light and on the dark background.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

MEASURED = "#D55E00"
FIDELITY_COLOURS = {"L0": "#8A8F98", "L1": "#0B9C78", "L2": "#1F83C6"}
FIDELITY_DASHES = {"L0": "dot", "L1": "dash", "L2": "solid"}
FIDELITY_LABELS = {"L0": "textbook (L0)", "L1": "hazards (L1)", "L2": "replay (L2)"}
FIDELITY_MEANINGS = {
    "L0": "closed form: constant acceptance, one cost ratio",
    "L1": "acceptance by draft position, measured costs",
    "L2": "replay of the recorded trace, measured costs",
}

# What a reader wants apart; the small host stages are shown as one and named on hovering.
GROUP_COLOURS = {"target": "#1F83C6", "draft": "#E08A00", "host": "#0B9C78", "rest": "#8A8F98"}
GROUP_PATTERNS = {"target": "", "draft": "", "host": "", "rest": "/"}
TAU_COLOUR, BASELINE_COLOUR = "#B0589E", "#6F5BC7"
NEUTRAL = "#8A8F98"
CHART_CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtons": [["toImage"]],
    "toImageButtonOptions": {"format": "svg", "filename": "speculens"},
}


def new_figure(x_title: str, y_title: str, height: int = 380) -> go.Figure:
    """An empty figure with titled axes, a legend above, and no fixed background."""
    axis = {"tickfont": {"size": 12}, "title": {"font": {"size": 13}}, "zeroline": False}
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        font={"size": 13},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"font": {"size": 13}, "align": "left"},
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"size": 12},
            "title": {"text": ""},
            "traceorder": "normal",
        },
        xaxis={**axis, "title": {"text": x_title, "font": {"size": 13}}, "automargin": True},
        yaxis={**axis, "title": {"text": y_title, "font": {"size": 13}}, "automargin": True},
    )
    return figure


def names_down(figure: go.Figure, names: Sequence[str]) -> None:
    """Names as the y axis, first on top; the legend takes the whole width above."""
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=list(names)[::-1], showgrid=False,
        range=[-0.6, len(names) - 0.4],
    )  # fmt: skip
    wide_legend(figure)


def broken(name: str) -> str:
    """A setting's name over several lines, so that it fits beside a chart on a phone.

    Examples
    --------
    >>> broken("staged γ 8, lower lookup")
    'staged γ 8<br>lower lookup'
    """
    parts = name.split(", ") if len(name) > 18 else [name]
    return "<br>".join(part if len(part) <= 32 else f"{part[:20]} … {part[-9:]}" for part in parts)


def wide_legend(figure: go.Figure) -> None:
    """Let the legend start at the edge of the chart, not of the plot: phones are narrow."""
    figure.update_layout(
        legend={"xref": "container", "x": 0, "yref": "container", "y": 1, "yanchor": "top"}
    )


def draft_token_axis(figure: go.Figure, values: list[int]) -> None:
    """Whole numbers on the x axis; of many, as many labels as fit a narrow screen."""
    low, top = min(values), max(values)
    few = range(low, top + 1) if top - low < 8 else (0, 1, 2, 4, 6, 8, 10, 12, 14, 16, 24, 32)
    figure.update_xaxes(tickvals=[value for value in few if low <= value <= top])


def parity_line(figure: go.Figure) -> None:
    """The line where speculation neither gains nor costs anything."""
    figure.add_hline(y=1.0, line={"color": NEUTRAL, "width": 1.5})


def fade(colour: str, opacity: float) -> str:
    """``colour`` (#RRGGBB) with an opacity, for bands."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
