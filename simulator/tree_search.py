"""Which static trees, never decoded, should stand beside the methods that were profiled?

What a tree keeps follows from the recorded text; what its round costs, from the
trees that were timed. Together they give any tree a prediction like that of a
profiled method.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, counts, one_count
from simulator.child_acceptance import rank_shares
from simulator.method_costs import AUTOREGRESSIVE, MethodCosts, Setting
from simulator.method_prediction import MethodProfile, MethodTrace, predict_method
from simulator.prediction import Prediction
from simulator.replay import replay_windows
from simulator.token_trees import Parents, child_table, tree_depths
from simulator.tree_round_costs import TreeRoundCosts, is_chain, leave_one_out, tree_round_costs
from simulator.tree_windows import ranked_tree_windows, rejection_tree_windows
from simulator.trees import best_first_trees
from simulator.windows import Windows

WIDTH = 8
"""Children of a node that are tried where ranks are known. [tokens]"""


@dataclass(frozen=True, eq=False)
class KeptChildren:
    """As which child of a tree the tokens of the recorded texts would come.

    Attributes
    ----------
    table : array
        Of int [num_positions]: ranks, as in ``ranked_tree_windows``. Of float
        [num_positions, width]: chances, as in ``rejection_tree_windows``. [unitless]
    lengths : array [num_prompts], >= 1
        [tokens]
    context : array [num_positions], >= 1
        Tokens before each position. [tokens]
    """

    table: IntArray | FloatArray
    lengths: IntArray
    context: FloatArray

    @property
    def width(self) -> int:
        """Most children of a node that can be scored. [tokens]"""
        return WIDTH if self.table.ndim == 1 else self.table.shape[1]

    @property
    def shares(self) -> FloatArray:
        """Acceptance by rank [width] over all positions, made not to rise. [unitless]"""
        by_rank = (
            rank_shares(self.table, WIDTH) if self.table.ndim == 1 else self.table.mean(axis=0)
        )
        return np.asarray(np.minimum.accumulate(by_rank))

    def windows(self, parents: Parents) -> Windows:
        """Equations (M3.1) and (M3.2); ValueError for a tree with wider nodes than are known."""
        if (widest := child_table(parents).shape[1] - 1) > self.width:
            raise ValueError(f"a node may have at most {self.width} children, not {widest}")
        law = ranked_tree_windows if self.table.ndim == 1 else rejection_tree_windows
        return law(self.table, self.lengths, parents)

    def trace(self, parents: Parents) -> MethodTrace:
        """The windows as those of a profiled method."""
        windows = self.windows(parents)
        up_to = np.cumsum(np.bincount(tree_depths(parents), minlength=1))
        calls = np.searchsorted(up_to, windows.num_drafted)  # one a level of what is drafted
        return MethodTrace(windows, self.context, True, calls.astype(np.float64))


@dataclass(frozen=True, eq=False)
class TreeSearch:
    """Everything that predicts a static tree at one sampling.

    Attributes
    ----------
    kept : KeptChildren
    costs : TreeRoundCosts
    alone : MethodCosts
        Of autoregressive decoding.
    """

    kept: KeptChildren
    costs: TreeRoundCosts
    alone: MethodCosts

    def predict(self, parents: Parents, *, seed: int = 0, bootstrap: int = 400) -> Prediction:
        """As ``MethodProfile.predict``, on the same resamples of the prompts."""
        return predict_method(
            self.kept.trace(parents), self.costs.of_tree(parents), self.alone,
            seed=seed, bootstrap=bootstrap,
        )  # fmt: skip

    @property
    def cost_error(self) -> float:
        """Largest error of ``leave_one_out``, whatever its sign. [unitless]"""
        return max(abs(error) for error in leave_one_out(self.costs).values())


def tree_search(
    methods: MethodProfile, shapes: Mapping[Setting, Parents], ranks: ArrayLike | None
) -> TreeSearch:
    """What a profile of every method says about trees that it does not hold.

    Parameters
    ----------
    methods : MethodProfile
    shapes : mapping of Setting to Parents
        Of the plain chains and static trees of one draft among them.
    ranks : array of int [num_positions] or None
        Rank of every token under the draft, where children are known candidates
        (temperature 0). None: children are drawn, and the chances by rank come from
        the traces.

    Returns
    -------
    TreeSearch

    Raises
    ------
    ValueError
        If too few chains or trees were timed or traced; one line that says what is missing.
    """
    known = {setting: p for setting, p in shapes.items() if setting in methods.traces}
    timed = {p: methods.costs[setting] for setting, p in known.items() if setting in methods.costs}
    alone = methods.costs[AUTOREGRESSIVE]
    costs = tree_round_costs(timed, alone.plain)
    trace = methods.traces[next(setting for setting in known)]
    table = (
        chances_by_rank(
            {p.count(-1): methods.traces[s].windows.survival[:, 1] for s, p in known.items()}
        )
        if ranks is None
        else counts("ranks", ranks, 0)
    )
    return TreeSearch(KeptChildren(table, trace.windows.lengths, trace.context), costs, alone)


def chances_by_rank(first_levels: Mapping[int, ArrayLike]) -> FloatArray:
    """Acceptance by rank from profiled trees with one, two, ... children at the first level.

    Parameters
    ----------
    first_levels : mapping of int to array [num_positions]
        By the number of children, P(one of them is kept) at every position: 1 for a
        chain. Numbers that leave a gap behind the first are not used. [unitless]

    Returns
    -------
    array [num_positions, width]
        [unitless]

    Raises
    ------
    ValueError
        If there is no chain, or no tree with two children at the first level.

    Notes
    -----
    Equation (M3.15) in docs/model.md: later siblings do not change what happens to a child.

    Examples
    --------
    >>> chances_by_rank({1: [0.5, 1.0], 2: [0.7, 1.0], 4: [0.9, 1.0]})
    array([[0.5, 0.2],
           [1. , 0. ]])
    """
    known = 0
    while known + 1 in first_levels:
        known += 1
    if known < 2:
        raise ValueError(
            "kept children by rank take a profiled chain and a static tree with 2 children of the "
            f"pending token, not {sorted(first_levels)}"
        )
    any_of = np.array([first_levels[number] for number in range(1, known + 1)], dtype=np.float64)
    by_rank = np.maximum(np.diff(any_of, axis=0, prepend=0.0), 0.0)  # float32 on disk
    return by_rank.T / np.maximum(by_rank.sum(axis=0), 1.0)[:, None]


def trees_worth_trying(
    kept: KeptChildren,
    costs: TreeRoundCosts,
    *,
    max_nodes: int,
    max_depth: int,
    max_width: int | None = None,
    sizes: Sequence[int] | None = None,
) -> tuple[Parents, ...]:
    """The fastest tree of every size that no smaller tree beats, smallest first; no chains.

    Parameters
    ----------
    kept : KeptChildren
    costs : TreeRoundCosts
    max_nodes, max_depth : int, >= 1
        [tokens]
    max_width : int, >= 1, optional
        Children of a node; never more than can be scored. [tokens]
    sizes : sequence of int, optional
        Numbers of nodes to try; by default every one from 2. [tokens]

    Returns
    -------
    tuple of Parents
        The last is the fastest of all. Empty where the shares leave chains only.

    Raises
    ------
    ValueError
        If a limit is below its bound.

    Notes
    -----
    Equation (M3.8) in docs/model.md with the costs of (M3.13): for every depth
    limit the best tree of every size by independent ranks, scored by replay of
    the text and the time of a round at its mean context.
    """
    context = float(kept.context.mean()) - 1.0
    width = kept.width if max_width is None else min(kept.width, one_count("width", max_width, 1))
    wanted = range(2, max_nodes + 1) if sizes is None else [n for n in sizes if n >= 2]
    fastest: dict[int, tuple[float, Parents]] = {}
    tried: set[Parents] = set()
    for depth in range(1, one_count("max_depth", max_depth, 1) + 1):
        grown = best_first_trees(
            kept.shares, one_count("max_nodes", max_nodes, 1), max_depth=depth, max_width=width
        )
        for size in (size for size in wanted if size <= len(grown.paths)):
            parents = grown.parents(size)
            if parents in tried or is_chain(parents):
                continue
            tried.add(parents)
            tau = replay_windows(kept.windows(parents)).tau
            speed = tau / costs.round_seconds(parents, context)
            if size not in fastest or speed > fastest[size][0]:
                fastest[size] = speed, parents
    found: list[tuple[float, Parents]] = []
    for size in sorted(fastest):
        if not found or fastest[size][0] > found[-1][0]:
            found.append(fastest[size])
    return tuple(parents for _, parents in found)
