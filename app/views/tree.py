"""Which token tree should a round draft, and does it beat a chain?"""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from app import figures, words
from app.comparison import allowed, row_name
from app.data import Evidence, Shelf
from app.glossary import explain
from app.state import Choice, Desk, Number, Text
from app.tree_study import (
    MAX_DEPTH,
    MAX_NODES,
    MAX_SEARCHED,
    MAX_WIDTH,
    Gain,
    TreeBasis,
    best_trees,
    gain,
    parse_tree,
    tree_basis,
    tree_text,
)
from app.views import frame
from measurements import RecordError
from simulator import Parents, path_probabilities, tree_depths, with_child, without_subtree

QUESTION = "Does a token tree beat a chain, and which?"
BEST = "best"
NODES = Number("nodes", 16, 1, MAX_SEARCHED)
DEPTH = Number("depth", 8, 1, MAX_DEPTH)
WIDTH = Number("width", 4, 1, MAX_WIDTH)
TREE = Text("tree", BEST, lambda text: text == BEST or parse_tree(text), longest=4000)
CLICK = Choice("click", "choose", ("choose", "add", "remove"))
_CLICKS = {"choose": "choose it", "add": "add a child", "remove": "remove it"}


def show() -> None:
    """Answer, limits, drawing, editor, table, download."""
    entry = frame.selected()
    st.title(QUESTION, anchor=False)
    if entry is None or entry.profile_path is None:
        frame.no_record("with a profile to replay")
        return
    try:
        basis = tree_basis(entry.profile_path, entry.fingerprint)
    except (RecordError, ValueError) as error:
        st.error(f"The profile cannot be used: {error}", icon=":material/broken_image:")
        return
    if basis is None:
        st.info("This profile has no trace at T = 0, whose ranks a tree is replayed with.",
                icon=":material/info:")  # fmt: skip
        return
    desk = Desk.current()
    answer = st.container()
    limits = _limits(desk)
    source = entry.profile_path, entry.fingerprint, basis
    best, best_chain = best_trees(*source, *limits)
    desk.place(TREE)
    text = str(desk.refresh(TREE))
    parents = best if text == BEST else parse_tree(text)
    shown, found, chain = (gain(*source, tree) for tree in (parents, best, best_chain))
    with answer:
        frame.say(_sentence(shown, found, chain, edited=text != BEST))
        if decoded := _decoded(frame.shelf(), entry, basis):
            st.markdown(decoded)
        _cards(shown, found, chain)
    _draw(desk, basis, parents, best, best_chain)
    _details(basis, shown)


def _limits(desk: Desk) -> tuple[int, int, int]:
    controls = ((NODES, "Most nodes [tokens]"), (DEPTH, "Most levels [tokens]"),
                (WIDTH, "Most children of a node [tokens]"))  # fmt: skip
    for column, (control, label) in zip(st.columns(3), controls, strict=True):
        with column:
            st.slider(label, int(control.low), int(control.high), key=desk.place(control))
            desk.refresh(control)
    return desk.refresh(NODES), desk.refresh(DEPTH), desk.refresh(WIDTH)


def _sentence(shown: Gain, found: Gain, chain: Gain, *, edited: bool) -> str:
    what = f"This tree of {len(shown.parents)} nodes" if edited else _kind(found, chain)
    text = (
        f"{what} emits {shown.tau:.2f} tokens per round at T\u00a0=\u00a00: predicted"
        f" **{words.times(shown.speedup)}** plain decoding"
        f" (90\u00a0%: {words.span(shown.low, shown.high)})"
    )
    other = f"the best chain, {words.gamma(len(chain.parents))}, is at {words.times(chain.speedup)}"
    if edited:
        return (
            f"{text}. Within the limits the best is at {words.times(found.speedup)}, and {other}."
        )
    if found.parents == chain.parents:
        return f"{text}. No tree within these limits beats it."
    more = words.percent(found.speedup / chain.speedup - 1)
    return f"{text}, {more} more than a chain can: {other}."


def _decoded(shelf: Shelf, entry: Evidence, basis: TreeBasis) -> str:
    """What trees and chains of this pair gained when they were decoded; empty if none were."""
    mine = entry.record
    for record in shelf.comparisons:
        if (record.machine.slug, record.pair_slug, record.dtype) == (
            mine.machine.slug, mine.pair_slug, mine.dtype,
        ):  # fmt: skip
            greedy = [row for row in record.methods if row.sampling.temperature == 0]
            trees, chains = allowed(greedy, ["tree"]), allowed(greedy, ["chain"])
            if trees and chains:
                parts = [
                    f"{row_name(row)} at {words.times(row.speedup.median)}"
                    f" (90 %: {words.span(row.speedup.low, row.speedup.high)})"
                    for row in (trees[0], chains[0])
                ]
                leaves_out = (
                    " Predictions here leave out a tree's mask and its wider draft calls."
                    if basis.rounds is None
                    else ""
                )
                return (
                    f"Decoded for real, {record.created[:10]}: {words.listing(parts)}.{leaves_out}"
                )
    return ""


def _kind(found: Gain, chain: Gain) -> str:
    if found.parents == chain.parents:
        return f"A chain of {words.token_count(len(chain.parents))}"
    return f"The best tree, {len(found.parents)} nodes and {found.depth} levels,"


