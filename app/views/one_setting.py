"""One decoded setting on the Validation page: what was foretold of it, stage by stage."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import figures, words
from app.judged import Judged
from app.stage_groups import STAGE_LABELS
from app.state import Choice, Desk
from app.views import frame

SETTING = "setting"


def take_setting(key: str) -> None:
    """Look into this setting from the next run on."""
    st.session_state[f"control_{SETTING}"] = key


def choose_setting(desk: Desk, shown: list[Judged]) -> Judged:
    """The setting that a click, the list or the link names; else the fastest decoded."""
    by_key = {one.key: one for one in shown}
    best = max(shown, key=lambda one: one.row.speedup.measured)
    control = Choice(SETTING, best.key, tuple(by_key))
    st.subheader("One setting", anchor=False)
    st.selectbox(
        "Setting",
        list(by_key),
        key=desk.place(control),
        format_func=lambda key: by_key[key].title,
        label_visibility="collapsed",
    )
    return by_key[str(desk.refresh(control))]


def show_setting(one: Judged) -> None:
    """What was foretold and measured, the terms of the error, the stages, every prompt."""
    row = one.row
    s, seconds = row.speedup, row.round_seconds
    st.markdown(
        f"Predicted **{words.times(s.L2)}** ({words.span(s.L2_low, s.L2_high)}), measured"
        f" **{words.times(s.measured)}** ({words.span(s.measured_low, s.measured_high)}): off by"
        f" {words.percent(s.L2 / s.measured - 1)}. Tokens per round {row.tau.L2:.2f}, measured"
        f" {row.tau.measured:.2f}; a round {1e3 * seconds['L2']:.2f} ms, measured"
        f" {1e3 * seconds['measured']:.2f} ms."
    )
    prompts, causes, stages = st.tabs(["Prompt by prompt", "Its error", "Its stages"])
    with prompts:
        frame.chart(figures.per_prompt_speedup(row, 330), "prompts", "Speedup per prompt, sorted")
        _gains(one)
    with causes:
        frame.chart(figures.error_terms(row, 330), "terms", "Terms of the error, adding up")
        st.caption("The parts of the error's logarithm add up to the whole (M9).")
    with stages:
        _stages(one)


def _gains(one: Judged) -> None:
    row = one.row
    slowest = min(row.per_prompt, key=lambda prompt: prompt.baseline_seconds / prompt.seconds)
    gains = [prompt.baseline_seconds / prompt.seconds for prompt in row.per_prompt]
    st.caption(
        f"Gains range from {words.times(min(gains))} (prompt {slowest.prompt}) to"
        f" {words.times(max(gains))}; {sum(gain < 1 for gain in gains)} of {len(gains)} prompts"
        " become slower. A prompt's prediction is its own replay at the setting's cost of a round."
    )


def _stages(one: Judged) -> None:
    row = one.row
    table = [
        {
            "stage": STAGE_LABELS.get(stage, stage),
            "measured [ms/round]": 1e3 * share * row.round_seconds["measured"],
            "share of the time": 100 * share,
            "part of the error": 100 * row.error.log_round_by_stage.get(stage, 0.0),
        }
        for stage, share in sorted(row.time_split.items(), key=lambda item: -item[1])
    ]
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(table),
        hide_index=True,
        column_config={
            "measured [ms/round]": number(format="%.3f"),
            "share of the time": number(format="%.1f %%"),
            "part of the error": number(format="%+.2f %%"),
        },
        alt="Table of the setting's stages: time, share, part of the error",
    )
