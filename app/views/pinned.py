"""Scenarios of the What-if page, pinned to be compared; at most four, and part of the link."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import data
from app.glossary import explain
from app.state import (
    ACCEPTANCE_RATE,
    COST_RATIO,
    HOST_SHARE,
    NUM_DRAFT_TOKENS,
    VERIFY_SLOPE,
    Desk,
    Text,
)
from app.views.asked import Asked
from simulator import Scenario

MOST = 4
CONTROLS = (NUM_DRAFT_TOKENS, ACCEPTANCE_RATE, COST_RATIO, VERIFY_SLOPE, HOST_SHARE)
Pin = tuple[float, ...]  # values of CONTROLS, in their order


def parse_pins(text: str) -> list[Pin]:
    """The pins a text names, "4:0.8:0.1:0.02:0.03;…"; ValueError with one line if it does not."""
    pins = []
    for part in text.split(";") if text else []:
        values = part.split(":")
        if len(values) != len(CONTROLS):
            raise ValueError(f"a pin has {len(CONTROLS)} numbers, not {len(values)}")
        pins.append(tuple(c.parse(value) for c, value in zip(CONTROLS, values, strict=True)))
    if len(pins) > MOST:
        raise ValueError(f"at most {MOST} scenarios are pinned, not {len(pins)}")
    return pins


def pins_text(pins: list[Pin]) -> str:
    """Pins as they stand in the address."""
    return ";".join(
        ":".join(c.text(value) for c, value in zip(CONTROLS, pin, strict=True)) for pin in pins
    )


PINS = Text("pins", "", parse_pins)


def show(desk: Desk, asked: Asked) -> None:
    """A button that pins what the sliders say, and the pinned scenarios beside each other."""
    key = desk.place(PINS)
    pins = parse_pins(str(desk.refresh(PINS)))
    now = (asked.gamma, asked.rate, asked.cost, asked.slope, asked.host)
    recorded = asked.text_recorded or asked.costs_recorded
    left, right = st.columns([2, 5], gap="large")
    with left:
        st.button(
            "Pin this scenario", icon=":material/keep:", width="stretch", on_click=_set,
            args=(key, [*pins, now]), disabled=recorded or now in pins or len(pins) >= MOST,
            help=f"To compare up to {MOST}. Of sliders only, so that the link holds it.",
        )  # fmt: skip
        if pins:
            st.button("Take the pins away", icon=":material/keep_off:", width="stretch",
                      on_click=_set, args=(key, []))  # fmt: skip
    if pins:
        with right:
            _table(pins)


def _set(key: str, pins: list[Pin]) -> None:
    st.session_state[key] = pins_text(pins)


def _table(pins: list[Pin]) -> None:
    rows = []
    for gamma, rate, cost, slope, host in pins:
        scenario = Scenario.from_rates(rate, int(gamma), cost, verify_slope=slope, host_share=host)
        found = data.search(("pinned", rate, cost, slope, host), scenario)
        chosen, best = found.predictions[int(gamma) - 1], found.best
        rows.append(
            {
                "γ": int(gamma), "α": rate, "c": cost, "growth": slope, "host": host,
                "speedup": chosen.speedup.L2, "τ": chosen.tau.L2, "textbook": chosen.speedup.L0,
                "best γ": best.num_draft_tokens, "at best γ": best.speedup.L2,
            }
        )  # fmt: skip
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "speedup": number(format="%.2f×", help=explain("speedup", "L2")),
            "textbook": number(format="%.2f×", help=explain("L0")),
            "at best γ": number(format="%.2f×"),
            "τ": number(format="%.2f", help=explain("mean_emitted")),
            "growth": number(help=explain("verify_slope")),
            "host": number(help=explain("host_share")),
        },
        alt="Table of the pinned scenarios and their predicted speedups",
    )
