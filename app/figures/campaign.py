"""Where are the predictions good, and where are they not? Marks are settings, and carry their key.

``customdata`` of every mark is [key, story], so that a page knows which setting was clicked.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.campaign import place_in_interval
from app.judged import Judged
from app.style import (
    BASELINE_COLOUR,
    FIDELITY_COLOURS,
    FIDELITY_LABELS,
    MEASURED,
    NEUTRAL,
    TAU_COLOUR,
    fade,
    new_figure,
)
from app.words import percent, sampling_name, span, times
from measurements import SettingRow

_LEVELS = ("L0", "L1", "L2")
_PLACES = {"L0": -0.25, "L1": 0.0, "L2": 0.25}
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")
_COLOURS = (BASELINE_COLOUR, FIDELITY_COLOURS["L1"], MEASURED, FIDELITY_COLOURS["L2"], TAU_COLOUR)
_MANY = 30
"""From so many points on, marks are smaller and their bars fainter."""
_HOVER = "%{customdata[1]}<extra></extra>"


def predicted_against_measured(
    settings: Sequence[Judged], height: int = 420, chosen: str | None = None
) -> go.Figure:
    """Predicted (L2) over measured speedup with both intervals; truth is the diagonal.

    Parameters
    ----------
    settings : sequence of Judged
        At least one; every sampling gets its own colour and symbol.
    height : int
        [pixels]
    chosen : str, optional
        Key of a setting to mark.

    Returns
    -------
    go.Figure
    """
    figure = new_figure("measured speedup [×]", "predicted speedup [×]", height)
    rows = [one.row.speedup for one in settings]
    low = min(min(row.L2_low, row.measured_low) for row in rows)
    high = max(max(row.L2_high, row.measured_high) for row in rows)
    edge = [low - 0.05 * (high - low), high + 0.05 * (high - low)]
    figure.add_scatter(
        x=edge,
        y=edge,
        mode="lines",
        line={"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        name="exact",
        hoverinfo="skip",
    )
    size, strength = (9, 1.0) if len(settings) < _MANY else (7, 0.4)
    for index, group in enumerate(_by_sampling(settings).values()):
        colour = _COLOURS[index % len(_COLOURS)]
        figure.add_scatter(
            x=[one.row.speedup.measured for one in group],
            y=[one.row.speedup.L2 for one in group],
            error_x=_bars([_distances(one.row, "measured") for one in group],
                          fade(colour, strength)),
            error_y=_bars([_distances(one.row, "L2") for one in group], fade(colour, strength)),
            mode="markers",
            marker={"color": colour, "size": size, "symbol": _SYMBOLS[index % len(_SYMBOLS)]},
            name=sampling_name(group[0].row.sampling),
            customdata=[[one.key, _pair(one)] for one in group],
            hovertemplate=_HOVER,
        )  # fmt: skip
    for one in settings:
        if one.key == chosen:
            _ring(figure, one.row.speedup.measured, one.row.speedup.L2)
    figure.update_xaxes(range=edge, constrain="domain")
    figure.update_yaxes(range=edge)
    return figure


def errors_by_method(settings: Sequence[Judged], height: int = 420) -> go.Figure:
    """Error of the speedup of every setting at three fidelities, method by method.

    Parameters
    ----------
    settings : sequence of Judged
    height : int
        [pixels]

    Returns
    -------
    go.Figure
    """
    methods = list(dict.fromkeys(one.row.method for one in settings))
    figure = new_figure("", "predicted speedup too high by [%]", height)
    figure.add_hrect(y0=-5, y1=5, fillcolor=NEUTRAL, opacity=0.15, line_width=0)
    figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1.5})
    for level in _LEVELS:
        errors = [getattr(one.row.speedup, level) / one.row.speedup.measured - 1
                  for one in settings]  # fmt: skip
        figure.add_scatter(
            x=[methods.index(one.row.method) + _PLACES[level] for one in settings],
            y=[100 * error for error in errors],
            mode="markers",
            name=FIDELITY_LABELS[level],
            marker={"color": FIDELITY_COLOURS[level], "size": 7, "opacity": 0.75},
            customdata=[
                [one.key, f"{one.title}<br>{FIDELITY_LABELS[level]} off by {percent(error)}"]
                for one, error in zip(settings, errors, strict=True)
            ],
            hovertemplate=_HOVER,
        )
    figure.update_xaxes(
        tickvals=list(range(len(methods))), ticktext=methods, range=[-0.6, len(methods) - 0.4]
    )
    return figure


def places_in_intervals(settings: Sequence[Judged], height: int = 420) -> go.Figure:
    """Where every measured speedup lies in its predicted 90 % interval, lowest first.

    Parameters
    ----------
    settings : sequence of Judged
    height : int
        [pixels]

    Returns
    -------
    go.Figure
        -1 is the lower end of the interval, 0 the prediction, 1 the upper end.
    """
    figure = new_figure("settings, sorted", "measured, in the interval [–]", height)
    figure.add_hrect(y0=-1, y1=1, fillcolor=FIDELITY_COLOURS["L2"], opacity=0.12, line_width=0)
    figure.add_hline(y=0, line={"color": FIDELITY_COLOURS["L2"], "width": 1.5})
    ranked = sorted(
        ((place_in_interval(one.row), one) for one in settings), key=lambda pair: pair[0]
    )
    for name, inside, colour, symbol in (
        ("inside the 90 % interval", True, FIDELITY_COLOURS["L2"], "circle"),
        ("outside", False, MEASURED, "x"),
    ):
        mine = [(at, place, one) for at, (place, one) in enumerate(ranked, 1)
                if (abs(place) <= 1) == inside]  # fmt: skip
        figure.add_scatter(
            x=[at for at, _, _ in mine],
            y=[place for _, place, _ in mine],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 7, "symbol": symbol},
            customdata=[[one.key, _pair(one)] for _, _, one in mine],
            hovertemplate=_HOVER,
        )
    return figure


def _by_sampling(settings: Sequence[Judged]) -> dict[str, list[Judged]]:
    groups: dict[str, list[Judged]] = {}
    for one in sorted(settings, key=lambda known: known.row.temperature):
        groups.setdefault(one.row.sampling.label, []).append(one)
    return groups


def _ring(figure: go.Figure, x: float, y: float) -> None:
    figure.add_scatter(
        x=[x],
        y=[y],
        mode="markers",
        name="chosen",
        marker={"symbol": "circle-open", "size": 18, "color": NEUTRAL, "line": {"width": 3}},
        hoverinfo="skip",
        showlegend=False,
    )


def _distances(row: SettingRow, name: str) -> tuple[float, float]:
    value = getattr(row.speedup, name)
    low = getattr(row.speedup, f"{name}_low")
    return max(value - low, 0.0), max(getattr(row.speedup, f"{name}_high") - value, 0.0)


def _bars(distances: list[tuple[float, float]], colour: str) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "arrayminus": [below for below, _ in distances],
        "array": [above for _, above in distances],
        "thickness": 1,
        "width": 0,
        "color": colour,
    }


def _pair(one: Judged) -> str:
    s = one.row.speedup
    return (
        f"{one.title}"
        f"<br>measured {times(s.measured)} ({span(s.measured_low, s.measured_high)})"
        f"<br>predicted {times(s.L2)} ({span(s.L2_low, s.L2_high)})"
        f"<br>error {percent(s.L2 / s.measured - 1)}"
    )
