"""How far can the predictions be trusted, and what is to blame for their errors?"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import figures, words
from app.glossary import explain
from app.state import Choice, Desk
from app.views import frame
from measurements import SettingRow, ValidationRecord

QUESTION = "How far can the predictions be trusted?"


def show() -> None:
    """Errors in words, scatter, causes, table, prompts, time split."""
    entry = frame.selected()
    record = entry.validation if entry else None
    if record is None:
        st.title(QUESTION, anchor=False)
        frame.no_record("that compares predictions with real decoding")
        return
    frame.headline(QUESTION, words.trust_verdict(record))
    _cards(record)
    groups = words.by_sampling(record.settings)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Predicted against measured", anchor=False)
        st.caption("On the dotted line a prediction is exact. Bars are 90\u00a0% intervals.")
        figure = figures.predicted_against_measured(groups)
        frame.chart(figure, "scatter", "Predicted over measured speedup")
    with right:
        _prompts(groups)
    _causes(groups)
    _time(groups)
    st.subheader("All settings", anchor=False)
    st.caption(_conditions(record))
    _table(groups)


def _conditions(record: ValidationRecord) -> str:
    same = (
        "on the same prompts that were profiled"
        if record.same_prompts_as_profile
        else "on prompts that were not profiled"
    )
    between = record.summary_profiled is not None
    stages = "stages timed between the decodes" if between else "its stage times"
    return (
        f"Decoded {same}, {record.repeats} interleaved repeats. Predicted from the acceptance of"
        f" the profile and {stages}. τ is tokens per round, S the speedup."
    )


def _cards(record: ValidationRecord) -> None:
    summary, number = record.summary, len(record.settings)
    cards = [
        ("Median error", words.percent(summary.median_abs_error), f"of {number} settings",
         explain("speedup", "L2")),
        ("95th percentile", words.percent(summary.p95_abs_error),
         f"{words.percent(summary.max_abs_error)} at worst"),
        ("Bias", words.percent(summary.bias), "mean signed error"),
        ("In the 90\u00a0% interval", words.percent(summary.coverage_90, 0),
         f"{round(summary.coverage_90 * number)} of {number} settings"),
        ("Time explained", words.percent(summary.time_explained), "smallest of all settings"),
    ]  # fmt: skip
    frame.cards(cards)


def _table(groups: dict[str, list[SettingRow]]) -> None:
    rows = [
        {
            "sampling": words.sampling_name(row.sampling),
            "setting": words.short_name(row),
            "S measured": row.speedup.measured,
            "S L2": row.speedup.L2,
            "error": 100 * (row.speedup.L2 / row.speedup.measured - 1),
            "90 % of S L2": words.span(row.speedup.L2_low, row.speedup.L2_high),
            "S L1": row.speedup.L1,
            "S L0": row.speedup.L0,
            "τ measured": row.tau.measured,
            "τ L2": row.tau.L2,
            "τ L1": row.tau.L1,
            "τ L0": row.tau.L0,
            "rounds": row.rounds.measured,
            "rounds L2": row.rounds.L2,
        }
        for group in groups.values()
        for row in group
    ]
    number = st.column_config.NumberColumn
    formats = {name: "%.2f×" for name in rows[0] if name.startswith("S ")}
    formats |= {name: "%.2f" for name in rows[0] if name.startswith("τ ")}
    formats |= {"error": "%+.1f %%", "rounds": "%.0f", "rounds L2": "%.1f"}
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height="content",
        column_config={name: number(format=text) for name, text in formats.items()}
        | {
            "sampling": st.column_config.TextColumn(pinned=True),
            "setting": st.column_config.TextColumn(pinned=True),
        },
        alt="Table of all settings: speedup and tokens per round, measured and predicted",
    )


def _causes(groups: dict[str, list[SettingRow]]) -> None:
    st.subheader("What the errors consist of", anchor=False)
    st.caption(
        "The error of the speedup, split exactly. A part above zero made the prediction too high;"
        " the diamond is the sum of all parts."
    )
    for column, (label, rows) in zip(st.columns(len(groups)), groups.items(), strict=True):
        with column:
            st.markdown(f"**{words.sampling_name(rows[0].sampling)}**")
            frame.chart(figures.decomposition(rows), f"causes_{label}", f"Causes at {label}")


def _prompts(groups: dict[str, list[SettingRow]]) -> None:
    st.subheader("Prompt by prompt", anchor=False)
    rows = {_name(row): row for group in groups.values() for row in group}
    best = words.best_measured(list(rows.values()))
    control = Choice("setting", _name(best), tuple(rows))
    desk = Desk.current()
    key = desk.place(control)
    st.selectbox(
        "Setting",
        list(rows),
        key=key,
        format_func=lambda name: words.setting_name(rows[name]),
        label_visibility="collapsed",
    )
    row = rows[str(desk.refresh(control))]
    slowest = min(row.per_prompt, key=lambda prompt: prompt.baseline_seconds / prompt.seconds)
    gains = [prompt.baseline_seconds / prompt.seconds for prompt in row.per_prompt]
    frame.chart(figures.per_prompt_speedup(row, 330), "prompts", "Speedup per prompt, sorted")
    st.caption(
        f"Gains range from {words.times(min(gains))} (prompt {slowest.prompt}) to"
        f" {words.times(max(gains))}; {sum(gain < 1 for gain in gains)} of {len(gains)} prompts"
        " become slower. A prompt's prediction is its own replay at the setting's cost of a round."
    )


def _time(groups: dict[str, list[SettingRow]]) -> None:
    st.subheader("How the time splits", anchor=False)
    st.caption("Measured share of wall time by stage. What no stage explains is hatched.")
    for column, (label, rows) in zip(st.columns(len(groups)), groups.items(), strict=True):
        with column:
            st.markdown(f"**{words.sampling_name(rows[0].sampling)}**")
            frame.chart(figures.time_shares(rows), f"shares_{label}", f"Time shares at {label}")


def _name(row: SettingRow) -> str:
    return f"{row.sampling.label}-g{words.drafts(row)}"


if __name__ == "__main__":
    show()
