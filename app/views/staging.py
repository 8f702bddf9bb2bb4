"""Does it pay to draft for the draft?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import ArrayLike

from app import figures, words
from app.data import MAX_DRAFT_TOKENS, Evidence
from app.glossary import explain
from app.records import setting_of
from app.staging_study import Recorded, Stack, break_even, recorded_staging
from app.state import (
    ACCEPTANCE_RATE,
    COST_RATIO,
    LOWER_COST,
    LOWER_RATE,
    LOWER_TOKENS,
    NUM_DRAFT_TOKENS,
    STAGING_SOURCE,
    Choice,
    Desk,
)
from app.views import frame
from measurements import MethodRow, RecordError
from simulator import (
    break_even_draft_cost,
    speedup_from_rates,
    speedup_ratio_interval,
    staged_calls_from_rates,
    staged_speedup,
)

QUESTION = "Does it pay to draft for the draft?"
_SOURCES = {"sliders": "the sliders", "record": "a recorded setting"}


@dataclass(frozen=True)
class Asked:
    """The sliders: acceptance, length and cost of the draft and of its lower level."""

    rate: float
    gamma: int
    cost: float
    lower_rate: float
    lower_tokens: int
    lower_cost: float

    @property
    def lower_steps(self) -> float:
        """Cost of a lower token. [target steps]"""
        return self.lower_cost * self.cost


def show() -> None:
    """Answer, controls beside the picture, draft calls, recorded settings."""
    desk = Desk.current()
    st.title(QUESTION, anchor=False)
    answer = st.container()
    known = _known(frame.selected())
    source = "sliders"
    if known:
        st.segmented_control(
            "Numbers from", STAGING_SOURCE.options, key=desk.place(STAGING_SOURCE),
            format_func=_SOURCES.get, required=True,
        )  # fmt: skip
        source = str(desk.refresh(STAGING_SOURCE))
    if source == "record":
        _recorded(desk, known, answer)
    else:
        _closed_form(desk, answer)
        if not known:
            st.caption(
                "No staged setting is recorded for this pair; `speculens profile --methods all`"
                " measures them."
            )


def _known(entry: Evidence | None) -> dict[str, Stack]:
    if entry is None or entry.profile_path is None:
        return {}
    try:
        return recorded_staging(entry.profile_path, entry.fingerprint)
    except (RecordError, ValueError) as error:
        st.error(f"The profile cannot be used: {error}", icon=":material/broken_image:")
        return {}


def _closed_form(desk: Desk, answer: st.delta_generator.DeltaGenerator) -> None:
    left, right = st.columns([2, 5], gap="large")
    with left:
        asked = _ask(desk)
    work = staged_calls_from_rates(asked.lower_rate, asked.lower_tokens, MAX_DRAFT_TOKENS)
    calls, proposed = float(work.calls[0, asked.gamma]), float(work.proposed[asked.gamma])
    plain = float(speedup_from_rates(asked.rate, asked.gamma, asked.cost))
    staged = float(_staged(asked, asked.gamma, asked.cost))
    even = break_even_draft_cost(asked.gamma, calls, asked.lower_steps * proposed)
    with answer:
        frame.say(_sentence(asked, plain, staged, calls, even))
        frame.cards([
            ("With staging", words.times(staged), f"{calls:.2f} draft calls a round",
             explain("speedup", "staging")),
            ("Without", words.times(plain), f"{asked.gamma} draft calls a round",
             explain("speedup")),
            ("Draft calls saved", words.percent(1 - calls / asked.gamma, 0),
             f"{proposed:.2f} lower tokens read instead", explain("lower level")),
            ("Break-even", "none" if even is None else f"c = {even:.3g}",
             "no call is saved" if even is None else "target steps a draft call",
             explain("break-even draft cost")),
        ])  # fmt: skip
    with right:
        st.subheader("Speedup by cost of a draft call", anchor=False)
        costs = np.linspace(0, max(0.6, asked.cost), 61)
        lengths = np.arange(1, MAX_DRAFT_TOKENS + 1)
        plain_all = speedup_from_rates(asked.rate, lengths[:, None], costs)
        staged_all = _staged(asked, lengths[:, None], costs)
        lines = {
            "staged": staged_all[asked.gamma - 1], "plain": plain_all[asked.gamma - 1],
            "staged, best γ": staged_all.max(axis=0), "plain, best γ": plain_all.max(axis=0),
        }  # fmt: skip
        figure = figures.gain_over_draft_cost(costs, lines, asked.cost, even)
        frame.chart(figure, "staging", "Speedup with and without staging over the draft's cost")
        st.caption(
            f"The lower level's time stays at {asked.lower_steps:.3g} target steps a token. Closed"
            " form with constant acceptance at both levels, which flatters; verification and host"
            " cost nothing extra. Where the draft is dear, a shorter plain chain is the rival:"
            " compare the dotted lines."
        )
        st.subheader("Draft calls of a round", anchor=False)
        figure = figures.calls_by_length(
            lengths.tolist(), lengths, work.calls[0, 1:], asked.gamma, 300
        )
        frame.chart(figure, "staging_calls", "Draft calls per round over draft tokens")


def _ask(desk: Desk) -> Asked:
    sliders = (
        (NUM_DRAFT_TOKENS, "Draft tokens per round γ [tokens]", 1, "%d",
         explain("num_draft_tokens")),
        (ACCEPTANCE_RATE, "Acceptance of the draft α [–]", 0.01, "%.2f",
         explain("acceptance_rate")),
        (COST_RATIO, "Cost ratio c [target steps per draft call]", 0.005, "%.3f",
         explain("cost_ratio")),
        (LOWER_TOKENS, "Lower tokens at a time [tokens]", 1, "%d",
         explain("lower level", note="Tokens the lower level proposes to one draft call.")),
        (LOWER_RATE, "Acceptance of the lower level [–]", 0.01, "%.2f",
         explain("acceptance_rate", note="The lower level's tokens, by the draft.")),
        (LOWER_COST, "Cost of a lower token [draft calls]", 0.005, "%.3f",
         "Time of one lower token over one draft call; what the draft takes longer to read it"
         " belongs to it."),
    )  # fmt: skip
    for control, label, step, shape, note in sliders:
        key = desk.place(control)
        st.slider(label, control.low, control.high, step=step, format=shape, key=key, help=note)
        desk.refresh(control)
    return Asked(
        float(desk.refresh(ACCEPTANCE_RATE)), int(desk.refresh(NUM_DRAFT_TOKENS)),
        float(desk.refresh(COST_RATIO)), float(desk.refresh(LOWER_RATE)),
        int(desk.refresh(LOWER_TOKENS)), float(desk.refresh(LOWER_COST)),
    )  # fmt: skip


def _staged(asked: Asked, gamma: ArrayLike, cost: ArrayLike) -> np.ndarray:
    return np.asarray(
        staged_speedup(
            asked.rate, gamma, cost, asked.lower_rate, asked.lower_tokens, asked.lower_steps
        )
    )


def _sentence(asked: Asked, plain: float, staged: float, calls: float, even: float | None) -> str:
    if even is None:
        return (
            f"No: with {words.token_count(asked.gamma)} a lower level at"
            f" {words.percent(asked.lower_rate, 0)} acceptance saves no draft call;"
            f" **{words.times(staged)}** instead of {words.times(plain)}."
        )
    verdict = "Yes" if staged > plain else "No"
    side = "above" if asked.cost > even else "not above"
    return (
        f"{verdict}: {words.times(plain)} becomes **{words.times(staged)}**, with {calls:.2f}"
        f" instead of {asked.gamma} draft calls a round. Staging pays once a draft call costs"
        f" {even:.3g} of a target step; c = {asked.cost:.3g} is {side} that."
    )


def _recorded(
    desk: Desk, known: dict[str, Stack], answer: st.delta_generator.DeltaGenerator
) -> None:
    wanted = Choice("sampling", next(iter(known)), tuple(known))
    left, right = st.columns([2, 5])
    with left:
        st.segmented_control(
            "Sampling", list(known), key=desk.place(wanted), required=True,
            format_func=lambda label: words.sampling_name(known[label].sampling),
        )  # fmt: skip
    stack = known[str(desk.refresh(wanted))]
    ranked = sorted(stack.staged, key=lambda one: -one.prediction.speedup.L2)
    by_key = {one.key: one for one in ranked}
    control = Choice("stack", ranked[0].key, tuple(by_key))
    with right:
        st.selectbox(
            "Staged setting", list(by_key), key=desk.place(control),
            format_func=lambda key: by_key[key].name, help=explain("staging", "lower level"),
        )  # fmt: skip
    chosen = by_key[str(desk.refresh(control))]
    plain = stack.counterpart(chosen)
    decoded, where = _decoded(stack)
    with answer:
        frame.say(_recorded_sentence(chosen, plain, stack))
        _recorded_cards(chosen, plain, stack)
    st.subheader("Staged settings beside plain ones", anchor=False)
    st.caption(
        "Predicted by replay of the recorded text, with rounds of every setting timed whole; bars"
        " are 90\u00a0% intervals."
        + (f" Upright marks were decoded for real: {where}." if decoded else "")
    )
    rows = sorted([*stack.staged, *stack.plain], key=lambda one: -one.prediction.speedup.L2)
    figure = figures.staged_beside_plain(rows, decoded, chosen.name)
    frame.chart(figure, "stacks", "Predicted speedup of staged and plain settings")
    _table(rows, stack, decoded)


def _recorded_sentence(chosen: Recorded, plain: Recorded | None, stack: Stack) -> str:
    at = words.sampling_name(stack.sampling)
    rival = plain or stack.best_plain
    calls = f"{chosen.draft_calls:.2f} instead of {rival.draft_calls:.2f} draft calls a round"
    text = f"At {at} {chosen.name} is predicted at **{_with_interval(chosen)}**, with {calls}"
    low, high = speedup_ratio_interval(chosen.prediction, rival.prediction)
    if low > 1:
        text += f": faster than {rival.name}, {words.times(rival.prediction.speedup.L2)}"
    elif high < 1:
        text += f": slower than {rival.name}, {words.times(rival.prediction.speedup.L2)}"
    else:
        text += (
            f"; that cannot be told apart from {rival.name},"
            f" {words.times(rival.prediction.speedup.L2)}"
        )
    best = stack.best_plain
    if best is rival:
        return f"{text}, the best without staging."
    return f"{text}. The best without staging is {best.name}: {_with_interval(best)}."


def _recorded_cards(chosen: Recorded, plain: Recorded | None, stack: Stack) -> None:
    p, rival = chosen.prediction, plain or stack.best_plain
    cost = rival.drafting_seconds / rival.draft_calls
    even = break_even(chosen, rival)
    frame.cards([
        ("With staging", words.times(p.speedup.L2), f"90 %: {_interval(chosen)}",
         explain("speedup", "L2")),
        (f"Without, {rival.name}", words.times(rival.prediction.speedup.L2),
         f"90 %: {_interval(rival)}", explain("speedup", "L2")),
        ("Draft calls a round", f"{chosen.draft_calls:.2f}",
         f"instead of {rival.draft_calls:.2f}", explain("staging")),
        ("Break-even", "none" if even is None else f"c = {even:.3g}",
         f"c = {cost / p.autoregressive_seconds:.3g} was measured",
         explain("break-even draft cost", "cost_ratio")),
    ])  # fmt: skip


def _interval(one: Recorded) -> str:
    p = one.prediction
    return words.span(p.speedup_low or p.speedup.L2, p.speedup_high or p.speedup.L2)


def _with_interval(one: Recorded) -> str:
    return f"{words.times(one.prediction.speedup.L2)} (90\u00a0%: {_interval(one)})"


def _decoded(stack: Stack) -> tuple[Mapping[str, MethodRow], str]:
    """Settings of the newest comparison of this pair at this sampling, and what it ran on."""
    entry = frame.selected()
    assert entry is not None
    mine = entry.record
    for record in frame.shelf().comparisons:
        if (record.machine.slug, record.pair_slug, record.dtype) == (
            mine.machine.slug, mine.pair_slug, mine.dtype,
        ):  # fmt: skip
            rows = [row for row in record.methods if row.sampling.label == stack.sampling.label]
            by_setting = {setting_of(row.method, row.parameters): row for row in rows}
            rows_here = {
                one.name: by_setting[setting]
                for one in (*stack.staged, *stack.plain)
                if (setting := setting_of(one.method, one.parameters)) in by_setting
            }
            return rows_here, (
                f"{words.moment(record.created)}, {record.prompts.num_prompts} prompts of"
                f" {record.prompts.name}, against {mine.prompts.num_prompts} that were profiled."
                " Other prompts accept differently, so they need not lie inside the bars"
            )
    return {}, ""


def _table(rows: list[Recorded], stack: Stack, decoded: Mapping[str, MethodRow]) -> None:
    st.subheader("All of them", anchor=False)
    st.caption("Fastest first; the table saves itself as CSV.")
    shown = pd.DataFrame(
        [
            {
                "setting": one.name,
                "predicted": one.prediction.speedup.L2,
                "90 %": _interval(one),
                "decoded": decoded[one.name].speedup.median if one.name in decoded else None,
                "τ": one.prediction.tau.L2,
                "draft calls": one.draft_calls,
                "drafting [ms/round]": 1e3 * one.drafting_seconds,
            }
            for one in rows
        ]
    )
    number = st.column_config.NumberColumn
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "setting": st.column_config.TextColumn(pinned=True),
            "predicted": number(format="%.2f×"),
            "decoded": number(format="%.2f×"),
            "τ": number(format="%.2f", help=explain("mean_emitted")),
            "draft calls": number(format="%.2f", help="Per round, mean."),
            "drafting [ms/round]": number(format="%.2f", help="All levels together, predicted."),
        },
        alt="Table of staged and plain settings, fastest first",
    )


if __name__ == "__main__":
    show()
