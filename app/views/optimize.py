"""Which method with which parameters should run here?"""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from app import data, figures, words
from app.data import Evidence
from app.glossary import explain
from app.search import Found, result, tree_verdict
from app.state import ALLOW_LOSSY, CHAINS_ONLY, Choice, Desk, Number
from app.views import frame
from measurements import RecordError, Sampling
from simulator import Choice as Chosen
from simulator import Constraints, choose

QUESTION = "Which method and parameters should run here?"


def show() -> None:
    """Advice, constraints, ranking, front, table, download."""
    entry = frame.selected()
    st.title(QUESTION, anchor=False)
    if entry is None or entry.profile_path is None:
        frame.no_record("with a profile to search")
        return
    try:
        known = data.searched(entry.profile_path, entry.fingerprint)
    except (RecordError, ValueError) as error:
        st.error(f"The profile cannot be used: {error}", icon=":material/broken_image:")
        return
    answer = st.container()
    sampling, constraints, found = _ask(Desk.current(), known)
    choice = choose(found.candidates, constraints)
    with answer:
        frame.say(advice(choice, sampling))
    if not choice.ranking:
        _refused(choice)
        return
    with answer:
        _cards(choice)
        verdict = str(tree_verdict(choice, found.trees)["verdict"])
        st.caption(f"{verdict[:1].upper()}{verdict[1:]}.")
    _charts(choice)
    _table(choice)
    _refused(choice)
    _download(entry, sampling, choice, found)


def advice(choice: Chosen, sampling: Sampling) -> str:
    """What to run, in a sentence or two."""
    at = f"At {words.sampling_name(sampling)}"
    if not choice.ranking:
        return f"{at} no setting keeps to these limits."
    first = choice.ranking[0]
    p, name = first.prediction, figures.candidate_name(first)
    text = f"**{words.times(first.speedup)}**"
    if p.speedup_low is not None and p.speedup_high is not None:
        text += f" (90\u00a0%: {words.span(p.speedup_low, p.speedup_high)})"
    if choice.advice == "do not speculate":
        return f"{at} do not speculate: the best allowed setting, {name}, is predicted at {text}."
    text = f"{at} run {name}: predicted {text} plain decoding"
    if choice.advice == "cannot tell":
        text += ", but the interval reaches down to 1: measure before deciding"
    number = len(choice.indistinguishable)
    if number == 0:
        return f"{text}. Every other setting is slower."
    close = [figures.candidate_name(one) for one in choice.indistinguishable[:4]]
    if number <= 4:
        return f"{text}. It cannot be told apart from {words.listing(close)}."
    return f"{text}. It cannot be told apart from {number} others, {words.listing(close)} first."


def _ask(
    desk: Desk, known: dict[str, tuple[Sampling, Found]]
) -> tuple[Sampling, Constraints, Found]:
    wanted = Choice("sampling", next(iter(known)), tuple(known))
    left, right = st.columns([2, 3])
    with left:
        st.segmented_control(
            "Sampling", list(known), key=desk.place(wanted), required=True,
            format_func=lambda label: words.sampling_name(known[label][0]),
        )  # fmt: skip
    sampling, found = known[desk.refresh(wanted)]
    most = max(one.prediction.num_draft_tokens for one in found.candidates) + 1
    width = Number("verify_most", most, 2, max(most, 3))
    with right:
        st.slider(
            "Most tokens verified in a round [tokens]", int(width.low), int(width.high),
            key=desk.place(width),
            help="The pending token included; what the server leaves room for under load.",
        )  # fmt: skip
    with st.container(horizontal=True):
        st.toggle("Chains only (no tree attention)", key=desk.place(CHAINS_ONLY))
        st.toggle("Allow methods that change the law of the text", key=desk.place(ALLOW_LOSSY))
    if all(one.method == "chain" for one in found.candidates):
        st.caption(
            "Only chains were profiled here; `speculens profile --methods all` adds every other"
            " method."
        )
    constraints = Constraints(
        lossless_only=not desk.refresh(ALLOW_LOSSY),
        chain_only=desk.refresh(CHAINS_ONLY),
        max_verify=desk.refresh(width),
    )
    return sampling, constraints, found


def _cards(choice: Chosen) -> None:
    first = choice.ranking[0]
    p = first.prediction
    low, high = p.speedup_low or first.speedup, p.speedup_high or first.speedup
    cards = [
        (f"Predicted, {figures.candidate_name(first)}", words.times(first.speedup),
         f"90 %: {words.span(low, high)}", explain("speedup", "L2")),
        ("Tokens per round τ", f"{p.tau.L2:.2f}", f"{p.num_draft_tokens} drafted at most",
         explain("mean_emitted")),
        ("Work per token", f"{first.work:.2f}", "tokens the target computes"),
        ("As good as it", str(len(choice.indistinguishable)),
         f"of {len(choice.ranking) - 1} other settings", explain("indistinguishable")),
    ]  # fmt: skip
    frame.cards(cards)


def _charts(choice: Chosen) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Fastest settings", anchor=False)
        st.caption("Predicted by replay of the recorded text at the measured costs.")
        frame.chart(figures.ranked_settings(choice), "ranking", "Predicted speedup by setting")
    with right:
        st.subheader("What speed costs the target", anchor=False)
        st.caption("Under load the target's work per token is what other requests wait for.")
        frame.chart(figures.speed_against_work(choice), "front", "Speedup over work per token")


def _table(choice: Chosen) -> None:
    st.subheader("All settings", anchor=False)
    rows = [
        {
            "setting": figures.candidate_name(one),
            "speedup": one.speedup,
            "90 %": words.span(p.speedup_low or one.speedup, p.speedup_high or one.speedup),
            "τ": p.tau.L2,
            "work per token": one.work,
            "like the best": one is choice.ranking[0]
            or any(one is other for other in choice.indistinguishable),
            "on the front": any(one is other for other in choice.pareto),
            "costs": words.origin(p.provenance),
        }
        for one in choice.ranking
        for p in (one.prediction,)
    ]
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "setting": st.column_config.TextColumn(pinned=True),
            "speedup": number(format="%.2f×"),
            "τ": number(format="%.2f"),
            "work per token": number(format="%.2f"),
        },
        alt="Table of all allowed settings, fastest first",
    )


def _refused(choice: Chosen) -> None:
    if not choice.refused:
        return
    number = len(choice.refused)
    title = f"{number} setting{'s' * (number > 1)} refused"
    with st.expander(title, icon=":material/block:"):
        for one, reason in choice.refused:
            st.caption(f"{figures.candidate_name(one)} {reason}.")


def _download(entry: Evidence, sampling: Sampling, choice: Chosen, found: Found) -> None:
    content = {"profile": entry.profile.id if entry.profile else None,
               **result(sampling.label, choice, found.trees)}  # fmt: skip
    st.download_button(
        "Download this choice (JSON)",
        json.dumps(content, indent=1, ensure_ascii=False),
        file_name=f"speculens-choice-{sampling.label}.json",
        mime="application/json",
        icon=":material/download:",
    )


if __name__ == "__main__":
    show()
