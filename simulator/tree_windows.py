"""How far down a static tree does a round walk that starts here?

The shape of the tree is given; the text and the rank of its tokens among the
drafter's candidates decide the walk. Ranks or acceptance by position belong to
a causal drafter, by (start, horizon) to a parallel one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, counts, prompt_lengths, rates
from simulator.hazards import remaining_tokens
from simulator.token_trees import Parents, checked_tree, child_ranks, child_table, tree_depths
from simulator.windows import Windows


def ranked_tree_windows(ranks: ArrayLike, lengths: ArrayLike, parents: Sequence[int]) -> Windows:
    """Trees whose children are known candidates: the emitted token's rank decides.

    Temperature 0, sample-and-match over the drafter's top candidates, or
    coupled choices.

    Parameters
    ----------
    ranks : array of int, [num_positions] or [num_positions, horizon], >= 0
        Rank of the emitted token among the drafter's candidates, from 0; a
        number beyond every width where it is none of them. With a horizon,
        entry [s, j] is the rank of the token at s + j in what the drafter
        started at s says j + 1 tokens ahead. [unitless]
    lengths : array [num_prompts], >= 1
        [tokens]
    parents : sequence of int
        The tree; see ``token_trees``.

    Returns
    -------
    Windows
        Deterministic; num_drafted counts the nodes no deeper than the tokens
        still wanted, less one.

    Raises
    ------
    ValueError
        If a rank is negative, the lengths do not fit, the tree is none, or it
        is deeper than the horizon.

    Notes
    -----
    Equation (M3.1) in docs/model.md. Exact: given the text, the walk is
    determined, and a causal drafter's candidates depend on kept tokens only.

    Examples
    --------
    >>> ranked_tree_windows([1, 0, 0, 0], [4], (-1, -1, 1)).survival[0]
    array([1., 1., 1.])
    >>> ranked_tree_windows([1, 1, 0, 0], [4], (-1, -1, 1)).survival[0]
    array([1., 1., 0.])
    """
    tree = checked_tree(parents)
    below = child_table(tree)
    table = np.minimum(counts("ranks", ranks, 0), below.shape[1] - 1)
    tokens = prompt_lengths(lengths, len(table))
    depth = _refuse_deeper(tree, table.ndim, table.shape)
    left = remaining_tokens(tokens)
    width = below.shape[1]
    kept, row = np.zeros((2, len(table)), dtype=np.int64)  # row 0 is the pending token
    walking = np.flatnonzero(left > 1)
    for level in range(depth):
        rank = table.take(walking + level) if table.ndim == 1 else table[walking, level]
        child = below.take(row.take(walking) * width + rank)
        met = np.flatnonzero(child >= 0)
        walking, child = walking.take(met), child.take(met)
        kept[walking], row[walking] = level + 1, child + 1
        walking = walking[left.take(walking) > level + 2]
    leaf = np.asarray((below < 0).all(axis=1))
    return Windows.from_kept(kept, _nodes_with_room(tree, left), tokens, leaf[row])


def rejection_tree_windows(
    accept_by_rank: ArrayLike, lengths: ArrayLike, parents: Sequence[int]
) -> Windows:
    """Trees whose children are drawn without replacement and judged one by one.

    Parameters
    ----------
    accept_by_rank : array [num_positions, width] or [num_positions, horizon, width]
        P(the emitted token came as the kept child of a rank), given the text
        and that the position was reached; rows sum to at most 1. See
        ``child_acceptance``. With a horizon, entry [s, j] belongs to the token
        at s + j in what the drafter started at s says. [unitless]
    lengths : array [num_prompts], >= 1
        [tokens]
    parents : sequence of int
        The tree; see ``token_trees``. Ranks beyond the width are never kept.

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        If a probability is outside [0, 1], a row sums to more than 1, the
        lengths do not fit, the tree is none, or it is deeper than the horizon.

    Notes
    -----
    Equation (M3.2) in docs/model.md: survival[s, j] is the sum over nodes at
    depth j of the product of their ranks' probabilities along the path. Exact
    for a causal drafter; the number of children may differ between nodes,
    since what happens to a child does not depend on later ones.

    Examples
    --------
    >>> rejection_tree_windows([[0.5, 0.2]] * 3, [3], (-1, -1, 0)).survival[0]
    array([1.  , 0.7 , 0.25])
    """
    table = rates("accept_by_rank", accept_by_rank)
    if table.ndim not in (2, 3):
        raise ValueError(f"accept_by_rank must have 2 or 3 dimensions, not {table.ndim}")
    if table.size and table.sum(axis=-1).max() > 1 + 1e-9:
        raise ValueError(f"accept_by_rank sums to {table.sum(axis=-1).max():g} in a row, above 1")
    tree = checked_tree(parents)
    tokens = prompt_lengths(lengths, len(table))
    depth = _refuse_deeper(tree, table.ndim - 1, table.shape)
    left = remaining_tokens(tokens)
    survival = np.zeros((depth + 1, len(table)))
    full = np.zeros_like(survival)
    _add_paths(tree, np.moveaxis(table, 0, -1), survival, full)
    near_end = np.flatnonzero(left <= depth)
    room = left[near_end] > np.arange(depth + 1)[:, None]
    survival[:, near_end] *= room
    full[:, near_end] *= room
    for level in range(depth):  # sums of products may rise by an ulp
        np.minimum(survival[level], survival[level + 1], out=survival[level + 1])
    np.minimum(full, survival, out=full)
    return Windows(survival.T, _nodes_with_room(tree, left), tokens, full.T)


def _add_paths(tree: Parents, chances: FloatArray, survival: FloatArray, full: FloatArray) -> None:
    """Add each node's path product to its depth; chances is [..., width, num_positions]."""
    chances = np.ascontiguousarray(chances)
    number, width = chances.shape[-1], chances.shape[-2]
    last_child = {parent: node for node, parent in enumerate(tree)}
    product = {-1: np.ones(number)}
    survival[0] = 1.0
    if not tree:
        full[0] = 1.0
    for node, (parent, rank, depth) in enumerate(
        zip(tree, child_ranks(tree), tree_depths(tree), strict=True)
    ):
        above = product.pop(parent) if last_child[parent] == node else product[parent]
        path = np.zeros(number)
        if rank < width:
            start = 0 if chances.ndim == 3 else depth - 1
            chance = chances[depth - 1, rank] if chances.ndim == 3 else chances[rank, start:]
            reach = max(number - start, 0)
            np.multiply(above[:reach], chance, out=path[:reach])
        survival[depth] += path
        if node in last_child:
            product[node] = path
        else:
            full[depth] += path


def _refuse_deeper(tree: Parents, dimensions: int, shape: tuple[int, ...]) -> int:
    """The tree's depth, unless the table's horizon ends above it."""
    depth = max(tree_depths(tree), default=0)
    if dimensions == 2 and shape[1] < depth:
        raise ValueError(f"the tree is {depth} deep, the table's horizon is {shape[1]}")
    return depth


def _nodes_with_room(tree: Parents, left: IntArray) -> IntArray:
    """Nodes no deeper than the tokens left, less one, for every start."""
    up_to = np.cumsum(np.bincount(tree_depths(tree), minlength=1))
    return up_to[np.minimum(left - 1, len(up_to) - 1)]
