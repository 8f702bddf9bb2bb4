"""What would a token tree gain on a recorded text? Loading and caching; no drawing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app.data import Fingerprint, optimum
from app.records import calibrations, method_profile, searched_trees, static_shape
from app.search import BOOTSTRAP, SEED
from app.words import origin
from measurements import Profile, load_profile
from simulator import (
    MethodProfile,
    Parents,
    Prediction,
    Replay,
    TreeCosts,
    child_ranks,
    choose_tree,
    rank_shares,
    ranked_tree_windows,
    replay_windows,
    tau_interval,
    tree_costs,
    tree_depths,
)
from simulator.method_costs import Setting
from simulator.token_trees import chain_tree, level_order, tree_from_text
from simulator.tree_search import TreeSearch, trees_worth_trying

MAX_NODES, MAX_DEPTH, MAX_WIDTH = 512, 16, 8
"""Of a tree that is drawn, edited and scored. [tokens]"""
MAX_SEARCHED = 64
"""Nodes of the trees that are searched. [tokens]"""


@dataclass(frozen=True, eq=False)
class TimedRounds:
    """What a profile of every method says about rounds with trees.

    Attributes
    ----------
    methods : MethodProfile
    known : dict of Parents to Setting
        Chains and static trees that were profiled themselves.
    search : TreeSearch
        For trees that were not.
    error : float
        Largest error of a timed tree's round when the others predict it. [unitless]
    """

    methods: MethodProfile
    known: dict[Parents, Setting]
    search: TreeSearch
    error: float


@dataclass(frozen=True, eq=False)
class TreeBasis:
    """What the greedy trace of a profile says about trees.

    Attributes
    ----------
    sampling : str
        Label of the trace.
    ranks : array [num_positions]
        Of the emitted token among the draft's candidates. [unitless]
    lengths : array [num_prompts]
        [tokens]
    shares : array [MAX_WIDTH]
        Share of positions by rank, made not to rise. [unitless]
    costs : TreeCosts
        From the stages of chains at the mean context, where no rounds were timed.
    rounds : TimedRounds or None
    lacking : str
        Why there are no timed rounds to go by; empty where there are.
    """

    sampling: str
    ranks: NDArray[np.int64]
    lengths: NDArray[np.int64]
    shares: NDArray[np.float64]
    costs: TreeCosts
    rounds: TimedRounds | None
    lacking: str


@dataclass(frozen=True)
class Gain:
    """What a tree brings on the recorded text; ``origin`` says where its time comes from."""

    parents: Parents
    depth: int
    tau: float
    speedup: float
    low: float
    high: float
    origin: str


@st.cache_data(show_spinner="Reading the recorded ranks …", max_entries=4)
def tree_basis(path: str, files: Fingerprint) -> TreeBasis | None:
    """The basis of a profile's trace at temperature 0; None where it has none.

    Raises
    ------
    RecordError, ValueError
        If the profile's tables cannot be used; one line.
    """
    profile = load_profile(Path(path))
    labels = [one.sampling.label for one in profile.record.traces if not one.sampling.temperature]
    if not labels:
        return None
    calibration = calibrations(profile)[labels[0]]
    ranks = profile.traces[labels[0]]["draft_rank"].to_numpy().astype(np.int64)
    costs = tree_costs(
        calibration.costs,
        float(calibration.trace.cached.mean()),
        max_nodes=MAX_NODES,
        max_depth=MAX_DEPTH,
    )
    shares = np.minimum.accumulate(rank_shares(ranks, MAX_WIDTH))
    rounds, lacking = _timed_rounds(profile, labels[0])
    return TreeBasis(labels[0], ranks, calibration.lengths, shares, costs, rounds, lacking)


def _timed_rounds(profile: Profile, sampling: str) -> tuple[TimedRounds | None, str]:
    methods = method_profile(profile, sampling)
    if methods is None:
        return None, "whole rounds were not timed"
    try:
        search = searched_trees(profile, methods, sampling)
    except ValueError as error:
        return None, str(error)
    known = {
        shape: setting
        for setting in methods.traces
        if setting in methods.costs and (shape := static_shape(setting)) is not None
    }
    return TimedRounds(methods, known, search, search.cost_error), ""


@st.cache_data(show_spinner="Trying trees on the recorded text …", max_entries=64)
def best_trees(
    path: str, files: Fingerprint, _basis: TreeBasis, num_nodes: int, depth: int, width: int
) -> tuple[Parents, Parents]:
    """The fastest tree within these limits, which may be a chain, and the fastest chain."""
    basis = _basis  # told by path and files; the cache would only hash it again
    # every size up to 16 nodes, then every fourth: neighbours differ by less than the interval
    sizes = [n for n in range(num_nodes + 1) if n <= 16 or n % 4 == 0 or n == num_nodes]
    if basis.rounds is None:
        choice = choose_tree(
            basis.shares,
            basis.costs.verify_seconds[: num_nodes + 1],
            basis.costs.draft_seconds[: depth + 1],
            sizes=sizes,
            max_width=width,
            tau_of=lambda parents: _replay(basis, parents).tau,
        )
        return choice.tree.parents, choice.chain.parents
    search = basis.rounds.search
    trees = trees_worth_trying(
        search.kept, search.costs, max_nodes=num_nodes, max_depth=depth, max_width=width,
        sizes=sizes,
    )  # fmt: skip
    chains = [chain_tree(gamma) for gamma in range(min(num_nodes, depth) + 1)]

    def speed(parents: Parents) -> float:
        return gain(path, files, basis, parents).speedup

    chain = max(chains, key=speed)
    return max([chain, *trees[-1:]], key=speed), chain


@st.cache_data(show_spinner=False, max_entries=512)
def gain(path: str, files: Fingerprint, _basis: TreeBasis, parents: Parents) -> Gain:
    """Tokens per round by replay, and the speedup they give at the measured costs."""
    basis = _basis
    depth, number = max(tree_depths(parents), default=0), len(parents)
    if number == 0:
        return Gain((), 0, 1.0, 1.0, 1.0, 1.0, "measured: a plain step")
    if basis.rounds is not None:
        p = _predicted(path, files, basis, basis.rounds, parents)
        low, high = p.speedup_low or p.speedup.L2, p.speedup_high or p.speedup.L2
        return Gain(parents, depth, p.tau.L2, p.speedup.L2, low, high, origin(p.provenance))
    replay = _replay(basis, parents)
    tau_low, tau_high = tau_interval(
        replay.lengths, replay.rounds_per_prompt, rng=np.random.default_rng(0)
    )
    speedup, low, high = (
        float(basis.costs.speedup(tau, number, depth)) for tau in (replay.tau, tau_low, tau_high)
    )
    return Gain(parents, depth, replay.tau, speedup, low, high, basis.costs.origins[number])


@st.cache_data(show_spinner=False, max_entries=512)
def replayed_tau(path: str, files: Fingerprint, _basis: TreeBasis, parents: Parents) -> float:
    """Tokens per round of a tree along the recorded text. [tokens/round]"""
    return _replay(_basis, parents).tau


def _predicted(
    path: str, files: Fingerprint, basis: TreeBasis, rounds: TimedRounds, parents: Parents
) -> Prediction:
    """As it was profiled; else a chain from its stages and a tree from the timed trees."""
    tree = _level_by_level(parents)
    if tree in rounds.known:
        return rounds.methods.predict(rounds.known[tree], seed=SEED, bootstrap=BOOTSTRAP)
    if tree == chain_tree(len(tree)):
        return optimum(path, files, basis.sampling).predictions[len(tree) - 1]
    return rounds.search.predict(tree, seed=SEED, bootstrap=BOOTSTRAP)


def _level_by_level(parents: Parents) -> Parents:
    """The same tree in the order in which it is drafted, and cut near the end of a text."""
    paths: list[tuple[int, ...]] = []
    for parent, rank in zip(parents, child_ranks(parents), strict=True):
        paths.append((*(paths[parent] if parent >= 0 else ()), rank))
    return level_order(paths)


def parse_tree(text: str) -> Parents:
    """The tree a text of parents names, "-1,0,0".

    Raises
    ------
    ValueError
        One line: what is wrong with it.

    Examples
    --------
    >>> parse_tree("-1,0,0")
    (-1, 0, 0)
    """
    tree = tree_from_text(text) if text.strip() else ()
    if len(tree) > MAX_NODES:
        raise ValueError(f"a tree has at most {MAX_NODES} nodes here, not {len(tree)}")
    if (deepest := max(tree_depths(tree), default=0)) > MAX_DEPTH:
        raise ValueError(f"a tree is at most {MAX_DEPTH} deep here, not {deepest}")
    if (widest := max(Counter(tree).values(), default=0)) > MAX_WIDTH:
        raise ValueError(f"a node has at most {MAX_WIDTH} children here, not {widest}")
    return tree


def tree_text(parents: Parents) -> str:
    """A tree as it stands in the address."""
    return ",".join(map(str, parents))


def _replay(basis: TreeBasis, parents: Parents) -> Replay:
    return replay_windows(ranked_tree_windows(basis.ranks, basis.lengths, parents))
