"""What would it take? Break-even and needed values of the closed form.

Inverts ``speedup_from_rates`` for one argument at a time. Refuses a wish that
no value can fulfil.
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.acceptance import expected_emitted_tokens
from simulator.checks import FloatArray, above, at_least, counts
from simulator.speedup import host_steps, speedup_from_rates

_HALVINGS = 60  # of [0, 1]: below the spacing of floats


def break_even_acceptance_rate(
    num_draft_tokens: ArrayLike,
    cost_ratio: ArrayLike,
    wanted_speedup: ArrayLike = 1.0,
    *,
    verify_slope: ArrayLike = 0.0,
    host_share: ArrayLike = 0.0,
) -> FloatArray:
    """Acceptance rate that just reaches a wanted speedup.

    Parameters
    ----------
    num_draft_tokens : int or array, >= 0
        [tokens]
    cost_ratio : float or array, >= 0
        One draft step / one target step. [unitless]
    wanted_speedup : float or array, > 0
        1 is break-even with autoregressive decoding. [unitless]
    verify_slope, host_share : float or array
        As in ``speedup_from_rates``. [unitless]

    Returns
    -------
    float or array, broadcast shape of the inputs
        0 where any acceptance rate is enough. [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds, or a wanted speedup is not reached
        even when every draft is accepted.

    Notes
    -----
    Root of (M6.2) in docs/model.md by bisection: the speedup rises with the
    acceptance rate. Assumes constant acceptance, which flatters: on real text
    ask for more.

    Examples
    --------
    >>> round(float(break_even_acceptance_rate(4, 0.1)), 4)
    0.2871
    """
    gamma = counts("num_draft_tokens", num_draft_tokens, 0)
    wanted = above("wanted_speedup", wanted_speedup, 0)
    costs = {"verify_slope": verify_slope, "host_share": host_share}
    best = speedup_from_rates(1.0, gamma, cost_ratio, **costs)
    wanted, best = np.broadcast_arrays(wanted, best)
    if (wanted > best).any():
        at = np.argmax(wanted > best)
        raise ValueError(
            f"wanted_speedup {wanted.flat[at]:g} is not attainable: full acceptance gives"
            f" {best.flat[at]:g}"
        )
    low, high = np.zeros(best.shape), np.ones(best.shape)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        enough = speedup_from_rates(middle, gamma, cost_ratio, **costs) >= wanted
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    free = speedup_from_rates(0.0, gamma, cost_ratio, **costs) >= wanted
    return np.where(free, 0.0, high)[()]


def break_even_cost_ratio(
    acceptance_rate: ArrayLike,
    num_draft_tokens: ArrayLike,
    wanted_speedup: ArrayLike = 1.0,
    *,
    verify_slope: ArrayLike = 0.0,
    host_share: ArrayLike = 0.0,
) -> FloatArray:
    """Largest cost of a draft step, in target steps, that keeps a wanted speedup.

    Parameters
    ----------
    acceptance_rate : float or array, in [0, 1]
        [unitless]
    num_draft_tokens : int or array, >= 1
        [tokens]
    wanted_speedup : float or array, > 0
        [unitless]
    verify_slope, host_share : float or array
        As in ``speedup_from_rates``. [unitless]

    Returns
    -------
    float or array, broadcast shape of the inputs
        [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds, or a wanted speedup is not reached
        even by a draft that costs nothing.

    Notes
    -----
    Equation (M6.2) in docs/model.md solved for the cost ratio. Assumes
    constant acceptance.

    Examples
    --------
    >>> round(float(break_even_cost_ratio(0.8, 4)), 4)
    0.5904
    """
    gamma = counts("num_draft_tokens", num_draft_tokens, 1)
    wanted = above("wanted_speedup", wanted_speedup, 0)
    slope = at_least("verify_slope", verify_slope, 0)
    host = host_steps(host_share)
    tau = expected_emitted_tokens(acceptance_rate, gamma)
    ratio = np.asarray((tau * (1.0 + host) / wanted - 1.0 - host) / gamma - slope)
    if (ratio < 0).any():
        free = speedup_from_rates(
            acceptance_rate, gamma, 0.0, verify_slope=slope, host_share=host_share
        )
        free, wanted, ratio = np.broadcast_arrays(free, wanted, ratio)
        at = np.argmax(ratio < 0)
        raise ValueError(
            f"wanted_speedup {wanted.flat[at]:g} is not attainable: a free draft gives"
            f" {free.flat[at]:g}"
        )
    return ratio[()]
