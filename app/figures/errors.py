"""How far were the predictions off, and which part of the model is to blame?"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.stage_groups import GROUP_LABELS, GROUPS, grouped, members
from app.style import (
    BASELINE_COLOUR,
    FIDELITY_COLOURS,
    GROUP_COLOURS,
    GROUP_PATTERNS,
    MEASURED,
    NEUTRAL,
    TAU_COLOUR,
    new_figure,
)
from app.words import percent, sampling_name, setting_axis, setting_name, short_name, span, times
from measurements import SettingRow

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")
_COLOURS = (BASELINE_COLOUR, FIDELITY_COLOURS["L1"], MEASURED, FIDELITY_COLOURS["L2"], TAU_COLOUR)


def predicted_against_measured(groups: dict[str, list[SettingRow]], height: int = 420) -> go.Figure:
    """Predicted (L2) over measured speedup with both intervals; truth is the diagonal.

    Parameters
    ----------
    groups : dict of str to list of SettingRow
        Settings by sampling label; each gets its own colour and symbol.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
    """
    figure = new_figure("measured speedup [×]", "predicted speedup [×]", height)
    rows = [row.speedup for group in groups.values() for row in group]
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
    for index, group in enumerate(groups.values()):
        colour = _COLOURS[index % len(_COLOURS)]
        figure.add_scatter(
            x=[row.speedup.measured for row in group],
            y=[row.speedup.L2 for row in group],
            error_x=_bars([_distances(row, "measured") for row in group], colour),
            error_y=_bars([_distances(row, "L2") for row in group], colour),
            mode="markers",
            marker={"color": colour, "size": 9, "symbol": _SYMBOLS[index % len(_SYMBOLS)]},
            name=sampling_name(group[0].sampling),
            customdata=[_pair(row) for row in group],
            hovertemplate="%{customdata}<extra></extra>",
        )
    figure.update_xaxes(range=edge, constrain="domain")
    figure.update_yaxes(range=edge)
    return figure


def decomposition(settings: Sequence[SettingRow], height: int = 400) -> go.Figure:
    """The error of every setting as a sum of its causes (M9).

    Parameters
    ----------
    settings : sequence of SettingRow
        Of one sampling, in order of γ.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
        Stacked bars in percent (100 × natural logarithm); above zero means
        that this part made the prediction too high. The diamond is the sum.
    """
    figure = new_figure(setting_axis(settings), "prediction too high by [%]", height)
    x = [short_name(row) for row in settings]
    causes: list[tuple[str, str, str, list[float], list[str]]] = [
        (
            "tokens per round",
            TAU_COLOUR,
            "",
            [row.error.log_tau for row in settings],
            [f"tokens per round {row.tau.L2:.3f}, measured {row.tau.measured:.3f}"
             for row in settings],
        )
    ]  # fmt: skip
    for group in GROUPS:
        stages = [row.error.log_round_by_stage for row in settings]
        causes.append(
            (
                GROUP_LABELS[group],
                GROUP_COLOURS[group],
                GROUP_PATTERNS[group],
                [grouped(split)[group] for split in stages],
                ["<br>".join(f"{n}: {percent(v, 2)}" for n, v in members(group, split))
                 for split in stages],
            )
        )  # fmt: skip
    causes.append(
        (
            "plain step",
            BASELINE_COLOUR,
            "x",
            [row.error.log_autoregressive for row in settings],
            ["time per token without drafts, predicted against measured"] * len(settings),
        )
    )
    for name, colour, pattern, values, notes in causes:
        figure.add_bar(
            x=x,
            y=[100 * value for value in values],
            name=name,
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {
                    "shape": pattern,
                    "size": 5,
                    "fillmode": "overlay" if pattern == "x" else "replace",
                    "solidity": 0.4,
                },
            },
            customdata=notes,
            hovertemplate="γ = %{x}<br>%{y:.2f} %<br>%{customdata}<extra></extra>",
        )
    figure.add_scatter(
        x=x,
        y=[100 * row.error.log_speedup for row in settings],
        mode="markers",
        name="sum",
        marker={"symbol": "diamond", "size": 10, "color": MEASURED},
        hovertemplate="γ = %{x}<br>speedup predicted too high by %{y:.2f} %<extra></extra>",
    )
    figure.update_layout(barmode="relative")
    figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1.5})
    figure.update_xaxes(type="category")
    return figure


def per_prompt_speedup(setting: SettingRow, height: int = 360) -> go.Figure:
    """Every prompt's speedup, slowest gain first, with the prediction beside it.

    Parameters
    ----------
    setting : SettingRow
        One decoded setting.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
        The predicted value of a prompt is its own predicted tokens per round
        at the setting's predicted cost of a round.
    """
    rows = sorted(setting.per_prompt, key=lambda row: row.baseline_seconds / row.seconds)
    gain_per_token = setting.speedup.L2 / setting.tau.L2
    figure = new_figure("prompts, sorted by measured gain", "speedup [×]", height)
    figure.add_hline(y=1.0, line={"color": NEUTRAL, "width": 1.5})
    x = list(range(1, len(rows) + 1))
    figure.add_scatter(
        x=x,
        y=[gain_per_token * row.num_tokens / row.predicted_rounds for row in rows],
        mode="lines",
        line={"color": FIDELITY_COLOURS["L2"], "width": 2, "shape": "hvh"},
        name="replay (L2)",
        customdata=[[row.prompt, row.predicted_rounds] for row in rows],
        hovertemplate="prompt %{customdata[0]}<br>predicted %{y:.2f}×"
        "<br>%{customdata[1]:.1f} rounds<extra></extra>",
    )
    figure.add_scatter(
        x=x,
        y=[row.baseline_seconds / row.seconds for row in rows],
        mode="markers",
        marker={"color": MEASURED, "size": 8},
        name="measured",
        customdata=[[row.prompt, row.num_rounds, row.num_tokens] for row in rows],
        hovertemplate="prompt %{customdata[0]}<br>measured %{y:.2f}×"
        "<br>%{customdata[2]} tokens in %{customdata[1]} rounds<extra></extra>",
    )
    return figure


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


def _pair(row: SettingRow) -> str:
    s = row.speedup
    return (
        f"{setting_name(row)}"
        f"<br>measured {times(s.measured)} ({span(s.measured_low, s.measured_high)})"
        f"<br>predicted {times(s.L2)} ({span(s.L2_low, s.L2_high)})"
        f"<br>error {percent(s.L2 / s.measured - 1)}"
    )
