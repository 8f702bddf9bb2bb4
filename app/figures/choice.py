"""Which predicted settings are best, and what does their speed cost the target?"""

from __future__ import annotations

import json
from collections.abc import Sequence

import plotly.graph_objects as go

from app.style import (
    FIDELITY_COLOURS,
    MEASURED,
    NEUTRAL,
    broken,
    names_down,
    new_figure,
    parity_line,
)
from app.words import method_name, origin, span, times
from simulator import Candidate, Choice

_STANDING = {
    "best": (MEASURED, "diamond"),
    "cannot be told apart": (FIDELITY_COLOURS["L2"], "circle"),
    "slower": (NEUTRAL, "square"),
}


def candidate_name(candidate: Candidate) -> str:
    """Method and parameters in one short line."""
    return method_name(candidate.method, json.loads(candidate.parameters))


def ranked_settings(choice: Choice, most: int = 12) -> go.Figure:
    """Predicted speedup with its 90 % interval, fastest on top.

    Parameters
    ----------
    choice : Choice
        With at least one setting allowed.
    most : int
        Settings drawn.

    Returns
    -------
    go.Figure
    """
    shown = choice.ranking[:most]
    figure = new_figure("predicted speedup [×]", "", 120 + 34 * len(shown))
    figure.add_vline(x=1.0, line={"color": NEUTRAL, "width": 1.5})
    for standing, (colour, symbol) in _STANDING.items():
        mine = [one for one in shown if _standing(choice, one) == standing]
        if not mine:
            continue
        figure.add_scatter(
            x=[one.speedup for one in mine],
            y=[broken(candidate_name(one)) for one in mine],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [(one.prediction.speedup_high or one.speedup) - one.speedup
                          for one in mine],
                "arrayminus": [one.speedup - (one.prediction.speedup_low or one.speedup)
                               for one in mine],
                "thickness": 2.5,
                "width": 0,
                "color": colour,
            },
            mode="markers",
            name=standing,
            marker={"color": colour, "size": 11, "symbol": symbol},
            customdata=[_story(one) for one in mine],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    names_down(figure, [broken(candidate_name(one)) for one in shown])
    return figure


def speed_against_work(choice: Choice, height: int = 400) -> go.Figure:
    """Speedup over the target's work per token; on the line nothing is better in both.

    Parameters
    ----------
    choice : Choice
        With at least one setting allowed.
    height : int
        [pixels]

    Returns
    -------
    go.Figure
    """
    title = "tokens the target computes per token emitted [–]"
    figure = new_figure(title, "predicted speedup [×]", height)
    parity_line(figure)
    front = sorted(choice.pareto, key=lambda one: one.work)
    figure.add_scatter(
        x=[one.work for one in front],
        y=[one.speedup for one in front],
        mode="lines",
        line={"color": FIDELITY_COLOURS["L2"], "width": 2, "shape": "hv"},
        name="front",
        hoverinfo="skip",
    )
    ahead = set(map(id, choice.pareto))
    groups: list[tuple[str, str, str, Sequence[Candidate]]] = [
        ("behind", NEUTRAL, "square", [c for c in choice.ranking if id(c) not in ahead]),
        ("on the front", FIDELITY_COLOURS["L2"], "circle", front),
        ("best", MEASURED, "diamond", choice.ranking[:1]),
    ]
    for name, colour, symbol, mine in groups:
        if not mine:
            continue
        figure.add_scatter(
            x=[one.work for one in mine],
            y=[one.speedup for one in mine],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 12 if name == "best" else 9, "symbol": symbol},
            customdata=[_story(one) for one in mine],
            hovertemplate="%{customdata}<extra></extra>",
        )
    return figure


def _standing(choice: Choice, one: Candidate) -> str:
    if one is choice.ranking[0]:
        return "best"
    close = any(one is other for other in choice.indistinguishable)
    return "cannot be told apart" if close else "slower"


def _story(one: Candidate) -> str:
    p = one.prediction
    interval = (
        f", 90 %: {span(p.speedup_low, p.speedup_high)}"
        if p.speedup_low is not None and p.speedup_high is not None
        else ""
    )
    return (
        f"{candidate_name(one)}<br>predicted {times(one.speedup)}{interval}"
        f"<br>{p.tau.L2:.2f} tokens per round, {one.work:.2f} computed per token"
        f"<br>costs {origin(p.provenance)}"
    )
