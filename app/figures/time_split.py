"""Where does the time go, stage by stage, and what is left unexplained?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from app.stage_groups import GROUP_LABELS, GROUPS, grouped, members
from app.style import (
    GROUP_COLOURS,
    GROUP_PATTERNS,
    broken,
    names_down,
    new_figure,
)
from app.words import name_in, percent, setting_axis
from measurements import AutoregressiveRow, SettingRow

SHORT = 6
"""Longer names than this do not fit under a bar. [characters]"""


def time_per_token(
    settings: Sequence[SettingRow], autoregressive: AutoregressiveRow, height: int = 360
) -> go.Figure:
    """Measured time per emitted token by stage; the first bar is decoding without drafts.

    Parameters
    ----------
    settings : sequence of SettingRow
        Of one sampling, in order of γ; at least one.
    autoregressive : AutoregressiveRow
        The baseline at the same sampling.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
        Bar heights in ms per token, so their ratio is the speedup.
    """
    per_token = [row.round_seconds["measured"] / row.tau.measured for row in settings]
    # The speedup is defined as the ratio of these two times; the recorded total of the
    # baseline may hold stalls of the machine that the speedup leaves out.
    plain = settings[0].speedup.measured * per_token[0]
    bars = [("none", autoregressive.time_split, plain)]
    bars += [
        (name_in(settings, row), row.time_split, seconds)
        for row, seconds in zip(settings, per_token, strict=True)
    ]
    return _stacked(bars, setting_axis(settings), "time per token [ms]", height)


def time_shares(settings: Sequence[SettingRow], height: int = 360) -> go.Figure:
    """Measured share of a round by stage; what the stages leave is hatched.

    Parameters
    ----------
    settings : sequence of SettingRow
        Of one sampling, in order of γ.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
        Bar heights in percent of the measured wall time.
    """
    bars = [(name_in(settings, row), row.time_split, 0.1) for row in settings]
    return _stacked(bars, setting_axis(settings), "share of wall time [%]", height)


def _stacked(
    bars: Sequence[tuple[str, Mapping[str, float], float]], x_title: str, y_title: str, height: int
) -> go.Figure:
    """Stacked bars of shares times a scale [s], in thousandths; lying where names are long."""
    sideways = any(len(name) > SHORT for name, _, _ in bars)
    names = [broken(name) for name, _, _ in bars]
    figure = (
        new_figure(y_title, "", 130 + 36 * len(bars))
        if sideways
        else new_figure(x_title, y_title, height)
    )
    for group in GROUPS:
        lengths = [1e3 * scale * grouped(split)[group] for _, split, scale in bars]
        figure.add_bar(
            x=lengths if sideways else names,
            y=names if sideways else lengths,
            orientation="h" if sideways else "v",
            name=GROUP_LABELS[group],
            marker={
                "color": GROUP_COLOURS[group],
                "line": {"width": 0},
                "pattern": {
                    "shape": GROUP_PATTERNS[group],
                    "size": 5,
                    "fillmode": "replace",
                    "solidity": 0.4,
                },
            },
            customdata=[_parts(group, split) for _, split, _ in bars],
            hovertemplate=("%{y}" if sideways else "γ: %{x}")
            + "<br>%{customdata}<br>measured<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    if sideways:
        names_down(figure, names)
    else:
        figure.update_xaxes(type="category")
    return figure


def _parts(group: str, split: Mapping[str, float]) -> str:
    return "<br>".join(
        f"{name}: {percent(share)} of the time" for name, share in members(group, split) if share
    )
