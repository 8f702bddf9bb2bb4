"""Given the token at a position, as which child of a tree did it come?

Children drawn from q without replacement are judged one after the other
against p, each rejection changing both laws (recursive rejection). The answer
is a row of what ``tree_windows.rejection_tree_windows`` wants. Where children
are known candidates the token's rank is the answer, and its shares a summary.
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, counts, one_count, rates


def accept_by_rank(
    target_law: ArrayLike, draft_law: ArrayLike, token: int, width: int
) -> FloatArray:
    """P(the emitted token came as child number 1, 2, ... width | it was emitted).

    Parameters
    ----------
    target_law, draft_law : array [vocab], in [0, 1]
        p and q; each sums to 1. [unitless]
    token : int
        Emitted here, so p(token) > 0.
    width : int, >= 1
        Children. [tokens]

    Returns
    -------
    array [width]
        Sums to at most 1. [unitless]

    Raises
    ------
    ValueError
        If the laws are none, differ in size, or p(token) is 0.

    Notes
    -----
    Equations (M3.3) and (M3.4) in docs/model.md; the rule is algorithm 2 of
    [1]_ without its uniform fall-back. Exact by recursion over the rejected
    siblings: of order vocab^(width - 1), fit for a second child of any
    vocabulary and for more on small ones; else ``sampled_accept_by_rank``.

    References
    ----------
    .. [1] Z. Chen et al., "Sequoia: Scalable, Robust, and Hardware-aware
       Speculative Decoding", arXiv:2402.12374.

    Examples
    --------
    >>> accept_by_rank([0.5, 0.5], [0.8, 0.2], token=1, width=2).round(3)
    array([0.4, 0.6])
    """
    p, q = _laws(target_law, draft_law, token)
    number = one_count("width", width, 1)
    return np.asarray(_kept_mass(p, q, token, number) / p[token])


def sampled_accept_by_rank(
    target_law: ArrayLike,
    draft_law: ArrayLike,
    token: int,
    width: int,
    *,
    repeats: int,
    rng: np.random.Generator,
) -> FloatArray:
    """``accept_by_rank`` by drawing the rejected siblings: unbiased, any vocabulary.

    Parameters
    ----------
    target_law, draft_law, token, width
        As in ``accept_by_rank``.
    repeats : int, >= 1
        Sequences of siblings.
    rng : numpy.random.Generator

    Returns
    -------
    array [repeats, width]
        One estimate a row; their mean is the answer. [unitless]

    Raises
    ------
    ValueError
        As ``accept_by_rank``.

    Notes
    -----
    Equation (M3.4) with the sum over siblings replaced by draws from it: each
    row carries the mass of the rejections instead of drawing whether they
    happen.

    Examples
    --------
    >>> draws = sampled_accept_by_rank(
    ...     [0.5, 0.5], [0.8, 0.2], 1, 2, repeats=3, rng=np.random.default_rng(0))
    >>> draws.mean(axis=0).round(3)
    array([0.4, 0.6])
    """
    p, q = _laws(target_law, draft_law, token)
    number = one_count("width", width, 1)
    result = np.zeros((one_count("repeats", repeats, 1), number))
    for row in result:
        residual, left, mass = p, q, 1.0
        for rank in range(number):
            row[rank] = mass * min(left[token], residual[token])
            refused = _refused(residual, left, token)
            if refused.sum() == 0:
                break
            sibling = int(rng.choice(refused.size, p=refused / refused.sum()))
            mass *= float(refused.sum())
            residual, left = _residual(residual, left), _without(left, sibling)
    return result / p[token]


def rank_shares(ranks: ArrayLike, width: int) -> FloatArray:
    """How often the emitted token has each rank: acceptance by rank of a trace.

    Parameters
    ----------
    ranks : array of int, [num_positions] or [num_positions, horizon], >= 0
        As in ``ranked_tree_windows``. [unitless]
    width : int, >= 1
        Ranks counted. [tokens]

    Returns
    -------
    array [width] or [horizon, width]
        Shares of positions. [unitless]

    Raises
    ------
    ValueError
        If a rank is negative or width is below 1.

    Notes
    -----
    Equation (M3.9) in docs/model.md. Of every position, not of those that
    rounds reach. Where ranks are logged the shares need not fall with rank;
    ``np.minimum.accumulate`` makes them, if noise is all that is wrong.

    Examples
    --------
    >>> rank_shares([0, 0, 1, 7], 2)
    array([0.5 , 0.25])
    """
    table = counts("ranks", ranks, 0)
    number = one_count("width", width, 1)
    return (table[..., None] == np.arange(number)).mean(axis=0)


def _kept_mass(r: FloatArray, q: FloatArray, token: int, width: int) -> FloatArray:
    """P(child k is this token and is kept) for k = 1 ... width, from laws r and q on."""
    mass = np.zeros(width)
    mass[0] = min(r[token], q[token])
    refused = _refused(r, q, token)
    if width == 1 or not refused.any():
        return mass
    residual = _residual(r, q)
    if width == 2:
        # the token's chance among the rest, whichever sibling was refused before it
        with np.errstate(divide="ignore"):
            second = np.where(q < 1, q[token] / (1 - q), 0.0)
        mass[1] = refused @ np.minimum(second, residual[token])
        return mass
    for sibling in np.flatnonzero(refused):
        later = _kept_mass(residual, _without(q, int(sibling)), token, width - 1)
        mass[1:] += refused[sibling] * later
    return mass


def _refused(r: FloatArray, q: FloatArray, token: int) -> FloatArray:
    """P(the next child is each other token and is refused)."""
    refused = np.maximum(q - r, 0.0)
    refused[token] = 0.0  # once refused, a token is not among later children
    return refused


def _residual(r: FloatArray, q: FloatArray) -> FloatArray:
    rest = np.maximum(r - q, 0.0)
    return rest / rest.sum() if rest.sum() > 0 else r


def _without(q: FloatArray, sibling: int) -> FloatArray:
    left = q.copy()
    left[sibling] = 0.0
    return left / left.sum() if left.sum() > 0 else left


def _laws(target_law: ArrayLike, draft_law: ArrayLike, token: int) -> tuple[FloatArray, FloatArray]:
    p, q = rates("target_law", target_law), rates("draft_law", draft_law)
    if p.ndim != 1 or p.shape != q.shape:
        raise ValueError(f"target_law has shape {p.shape}, draft_law {q.shape}")
    for name, law in (("target_law", p), ("draft_law", q)):
        if abs(law.sum() - 1) > 1e-6:
            raise ValueError(f"{name} must sum to 1, not {law.sum():g}")
    if not 0 <= token < p.size or p[token] == 0:
        raise ValueError(f"token {token} is never emitted: its probability is 0")
    return p, q
