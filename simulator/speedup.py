"""How much faster, if acceptance and costs are plain numbers?

The textbook formula and its extension by the two things a user can guess
without measuring: how verification grows with its tokens, and how much of a
step the host takes. Vectorised over every argument, so that a map of a million
settings takes a fraction of a second. Knows nothing about measurements.
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.acceptance import expected_emitted_tokens
from simulator.checks import FloatArray, at_least, counts, rates


def textbook_speedup(
    acceptance_rate: ArrayLike, num_draft_tokens: ArrayLike, cost_ratio: ArrayLike
) -> FloatArray:
    """Speedup over autoregressive decoding for constant acceptance and costs.

    Parameters
    ----------
    acceptance_rate : float or array, in [0, 1]
        [unitless]
    num_draft_tokens : int or array, >= 0
        [tokens]
    cost_ratio : float or array, >= 0
        One draft step / one target step. [unitless]

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
    Equation (M6.1) in docs/model.md, fidelity L0; Theorem 3.8 of [1]_. Assumes
    that verifying any number of tokens costs one target step, that the host
    costs nothing, and constant acceptance. Against the measurements of its own
    authors (Table 4) the mean absolute error is 18 %.

    References
    ----------
    .. [1] Y. Leviathan, M. Kalman, Y. Matias, "Fast Inference from
       Transformers via Speculative Decoding", ICML 2023, arXiv:2211.17192.

    Examples
    --------
    The first row of Table 4 of [1]_, published as 2.5:

    >>> round(float(textbook_speedup(0.82, 7, 0.11)), 2)
    2.5
    """
    cost = at_least("cost_ratio", cost_ratio, 0)
    gamma = counts("num_draft_tokens", num_draft_tokens, 0)
    return (expected_emitted_tokens(acceptance_rate, gamma) / (gamma * cost + 1.0))[()]


def speedup_from_rates(
    acceptance_rate: ArrayLike,
    num_draft_tokens: ArrayLike,
    cost_ratio: ArrayLike,
    *,
    verify_slope: ArrayLike = 0.0,
    host_share: ArrayLike = 0.0,
) -> FloatArray:
    """Speedup when verification grows with its tokens and the host takes a share.

    Parameters
    ----------
    acceptance_rate, num_draft_tokens, cost_ratio
        As in ``textbook_speedup``.
    verify_slope : float or array, >= 0
        Extra time per drafted token of the verifying target step, in target
        steps; 0 when the step is bound by reading weights. [unitless]
    host_share : float or array, in [0, 1)
        Share of an autoregressive step spent outside the model; a round spends
        the same time there. [unitless]

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
    Equation (M6.2) in docs/model.md. With both extras at 0 it is
    ``textbook_speedup``. Still assumes constant acceptance.

    Examples
    --------
    >>> round(float(speedup_from_rates(0.8, 4, 0.05, verify_slope=0.02, host_share=0.1)), 3)
    2.685
    """
    cost = at_least("cost_ratio", cost_ratio, 0)
    slope = at_least("verify_slope", verify_slope, 0)
    gamma = counts("num_draft_tokens", num_draft_tokens, 0)
    host = host_steps(host_share)
    tau = expected_emitted_tokens(acceptance_rate, gamma)
    return (tau * (1.0 + host) / (gamma * (cost + slope) + 1.0 + host))[()]


def host_steps(host_share: ArrayLike) -> FloatArray:
    """Host time per step in units of one target step, from its share of the whole.

    Raises ValueError unless 0 <= host_share < 1.

    Examples
    --------
    >>> float(host_steps(0.5))
    1.0
    """
    share = rates("host_share", host_share)
    if (share == 1).any():
        raise ValueError("host_share must be below 1, not 1")
    return (share / (1.0 - share))[()]


def operations_factor(
    acceptance_rate: ArrayLike, num_draft_tokens: ArrayLike, operations_ratio: ArrayLike
) -> FloatArray:
    """Growth of the total arithmetic operations per emitted token.

    Parameters
    ----------
    acceptance_rate, num_draft_tokens
        As in ``textbook_speedup``.
    operations_ratio : float or array, >= 0
        Operations per token of the draft / of the target. [unitless]

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
    Equation (M6.3) in docs/model.md; Theorem 3.11 of arXiv:2211.17192. Leaves
    out attention's growth with the context.

    Examples
    --------
    Table 1 of the paper, second row (1.23x):

    >>> round(float(operations_factor(0.8, 2, 0.0)), 2)
    1.23
    """
    ratio = at_least("operations_ratio", operations_ratio, 0)
    gamma = counts("num_draft_tokens", num_draft_tokens, 0)
    tau = expected_emitted_tokens(acceptance_rate, gamma)
    return np.asarray((gamma * ratio + gamma + 1.0) / tau)[()]
