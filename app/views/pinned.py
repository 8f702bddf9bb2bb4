"""Scenarios of the What-if page, pinned to be compared; at most four, and part of the link."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from app import figures, words
from app.data import Shelf
from app.glossary import explain
from app.state import Desk, Value
from app.views import frame
from app.what_if import Answer, answer
from app.what_if_controls import MOST_PINS, PINS, Values, parse_pins, pin_of, pins_text
from measurements import RecordError


def show(desk: Desk, values: Mapping[str, Value], shelf: Shelf) -> None:
    """A button that pins the present scenario, and the pinned ones beside each other."""
    key = desk.place(PINS)
    pins, now = parse_pins(str(desk.refresh(PINS))), pin_of(values)
    st.subheader("Scenarios side by side", anchor=False)
    with st.container(horizontal=True):
        st.button(
            "Pin this scenario", icon=":material/keep:", on_click=_set,
            args=(key, [*pins, now]), disabled=now in pins or len(pins) >= MOST_PINS,
            help=f"To compare up to {MOST_PINS}; the link holds them.",
        )  # fmt: skip
        if pins:
            st.button("Take the pins away", icon=":material/keep_off:", on_click=_set,
                      args=(key, []))  # fmt: skip
    if pins:
        _compare(pins, shelf)
    else:
        st.caption(f"Pin up to {MOST_PINS} scenarios, of numbers or of records, to compare.")


def _set(key: str, pins: list[Values]) -> None:
    st.session_state[key] = pins_text(pins)


def _compare(pins: list[Values], shelf: Shelf) -> None:
    found: list[tuple[str, Answer]] = []
    for number, pin in enumerate(pins, start=1):
        try:
            found.append((f"{number}: {pin_name(pin)}", answer(pin, shelf)))
        except (RecordError, ValueError) as error:
            st.warning(f"Pin {number} cannot be answered: {words.plain(str(error))}.",
                       icon=":material/keep_off:")  # fmt: skip
    if not found:
        return
    figure = figures.pinned_speedups(
        [(name, one.chosen.speedup, one.chosen.low, one.chosen.high, one.origin)
         for name, one in found]
    )  # fmt: skip
    frame.chart(figure, "pins", "Speedups of the pinned scenarios")
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame([_row(name, one) for name, one in found]),
        hide_index=True,
        column_config={
            "scenario": st.column_config.TextColumn(pinned=True),
            "speedup": number(format="%.2f×", help=explain("speedup")),
            "90 %": st.column_config.TextColumn(help="Where it was recorded on several texts."),
            "τ": number(format="%.2f", help=explain("mean_emitted")),
            "α": number(format="%.3f", help=explain("acceptance_rate")),
            "c": number(format="%.3f", help=explain("cost_ratio")),
            "best": number(format="%.2f×", help="At the best γ or number of levels."),
            "at": number(help="That γ or number of levels."),
            "from": st.column_config.TextColumn(help=explain("provenance")),
        },
        alt="Table of the pinned scenarios and their predicted speedups",
    )


def _row(name: str, one: Answer) -> dict[str, object]:
    chosen, best = one.chosen, one.best
    both = chosen.low is not None and chosen.high is not None
    return {
        "scenario": name,
        "speedup": chosen.speedup,
        "90 %": words.span(chosen.low or 0, chosen.high or 0) if both else "–",
        "τ": chosen.tau,
        "α": one.rate,
        "c": one.cost_ratio,
        "best": best.speedup,
        "at": best.size,
        "from": one.origin,
    }


def pin_name(pin: Mapping[str, Value]) -> str:
    """A pinned scenario by its method and what makes it special.

    Examples
    --------
    >>> pin_name({"drafting": "tree", "tree_width": 3, "alpha": 0.7})
    'tree, width 3, α 0.7'
    """
    parts = [str(pin.get("drafting", "chain"))]
    for name, symbol in _NAMES.items():
        if name in pin:
            value = pin[name]
            parts.append(f"{symbol} {value:g}" if isinstance(value, float | int)
                         else f"{symbol} {value}".strip())  # fmt: skip
    return ", ".join(parts)


_NAMES = {
    "gamma": "γ",
    "tree_width": "width",
    "tree_depth": "depth",
    "shape": "shape",
    "steps": "steps",
    "alpha": "α",
    "lower": "lower",
    "lower_alpha": "lower α",
    "c": "c",
    "batch": "batch",
    "context": "context",
    "hardware": "on",
    "text": "text:",
    "costs": "costs:",
    "trace": "at",
}
