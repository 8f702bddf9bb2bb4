"""What would a token tree gain on a recorded text? Loading and caching; no drawing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app.data import Fingerprint
from app.records import calibrations
from measurements import load_profile
from simulator import (
    Parents,
    Replay,
    TreeChoice,
    TreeCosts,
    choose_tree,
    rank_shares,
    ranked_tree_windows,
    replay_windows,
    tau_interval,
    tree_costs,
    tree_depths,
)
from simulator.token_trees import tree_from_text

MAX_NODES, MAX_DEPTH, MAX_WIDTH = 64, 16, 8


@dataclass(frozen=True, eq=False)
class TreeBasis:
    """What the greedy trace of a profile says about trees.

    Attributes
    ----------
    ranks : array [num_positions]
        Of the emitted token among the draft's candidates. [unitless]
    lengths : array [num_prompts]
        [tokens]
    shares : array [MAX_WIDTH]
        Share of positions by rank, made not to rise. [unitless]
    costs : TreeCosts
        At the mean context.
    """

    ranks: NDArray[np.int64]
    lengths: NDArray[np.int64]
    shares: NDArray[np.float64]
    costs: TreeCosts


@dataclass(frozen=True)
class Gain:
    """What a tree brings on the recorded text."""

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
    return TreeBasis(ranks, calibration.lengths, shares, costs)


@st.cache_data(show_spinner="Trying trees on the recorded text …", max_entries=64)
def best_trees(path: str, files: Fingerprint, num_nodes: int, depth: int, width: int) -> TreeChoice:
    """The fastest tree within these limits beside the fastest chain, scored by replay."""
    basis = tree_basis(path, files)
    assert basis is not None
    # every size up to 16 nodes, then every fourth: neighbours differ by less than the interval
    sizes = [n for n in range(num_nodes + 1) if n <= 16 or n % 4 == 0 or n == num_nodes]
    return choose_tree(
        basis.shares,
        basis.costs.verify_seconds,
        basis.costs.draft_seconds[: depth + 1],
        sizes=sizes,
        max_width=width,
        tau_of=lambda parents: _replay(basis, parents).tau,
    )


def gain(basis: TreeBasis, parents: Parents) -> Gain:
    """Tokens per round by replay, and the speedup they give at the measured costs."""
    replay = _replay(basis, parents)
    depth, number = max(tree_depths(parents), default=0), len(parents)
    tau_low, tau_high = tau_interval(
        replay.lengths, replay.rounds_per_prompt, rng=np.random.default_rng(0)
    )
    speedup, low, high = (
        float(basis.costs.speedup(tau, number, depth)) for tau in (replay.tau, tau_low, tau_high)
    )
    origin = basis.costs.origins[number]
    return Gain(parents, depth, replay.tau, speedup, low, high, origin)


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
    if max(tree_depths(tree), default=0) > MAX_DEPTH:
        raise ValueError(f"a tree is at most {MAX_DEPTH} deep here, not {max(tree_depths(tree))}")
    return tree


def tree_text(parents: Parents) -> str:
    """A tree as it stands in the address."""
    return ",".join(map(str, parents))


def _replay(basis: TreeBasis, parents: Parents) -> Replay:
    return replay_windows(ranked_tree_windows(basis.ranks, basis.lengths, parents))
