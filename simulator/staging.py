"""Does it pay to draft the draft?

Prices the calls that ``staged`` counts: a draft call in target steps, a token
of the lower level in target steps. At equal draft lengths staging moves no
token of the text, so it pays exactly where it makes drafting cheaper.
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.acceptance import expected_emitted_tokens
from simulator.checks import FloatArray, at_least, counts, one_count, rates
from simulator.intervals import percentile_interval
from simulator.method_prediction import NOT_DRAFTING, MethodTrace
from simulator.prediction import Prediction
from simulator.replay import replay_windows
from simulator.speedup import host_steps
from simulator.staged import StagedCalls, staged_draft_calls


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
    Equation (M5.5) in docs/model.md. Assumes constant acceptance at both
    levels, which flatters, and that verifying costs one target step however
    many tokens it reads.

    Examples
    --------
    >>> round(float(staged_speedup(0.8, 8, 0.2, 0.7, 3, 0.005)), 3)
    2.469
    >>> round(float(staged_speedup(0.8, 8, 0.2, 0.7, 0, 0.005)), 3)  # no lower level
    1.665
    """
    gamma = counts("num_draft_tokens", num_draft_tokens, 0)
    cost = at_least("cost_ratio", cost_ratio, 0)
    lower = at_least("lower_cost", lower_cost, 0)
    host = host_steps(host_share)
    tau = expected_emitted_tokens(acceptance_rate, gamma)
    work = staged_calls_from_rates(lower_acceptance_rate, lower_draft_tokens, int(gamma.max()))
    drafting = cost * work.calls[0][gamma] + lower * work.proposed[gamma]
    return np.asarray(tau * (1.0 + host) / (drafting + 1.0 + host))[()]


def break_even_draft_cost(
    chain_calls: ArrayLike, staged_calls: ArrayLike, extra_cost: ArrayLike
) -> FloatArray:
    """Cost of a draft call above which staging makes a round's drafting cheaper.

    Parameters
    ----------
    chain_calls, staged_calls : float or array, >= 0
        Draft calls per round without and with a lower level. [calls/round]
    extra_cost : float or array, >= 0
        What the lower level adds to a round, in any unit of time.

    Returns
    -------
    float or array, broadcast shape of the inputs
        In the unit of extra_cost.

    Raises
    ------
    ValueError
        If an argument is negative, or staging saves no call.

    Notes
    -----
    Equation (M5.6) in docs/model.md. Acceptance by the target does not enter.

    Examples
    --------
    >>> float(break_even_draft_cost(8, 4, 0.1))
    0.025
    """
    plain = at_least("chain_calls", chain_calls, 0)
    staged = at_least("staged_calls", staged_calls, 0)
    extra = at_least("extra_cost", extra_cost, 0)
    plain, staged, extra = np.broadcast_arrays(plain, staged, extra)
    if (staged >= plain).any():
        at = np.argmax(staged >= plain)
        raise ValueError(
            f"staging saves no draft call: {staged.flat[at]:g} calls a round instead of"
            f" {plain.flat[at]:g}"
        )
    return np.asarray(extra / (plain - staged))[()]


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


def speedup_ratio_interval(
    one: Prediction, other: Prediction, confidence: float = 0.9
) -> tuple[float, float]:
    """Interval of the speedup of one setting over that of another, from shared resamples.

    Parameters
    ----------
    one, other : Prediction
        With equal seeds, so that their resamples are pairs.
    confidence : float, in (0, 1)
        [unitless]

    Returns
    -------
    tuple of float
        Low and high. [unitless]

    Raises
    ------
    ValueError
        If a prediction has no resamples, or a resample is not above 0.

    Notes
    -----
    Equation (M10.3) in docs/model.md.
    """
    mine, theirs = one.speedup_samples, other.speedup_samples
    if mine is None or theirs is None:
        raise ValueError("an interval of a ratio needs the resamples of both predictions")
    ratios = mine / theirs
    if not (ratios > 0).all():
        raise ValueError(f"resamples of a ratio must be above 0, not {ratios.min():g}")
    return percentile_interval(ratios, confidence)
