"""What has the reader set on the What-if page? Only what applies to the method is asked."""

from __future__ import annotations

from typing import Any, Literal

import streamlit as st

from app import words
from app.data import Evidence, Predicted, try_predictions
from app.glossary import explain
from app.state import (
    ACCEPTANCE_RATE,
    BATCH,
    CONTEXT,
    COST_RATIO,
    HOST_SHARE,
    LOWER_COST,
    LOWER_RATE,
    LOWER_TOKENS,
    NUM_DRAFT_TOKENS,
    TEXT_SOURCE,
    VERIFY_SLOPE,
    Choice,
    Desk,
    Number,
)
from app.views.machine import ask_machine
from app.what_if_controls import (
    COST_SOURCE,
    DRAFT_STEPS,
    FURTHER_RATE,
    METHOD,
    OWN_COST,
    TREE_DEPTH,
    TREE_SHAPE,
    TREE_SOURCE,
    TREE_WIDTH,
    Values,
)
from app.what_if_sources import numbers_of

_METHODS = {"chain": "Chain", "tree": "Tree", "staged": "Staged", "parallel": "Parallel"}
_MEANINGS = {
    "chain": "A chain: a small model drafts one token behind the other.",
    "tree": "A tree: a small model drafts several candidates for a place; one path is kept.",
    "staged": "Staged: a chain whose draft is itself drafted for by something cheaper.",
    "parallel": "In parallel, by diffusion or heads: all tokens of a round in so many steps.",
}
_TEXT_NAMES = {"rate": "a rate", "trace": "the record"}
_COST_NAMES = {"sliders": "numbers", "hardware": "hardware", "record": "record"}
_TREE_NAMES = {"sizes": "width × depth", "text": "as text"}


def ask_method(desk: Desk) -> Values:
    """Draw the choice of a method, across the page."""
    values: Values = {}
    _choose(desk, values, METHOD, "How it drafts", _METHODS, width="content")
    st.caption(_MEANINGS[str(values[METHOD.name])])
    return values


def ask(desk: Desk, entry: Evidence | None, values: Values) -> Values:
    """Draw the controls that apply to the method; values by name, the method's among them."""
    recorded, method = try_predictions(entry), str(values[METHOD.name])
    with st.container(border=True):
        st.markdown("**What it drafts**")
        _drafting(desk, values, method)
    with st.container(border=True):
        st.markdown("**What is accepted**")
        _acceptance(desk, values, method, _usable(recorded, method))
    with st.container(border=True):
        st.markdown("**What it costs**")
        known = tuple(one for one in COST_SOURCE.options if recorded or one != "record")
        source = Choice(COST_SOURCE.name, COST_SOURCE.default, known)
        _choose(desk, values, source, "Costs from", _COST_NAMES)
        _costs(desk, values, method)
    if recorded:
        assert entry is not None
        _record(desk, values, entry, recorded)
    return values


def _usable(recorded: dict[str, Predicted], method: str) -> dict[str, Predicted]:
    """The traces that tell a method's acceptance: of a tree those at T = 0, which hold ranks."""
    if method == "parallel":
        return {}
    if method == "tree":
        return {k: one for k, one in recorded.items() if not one.sampling.temperature}
    return recorded


def _drafting(desk: Desk, values: Values, method: str) -> None:
    if method != "tree":
        _slide(desk, values, NUM_DRAFT_TOKENS, "Draft tokens per round γ [tokens]", 1, "%d",
               help=explain("num_draft_tokens"))  # fmt: skip
    if method == "tree":
        _choose(desk, values, TREE_SOURCE, "Shape", _TREE_NAMES)
        if values[TREE_SOURCE.name] == "text":
            values[TREE_SHAPE.name] = desk.typed(
                TREE_SHAPE, "Children by level, 2-2-1, or parents, -1,-1,0", height=80
            )
        else:
            _slide(desk, values, TREE_WIDTH, "Width [candidates per level]", 1, "%d",
                   help="The likeliest candidate of a level goes on to the next.")  # fmt: skip
            _slide(desk, values, TREE_DEPTH, "Depth [levels]", 1, "%d",
                   help="Levels below the pending token; each is one draft call.")  # fmt: skip
    elif method == "staged":
        _slide(desk, values, LOWER_TOKENS, "Lower tokens at a time [tokens]", 1, "%d",
               help=explain("lower level", note="Tokens proposed to one draft call."))  # fmt: skip
        _slide(desk, values, LOWER_COST, "Cost of a lower token [draft calls]", 0.005, "%.3f",
               help="With what the draft takes longer to read it.")  # fmt: skip
    elif method == "parallel":
        _slide(desk, values, DRAFT_STEPS, "Drafting steps T [steps]", 1, "%d",
               help="Denoising steps of a diffusion drafter; heads take one. Fewer steps accept"
               " less: set the acceptance rate accordingly.")  # fmt: skip


