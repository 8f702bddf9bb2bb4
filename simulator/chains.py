"""Which drafts of a chain are kept, under each rule of verification?

Windows of methods that draft one token behind the other: a causal draft or an
n-gram (the draft depends on the kept prefix only), and parallel drafters (it
depends on the start of the round and the horizon).
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, at_least, one_count, prompt_lengths, rates
from simulator.hazards import remaining_tokens, survival_products
from simulator.windows import Windows


def chain_windows(accept_prob: ArrayLike, lengths: ArrayLike, num_draft_tokens: int) -> Windows:
    """Token-by-token verification of a chain: one acceptance after the other.

    Parameters
    ----------
    accept_prob : array [num_positions], in [0, 1]
        min(1, q(x)/p(x)) of the emitted token x; prompts one behind the other.
        0 or 1 at temperature 0. [unitless]
    lengths : array [num_prompts], >= 1
        [tokens]
    num_draft_tokens : int, >= 0
        [tokens]

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        If accept_prob leaves [0, 1] or the lengths do not fit.

    Notes
    -----
    Equation (M1.1) in docs/model.md. Exact for a draft that depends on the
    kept prefix only: a causal model, an n-gram, Hydra and MTP heads behind
    features that the verification delivers.

    Examples
    --------
    >>> chain_windows([0.5, 0.5, 0.5], [3], 2).survival
    array([[1.  , 0.5 , 0.25],
           [1.  , 0.5 , 0.  ],
           [1.  , 0.  , 0.  ]])
    """
    probabilities = rates("accept_prob", accept_prob)
    tokens = prompt_lengths(lengths, probabilities.size)
    gamma = one_count("num_draft_tokens", num_draft_tokens, 0)
    products = survival_products(probabilities, tokens, gamma)
    return _cut_at_the_end(products.T, tokens)


def block_windows(
    probability_ratio: ArrayLike, lengths: ArrayLike, num_draft_tokens: int
) -> Windows:
    """Block verification of a chain: drafts are judged together.

    Parameters
    ----------
    probability_ratio : array [num_positions], >= 0
        q(x)/p(x) of the emitted token x, not clipped. [unitless]
    lengths : array [num_prompts], >= 1
        [tokens]
    num_draft_tokens : int, >= 0
        [tokens]

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        If a ratio is negative or infinite, or the lengths do not fit.

    Notes
    -----
    Equation (M1.5) in docs/model.md, derived from algorithm 2 of [1]_: the
    first j drafts are kept with the least of the cumulative products of the
    ratio, where token-by-token verification has the product of the clipped
    ones. Never below it, and equal at temperature 0 and for one draft.

    References
    ----------
    .. [1] Z. Sun et al., "Block Verification Accelerates Speculative
       Decoding", arXiv:2403.10444.

    Examples
    --------
    >>> block_windows([2.0, 0.5, 1.0], [3], 2).survival[0]
    array([1., 1., 1.])
    >>> chain_windows([1.0, 0.5, 1.0], [3], 2).survival[0]
    array([1. , 1. , 0.5])
    """
    ratio = at_least("probability_ratio", probability_ratio, 0)
    tokens = prompt_lengths(lengths, ratio.size)
    gamma = one_count("num_draft_tokens", num_draft_tokens, 0)
    with np.errstate(divide="ignore"):
        log_ratio = np.log(ratio)  # products of ratios overflow, sums of logarithms do not
    running, least = np.zeros(ratio.size), np.zeros(ratio.size)
    survival = np.ones((ratio.size, gamma + 1))
    for j in range(1, gamma + 1):
        inside = max(ratio.size - j + 1, 0)
        running[:inside] += log_ratio[j - 1 :]
        np.minimum(least, running, out=least)
        survival[:, j] = np.exp(least)
    return _cut_at_the_end(survival, tokens)


def parallel_windows(accept_prob: ArrayLike, lengths: ArrayLike) -> Windows:
    """A drafter whose proposal depends on where the round starts, and how far ahead.

    Parameters
    ----------
    accept_prob : array [num_positions, horizon], in [0, 1]
        Entry [s, j]: min(1, q(x)/p(x)) of the emitted token x at position
        s + j, q being what the drafter started at s says j + 1 tokens ahead.
        Entries beyond the end of the prompt are ignored. [unitless]
    lengths : array [num_prompts], >= 1
        [tokens]

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        If accept_prob is not such a table.

    Notes
    -----
    Equation (M4.1) in docs/model.md. Exact for Medusa's heads and for a
    diffusion drafter that sets all its tokens in one step, or greedily. The
    first columns of the same table are the windows of a shorter draft only if
    what the drafter says does not depend on how much it drafts: true for
    heads, not for a diffusion block.

    Examples
    --------
    >>> parallel_windows([[0.5, 0.4], [0.5, 1.0], [0.1, 0.1]], [3]).survival
    array([[1. , 0.5, 0.2],
           [1. , 0.5, 0. ],
           [1. , 0. , 0. ]])
    """
    table = rates("accept_prob", accept_prob)
    if table.ndim != 2:
        raise ValueError(f"accept_prob must be [num_positions, horizon], not {table.shape}")
    survival = np.ones((len(table), table.shape[1] + 1))
    np.cumprod(table, axis=1, out=survival[:, 1:])
    return _cut_at_the_end(survival, prompt_lengths(lengths, len(table)))


def _cut_at_the_end(survival: FloatArray, lengths: IntArray) -> Windows:
    """Windows of chains as long as the horizon, less what the text has no room for."""
    left, horizon = remaining_tokens(lengths), survival.shape[1] - 1
    near_end = np.flatnonzero(left <= horizon)
    survival[near_end] *= np.arange(horizon + 1) < left[near_end, None]
    return Windows(survival, np.minimum(horizon, left - 1), lengths)
