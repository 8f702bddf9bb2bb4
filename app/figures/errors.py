"""How far were the predictions off, and which part of the model is to blame?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from app.campaign import terms
from app.stage_groups import GROUP_LABELS, GROUPS, grouped, members
from app.style import (
    BASELINE_COLOUR,
    FIDELITY_COLOURS,
    GROUP_COLOURS,
    GROUP_PATTERNS,
    MEASURED,
    NEUTRAL,
    TAU_COLOUR,
    broken,
    names_down,
    new_figure,
)
from app.words import is_plain_chain, name_in, percent, setting_axis
from measurements import SettingRow


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
    sideways = not all(is_plain_chain(row) for row in settings)
    names = [broken(name_in(settings, row)) for row in settings]
    figure = (
        new_figure("prediction too high by [%]", "", 150 + 40 * len(names))
        if sideways
        else new_figure(setting_axis(settings), "prediction too high by [%]", height)
    )
    place, value = ("%{y}", "%{x:.2f}") if sideways else ("γ = %{x}", "%{y:.2f}")
    for name, colour, pattern, values, notes in _causes(settings):
        figure.add_bar(
            **_along(names, values, sideways),
            orientation="h" if sideways else "v",
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
            hovertemplate=f"{place}<br>{value} %<br>%{{customdata}}<extra></extra>",
        )
    figure.add_scatter(
        **_along(names, [row.error.log_speedup for row in settings], sideways),
        mode="markers",
        name="sum",
        marker={"symbol": "diamond", "size": 10, "color": MEASURED},
        hovertemplate=f"{place}<br>speedup predicted too high by {value} %<extra></extra>",
    )
    figure.update_layout(barmode="relative")
    if sideways:
        figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1.5})
        names_down(figure, names)
        # a stroke through each row: names and bars stand far apart on a wide screen
        figure.update_yaxes(showgrid=True)
    else:
        figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1.5})
        figure.update_xaxes(type="category")
    return figure


def _along(names: list[str], values: list[float], sideways: bool) -> dict[str, list[Any]]:
    """Names on one axis, values in percent on the other."""
    shown = [100 * value for value in values]
    return {"x": shown, "y": names} if sideways else {"x": names, "y": shown}


Cause = tuple[str, str, str, list[float], list[str]]
"""Name, colour, pattern, part of every setting's error, and a note on each."""


def _causes(settings: Sequence[SettingRow]) -> list[Cause]:
    parts = [terms(row) for row in settings]
    tau = [f"tokens per round {row.tau.L2:.3f}, measured {row.tau.measured:.3f}"
           for row in settings]  # fmt: skip
    causes: list[Cause] = [
        ("tokens per round", TAU_COLOUR, "", [part["tokens per round"] for part in parts], tau)
    ]
    if any(row.error.log_tau_prompts is not None for row in settings):
        other = [part["other prompts"] for part in parts]
        causes.append(("other prompts", TAU_COLOUR, "/", other, tau))
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
    return causes


def error_terms(row: SettingRow, height: int = 270) -> go.Figure:
    """The error of one setting, cause by cause, ending in their sum (M9).

    Parameters
    ----------
    row : SettingRow
    height : int
        [pixels]

    Returns
    -------
    go.Figure
        In percent, 100 × natural logarithm; right of zero makes the prediction too high.
    """
    parts = {name: value for name, value in terms(row).items() if value}
    names = [*parts, "whole error"]
    figure = new_figure("prediction too high by [%]", "", height)
    figure.add_waterfall(
        orientation="h",
        y=names,
        x=[*(100 * value for value in parts.values()), None],
        measure=["relative"] * len(parts) + ["total"],
        increasing={"marker": {"color": MEASURED}},
        decreasing={"marker": {"color": FIDELITY_COLOURS["L2"]}},
        totals={"marker": {"color": NEUTRAL}},
        connector={"line": {"color": NEUTRAL, "width": 1}},
        customdata=[percent(value, 2) for value in (*parts.values(), row.error.log_speedup)],
        hovertemplate="%{y}: %{customdata}<extra></extra>",
        showlegend=False,
    )
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1.5})
    names_down(figure, names)
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
