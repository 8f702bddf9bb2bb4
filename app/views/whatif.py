"""What would speculation gain with another draft, another cost, other text?"""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from app import data, figures, words
from app.data import MAX_DRAFT_TOKENS, Evidence
from app.glossary import explain
from app.state import MAP_AXIS, WANTED, Desk
from app.views import frame, pinned
from app.views.asked import Asked, ask
from simulator import (
    Optimum,
    Requirement,
    break_even_acceptance_rate,
    break_even_cost_ratio,
    required_acceptance_rate,
    required_cost_ratio,
    speedup_from_rates,
)

QUESTION = "What would it gain with other numbers?"
_MAP_NAMES = {"gamma": "draft tokens γ", "c": "cost ratio c"}


def show() -> None:
    """Answer, controls beside the curve over γ, break-even, map."""
    desk, entry = Desk.current(), frame.selected()
    st.title(QUESTION, anchor=False)
    answer = st.container()
    left, right = st.columns([2, 5], gap="large")
    with left:
        asked = ask(desk, entry)
    optimum = _search(asked, entry)
    chosen = optimum.predictions[asked.gamma - 1]
    with answer:
        st.markdown(f"##### {_sentence(asked, optimum)}")
        _cards(asked, optimum)
    with right:
        st.subheader("Speedup by number of draft tokens", anchor=False)
        curve = figures.points_from_predictions(optimum.predictions)
        best = optimum.best.num_draft_tokens
        frame.chart(
            figures.gain_curve(curve, asked.gamma, best, height=470), "gain", "Speedup over γ"
        )
        st.caption(
            f"Cost of the chosen setting: {words.origin(chosen.provenance) or 'assumed'}."
            " Textbook (L0) knows neither verification growth nor host time."
            f"{_replayed(asked)}"
        )
    pinned.show(desk, asked)
    _required(desk, asked)
    _break_even(desk, asked)


def _search(asked: Asked, entry: Evidence | None) -> Optimum:
    """Every γ at the present setting; with all of it recorded, the search of the profile."""
    if asked.source and asked.text_recorded and asked.costs_recorded:
        return asked.source.optimum
    label = asked.source.sampling.label if asked.source else None
    key = (
        entry.fingerprint if entry else None, label, asked.text_recorded, asked.costs_recorded,
        asked.rate, asked.cost, asked.slope, asked.host,
    )  # fmt: skip
    return data.search(key, asked.scenario)


def _sentence(asked: Asked, optimum: Optimum) -> str:
    chosen = optimum.predictions[asked.gamma - 1]
    gain, best = chosen.speedup.L2, optimum.best
    text = (
        f"With {words.token_count(asked.gamma)}, {words.percent(asked.rate, 0)} acceptance and"
        f" c = {asked.cost:.3g}, decoding runs at **{words.times(gain)}** its plain speed"
    )
    if chosen.speedup_low is not None and chosen.speedup_high is not None:
        text += f" (90 %: {words.span(chosen.speedup_low, chosen.speedup_high)})"
    if best.num_draft_tokens == asked.gamma:
        return f"{text}; no other number of draft tokens is better."
    if best.speedup.L2 <= 1:
        return f"{text}; no number of draft tokens would pay."
    top = words.gamma(best.num_draft_tokens)
    return f"{text}; best is {top} with **{words.times(best.speedup.L2)}**."


def _replayed(asked: Asked) -> str:
    if asked.source is None or not asked.text_recorded:
        return ""
    shown = asked.scenario.trace.lengths.size
    number = asked.source.calibration.trace.lengths.size
    if shown == number:
        return f" Replays all {number} recorded prompts."
    return f" Replays {shown} of {number} recorded prompts, evenly chosen, to answer at once."


def _cards(asked: Asked, optimum: Optimum) -> None:
    chosen = optimum.predictions[asked.gamma - 1]
    notes = {
        "L2": f"{chosen.tau.L2:.2f} tokens per round",
        "L1": f"{chosen.tau.L1:.2f} tokens per round",
        "L0": f"{chosen.tau.L0:.2f} tokens per round",
    }
    if chosen.speedup_low is not None and chosen.speedup_high is not None:
        notes["L2"] = f"90 %: {words.span(chosen.speedup_low, chosen.speedup_high)}"
    helps = {
        "L2": explain(
            "L2",
            "speedup",
            note="Rounds played along the text, each paid where it starts, the last ones shorter.",
        ),
        "L1": explain("L1", note="Starts anywhere, at the present costs."),
        "L0": explain("L0"),
    }
    names = {"L2": "Replay (L2)", "L1": "Hazards (L1)", "L0": "Textbook (L0)"}
    for column, name in zip(st.columns(3), names, strict=True):
        with column:
            frame.card(
                names[name], words.times(getattr(chosen.speedup, name)), notes[name], helps[name]
            )