def _acceptance(desk: Desk, values: Values, method: str, recorded: dict[str, Predicted]) -> None:
    if recorded:
        _choose(desk, values, TEXT_SOURCE, "Acceptance from", _TEXT_NAMES)
    if values.get(TEXT_SOURCE.name) != "trace":
        _slide(desk, values, ACCEPTANCE_RATE, "Acceptance rate α [–]", 0.01, "%.2f",
               help=explain("acceptance_rate"))  # fmt: skip
        if method == "tree":
            _slide(desk, values, FURTHER_RATE, "Acceptance of each further candidate [–]", 0.01,
                   "%.2f", help="Given that the candidates before it were rejected.")  # fmt: skip
    if method == "staged":
        _slide(desk, values, LOWER_RATE, "Acceptance of the lower level [–]", 0.01, "%.2f",
               help=explain("acceptance_rate", note="Of its tokens, by the draft."))  # fmt: skip


def _costs(desk: Desk, values: Values, method: str) -> None:
    source = values[COST_SOURCE.name]
    own = source == "sliders" or (source == "record" and method == "parallel")
    if source == "hardware":
        values |= ask_machine(desk)
        for control, label, term in (
            (BATCH, "Batch [sequences]", "batch"),
            (CONTEXT, "Context [tokens]", "context"),
        ):
            _slide(desk, values, control, label, 1, "%d", help=explain(term))
        st.toggle("My own cost ratio c", key=desk.place(OWN_COST),
                  help="Otherwise it is computed from both models on this hardware.")  # fmt: skip
        values[OWN_COST.name] = desk.refresh(OWN_COST)
        own = bool(values[OWN_COST.name])
    if own:
        step = "denoising step" if method == "parallel" else "draft step"
        _slide(desk, values, COST_RATIO, f"Cost ratio c [target steps per {step}]", 0.005, "%.3f",
               help=explain("cost_ratio"))  # fmt: skip
    if source == "sliders":
        _slide(desk, values, VERIFY_SLOPE, "Verification growth [target steps per extra token]",
               0.005, "%.3f", help=explain("verify_slope"))  # fmt: skip
    if source != "record":
        _slide(desk, values, HOST_SHARE, "Host share of a step without drafts [–]", 0.01, "%.2f",
               help=explain("host_share", note="Sampling, bookkeeping, launching."))  # fmt: skip


def _record(desk: Desk, values: Values, entry: Evidence, recorded: dict[str, Predicted]) -> None:
    """Which sampling of the record counts, and a way to start the sliders from it."""
    from_text = values.get(TEXT_SOURCE.name) == "trace"
    greedy_only = from_text and values[METHOD.name] == "tree"
    known = {k: v for k, v in recorded.items() if not (greedy_only and v.sampling.temperature)}
    label = Choice("trace", next(iter(known)), tuple(known))
    key = desk.place(label)
    st.selectbox(
        "Recorded at", label.options, key=key,
        format_func=lambda name: words.sampling_name(known[name].sampling),
        help="Trees are replayed from the ranks at T = 0." if greedy_only else None,
    )  # fmt: skip
    chosen = str(desk.refresh(label))
    if from_text or values[COST_SOURCE.name] == "record":
        values |= {"record": entry.id, label.name: chosen}
    st.button(
        "Start from this record", icon=":material/start:", width="stretch",
        on_click=_start, args=(numbers_of(recorded[chosen]),),
        help="Sets α, c, verification growth and host share to what was measured, to move on from.",
    )  # fmt: skip


def _start(numbers: dict[str, float]) -> None:
    sources = {one.name: one.options[0] for one in (TEXT_SOURCE, COST_SOURCE)}
    for name, value in {**numbers, **sources}.items():
        # a control that is not drawn now is known to the desk's values only
        st.session_state["_values"][name] = value
        st.session_state[f"control_{name}"] = value


def _choose(
    desk: Desk,
    values: Values,
    control: Choice,
    label: str,
    names: dict[str, str],
    width: Literal["stretch", "content"] = "stretch",
) -> None:
    key = desk.place(control)
    st.segmented_control(
        label, control.options, key=key, format_func=names.get, required=True, width=width
    )
    values[control.name] = desk.refresh(control)


def _slide(
    desk: Desk, values: Values, control: Number, label: str, step: float, shape: str, **more: Any
) -> None:
    key = desk.place(control)
    st.slider(label, control.low, control.high, step=step, format=shape, key=key, **more)
    values[control.name] = desk.refresh(control)
