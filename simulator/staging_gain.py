"""When does it pay to draft for the draft?

Staging leaves the tokens of a round as they are and changes what drafting costs:
fewer calls of the draft, each over more tokens, with a lower level's work beside
them. Knows nothing about acceptance by the target, which cancels.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from simulator.checks import FloatArray, above, at_least, one_count
from simulator.staged import staged_draft_calls


def staged_gain(
    cost_ratio: ArrayLike,
    num_draft_tokens: ArrayLike,
    draft_calls: ArrayLike,
    *,
    verification: ArrayLike = 1.0,
    call_growth: ArrayLike = 1.0,
    extra: ArrayLike = 0.0,
) -> FloatArray:
    """Speed of a staged chain over the same chain drafted token by token.

    Parameters
    ----------
    cost_ratio : float or array, >= 0
        One draft call over one token / one target step. [unitless]
    num_draft_tokens : float or array, >= 0
        Of both chains; a measured mean need not be whole. [tokens]
    draft_calls : float or array, >= 0
        Of the staged draft for these tokens, R in (M5.1). [calls]
    verification : float or array, > 0
        The rest of the round of the plain chain. [target steps]
    call_growth : float or array, > 0
        Time of a draft call with a lower level's tokens in it / of one over one
        token. [unitless]
    extra : float or array
        What staging adds to a round beside draft calls: the lower level's
        proposals and their judging. [target steps]

    Returns
    -------
    float or array, broadcast shape of the inputs
        [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds, or the staged round would take no time.

    Notes
    -----
    Equation (M5.4) in docs/model.md. Assumes that the law of the draft is the
    same, hence tokens per round; a lossless lower level guarantees it.

    Examples
    --------
    Half the calls save little where they are cheap:

    >>> staged_gain([0.05, 0.5], 8, 4).round(2)
    array([1.17, 1.67])
    """
    c = at_least("cost_ratio", cost_ratio, 0)
    gamma = at_least("num_draft_tokens", num_draft_tokens, 0)
    calls, growth = at_least("draft_calls", draft_calls, 0), above("call_growth", call_growth, 0)
    rest = above("verification", verification, 0)
    staged = above("staged round", rest + np.asarray(extra) + calls * growth * c, 0)
    return ((rest + gamma * c) / staged)[()]


def cost_ratio_for_gain(
    gain: float,
    num_draft_tokens: float,
    draft_calls: float,
    *,
    verification: float = 1.0,
    call_growth: float = 1.0,
    extra: float = 0.0,
) -> float | None:
    """How dear a draft call must be for staging to gain so much.

    Parameters
    ----------
    gain : float, > 0
        Wanted ``staged_gain``. [unitless]
    num_draft_tokens, draft_calls, verification, call_growth, extra
        As in ``staged_gain``.

    Returns
    -------
    float or None
        The least cost_ratio, 0 where any reaches it; None where none does. [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M5.4) in docs/model.md, solved for c.

    Examples
    --------
    >>> cost_ratio_for_gain(1.25, 8, 4)
    0.08333333333333333
    >>> cost_ratio_for_gain(2.5, 8, 4) is None
    True
    """
    wanted = float(above("gain", gain, 0))
    saved = num_draft_tokens - wanted * draft_calls * call_growth
    missing = wanted * (verification + extra) - verification
    if missing <= 0 and saved >= 0:
        return 0.0
    return missing / saved if missing > 0 and saved > 0 else None


def lower_acceptance_rate(
    calls_per_token: float, num_draft_tokens: int, num_lower_tokens: int
) -> float:
    """The constant acceptance under a draft that explains how seldom it was called.

    Parameters
    ----------
    calls_per_token : float, in (0, 1]
        Draft calls / drafted tokens, as counted. [calls/token]
    num_draft_tokens : int, >= 1
        Of the chain. [tokens]
    num_lower_tokens : int, >= 1
        The lower level proposes at a time. [tokens]

    Returns
    -------
    float, in [0, 1]
        1 where even certain acceptance would not explain it. [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M5.1) in docs/model.md with one hazard for every position, solved
    for it. Real hazards differ by position and text: the number is a summary.

    Examples
    --------
    >>> calls = staged_draft_calls([[0.5] * 3], 8).calls[0, 8]
    >>> round(lower_acceptance_rate(calls / 8, 8, 3), 6)
    0.5
    """
    gamma = one_count("num_draft_tokens", num_draft_tokens, 1)
    lower = one_count("num_lower_tokens", num_lower_tokens, 1)
    if not 0 < calls_per_token <= 1:
        raise ValueError(f"calls_per_token must be in (0, 1], not {calls_per_token:g}")

    def too_many(rate: float) -> float:
        calls = staged_draft_calls([np.full(lower, rate)], gamma).calls[0, gamma]
        return float(calls) / gamma - calls_per_token

    if too_many(1.0) >= 0:
        return 1.0
    return float(brentq(too_many, 0.0, 1.0)) if too_many(0.0) > 0 else 0.0
