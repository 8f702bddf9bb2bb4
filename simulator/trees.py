"""Which static tree keeps most drafts, for a given number of nodes?

The best shape under acceptance by rank, found in two independent ways, and its
value. Assumes that positions are independent: choose a tree here, score it by
replay. Knows nothing about costs: that is ``tree_choice``.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, one_count, rates
from simulator.token_trees import Parents, checked_tree, child_ranks, level_order, tree_depths


def expected_emitted_from_tree(accept_by_rank: ArrayLike, parents: Sequence[int]) -> float:
    """Mean number of tokens a round with a token tree emits, positions independent.

    Parameters
    ----------
    accept_by_rank : array [width] or [depth, width], in [0, 1]
        P(the emitted token is the kept child of a rank), given that its parent
        was kept; one row for all levels (a causal drafter) or one per level
        (parallel heads). Rows sum to at most 1; ranks beyond the width are
        never kept. [unitless]
    parents : sequence of int
        The tree; see ``token_trees``.

    Returns
    -------
    float
        1 + the sum over nodes of the product of the ranks' probabilities along
        the path. [tokens/round]

    Raises
    ------
    ValueError
        If a row is no such law, the tree is none, or it is deeper than the rows.

    Notes
    -----
    Equation (M3.5) in docs/model.md; [1]_, section 4.1. Constant vectors
    under-predict deep trees, because easy positions come in runs.

    References
    ----------
    .. [1] Z. Chen et al., "Sequoia: Scalable, Robust, and Hardware-aware
       Speculative Decoding", arXiv:2402.12374.

    Examples
    --------
    >>> round(expected_emitted_from_tree([0.6, 0.2], (-1, -1, 0)), 4)
    2.16
    """
    return 1.0 + sum(path_probabilities(accept_by_rank, parents))


def path_probabilities(accept_by_rank: ArrayLike, parents: Sequence[int]) -> tuple[float, ...]:
    """P(a round keeps this node), for every node of a tree; positions independent.

    Arguments, errors and equation as in ``expected_emitted_from_tree``.

    Examples
    --------
    >>> [round(p, 2) for p in path_probabilities([0.6, 0.2], (-1, -1, 0))]
    [0.6, 0.2, 0.36]
    """
    tree = checked_tree(parents)
    rows = _rows(accept_by_rank, max(tree_depths(tree), default=0))
    product = {-1: 1.0}
    nodes = zip(tree, child_ranks(tree), tree_depths(tree), strict=True)
    for node, (parent, rank, depth) in enumerate(nodes):
        chance = rows[depth - 1, rank] if rank < rows.shape[1] else 0.0
        product[node] = product[parent] * float(chance)
    return tuple(product[node] for node in range(len(tree)))


@dataclass(frozen=True)
class GrownTree:
    """The best trees of every size, each grown out of the one before it.

    Attributes
    ----------
    paths : tuple of tuples
        Nodes in the order of their worth, each as the ranks that lead to it:
        the first n of them are the best tree of n nodes.
    tau : array [num_nodes + 1]
        Mean emitted tokens with the first 0, 1, ... nodes. [tokens/round]
    """

    paths: tuple[tuple[int, ...], ...]
    tau: FloatArray

    def parents(self, num_nodes: int) -> Parents:
        """The best tree of so many nodes, level by level."""
        return level_order(self.paths[:num_nodes])

    @property
    def depths(self) -> IntArray:
        """Depth of the best tree with 0, 1, ... nodes. [tokens]"""
        return np.maximum.accumulate([0, *(len(path) for path in self.paths)])


def best_first_trees(
    accept_by_rank: ArrayLike,
    num_nodes: int,
    *,
    max_depth: int | None = None,
    max_width: int | None = None,
) -> GrownTree:
    """The best static trees of up to num_nodes nodes, most probable paths first.

    Parameters
    ----------
    accept_by_rank : array [width] or [depth, width], in [0, 1]
        As in ``expected_emitted_from_tree``; rows must not rise with rank.
    num_nodes : int, >= 0
        [tokens]
    max_depth : int, >= 0, optional
        Longest path; by default as long as there are rows, or nodes. [tokens]
    max_width : int, >= 1, optional
        Children of a node. [tokens]

    Returns
    -------
    GrownTree
        Fewer nodes than asked for where limits leave no room.

    Raises
    ------
    ValueError
        If a row rises with rank, or a limit is below its bound.

    Notes
    -----
    Equation (M3.6) in docs/model.md. A node is worth its path product, which
    is no larger than that of its parent and of its better siblings: taking the
    largest products always takes a tree, and no tree of that size is worth
    more. Takes n log n steps; equals ``dynamic_programme_tau``.

    Examples
    --------
    >>> grown = best_first_trees([0.6, 0.2], 3)
    >>> grown.parents(3), grown.tau.round(3)
    ((-1, 0, 1), array([1.   , 1.6  , 1.96 , 2.176]))
    """
    budget = one_count("num_nodes", num_nodes, 0)
    rows = _rows(accept_by_rank, _depth_limit(accept_by_rank, budget, max_depth))
    rows = rows[:, : _width_limit(rows, max_width)]
    if (rows[:, 1:] > rows[:, :-1]).any():
        raise ValueError("accept_by_rank must not rise with rank; see dynamic_programme_tau")
    waiting: list[tuple[float, int, tuple[int, ...]]] = []
    paths: list[tuple[int, ...]] = []
    tau = [1.0]

    def consider(product: float, path: tuple[int, ...]) -> None:
        if len(path) <= len(rows) and path[-1] < rows.shape[1]:
            worth = product * float(rows[len(path) - 1, path[-1]])
            heapq.heappush(waiting, (-worth, len(path), path))  # of equals, the shallower

    above: dict[tuple[int, ...], float] = {(): 1.0}
    consider(1.0, (0,))
    while waiting and len(paths) < budget:
        negative, _, path = heapq.heappop(waiting)
        above[path] = -negative
        paths.append(path)
        tau.append(tau[-1] - negative)
        consider(above[path[:-1]], (*path[:-1], path[-1] + 1))
        consider(above[path], (*path, 0))
    return GrownTree(tuple(paths), np.array(tau))


def dynamic_programme_tau(
    accept_by_rank: ArrayLike,
    num_nodes: int,
    *,
    max_depth: int | None = None,
    max_width: int | None = None,
) -> FloatArray:
    """Value of the best trees of up to num_nodes nodes, by dynamic programming.

    Parameters
    ----------
    accept_by_rank, num_nodes, max_depth, max_width
        As in ``best_first_trees``, but rows may rise with rank.

    Returns
    -------
    array [num_nodes + 1]
        Mean emitted tokens of the best tree of at most 0, 1, ... nodes.
        [tokens/round]

    Raises
    ------
    ValueError
        If a row is no law or a limit is below its bound.

    Notes
    -----
    Equation (M3.7) in docs/model.md; [1]_, algorithm 1, with the level in
    place of the remaining depth. Of order depth * width * num_nodes^2: the
    oracle of ``best_first_trees``, and the answer where ranks rise.

    References
    ----------
    .. [1] Z. Chen et al., arXiv:2402.12374.

    Examples
    --------
    >>> dynamic_programme_tau([0.6, 0.2], 3).round(3)
    array([1.   , 1.6  , 1.96 , 2.176])
    """
    budget = one_count("num_nodes", num_nodes, 0)
    rows = _rows(accept_by_rank, _depth_limit(accept_by_rank, budget, max_depth))
    rows = rows[:, : _width_limit(rows, max_width)]
    sizes = np.arange(budget + 1)
    spare = sizes[:, None] - sizes  # nodes left when a child's subtree takes m of n
    below = np.ones(budget + 1)  # value of a node that has n nodes beneath it, no level left
    for row in rows[::-1]:
        value = so_far = np.ones(budget + 1)
        for chance in row:
            # so many children and no more; the one of this rank takes m >= 1 nodes
            child = np.append(-np.inf, chance * below[:-1])
            so_far = np.where(spare >= 0, so_far[spare] + child, -np.inf).max(axis=1)
            value = np.maximum(value, so_far)
        if np.ndim(accept_by_rank) == 1 and (value == below).all():
            break  # the same row again changes nothing
        below = value
    return below


def _rows(accept_by_rank: ArrayLike, depth: int) -> FloatArray:
    """One row of chances per level: [depth, width]."""
    table = rates("accept_by_rank", accept_by_rank)
    if table.ndim not in (1, 2) or table.shape[-1] == 0:
        raise ValueError(f"accept_by_rank must be [width] or [depth, width], not {table.shape}")
    if table.size and table.sum(axis=-1).max() > 1 + 1e-9:
        raise ValueError(f"accept_by_rank sums to {table.sum(axis=-1).max():g} in a row, above 1")
    if table.ndim == 1:
        return np.broadcast_to(table, (depth, table.size))
    if depth > len(table):
        raise ValueError(f"the tree is {depth} deep, accept_by_rank has {len(table)} rows")
    return table[:depth]


def _depth_limit(accept_by_rank: ArrayLike, budget: int, max_depth: int | None) -> int:
    table = np.asarray(accept_by_rank)
    limit = min(budget, len(table)) if table.ndim == 2 else budget
    return limit if max_depth is None else min(limit, one_count("max_depth", max_depth, 0))


def _width_limit(rows: FloatArray, max_width: int | None) -> int:
    return rows.shape[1] if max_width is None else one_count("max_width", max_width, 1)
