"""What bounds decoding on this hardware, and how many tokens does verification take for free?"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from app import figures, words
from app.glossary import explain
from app.machine_controls import Machine, machine_of
from app.state import BATCH, CONTEXT, NUM_DRAFT_TOKENS, Desk
from app.views import frame
from app.views.machine import ask_machine
from simulator import RooflinePoint, StageTime, free_tokens, roofline_point

QUESTION = "What bounds decoding, and how many tokens are verified for free?"
TOLERANCE = 0.1


@dataclass(frozen=True)
class Asked:
    """What the reader has set."""

    machine: Machine
    gamma: int
    context: int
    batch: int

    @property
    def target(self) -> StageTime:
        """Of the target on the machine."""
        return self.machine.target


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
        frame.say(_sentence(asked, points, free))
        st.markdown(
            "Modelled, not measured: published comparisons found such rooflines 30 to 45\u00a0% off"
            " in absolute time. Use them to rank."
        )
        _cards(asked, points, free)
    with right:
        hardware, dtype = asked.machine.hardware, asked.machine.dtype
        st.subheader("Roofline", anchor=False)
        figure = figures.roofline_chart(
            asked.machine.hardware,
            asked.machine.dtype,
            asked.target,
            points,
            origin=asked.machine.origin,
        )
        frame.chart(figure, "roofline", "Arithmetic per second over intensity")
        st.caption(
            f"{hardware.name}: {hardware.bandwidth / 1e9:.4g} GB/s,"
            f" {hardware.peak(dtype) / 1e12:.4g} TFLOP/s in {dtype}, dense."
            f" {asked.machine.origin.capitalize()}: {hardware.source} ({hardware.date})."
            f"{_devices(asked)}"
        )
    _table(points)


def _ask(desk: Desk) -> Asked:
    values = ask_machine(desk)
    for control, label, term in (
        (NUM_DRAFT_TOKENS, "Draft tokens per round γ [tokens]", "num_draft_tokens"),
        (BATCH, "Batch [sequences]", "batch"),
        (CONTEXT, "Context [tokens]", "context"),
    ):
        st.slider(label, int(control.low), int(control.high), key=desk.place(control),
                  help=explain(term))  # fmt: skip
        desk.refresh(control)
    gamma, batch, context = (desk.refresh(c) for c in (NUM_DRAFT_TOKENS, BATCH, CONTEXT))
    machine = machine_of(values, (record for _, record in frame.shelf().profiles))
    return Asked(machine, gamma, context, batch)


def _devices(asked: Asked) -> str:
    """What several devices share and say; nothing of one."""
    layout = asked.target.layout
    if layout.link is None:
        return ""
    said = float(asked.target.communication_seconds(1, asked.batch))
    return (
        f" Shown is each of {layout.num_devices}, every layer split over them; in times a decode"
        f" step's talk is {1e3 * said:.3g} ms, over {layout.link.name}:"
        f" {layout.link.bandwidth / 1e9:.4g} GB/s one way, {layout.link.source}"
        f" ({layout.link.date})."
    )


def _points(asked: Asked) -> dict[str, tuple[str, RooflinePoint]]:
    context, batch, prompt = asked.context, asked.batch, max(asked.context, 1)
    verified = asked.gamma + 1
    return {
        "prefill": (f"prefill of {prompt}",
                    roofline_point(asked.target, prompt, 0, batch, logit_tokens=1)),
        "decode": ("decode", roofline_point(asked.target, 1, context, batch)),
        "verify": (f"verify {verified}", roofline_point(asked.target, verified, context, batch)),
        "draft": ("draft", roofline_point(asked.machine.draft, 1, context, batch)),
    }  # fmt: skip


def _sentence(asked: Asked, points: dict[str, tuple[str, RooflinePoint]], free: int) -> str:
    decode, verify = points["decode"][1], points["verify"][1]
    ridge = asked.machine.hardware.ridge_point(asked.machine.dtype)
    many = "4096 tokens or more" if free >= 4096 else f"{free} token{'s' * (free > 1)}"
    return (
        f"Decoding {asked.machine.name} at batch {asked.batch} is bound by {decode.bound}:"
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