def _cards(shown: Gain, found: Gain, chain: Gain) -> None:
    cards = [
        ("Predicted, this tree", words.times(shown.speedup),
         f"90 %: {words.span(shown.low, shown.high)}", explain("speedup", "L2")),
        ("Tokens per round τ", f"{shown.tau:.2f}",
         f"{len(shown.parents)} nodes, {shown.depth} levels", explain("mean_emitted")),
        ("Best within limits", words.times(found.speedup), f"{len(found.parents)} nodes"),
        ("Best chain", words.times(chain.speedup), words.gamma(len(chain.parents)),
         explain("num_draft_tokens")),
    ]  # fmt: skip
    frame.cards(cards)


def _draw(desk: Desk, basis: TreeBasis, parents: Parents, best: Parents, chain: Parents) -> None:
    if st.session_state.get("tree_node", -1) >= len(parents):
        st.session_state["tree_node"] = -1  # it was removed
    left, right = st.columns([2, 5], gap="large")
    with left:
        st.subheader("Edit", anchor=False)
        names = figures.node_names(parents)
        node = st.selectbox(
            "Node", range(-1, len(parents)), key="tree_node",
            format_func=lambda one: names[one + 1],
        )  # fmt: skip
        _button("Add a child", "add", _with_child(parents, node))
        _button("Remove it and all beneath", "delete", _without(parents, node))
        _button("Take the best chain", "linear_scale", chain)
        st.button("Take the best tree", icon=":material/account_tree:", width="stretch",
                  on_click=_set, args=(BEST,), disabled=parents == best)  # fmt: skip
    with right:
        st.subheader("The tree", anchor=False)
        st.caption(
            "From the pending token to the right; a node's first child continues its line. Numbers"
            " say how often a round keeps a node, if ranks came independently."
        )
        st.segmented_control(
            "A click on a node is to", CLICK.options, key=desk.place(CLICK), required=True,
            format_func=_CLICKS.get,
        )  # fmt: skip
        desk.refresh(CLICK)
        chances = path_probabilities(basis.shares, parents)
        frame.clickable(
            figures.token_tree(parents, chances, node), "token_tree", "The token tree",
            lambda mark: _clicked(parents, int(mark)), version=tree_text(parents),
        )  # fmt: skip


def _clicked(parents: Parents, node: int) -> None:
    """What a click on a node is to do; what is out of bounds changes nothing."""
    wanted = st.session_state[f"control_{CLICK.name}"]
    st.session_state["tree_node"] = node
    if wanted == "choose":
        return
    changed = _with_child(parents, node) if wanted == "add" else _without(parents, node)
    if changed is not None:
        _set(tree_text(changed))


def _with_child(parents: Parents, node: int) -> Parents | None:
    """The tree with one more child; None where it would leave the bounds."""
    deepest = node >= 0 and tree_depths(parents)[node] >= MAX_DEPTH
    full = len(parents) >= MAX_NODES or parents.count(node) >= MAX_WIDTH
    return None if full or deepest else with_child(parents, node)


def _without(parents: Parents, node: int) -> Parents | None:
    return None if node == -1 else without_subtree(parents, node)


def _button(label: str, icon: str, parents: Parents | None) -> None:
    st.button(
        label,
        icon=f":material/{icon}:",
        width="stretch",
        on_click=_set,
        args=("" if parents is None else tree_text(parents),),
        disabled=parents is None,
    )


def _set(text: str) -> None:
    st.session_state[f"control_{TREE.name}"] = text


def _details(basis: TreeBasis, shown: Gain) -> None:
    st.subheader("Take it along", anchor=False)
    st.caption(
        "Parents of the nodes in order, −1 for children of the pending token: what"
        " `engine` and `simulator` call a tree."
    )
    st.code(str(shown.parents), language=None, wrap_lines=True)
    content = {
        "parents": shown.parents,
        "tau": shown.tau,
        "speedup": {"L2": shown.speedup, "low": shown.low, "high": shown.high},
        "round_time": shown.origin,
    }
    st.download_button(
        "Download this tree (JSON)",
        json.dumps(content, indent=1),
        file_name="speculens-tree.json",
        mime="application/json",
        icon=":material/download:",
    )
    chances = path_probabilities(basis.shares, shown.parents)
    with st.expander("Nodes", icon=":material/table_rows:"):
        names = figures.node_names(shown.parents)
        rows = [
            {"node": names[node + 1], "parent": parent,
             "kept by": 100 * chances[node]}
            for node, parent in enumerate(shown.parents)
        ]  # fmt: skip
        percent = st.column_config.NumberColumn(format="%.1f %%")
        st.dataframe(pd.DataFrame(rows), hide_index=True, column_config={"kept by": percent})
    st.caption(
        f"Tokens per round come from a replay of {basis.lengths.size} recorded texts, exact for"
        f" them; the interval is over texts. {_costs(basis, shown)}"
    )


def _costs(basis: TreeBasis, shown: Gain) -> str:
    """Where the time of a round comes from."""
    if basis.rounds is not None:
        return (
            f"The time of a round is that of timed trees (M3.12): {shown.origin}. Predicted from"
            f" the others, a timed tree's round was at most {words.percent(basis.rounds.error, 0)}"
            " off; trees larger than the timed ones are extrapolated."
        )
    return (
        f"The time to verify {len(shown.parents) + 1} tokens is {shown.origin}. It is that of a"
        " chain of as many tokens, and a level is taken to draft as fast as one token (M3.10),"
        f" since {basis.lacking}; a profile of every method times trees themselves."
    )


if __name__ == "__main__":
    show()
