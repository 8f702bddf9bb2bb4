"""What has the reader set on the What-if page?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from app import data, words
from app.data import Evidence, Predicted, try_predictions
from app.glossary import explain
from app.state import (
    ACCEPTANCE_RATE,
    COST_RATIO,
    COST_SOURCE,
    HOST_SHARE,
    NUM_DRAFT_TOKENS,
    TEXT_SOURCE,
    VERIFY_SLOPE,
    Choice,
    Desk,
    Number,
)
from simulator import Scenario

_TEXT_NAMES = {"rate": "constant rate", "trace": "recorded trace"}
_COST_NAMES = {"sliders": "the sliders", "record": "the record"}


@dataclass(frozen=True)
class Asked:
    """What the reader has set: the scenario, and the plain numbers the closed form needs."""

    scenario: Scenario
    source: Predicted | None
    text_recorded: bool
    costs_recorded: bool
    rate: float
    gamma: int
    cost: float
    slope: float
    host: float


def ask(desk: Desk, entry: Evidence | None) -> Asked:
    """Draw the controls and read them; with a record, its trace and costs can be chosen."""
    recorded = try_predictions(entry)
    text, costs = "rate", "sliders"
    source: Predicted | None = None
    if recorded:
        label = Choice("trace", next(iter(recorded)), tuple(recorded))
        key = desk.place(TEXT_SOURCE)
        st.segmented_control(
            "Acceptance from", TEXT_SOURCE.options, key=key, format_func=_TEXT_NAMES.get,
            required=True, width="stretch",
        )  # fmt: skip
        text = str(desk.refresh(TEXT_SOURCE))
        key = desk.place(COST_SOURCE)
        st.segmented_control(
            "Costs from", COST_SOURCE.options, key=key, format_func=_COST_NAMES.get,
            required=True, width="stretch",
        )  # fmt: skip
        costs = str(desk.refresh(COST_SOURCE))
        if text == "trace" or costs == "record":
            key = desk.place(label)
            st.selectbox(
                "Recorded at",
                label.options,
                key=key,
                format_func=lambda name: words.sampling_name(recorded[name].sampling),
            )
            source = recorded[str(desk.refresh(label))]
    gamma = _slider(desk, NUM_DRAFT_TOKENS, "Draft tokens per round γ [tokens]", 1, "%d",
                    help=explain("num_draft_tokens"))  # fmt: skip
    rate = _slider(
        desk, ACCEPTANCE_RATE, "Acceptance rate α [–]", 0.01, "%.2f", disabled=text == "trace",
        help=explain("acceptance_rate"),
    )  # fmt: skip
    fixed = costs == "record"
    cost = _slider(
        desk, COST_RATIO, "Cost ratio c [target steps per draft step]", 0.005, "%.3f",
        disabled=fixed, help=explain("cost_ratio"),
    )  # fmt: skip
    slope = _slider(
        desk, VERIFY_SLOPE, "Verification growth [target steps per extra token]", 0.005, "%.3f",
        disabled=fixed, help=explain("verify_slope"),
    )  # fmt: skip
    host = _slider(
        desk, HOST_SHARE, "Host share of a step without drafts [–]", 0.01, "%.2f",
        disabled=fixed, help=explain("host_share", note="Sampling, bookkeeping, launching."),
    )  # fmt: skip
    scenario = Scenario.from_rates(rate, int(gamma), cost, verify_slope=slope, host_share=host)
    if source is not None:
        measured = source.calibration
        if text == "trace":
            trace = measured.trace if fixed else data.quick_trace(measured.trace)
            scenario = replace(scenario, trace=trace)
            rate = trace.acceptance_rate
        if fixed:
            scenario = replace(scenario, costs=measured.costs, cost_ratio=measured.cost_ratio)
            cost, slope, host = measured.cost_ratio, 0.0, 0.0
    return Asked(scenario, source, text == "trace", fixed, rate, int(gamma), cost, slope, host)


def _slider(
    desk: Desk, control: Number, label: str, step: float, number_format: str, **options: Any
) -> Any:
    key = desk.place(control)
    st.slider(label, control.low, control.high, step=step, format=number_format, key=key, **options)
    return desk.refresh(control)