def _break_even(desk: Desk, asked: Asked) -> None:
    st.subheader("Where the gain ends", anchor=False)
    extras = {"verify_slope": asked.slope, "host_share": asked.host}
    st.markdown(f"{_needed_rate(asked, extras)} {_allowed_cost(asked, extras)}")
    key = desk.place(MAP_AXIS)
    st.segmented_control(
        "Map acceptance against", MAP_AXIS.options, key=key, format_func=_MAP_NAMES.get,
        required=True,
    )  # fmt: skip
    rates = np.linspace(0, 1, 51)
    if desk.refresh(MAP_AXIS) == "gamma":
        x: Any = np.arange(1, MAX_DRAFT_TOKENS + 1)
        speedup = speedup_from_rates(rates[:, None], x[None, :], asked.cost, **extras)
        title, here = "draft tokens per round γ", (float(asked.gamma), asked.rate)
    else:
        x = np.linspace(0, max(0.6, asked.cost), 61)
        speedup = speedup_from_rates(rates[:, None], asked.gamma, x[None, :], **extras)
        title, here = "cost ratio c [target steps per draft step]", (asked.cost, asked.rate)
    figure = figures.gain_map(
        x, rates, speedup, x_title=title, y_title="acceptance rate α [–]", here=here
    )
    frame.chart(figure, "map", "Map of the speedup with the break-even line")
    st.caption(
        "The map is the closed form with a constant acceptance rate: it flatters real text, where"
        " rejections come in runs."
        + (" With recorded costs it uses their cost ratio only." if asked.costs_recorded else "")
    )


def _required(desk: Desk, asked: Asked) -> None:
    """What would have to be true for a wanted speedup, each quantity moved alone."""
    st.subheader("What would have to be true?", anchor=False)
    left, right = st.columns([2, 5], gap="large")
    with left:
        key = desk.place(WANTED)
        st.slider("Wanted speedup [×]", WANTED.low, WANTED.high, step=0.1, format="%.1f", key=key,
                  help=explain("speedup"))  # fmt: skip
        wanted = float(desk.refresh(WANTED))
    gammas = range(1, MAX_DRAFT_TOKENS + 1)
    extras = {"verify_slope": asked.slope, "host_share": asked.host}
    rate = required_acceptance_rate(asked.cost, wanted, gammas, **extras)
    cost = required_cost_ratio(asked.rate, wanted, gammas, **extras)
    with right:
        st.markdown(f"- {_rate_needed(rate, asked)}\n- {_cost_needed(cost, asked)}")
        st.caption(
            "Closed form with constant acceptance, each quantity moved alone, at its best γ. Batch,"
            " context, hardware and dtype are set on the Roofline page, trees in the Tree designer,"
            " lower levels under Staging."
        )


def _rate_needed(found: Requirement, asked: Asked) -> str:
    if not found.reachable:
        return (
            f"**{words.times(found.wanted_speedup)}** is out of reach at c = {asked.cost:.3g}: even"
            f" full acceptance gives {words.times(found.speedup)}."
        )
    return (
        f"**{words.times(found.wanted_speedup)}** takes an acceptance rate of"
        f" **{words.percent(found.value, 0)}** at c = {asked.cost:.3g}, with"
        f" {words.gamma(found.num_draft_tokens)}; now it is {words.percent(asked.rate, 0)}."
    )


def _cost_needed(found: Requirement, asked: Asked) -> str:
    at = f"at {words.percent(asked.rate, 0)} acceptance"
    if not found.reachable:
        return f"Cheaper drafts alone do not do: {at} free ones give {words.times(found.speedup)}."
    return (
        f"Or, {at}, a draft step of at most **c = {found.value:.3g}**, with"
        f" {words.gamma(found.num_draft_tokens)}; now it is {asked.cost:.3g}."
    )


def _needed_rate(asked: Asked, extras: dict[str, float]) -> str:
    setting = f"With {words.gamma(asked.gamma)} and c = {asked.cost:.3g}"
    try:
        needed = float(break_even_acceptance_rate(asked.gamma, asked.cost, **extras))
    except ValueError:
        return f"{setting} not even full acceptance would pay."
    return f"{setting} speculation pays above an acceptance rate of **{words.percent(needed, 0)}**."


def _allowed_cost(asked: Asked, extras: dict[str, float]) -> str:
    try:
        allowed = float(break_even_cost_ratio(asked.rate, asked.gamma, **extras))
    except ValueError:
        return f"At {words.percent(asked.rate, 0)} acceptance not even a free draft would pay."
    return (
        f"At {words.percent(asked.rate, 0)} acceptance a draft step may cost up to"
        f" **{words.percent(allowed, 0)}** of a target step."
    )


if __name__ == "__main__":
    show()
