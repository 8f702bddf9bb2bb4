"""Was what a server does foretold? Marks are settings of servers, not of this engine."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.style import BASELINE_COLOUR, FIDELITY_COLOURS, MEASURED, NEUTRAL, TAU_COLOUR, new_figure
from app.words import percent, span, times
from measurements import MeasuredPredicted, ServedSetting

_COLOURS = (BASELINE_COLOUR, MEASURED, FIDELITY_COLOURS["L1"], FIDELITY_COLOURS["L2"], TAU_COLOUR)
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")


def served_against_foretold(
    settings: Sequence[ServedSetting], engine: str, height: int = 420
) -> go.Figure:
    """Predicted over measured speedup of servers; truth is the diagonal.

    Parameters
    ----------
    settings : sequence of ServedSetting
        At least one with a speedup; every batch gets its own colour and symbol. Marks are
        open beyond the numbers of drafts that were profiled.
    engine : str
        What served, named on hovering.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
    """
    figure = new_figure("measured speedup [×]", "predicted speedup [×]", height)
    known = [(one, one.speedup) for one in settings if one.speedup is not None]
    values = [value for _, s in known for value in (s.measured, s.predicted)]
    margin = 0.08 * (max(values) - min(values)) or 0.1
    edge = [min(values) - margin, max(values) + margin]
    figure.add_scatter(
        x=edge, y=edge, mode="lines", line={"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        name="exact", hoverinfo="skip",
    )  # fmt: skip
    for index, batch in enumerate(sorted({one.batch for one, _ in known})):
        group = [(one, speedup) for one, speedup in known if one.batch == batch]
        symbol = _SYMBOLS[index % len(_SYMBOLS)]
        figure.add_scatter(
            x=[speedup.measured for _, speedup in group],
            y=[speedup.predicted for _, speedup in group],
            mode="markers",
            name=f"batch {batch}",
            marker={
                "color": _COLOURS[index % len(_COLOURS)],
                "size": 10,
                "symbol": [f"{symbol}-open" if one.extrapolated else symbol for one, _ in group],
                "line": {"width": 2, "color": _COLOURS[index % len(_COLOURS)]},
            },
            customdata=[_story(one, speedup, engine) for one, speedup in group],
            hovertemplate="%{customdata}<extra></extra>",
        )
    figure.update_xaxes(range=edge, constrain="domain")
    figure.update_yaxes(range=edge)
    return figure


def _interval(speedup: MeasuredPredicted) -> str:
    if speedup.low is None or speedup.high is None:
        return ""
    return f", 90 % {span(speedup.low, speedup.high)},"


def _story(one: ServedSetting, speedup: MeasuredPredicted, engine: str) -> str:
    beyond = "<br>beyond the drafts that were profiled" if one.extrapolated else ""
    return (
        f"{engine}, K = {one.num_draft_tokens}, batch = {one.batch}"
        f"<br>measured {times(speedup.measured)}{_interval(speedup)} over {one.units} paired units"
        f"<br>predicted {times(speedup.predicted)}, error {percent(speedup.error)}"
        f"<br>τ {one.tau.predicted:.2f}, measured {one.tau.measured:.2f}{beyond}"
    )
