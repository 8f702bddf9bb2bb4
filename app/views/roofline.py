"""What bounds decoding on this hardware, and how many tokens does verification take for free?"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from app import figures, words
from app.glossary import explain
from app.machines import WEIGHT_BYTES, measured_machines, pasted_shape
from app.state import BATCH, CONTEXT, NUM_DRAFT_TOKENS, Choice, Desk, Number, Text
from app.views import frame
from simulator import (
    KNOWN_HARDWARE,
    KNOWN_MODELS,
    Hardware,
    ModelShape,
    Precision,
    RooflinePoint,
    StageTime,
    assumed_stage_time,
    free_tokens,
    known_hardware,
    known_shape,
    roofline_point,
)

QUESTION = "What bounds decoding, and how many tokens are verified for free?"
PASTED, OWN = "pasted", "own"
TOLERANCE = 0.1
_EXAMPLE = '{"model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096,' \
    ' "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,' \
    ' "vocab_size": 128256, "tie_word_embeddings": false}'  # fmt: skip
TARGET = Choice("target", "meta-llama/Llama-3.1-8B", (*KNOWN_MODELS, PASTED))
DRAFT = Choice("draft", "meta-llama/Llama-3.2-1B", KNOWN_MODELS)
CONFIG = Text("config", _EXAMPLE, pasted_shape, longest=3000)
OWN_BANDWIDTH = Number("gbps", 1000.0, 1.0, 100_000.0)
OWN_TFLOPS = Number("tflops", 100.0, 0.01, 100_000.0)


@dataclass(frozen=True)
class Asked:
    """What the reader has set."""

    name: str
    target: StageTime
    draft_name: str
    draft: StageTime
    hardware: Hardware
    dtype: str
    origin: str
    gamma: int
    context: int
    batch: int


def show() -> None:
    """Answer, controls beside the roofline, table of stages."""
    st.title(QUESTION, anchor=False)
    answer = st.container()
    left, right = st.columns([2, 5], gap="large")
    with left:
        asked = _ask(Desk.current())
    points = _points(asked)
    free = free_tokens(asked.target, asked.context, asked.batch, tolerance=TOLERANCE)
    with answer:
        st.markdown(f"##### {_sentence(asked, points, free)}")
        st.markdown(
            "Modelled, not measured: published comparisons found such rooflines 30 to 45\u00a0% off"
            " in absolute time. Use them to rank."
        )
        _cards(asked, points, free)
    with right:
        st.subheader("Roofline", anchor=False)
        figure = figures.roofline_chart(
            asked.hardware, asked.dtype, asked.target, points, origin=asked.origin
        )
        frame.chart(figure, "roofline", "Arithmetic per second over intensity")
        st.caption(
            f"{asked.hardware.name}: {asked.hardware.bandwidth / 1e9:.4g} GB/s,"
            f" {asked.hardware.peak(asked.dtype) / 1e12:.4g} TFLOP/s in {asked.dtype}, dense."
            f" {asked.origin.capitalize()}: {asked.hardware.source} ({asked.hardware.date})."
        )
    _table(points)


def _ask(desk: Desk) -> Asked:
    key = desk.place(TARGET)
    st.selectbox(
        "Target model", TARGET.options, key=key,
        format_func=lambda name: "a pasted config.json" if name == PASTED else name,
    )  # fmt: skip
    name = str(desk.refresh(TARGET))
    if name == PASTED:
        config = desk.typed(CONFIG, "config.json of a Hugging Face model")
        shape, name = pasted_shape(config), "the pasted model"
    else:
        shape = known_shape(name)
    st.selectbox("Draft model", DRAFT.options, key=desk.place(DRAFT))
    draft = str(desk.refresh(DRAFT))
    hardware, origin = _hardware(desk)
    dtypes = tuple(hardware.flop_per_second)
    dtype = Choice("dtype", "bfloat16" if "bfloat16" in dtypes else dtypes[0], dtypes)
    key = desk.place(dtype)
    st.segmented_control("Arithmetic in", dtypes, key=key, required=True)
    kind = str(desk.refresh(dtype))
    for control, label, term in (
        (NUM_DRAFT_TOKENS, "Draft tokens per round γ [tokens]", "num_draft_tokens"),
        (BATCH, "Batch [sequences]", "batch"),
        (CONTEXT, "Context [tokens]", "context"),
    ):
        st.slider(label, int(control.low), int(control.high), key=desk.place(control),
                  help=explain(term))  # fmt: skip
        desk.refresh(control)
    gamma, batch, context = (desk.refresh(c) for c in (NUM_DRAFT_TOKENS, BATCH, CONTEXT))
    return Asked(
        name, _time(shape, hardware, kind, origin), draft,
        _time(known_shape(draft), hardware, kind, origin), hardware, kind, origin,
        gamma, context, batch,
    )  # fmt: skip


def _hardware(desk: Desk) -> tuple[Hardware, str]:
    """The chosen machine, and how its peaks came about."""
    measured = measured_machines(record for _, record in frame.shelf().profiles)
    options = (*KNOWN_HARDWARE, *measured, OWN)
    control = Choice("hardware", "H100-SXM", options)
    names = {OWN: "my own numbers", **{key: one.name for key, one in measured.items()}}
    st.selectbox(
        "Hardware", options, key=desk.place(control),
        format_func=lambda name: names.get(name, name),
    )  # fmt: skip
    chosen = str(desk.refresh(control))
    if chosen in measured:
        return measured[chosen], "measured"
    if chosen != OWN:
        return known_hardware(chosen), "published"
    for own, label in (
        (OWN_BANDWIDTH, "Memory bandwidth [GB/s]"),
        (OWN_TFLOPS, "Dense arithmetic [TFLOP/s]"),
    ):
        st.number_input(label, float(own.low), float(own.high), key=desk.place(own), format="%g")
        desk.refresh(own)
    rates = {"bfloat16": 1e12 * desk.refresh(OWN_TFLOPS)}
    bandwidth = 1e9 * desk.refresh(OWN_BANDWIDTH)
    any_size = 1.0  # of the memory: nothing on this page depends on it
    return Hardware("My machine", bandwidth, any_size, rates, "typed in", "now"), "assumed"


def _time(shape: ModelShape, hardware: Hardware, dtype: str, origin: str) -> StageTime:
    """Rates a forward reaches: measured ceilings are taken as they are."""
    size = WEIGHT_BYTES[dtype]
    precision = Precision(size, size, max(size, 2.0))
    if origin == "measured":
        return assumed_stage_time(
            shape, hardware, dtype, bandwidth_efficiency=1, flop_efficiency=1, precision=precision
        )
    return assumed_stage_time(shape, hardware, dtype, precision=precision)


def _points(asked: Asked) -> dict[str, tuple[str, RooflinePoint]]:
    context, batch, prompt = asked.context, asked.batch, max(asked.context, 1)
    verified = asked.gamma + 1
    return {
        "prefill": (f"prefill of {prompt}",
                    roofline_point(asked.target, prompt, 0, batch, logit_tokens=1)),
        "decode": ("decode", roofline_point(asked.target, 1, context, batch)),
        "verify": (f"verify {verified}", roofline_point(asked.target, verified, context, batch)),
        "draft": ("draft", roofline_point(asked.draft, 1, context, batch)),
    }  # fmt: skip


def _sentence(asked: Asked, points: dict[str, tuple[str, RooflinePoint]], free: int) -> str:
    decode, verify = points["decode"][1], points["verify"][1]
    ridge = asked.hardware.ridge_point(asked.dtype)
    many = "4096 tokens or more" if free >= 4096 else f"{free} token{'s' * (free > 1)}"
    return (
        f"Decoding {asked.name} at batch {asked.batch} is bound by {decode.bound}:"
        f" **{decode.intensity:.3g} FLOP/byte** against a ridge point of {ridge:.3g}."
        f" A forward over **{many}** takes at most {words.percent(TOLERANCE, 0)} longer than over"
        f" one; verifying {asked.gamma + 1} takes {verify.seconds / decode.seconds:.2f} times as"
        " long."
    )


def _cards(asked: Asked, points: dict[str, tuple[str, RooflinePoint]], free: int) -> None:
    decode, verify, draft = (points[name][1] for name in ("decode", "verify", "draft"))
    cards = [
        ("Tokens for free", str(free), f"at most {words.percent(TOLERANCE, 0)} longer than one",
         explain("roofline")),
        ("One decode step", f"{1e3 * decode.seconds:.3g} ms", "modelled, not measured",
         explain("intensity")),
        (f"Verify {asked.gamma + 1}", f"{1e3 * verify.seconds:.3g} ms",
         f"bound by {verify.bound}", explain("intensity", "ridge point")),
        ("Cost ratio c", f"{draft.seconds / decode.seconds:.3g}",
         f"{1e3 * draft.seconds:.3g} ms a draft step", explain("cost_ratio")),
    ]  # fmt: skip
    frame.cards(cards)


def _table(points: dict[str, tuple[str, RooflinePoint]]) -> None:
    st.subheader("Stages", anchor=False)
    st.caption(
        "All values are modelled: bytes and operations from the sizes of the model, times from"
        " 80\u00a0% of the bandwidth and 70\u00a0% of the arithmetic of a published peak (measured"
        " ceilings are taken whole)."
    )
    rows = [
        {
            "stage": name,
            "FLOP/byte": point.intensity,
            "TFLOP/s": point.flop_per_second / 1e12,
            "ms": 1e3 * point.seconds,
            "bound by": point.bound,
        }
        for name, point in points.values()
    ]
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "FLOP/byte": number(format="%.3g"),
            "TFLOP/s": number(format="%.3g"),
            "ms": number(format="%.3g"),
        },
        alt="Table of stages with intensity, rate, time and bound",
    )


if __name__ == "__main__":
    show()
