"""Which acceptance rate and which costs explain what a running server reports?

Servers report tokens per round and tokens per second, not the rates that the
closed form takes. Inverts the closed form for what was observed, and turns
acceptance into the speedup of every number of drafts.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from simulator.acceptance import expected_emitted_tokens
from simulator.checks import FloatArray, above, at_least, counts
from simulator.optimise import CANDIDATES
from simulator.required_rates import mean_emitted, relative_costs
from simulator.requirement import draft_candidates
from simulator.speedup import host_steps

_HALVINGS = 60  # of [0, 1]: below the spacing of floats


def implied_acceptance_rate(tokens_per_round: ArrayLike, num_draft_tokens: ArrayLike) -> FloatArray:
    """Constant acceptance rate at which a chain emits that many tokens per round.

    Parameters
    ----------
    tokens_per_round : float or array, in [1, num_draft_tokens + 1]
        Recovered or bonus token counted. [tokens/round]
    num_draft_tokens : int or array, >= 1
        [tokens]

    Returns
    -------
    float or array, broadcast shape of the inputs
        [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M2.1) in docs/model.md solved for α by bisection: τ rises with α.
    Exact only if acceptance is the same at every position; where it is not,
    the rate belongs to this number of drafts and misleads about any other.

    Examples
    --------
    >>> round(float(implied_acceptance_rate(3.3616, 4)), 4)
    0.8
    >>> implied_acceptance_rate([1.0, 5.0], 4)
    array([0., 1.])
    """
    gamma = counts("num_draft_tokens", num_draft_tokens, 1)
    wanted, gamma = np.broadcast_arrays(at_least("tokens_per_round", tokens_per_round, 1), gamma)
    if (wanted > gamma + 1).any():
        at = np.argmax(wanted > gamma + 1)
        raise ValueError(
            f"tokens_per_round must be at most {gamma.flat[at] + 1} with {gamma.flat[at]} drafts,"
            f" not {wanted.flat[at]:g}"
        )
    low, high = np.zeros(wanted.shape), np.ones(wanted.shape)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        enough = expected_emitted_tokens(middle, gamma) >= wanted
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(wanted == 1.0, 0.0, high)[()]


def implied_draft_cost(
    tokens_per_round: ArrayLike,
    num_draft_tokens: ArrayLike,
    speedup: ArrayLike,
    *,
    host_share: ArrayLike = 0.0,
) -> FloatArray:
    """What a drafted token costs, drafting and verifying, given a measured speedup.

    Parameters
    ----------
    tokens_per_round : float or array, >= 1
        [tokens/round]
    num_draft_tokens : int or array, >= 1
        [tokens]
    speedup : float or array, > 0
        Measured over the same engine's decoding without drafts. [unitless]
    host_share : float or array, in [0, 1)
        As in ``speedup_from_rates``. [unitless]

    Returns
    -------
    float or array, broadcast shape of the inputs
        Cost ratio plus verify slope, in target steps; negative if a round took
        less than a step, which no such model explains. [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M6.2) in docs/model.md solved for c + s: the two cannot be told
    apart from one speed.

    Examples
    --------
    >>> round(float(implied_draft_cost(3.3616, 4, 2.8013)), 3)
    0.05
    """
    tau = at_least("tokens_per_round", tokens_per_round, 1)
    gamma = counts("num_draft_tokens", num_draft_tokens, 1)
    host = host_steps(host_share)
    ratio = tau / above("speedup", speedup, 0)
    return np.asarray((ratio - 1.0) * (1.0 + host) / gamma)[()]


def speedups_by_drafts(
    acceptance: ArrayLike,
    cost_ratio: float,
    candidates: Iterable[int] = CANDIDATES,
    *,
    verify_slope: float = 0.0,
    host_share: float = 0.0,
) -> FloatArray:
    """Speedup of every number of drafts, acceptance constant or by position.

    Parameters
    ----------
    acceptance : float or array [>= max(candidates)], in [0, 1]
        Constant (L0), or by draft position (L1). [unitless]
    cost_ratio : float, >= 0
        One draft step / one target step. [unitless]
    candidates : iterable of int, >= 1
        [tokens]
    verify_slope, host_share : float
        As in ``speedup_from_rates``. [unitless]

    Returns
    -------
    array [num_candidates]
        [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds, or there are fewer hazards than drafts.

    Notes
    -----
    Equation (M6.2) in docs/model.md, τ from (M2.1) or (M2.3).

    Examples
    --------
    >>> speedups_by_drafts(0.8, 0.05, [1, 4, 8]).round(2)
    array([1.71, 2.8 , 3.09])
    >>> speedups_by_drafts([0.8, 0.4], 0.05, [1, 2]).round(2)
    array([1.71, 1.93])
    """
    gammas = draft_candidates(candidates)
    costs = relative_costs(gammas, cost_ratio, verify_slope, host_share)
    return np.asarray(mean_emitted(acceptance, gammas) / costs)
