"""Rows of a table as curves, one per name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from app.style import (
    BASELINE_COLOUR,
    FIDELITY_COLOURS,
    GROUP_COLOURS,
    MEASURED,
    NEUTRAL,
    TAU_COLOUR,
    new_figure,
    wide_legend,
)

_COLOURS = (
    MEASURED, FIDELITY_COLOURS["L2"], FIDELITY_COLOURS["L1"], TAU_COLOUR, GROUP_COLOURS["draft"],
    BASELINE_COLOUR, NEUTRAL,
)  # fmt: skip
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
_DASHES = ("solid", "dash", "dot")


def curves(
    rows: Sequence[Mapping[str, Any]],
    x: str,
    y: str,
    name: Callable[[Mapping[str, Any]], str],
    x_title: str,
    y_title: str,
    *,
    spread: bool = False,
    scale: float = 1.0,
) -> go.Figure:
    """Markers joined by lines, in the order of the rows.

    Parameters
    ----------
    rows : sequence of mapping
        Rows without a value of ``y`` are left out.
    x, y : str
        Columns.
    name : callable
        Of a row: which curve it belongs to.
    x_title, y_title : str
        With units.
    spread : bool
        Whether the columns ``<y>_low`` and ``<y>_high`` are drawn as error bars.
    scale : float
        Multiplies the values: from SI to what the title says.

    Returns
    -------
    go.Figure
    """
    figure = new_figure(x_title, y_title, 400)
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row[y] is not None:
            found.setdefault(name(row), []).append(row)
    for number, (label, mine) in enumerate(found.items()):
        colour, dash = _COLOURS[number % len(_COLOURS)], _DASHES[number // len(_COLOURS) % 3]
        figure.add_scatter(
            x=[row[x] for row in mine],
            y=[scale * row[y] for row in mine],
            error_y=_bars(mine, y, scale, colour) if spread else None,
            mode="lines+markers",
            name=label,
            line={"color": colour, "dash": dash},
            marker={"symbol": _SYMBOLS[number % len(_SYMBOLS)], "size": 9},
        )
    wide_legend(figure)
    figure.update_layout(margin={"t": 30 + 12 * len(found)})
    return figure


def _bars(
    rows: Sequence[Mapping[str, Any]], y: str, scale: float, colour: str
) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [scale * (row[f"{y}_high"] - row[y]) for row in rows],
        "arrayminus": [scale * (row[y] - row[f"{y}_low"]) for row in rows],
        "thickness": 1.5,
        "color": colour,
    }
