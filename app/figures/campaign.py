"""Where are the predictions of a campaign good, and where are they not?"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.style import FIDELITY_COLOURS, NEUTRAL, new_figure
from app.words import percent, setting_name
from measurements import SettingRow

_LEVELS = ("L0", "L1", "L2")
_PLACES = {"L0": -0.25, "L1": 0.0, "L2": 0.25}


def errors_by_method(settings: Sequence[SettingRow], height: int = 460) -> go.Figure:
    """Error of the speedup of every setting at three fidelities, method by method.

    Parameters
    ----------
    settings : sequence of SettingRow
    height : int
        [pixels]
    """
    methods = list(dict.fromkeys(row.method for row in settings))
    figure = new_figure("", "predicted speedup too high by [%]", height)
    figure.add_hrect(y0=-5, y1=5, fillcolor=NEUTRAL, opacity=0.15, line_width=0)
    figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1.5})
    for level in _LEVELS:
        errors = [getattr(row.speedup, level) / row.speedup.measured - 1 for row in settings]
        figure.add_scatter(
            x=[methods.index(row.method) + _PLACES[level] for row in settings],
            y=[100 * error for error in errors],
            mode="markers",
            name=level,
            marker={"color": FIDELITY_COLOURS[level], "size": 7, "opacity": 0.75},
            customdata=[
                f"{setting_name(row)}<br>{level} off by {percent(error)}"
                for row, error in zip(settings, errors, strict=True)
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    figure.update_xaxes(tickvals=list(range(len(methods))), ticktext=methods)
    return figure
