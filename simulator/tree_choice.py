"""Does a tree pay here, and which: how many nodes, how deep, against measured costs?

Weighs the tokens a tree keeps against the time it takes to draft and verify
it, and says when a chain is as good. How a tree's tokens are scored is an
argument: by independent ranks, or by replay of a trace.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import above, at_least, counts
from simulator.token_trees import Parents, chain_tree
from simulator.trees import best_first_trees, expected_emitted_from_tree

TauOf = Callable[[Parents], float]
"""Mean emitted tokens of a round with this tree. [tokens/round]"""


@dataclass(frozen=True)
class ScoredTree:
    """A tree and what it brings.

    Attributes
    ----------
    parents : tuple of int
    depth : int
        [tokens]
    tau : float
        [tokens/round]
    round_seconds : float
        Drafting and verification. [s]
    """

    parents: Parents
    depth: int
    tau: float
    round_seconds: float

    @property
    def tokens_per_second(self) -> float:
        """[tokens/s]"""
        return self.tau / self.round_seconds


@dataclass(frozen=True)
class TreeChoice:
    """The fastest tree beside the fastest chain.

    Attributes
    ----------
    tree, chain : ScoredTree
        The best of all trees considered, chains among them, and of the chains
        alone; either may be the empty one, a plain step.
    """

    tree: ScoredTree
    chain: ScoredTree

    @property
    def gain(self) -> float:
        """Tokens/s of the tree over those of the chain, at least 1. [unitless]"""
        return self.tree.tokens_per_second / self.chain.tokens_per_second

    @property
    def chain_wins(self) -> bool:
        """True when no tree beats the best chain."""
        return self.tree == self.chain


def choose_tree(
    accept_by_rank: ArrayLike,
    verify_seconds: ArrayLike,
    draft_seconds: ArrayLike,
    *,
    sizes: Sequence[int],
    max_width: int | None = None,
    tau_of: TauOf | None = None,
) -> TreeChoice:
    """Size, depth and shape of the static tree that decodes fastest.

    Parameters
    ----------
    accept_by_rank : array [width] or [depth, width], in [0, 1]
        Shapes the trees; see ``best_first_trees``. [unitless]
    verify_seconds : array [max(sizes) + 1], > 0
        Entry n: a target pass over the pending token and n drafted ones, with
        whatever else a round spends on them. [s]
    draft_seconds : array [max_depth + 1], >= 0
        Entry d: drafting a tree d levels deep; its length limits the depth.
        [s]
    sizes : sequence of int, >= 0
        Numbers of nodes to try, chains included. [tokens]
    max_width : int, >= 1, optional
        Children of a node. [tokens]
    tau_of : callable, optional
        Scores a tree; by default ``expected_emitted_from_tree``. Pass a replay
        of a trace for the number to trust, since independent ranks misjudge
        deep trees.

    Returns
    -------
    TreeChoice

    Raises
    ------
    ValueError
        If sizes is empty, a size has no verify_seconds, or an array leaves its
        bounds.

    Notes
    -----
    Equation (M3.8) in docs/model.md; [1]_, section 4.3: for every depth limit
    the best tree of every size, of which the one with most tokens per second
    wins. Of equals the smallest is kept, chains first. Drafting is taken to
    depend on the depth alone: one draft call per level, as long as a level
    is narrow enough that the call's time does not grow.

    References
    ----------
    .. [1] Z. Chen et al., "Sequoia: Scalable, Robust, and Hardware-aware
       Speculative Decoding", arXiv:2402.12374.

    Examples
    --------
    >>> free = choose_tree([0.6, 0.2], np.full(9, 0.01), 0.001 * np.arange(4), sizes=range(9))
    >>> free.chain_wins, free.tree.depth, len(free.tree.parents)
    (False, 3, 8)
    >>> dear = choose_tree([0.6, 0.2], 0.01 + 0.004 * np.arange(9), [0, 0, 0], sizes=range(9))
    >>> dear.chain_wins, dear.chain.parents
    (True, (-1,))
    """
    tried = sorted(set(counts("sizes", sizes, 0).tolist()))
    if not tried:
        raise ValueError("sizes must name at least 1 size, not 0")
    verify = above("verify_seconds", verify_seconds, 0)
    draft = at_least("draft_seconds", draft_seconds, 0)
    if verify.ndim != 1 or len(verify) <= tried[-1]:
        raise ValueError(f"verify_seconds ends at {len(verify) - 1} tokens, sizes at {tried[-1]}")
    if draft.ndim != 1 or not len(draft):
        raise ValueError(f"draft_seconds must be [max_depth + 1], not of shape {draft.shape}")
    deepest = _deepest(accept_by_rank, len(draft) - 1)

    def scored(parents: Parents, depth: int) -> ScoredTree:
        tau = (
            expected_emitted_from_tree(accept_by_rank, parents)
            if tau_of is None
            else tau_of(parents)
        )
        return ScoredTree(parents, depth, tau, float(verify[len(parents)] + draft[depth]))

    chains = [scored(chain_tree(size), size) for size in tried if size <= deepest]
    if not chains:
        raise ValueError(f"sizes start at {tried[0]}, beyond the longest chain of {deepest}")
    shapes: dict[Parents, int] = {}
    for limit in range(1, deepest + 1):
        grown = best_first_trees(accept_by_rank, tried[-1], max_depth=limit, max_width=max_width)
        depths = grown.depths
        for size in (size for size in tried if size < len(depths)):
            shapes.setdefault(grown.parents(size), int(depths[size]))
    trees = [scored(parents, depth) for parents, depth in shapes.items()]
    chain = _fastest(chains)
    return TreeChoice(tree=_fastest([chain, *trees]), chain=chain)


def _fastest(candidates: list[ScoredTree]) -> ScoredTree:
    """Most tokens per second; a later one must be faster by more than rounding."""
    best = candidates[0]
    for candidate in candidates[1:]:
        if candidate.tokens_per_second > best.tokens_per_second * (1 + 1e-12):
            best = candidate
    return best


def _deepest(accept_by_rank: ArrayLike, limit: int) -> int:
    table = np.asarray(accept_by_rank)
    return min(limit, len(table)) if table.ndim == 2 else limit
