"""Which method is fastest on the same prompts?"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import figures, words
from app.comparison import (
    THIS_ENGINE,
    allowed,
    best_of_each,
    engine_of,
    methods_of,
    row_name,
    verdict,
)
from app.data import Evidence
from app.glossary import explain
from app.state import ALL_SETTINGS, CHAINS_ONLY, LOSSLESS_ONLY, Choice, Desk, Several
from app.views import frame
from measurements import ComparisonRecord, MethodRow

QUESTION = "Which method is fastest here?"


def show() -> None:
    """Verdict, filters, speedups, time split, provenance, table."""
    found = frame.shelf().comparisons
    if not found:
        st.title(QUESTION, anchor=False)
        st.info(
            "No comparison of methods here yet. Make one with `speculens compare --out FOLDER`.",
            icon=":material/info:",
        )
        return
    desk = Desk.current()
    st.title(QUESTION, anchor=False)
    answer = st.container()
    record = _choose(desk, _nearest_first(found, frame.selected()))
    ranked = _filtered(desk, record)
    if not ranked:
        with answer:
            frame.say("No measured setting keeps to these limits.")
        return
    best = ranked[0]
    with answer:
        badge = ":green-badge[lossless]" if best.lossless else ":orange-badge[not lossless]"
        frame.say(f"{verdict(ranked)} {badge}")
        _cards(best)
    _charts(ranked if desk.refresh(ALL_SETTINGS) else best_of_each(ranked))
    _table(ranked)
    _conditions(record)


def _nearest_first(found: list[ComparisonRecord], entry: Evidence | None) -> list[ComparisonRecord]:
    """Those of the selected record's machine and pair first: this engine's, then most methods."""
    mine = entry.record if entry else found[0]

    def far(one: ComparisonRecord) -> tuple[bool, bool, int]:
        elsewhere = (one.machine.slug, one.pair_slug, one.dtype) != (
            mine.machine.slug, mine.pair_slug, mine.dtype,
        )  # fmt: skip
        return elsewhere, engine_of(one.methods) != THIS_ENGINE, -len(methods_of(one.methods))

    return sorted(found, key=far)


def _choose(desk: Desk, found: list[ComparisonRecord]) -> ComparisonRecord:
    by_id = {record.id: record for record in found}
    control = Choice("comparison", found[0].id, tuple(by_id))
    key = desk.place(control)
    if len(found) > 1:
        st.selectbox(
            "Comparison",
            list(by_id),
            key=key,
            format_func=lambda name: (
                f"{words.when(by_id[name].created)} · {by_id[name].dtype}"
                f" · {by_id[name].target.name} · {by_id[name].machine.slug}"
                f"{_other_engine(by_id[name])}"
            ),
        )
    return by_id[str(desk.refresh(control))]


def _other_engine(record: ComparisonRecord) -> str:
    engine = engine_of(record.methods)
    return "" if engine == THIS_ENGINE else f" · {engine}"


def _filtered(desk: Desk, record: ComparisonRecord) -> list[MethodRow]:
    """Draw the filters; the rows they leave, fastest first."""
    samplings = {row.sampling.label: row.sampling for row in record.methods}
    wanted = Choice("sampling", next(iter(samplings)), tuple(samplings))
    methods = Several("methods", methods_of(record.methods))
    left, right = st.columns([2, 5])
    with left:
        st.segmented_control(
            "Sampling", list(samplings), key=desk.place(wanted), required=True,
            format_func=lambda label: words.sampling_name(samplings[label]),
        )  # fmt: skip
        label = desk.refresh(wanted)
    with right:
        st.pills("Methods", methods.options, key=desk.place(methods), selection_mode="multi")
        chosen = desk.refresh(methods)
    switches = (
        (LOSSLESS_ONLY, "Lossless only"),
        (CHAINS_ONLY, "Chains only (no tree attention)"),
        (ALL_SETTINGS, "Every setting of a method"),
    )
    with st.container(horizontal=True):
        for control, name in switches:
            st.toggle(name, key=desk.place(control))
            desk.refresh(control)
    rows = [row for row in record.methods if row.sampling.label == label]
    return allowed(
        rows, chosen,
        lossless_only=desk.refresh(LOSSLESS_ONLY), chains_only=desk.refresh(CHAINS_ONLY),
    )  # fmt: skip


def _cards(best: MethodRow) -> None:
    s, kept, same = best.speedup, best.draft_efficiency, best.identical_texts
    cards = [
        (f"Measured, {row_name(best)}", words.times(s.median),
         f"90 %: {words.span(s.low, s.high)}", explain("speedup")),
        ("Tokens per round τ", f"{best.tau:.2f}", f"{best.tokens_per_s:.0f} tokens/s in all",
         explain("mean_emitted")),
        ("Draft efficiency", "–" if kept is None else words.percent(kept, 0),
         "accepted of proposed drafts", explain("draft_efficiency")),
        ("Same text", f"{same['same']} of {same['texts']}" if same else "by law",
         "as plain decoding" if same else "equal in law, not in tokens")
        if best.lossless else ("Same text", "no", "changes the law of the text"),
    ]  # fmt: skip
    frame.cards(cards)


def _charts(rows: list[MethodRow]) -> None:
    st.subheader("Measured speedup", anchor=False)
    st.caption(
        "Bars are 90\u00a0% intervals over prompts. Filled marks are lossless, open ones change the"
        " law of the text. Right of 1× speculation gains."
    )
    frame.chart(figures.method_speedups(rows), "methods", "Measured speedup by method")
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Where the time goes", anchor=False)
        frame.chart(figures.method_time(rows), "method_time", "Share of time by method")
    with right:
        st.subheader("Who made the tokens", anchor=False)
        frame.chart(figures.token_makers(rows), "makers", "Share of tokens by maker and method")


def _table(ranked: list[MethodRow]) -> None:
    st.subheader("All settings", anchor=False)
    st.caption(
        "Fastest first; the table saves itself as CSV. *Kept* is accepted over proposed drafts."
        " *Same text* counts decodes equal to plain decoding where a method promises that; in"
        " 16-bit arithmetic near-ties part some."
    )
    frame_of = pd.DataFrame(
        [
            {
                "setting": row_name(row),
                "speedup": row.speedup.median,
                "90 %": words.span(row.speedup.low, row.speedup.high),
                "τ": row.tau,
                "kept": None if row.draft_efficiency is None else 100 * row.draft_efficiency,
                "tokens/s": row.tokens_per_s,
                "same text": f"{row.identical_texts['same']}/{row.identical_texts['texts']}"
                if row.identical_texts
                else "–",
                "lossless": row.lossless,
            }
            for row in ranked
        ]
    )
    number = st.column_config.NumberColumn
    st.dataframe(
        frame_of,
        hide_index=True,
        column_config={
            "setting": st.column_config.TextColumn(pinned=True, width=175),
            "speedup": number(format="%.2f×"),
            "τ": number(format="%.2f"),
            "kept": number(format="%.0f %%"),
            "tokens/s": number(format="%.0f"),
        },
        alt="Table of all measured settings, fastest first",
    )


def _conditions(record: ComparisonRecord) -> None:
    prompts, machine = record.prompts, record.machine
    st.caption(
        f"Decoded for real, methods interleaved on the same {prompts.num_prompts} prompts of"
        f" {prompts.name}, {record.new_tokens} new tokens each: {record.target.name} with draft"
        f" {record.draft.name}, {record.dtype} on {machine.accelerator or machine.cpu},"
        f" {words.moment(record.created)}, record {record.id}. The best of many settings flatters"
        " itself a little: its interval is not corrected for the choice."
    )


if __name__ == "__main__":
    show()
