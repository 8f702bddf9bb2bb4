"""Controls for models, hardware and kind of numbers, wherever a page reckons with a roofline."""

from __future__ import annotations

import streamlit as st

from app.machine_controls import (
    CONFIG,
    DRAFT,
    LINK,
    OWN,
    OWN_BANDWIDTH,
    OWN_TFLOPS,
    PASTED,
    TARGET,
    devices_choice,
    dtype_choice,
    hardware_choice,
    hardware_of,
)
from app.state import Desk, Value
from app.views import frame


def ask_machine(desk: Desk) -> dict[str, Value]:
    """Draw them; the values of those that apply, by name."""
    values: dict[str, Value] = {}
    st.selectbox(
        "Target model", TARGET.options, key=desk.place(TARGET),
        format_func=lambda name: "a pasted config.json" if name == PASTED else name,
    )  # fmt: skip
    values[TARGET.name] = desk.refresh(TARGET)
    if values[TARGET.name] == PASTED:
        values[CONFIG.name] = desk.typed(CONFIG, "config.json of a Hugging Face model")
    st.selectbox("Draft model", DRAFT.options, key=desk.place(DRAFT))
    values[DRAFT.name] = desk.refresh(DRAFT)
    profiles = [record for _, record in frame.shelf().profiles]
    control, names = hardware_choice(profiles)
    st.selectbox(
        "Hardware", control.options, key=desk.place(control),
        format_func=lambda name: names.get(name, name),
    )  # fmt: skip
    values[control.name] = desk.refresh(control)
    if values[control.name] == OWN:
        for own, label in (
            (OWN_BANDWIDTH, "Memory bandwidth [GB/s]"),
            (OWN_TFLOPS, "Dense arithmetic [TFLOP/s]"),
        ):
            st.number_input(
                label, float(own.low), float(own.high), key=desk.place(own), format="%g"
            )
            values[own.name] = desk.refresh(own)
    hardware, _ = hardware_of(values, profiles)
    dtype = dtype_choice(hardware)
    st.segmented_control("Arithmetic in", dtype.options, key=desk.place(dtype), required=True)
    values[dtype.name] = desk.refresh(dtype)
    split = devices_choice(values)
    st.segmented_control(
        "Devices, tensor parallel", split.options, key=desk.place(split), required=True
    )
    values[split.name] = desk.refresh(split)
    if values[split.name] != split.default:
        st.selectbox("Link between them", LINK.options, key=desk.place(LINK))
        values[LINK.name] = desk.refresh(LINK)
    return values
