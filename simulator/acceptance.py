"""How many tokens does a round emit, if acceptance is all that is known?

Closed forms for a chain of drafts: constant acceptance (L0) and acceptance by
draft position (L1). Knows nothing about costs, nor where the numbers come
from: ``hazards`` estimates them from a trace.
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, counts, rates


def expected_emitted_tokens(acceptance_rate: ArrayLike, num_draft_tokens: ArrayLike) -> FloatArray:
    """Mean number of tokens one speculative round adds to the sequence.

    Counts the accepted prefix plus the recovered or bonus token, so the value
    lies in [1, num_draft_tokens + 1].

    Parameters
    ----------
    acceptance_rate : float or array, in [0, 1]
        Probability that a drafted token is accepted given that all drafts
        before it were; see docs/nomenclature.md. [unitless]
    num_draft_tokens : int or array, >= 0
        Tokens drafted per round. [tokens]

    Returns
    -------
    float or array, broadcast shape of the inputs
        Mean emitted tokens per round. [tokens/round]

    Raises
    ------
    ValueError
        If acceptance_rate is outside [0, 1] or num_draft_tokens is negative
        or fractional.

    Notes
    -----
    Equation (M2.1) in docs/model.md; eq. (1) of [1]_. Assumes acceptance is
    independent of position and of the text. Measured rounds start just after a
    rejection, where the text is harder: on real traces this over-predicts.
    Exact at acceptance_rate == 1 (no 0/0), and without cancellation near it.

    References
    ----------
    .. [1] Y. Leviathan, M. Kalman, Y. Matias, "Fast Inference from
       Transformers via Speculative Decoding", ICML 2023, arXiv:2211.17192.

    Examples
    --------
    >>> round(float(expected_emitted_tokens(0.8, 4)), 4)
    3.3616
    >>> expected_emitted_tokens([0.0, 1.0], 4)
    array([1., 5.])
    """
    alpha = rates("acceptance_rate", acceptance_rate)
    gamma = counts("num_draft_tokens", num_draft_tokens, 0)
    miss = 1.0 - alpha
    with np.errstate(divide="ignore", invalid="ignore"):
        # 1 - alpha^(gamma+1) without cancellation: -expm1((gamma+1) log(1 - miss))
        tau = -np.expm1((gamma + 1) * np.log1p(-miss)) / miss
    return np.where((miss == 0) | (gamma == 0), gamma + 1.0, tau)[()]


def emitted_tokens_pmf(hazards: ArrayLike) -> FloatArray:
    """Probability that a round emits 1, 2, ..., num_draft_tokens + 1 tokens.

    Parameters
    ----------
    hazards : array [num_draft_tokens], in [0, 1]
        Acceptance probability at each draft position, given that the position
        is reached. [unitless]

    Returns
    -------
    array [num_draft_tokens + 1]
        Entry n is P(n drafts accepted), i.e. n + 1 tokens emitted.

    Raises
    ------
    ValueError
        If a hazard is outside [0, 1] or hazards is not one-dimensional.

    Notes
    -----
    Equation (M2.2) in docs/model.md. Assumes that one vector of hazards holds
    for every round.

    Examples
    --------
    >>> emitted_tokens_pmf([0.5, 0.5])
    array([0.5 , 0.25, 0.25])
    """
    survival = _survival(hazards)
    return np.append(survival[:-1] - survival[1:], survival[-1])


def expected_emitted_from_hazards(hazards: ArrayLike) -> FloatArray:
    """Mean number of tokens a round emits, given acceptance by draft position.

    Parameters
    ----------
    hazards : array [num_draft_tokens], in [0, 1]
        Acceptance probability at each draft position, given that the position
        is reached. [unitless]

    Returns
    -------
    float
        1 + sum over j of the product of the first j hazards. [tokens/round]

    Raises
    ------
    ValueError
        If a hazard is outside [0, 1] or hazards is not one-dimensional.

    Notes
    -----
    Equation (M2.3) in docs/model.md. Equals ``expected_emitted_tokens`` when
    all hazards are equal.

    Examples
    --------
    >>> round(float(expected_emitted_from_hazards([0.8, 0.6])), 4)
    2.28
    """
    return _survival(hazards).sum()[()]


def _survival(hazards: ArrayLike) -> FloatArray:
    array = rates("hazards", hazards)
    if array.ndim != 1:
        raise ValueError(f"hazards must have one dimension, not {array.ndim}")
    return np.cumprod(np.append(1.0, array))
