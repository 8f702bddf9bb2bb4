"""How good or how cheap must a draft be, if acceptance and costs are plain numbers?

Inverts the closed form for the acceptance rate and for the cost ratio, the
number of draft tokens free or fixed, acceptance constant or by draft position.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.acceptance import expected_emitted_from_hazards, expected_emitted_tokens
from simulator.checks import FloatArray, IntArray, above, at_least, one_count, rates
from simulator.optimise import CANDIDATES
from simulator.requirement import Requirement, draft_candidates, require
from simulator.speedup import host_steps


def toward_certainty(acceptance: ArrayLike, way: float) -> FloatArray:
    """Acceptance moved a share of the way to 1, or, negative, to 0.

    Parameters
    ----------
    acceptance : float or array, in [0, 1]
        [unitless]
    way : float, in [-1, 1]
        0.3 turns three rejections in ten into acceptances, wherever they are;
        -0.3 three acceptances in ten into rejections. [unitless]

    Returns
    -------
    float or array, shape of acceptance
        [unitless]

    Raises
    ------
    ValueError
        If acceptance is outside [0, 1] or way outside [-1, 1].

    Notes
    -----
    Equation (M12.2) in docs/model.md. A draft that improves elsewhere than
    evenly over its errors moves otherwise.

    Examples
    --------
    >>> toward_certainty([0.0, 0.5, 1.0], 0.5)
    array([0.5 , 0.75, 1.  ])
    >>> toward_certainty([0.0, 0.5, 1.0], -0.5)
    array([0.  , 0.25, 0.5 ])
    """
    share = float(rates("size of way", abs(way)))
    start = rates("acceptance", acceptance)
    return (start + share * (1.0 - start) if way > 0 else start * (1.0 - share))[()]


def required_acceptance_rate(
    cost_ratio: float,
    wanted_speedup: float = 1.0,
    candidates: Iterable[int] = CANDIDATES,
    *,
    hazards: ArrayLike | None = None,
    verify_slope: float = 0.0,
    host_share: float = 0.0,
) -> Requirement:
    """Acceptance rate a draft must reach for a wanted speedup.

    Parameters
    ----------
    cost_ratio : float, >= 0
        One draft step / one target step. [unitless]
    wanted_speedup : float, > 0
        [unitless]
    candidates : iterable of int, >= 1
        Drafts per round to choose from; one for a fixed number. [tokens]
    hazards : array [>= max(candidates)], in [0, 1], optional
        Today's acceptance by draft position, moved as in ``toward_certainty``:
        the answer is the acceptance of the first draft. Constant acceptance
        without. [unitless]
    verify_slope, host_share : float
        As in ``speedup_from_rates``. [unitless]

    Returns
    -------
    Requirement
        Of ``acceptance_rate``.

    Raises
    ------
    ValueError
        If an argument leaves its bounds, or hazards are too few.

    Notes
    -----
    Equation (M12.1) in docs/model.md. The lower edge of
    ``break_even_acceptance_rate`` over the candidates.

    Examples
    --------
    >>> required_acceptance_rate(0.1, 2.0).verdict
    '2x needs acceptance_rate 0.7051 (γ = 4)'
    >>> required_acceptance_rate(0.5, 2.0, [4]).verdict
    '2x is unreachable: even acceptance_rate 1 gives at most 1.667x (γ = 4)'
    """
    gammas = draft_candidates(candidates)
    costs = relative_costs(gammas, cost_ratio, verify_slope, host_share)
    if hazards is None:
        return require(
            "acceptance_rate",
            wanted_speedup,
            lambda alpha: mean_emitted(alpha, gammas) / costs,
            gammas,
            worst=0.0,
            best=1.0,
        )
    today = np.atleast_1d(rates("hazards", hazards))
    moved = require(
        "way to certainty",
        wanted_speedup,
        lambda way: mean_emitted(toward_certainty(today, way), gammas) / costs,
        gammas,
        worst=-1.0,
        best=1.0,
    )
    first = float(toward_certainty(today, moved.value)[0])
    return Requirement(
        "acceptance_rate",
        moved.wanted_speedup,
        moved.reachable,
        first,
        moved.num_draft_tokens,
        moved.speedup,
    )


def required_cost_ratio(
    acceptance: ArrayLike,
    wanted_speedup: float = 1.0,
    candidates: Iterable[int] = CANDIDATES,
    *,
    verify_slope: float = 0.0,
    host_share: float = 0.0,
) -> Requirement:
    """Most that a draft step may cost, in target steps, for a wanted speedup.

    Parameters
    ----------
    acceptance : float or array [>= max(candidates)], in [0, 1]
        Constant, or by draft position. [unitless]
    wanted_speedup, candidates, verify_slope, host_share
        As in ``required_acceptance_rate``.

    Returns
    -------
    Requirement
        Of ``cost_ratio``; 0 where not even a free draft is enough.

    Raises
    ------
    ValueError
        If an argument leaves its bounds, or there are too few hazards.

    Notes
    -----
    Equation (M12.3) in docs/model.md: the upper envelope of one line per
    candidate.

    Examples
    --------
    >>> required_cost_ratio(0.8, 2.0).verdict
    '2x needs cost_ratio 0.1702 (γ = 4)'
    >>> required_cost_ratio(0.4, 2.0).verdict
    '2x is unreachable: even cost_ratio 0 gives at most 1.667x (γ = 16)'
    """
    gammas = draft_candidates(candidates)
    wanted = float(above("wanted_speedup", wanted_speedup, 0))
    tau = mean_emitted(acceptance, gammas)
    allowed = _allowed_cost(tau, gammas, wanted, verify_slope, host_share)
    reachable = bool(allowed.max() >= 0)
    value = float(allowed.max()) if reachable else 0.0
    speedups = tau / relative_costs(gammas, value, verify_slope, host_share)
    # at the allowed cost the speedup is the wanted one up to rounding: the line decides
    chosen = int(np.argmax(allowed if reachable else speedups))
    return Requirement(
        "cost_ratio", wanted, reachable, value, int(gammas[chosen]), float(speedups[chosen])
    )


@dataclass(frozen=True, eq=False)
class SpeedupLine:
    """All pairs of acceptance rate and cost ratio with the same best speedup.

    Attributes
    ----------
    speedup : float
        [unitless]
    acceptance_rate : array [num_points]
        Ascending from what a free draft needs; empty if that does not exist.
        [unitless]
    cost_ratio : array [num_points]
        Ascending from 0. [unitless]
    num_draft_tokens : array [num_points]
        Best number of drafts there. [tokens]
    """

    speedup: float
    acceptance_rate: FloatArray
    cost_ratio: FloatArray
    num_draft_tokens: IntArray


def iso_speedup_line(
    speedup: float,
    candidates: Iterable[int] = CANDIDATES,
    *,
    num_points: int = 101,
    verify_slope: float = 0.0,
    host_share: float = 0.0,
) -> SpeedupLine:
    """Cost ratio at which the best number of drafts gives a speedup, over acceptance.

    Parameters
    ----------
    speedup : float, > 0
        [unitless]
    candidates, verify_slope, host_share
        As in ``required_acceptance_rate``.
    num_points : int, >= 2
        Evenly spaced acceptance rates from the least possible one to 1.

    Returns
    -------
    SpeedupLine

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M12.3) in docs/model.md, constant acceptance. Drafts above the
    line are slower. At speedup 1 without extras it is the diagonal: one draft
    pays if and only if it is accepted more often than it costs; [1]_,
    corollary 3.9.

    References
    ----------
    .. [1] Y. Leviathan, M. Kalman, Y. Matias, "Fast Inference from
       Transformers via Speculative Decoding", ICML 2023, arXiv:2211.17192.

    Examples
    --------
    >>> line = iso_speedup_line(2.0, num_points=3)
    >>> line.acceptance_rate.round(3), line.cost_ratio.round(3), line.num_draft_tokens
    (array([0.5 , 0.75, 1.  ]), array([0.   , 0.131, 0.469]), array([16,  4, 16]))
    """
    gammas = draft_candidates(candidates)
    wanted = float(above("speedup", speedup, 0))
    extras = {"verify_slope": verify_slope, "host_share": host_share}
    points = one_count("num_points", num_points, 2)
    free = required_acceptance_rate(0.0, wanted, gammas, **extras)
    if not free.reachable:
        return SpeedupLine(wanted, np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))
    alpha = np.linspace(free.value, 1.0, points)
    tau = expected_emitted_tokens(alpha[:, None], gammas)
    allowed = _allowed_cost(tau, gammas, wanted, verify_slope, host_share)
    cost = np.maximum(allowed.max(axis=1), 0.0)  # the first point is 0 up to rounding
    return SpeedupLine(wanted, alpha, cost, gammas[np.argmax(allowed, axis=1)])


def mean_emitted(acceptance: ArrayLike, num_draft_tokens: IntArray) -> FloatArray:
    """Mean tokens of a round for each number of drafts, from one rate or from hazards.

    Raises ValueError if acceptance leaves [0, 1] or fewer hazards are given
    than drafts. (M2.1) and (M2.3). [tokens/round]

    Examples
    --------
    >>> mean_emitted([0.8, 0.5], np.array([1, 2]))
    array([1.8, 2.2])
    """
    each = rates("acceptance", acceptance)
    if each.ndim == 0:
        return expected_emitted_tokens(each, num_draft_tokens)
    longest = int(num_draft_tokens.max())
    if each.ndim != 1 or each.size < longest:
        raise ValueError(f"{longest} drafts need as many hazards, not shape {each.shape}")
    return np.array([expected_emitted_from_hazards(each[:gamma]) for gamma in num_draft_tokens])


def relative_costs(
    gammas: IntArray, cost_ratio: float, verify_slope: float, host_share: float
) -> FloatArray:
    """Time of a round in autoregressive steps, by number of drafts; from (M6.2)."""
    cost = at_least("cost_ratio", cost_ratio, 0)
    slope, host = at_least("verify_slope", verify_slope, 0), host_steps(host_share)
    return (gammas * (cost + slope) + 1.0 + host) / (1.0 + host)


def _allowed_cost(
    tau: FloatArray, gammas: IntArray, wanted: float, verify_slope: float, host_share: float
) -> FloatArray:
    """Cost ratio at which each number of drafts gives the wanted speedup; (M12.3)."""
    slope, host = at_least("verify_slope", verify_slope, 0), host_steps(host_share)
    return np.asarray((tau * (1.0 + host) / wanted - 1.0 - host) / gammas - slope)
