"""When does it pay to draft for the draft?

Staging leaves the tokens of a round as they are and changes what drafting costs:
fewer calls of the draft, which ``staged`` counts, each over more tokens, with a
lower level's work beside them. One equation says what that is worth; solved for
the cost of a call it says from where on, times the chain's speedup how fast.
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, above, at_least, counts, one_count, rates
from simulator.method_prediction import NOT_DRAFTING, MethodTrace
from simulator.prediction import Prediction
from simulator.replay import replay_windows
from simulator.speedup import host_steps, speedup_from_rates
from simulator.staged import StagedCalls, staged_draft_calls


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
    Equation (M5.5) in docs/model.md.

    Examples
    --------
    >>> cost_ratio_for_gain(1.25, 8, 4)
    0.08333333333333333
    >>> cost_ratio_for_gain(2.5, 8, 4) is None
    True
    """
    wanted = float(above("gain", gain, 0))
    saved = num_draft_tokens - wanted * draft_calls * call_growth
    missing = (wanted - 1.0) * verification + wanted * extra
    if missing <= 0 and saved >= 0:
        return 0.0
    return missing / saved if missing > 0 and saved > 0 else None


def break_even_draft_cost(
    num_draft_tokens: float, draft_calls: float, extra: float
) -> float | None:
    """Cost of a draft call above which staging pays.

    Parameters
    ----------
    num_draft_tokens, draft_calls : float, >= 0
        Draft calls per round without and with a lower level. [calls/round]
    extra : float, >= 0
        What the lower level adds to a round, in any unit of time.

    Returns
    -------
    float or None
        In the unit of extra; None where staging saves no call.

    Raises
    ------
    ValueError
        If an argument is negative.

    Notes
    -----
    Equation (M5.5) in docs/model.md for a gain of 1, where the rest of the round
    cancels, and draft calls that take as long as the chain's.

    Examples
    --------
    >>> break_even_draft_cost(8, 4, 0.1)
    0.025
    >>> break_even_draft_cost(1, 1, 0.0) is None
    True
    """
    named = {"num_draft_tokens": num_draft_tokens, "draft_calls": draft_calls, "extra": extra}
    for name, value in named.items():
        at_least(name, value, 0)
    if draft_calls >= num_draft_tokens:
        return None
    return cost_ratio_for_gain(1.0, num_draft_tokens, draft_calls, extra=extra)


def staged_speedup(
    acceptance_rate: ArrayLike,
    num_draft_tokens: ArrayLike,
    cost_ratio: ArrayLike,
    lower_acceptance_rate: float,
    lower_draft_tokens: int,
    lower_cost: ArrayLike,
    *,
    host_share: ArrayLike = 0.0,
) -> FloatArray:
    """Speedup over autoregressive decoding with a draft that is itself drafted for.

    Parameters
    ----------
    acceptance_rate : float or array, in [0, 1]
        Of the draft's tokens by the target. [unitless]
    num_draft_tokens : int or array, >= 0
        [tokens]
    cost_ratio : float or array, >= 0
        One draft call / one target step. [unitless]
    lower_acceptance_rate, lower_draft_tokens
        As in ``staged_calls_from_rates``.
    lower_cost : float or array, >= 0
        Time of one token that the lower level proposes, what the draft takes
        longer to read it included. [target steps]
    host_share : float or array, in [0, 1)
        As in ``speedup_from_rates``. [unitless]

    Returns
    -------
    float or array, broadcast shape of the array arguments
        [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M5.6) in docs/model.md: ``speedup_from_rates`` times ``staged_gain``.
    Assumes constant acceptance at both levels, which flatters, and that verifying
    costs one target step however many tokens it reads.

    Examples
    --------
    >>> round(float(staged_speedup(0.8, 8, 0.2, 0.7, 3, 0.005)), 3)
    2.469
    >>> round(float(staged_speedup(0.8, 8, 0.2, 0.7, 0, 0.005)), 3)  # no lower level
    1.665
    """
    gamma = counts("num_draft_tokens", num_draft_tokens, 0)
    work = staged_calls_from_rates(lower_acceptance_rate, lower_draft_tokens, int(gamma.max()))
    gain = staged_gain(
        cost_ratio,
        gamma,
        work.calls[0][gamma],
        verification=1.0 + host_steps(host_share),
        extra=at_least("lower_cost", lower_cost, 0) * work.proposed[gamma],
    )
    chain = speedup_from_rates(acceptance_rate, gamma, cost_ratio, host_share=host_share)
    return np.asarray(chain * gain)[()]


def staged_calls_from_rates(
    lower_acceptance_rate: float, lower_draft_tokens: int, num_draft_tokens: int
) -> StagedCalls:
    """Work of a draft and of one lower level whose tokens are all accepted alike.

    Parameters
    ----------
    lower_acceptance_rate : float, in [0, 1]
        Of the lower level's tokens by the draft. [unitless]
    lower_draft_tokens : int, >= 0
        Tokens the lower level proposes at a time; 0 is plain drafting. [tokens]
    num_draft_tokens : int, >= 0
        Longest chain the target asks for. [tokens]

    Returns
    -------
    StagedCalls
        Column g is for a chain of g tokens.

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Examples
    --------
    >>> staged_calls_from_rates(0.5, 2, 3).calls[0]
    array([0. , 1. , 1.5, 2. ])
    """
    rate = float(rates("lower_acceptance_rate", lower_acceptance_rate))
    lower = one_count("lower_draft_tokens", lower_draft_tokens, 0)
    return staged_draft_calls([np.full(lower, rate)], num_draft_tokens)


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
    from scipy.optimize import brentq  # slow to import, seldom used

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


def staging_extra_seconds(
    chain_calls: float, chain_seconds: float, staged_calls: float, staged_seconds: float
) -> float:
    """What a lower level adds to the drafting of a measured round.

    Parameters
    ----------
    chain_calls, staged_calls : float, > 0 and >= 0
        Draft calls per round. [calls/round]
    chain_seconds, staged_seconds : float, >= 0
        Drafting time per round, of all levels together. [s]

    Returns
    -------
    float
        Time beside as many of the chain's draft calls; 0 where measured rounds
        leave none. [s]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Examples
    --------
    >>> round(staging_extra_seconds(8, 0.008, 4, 0.0045), 4)
    0.0005
    """
    if not chain_calls > 0:
        raise ValueError(f"chain_calls must be above 0, not {chain_calls}")
    named = {"staged_calls": staged_calls, "chain_seconds": chain_seconds,
             "staged_seconds": staged_seconds}  # fmt: skip
    for name, value in named.items():
        at_least(name, value, 0)
    return max(staged_seconds - staged_calls * chain_seconds / chain_calls, 0.0)


def draft_calls_per_round(trace: MethodTrace) -> float | None:
    """Mean forwards of the draft per round along recorded texts; None where no model drafts.

    Weighs the calls at every position by the chance that a round starts there,
    equation (M5.3) in docs/model.md. [calls/round]
    """
    if np.isnan(trace.draft_calls).any():
        return None
    starts = replay_windows(trace.windows).start_prob
    return float(starts @ trace.draft_calls / starts.sum())


def drafting_seconds(prediction: Prediction) -> float:
    """Predicted time per round in every stage that drafts, at any level. [s]"""
    stages = prediction.round_seconds_by_stage.items()
    return sum(seconds for stage, seconds in stages if stage not in NOT_DRAFTING)
