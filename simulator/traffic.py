"""How much memory traffic does an emitted token cost, and how intense is a round?

Adds the forwards of a round up: draft calls, then one verification. The
answers hold on any machine, because no rate enters.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, above, at_least, counts
from simulator.model_shape import ModelShape
from simulator.roofline import HALF, OperatorCost, Precision, operator_costs, total_cost


@dataclass(frozen=True, eq=False)
class RoundTraffic:
    """Cost of a round by stage, and of the autoregressive step it replaces.

    Attributes
    ----------
    draft : OperatorCost
        All draft calls of a round.
    verification : OperatorCost
        The target's forward over the drafts and the pending token.
    autoregressive : OperatorCost
        The target's forward over one token.
    """

    draft: OperatorCost
    verification: OperatorCost
    autoregressive: OperatorCost

    @property
    def round(self) -> OperatorCost:
        """Draft and verification together."""
        return self.draft + self.verification


def round_traffic(
    target: ModelShape,
    draft: ModelShape,
    num_draft_tokens: ArrayLike,
    context: ArrayLike,
    batch: ArrayLike = 1,
    *,
    draft_calls: ArrayLike | None = None,
    precision: Precision = HALF,
) -> RoundTraffic:
    """Arithmetic and traffic of one round of chain drafting.

    Parameters
    ----------
    target, draft : ModelShape
    num_draft_tokens : int or array, >= 0
        [tokens]
    context : float or array, >= 0
        Tokens cached before the round. [tokens]
    batch : float or array, >= 1
        Sequences that go through the round together.
    draft_calls : float or array, >= 0, optional
        Forwards of the draft per round: num_draft_tokens by default, fewer
        when the draft itself is drafted for (staged decoding).
    precision : Precision

    Returns
    -------
    RoundTraffic

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equations (M8.1) and (M8.2) in docs/model.md. Draft calls read one token
    each, at the mean context of the round; the second token that the first
    call reads behind a fully accepted round is left out.

    Examples
    --------
    >>> from simulator.known_models import known_shape
    >>> traffic = round_traffic(known_shape("Llama-3.1-8B"), known_shape("Llama-3.2-1B"), 4, 1000)
    >>> round(float(traffic.autoregressive.intensity), 2)
    1.03
    >>> round(float(traffic.verification.intensity), 2)
    5.12
    """
    gamma = counts("num_draft_tokens", num_draft_tokens, 0)
    calls = gamma if draft_calls is None else at_least("draft_calls", draft_calls, 0)
    cached = at_least("context", context, 0)
    middle = cached + np.maximum(gamma - 1, 0) / 2.0
    call = total_cost(operator_costs(draft, 1, middle, batch, precision=precision))
    verify = total_cost(operator_costs(target, gamma + 1, cached, batch, precision=precision))
    step = total_cost(operator_costs(target, 1, cached, batch, precision=precision))
    return RoundTraffic(call.times(calls), verify, step)


def calls_cost(
    shape: ModelShape,
    num_tokens: ArrayLike,
    context: ArrayLike,
    number: ArrayLike,
    *,
    precision: Precision = HALF,
) -> OperatorCost:
    """Arithmetic and traffic of a model's forwards, as they were counted in a decode.

    Parameters
    ----------
    shape : ModelShape
    num_tokens : int array [kinds], >= 1
        Tokens read by each kind of forward. [tokens]
    context : float array [kinds], >= 0
        Mean tokens cached before it. [tokens]
    number : float array [kinds], >= 0
        How often it ran.
    precision : Precision

    Returns
    -------
    OperatorCost
        Single numbers: all forwards together.

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M8.1) in docs/model.md. A mean context gives the exact sum, because
    traffic and arithmetic of a forward are linear in it (unless a window of
    attention cuts some of them).

    Examples
    --------
    >>> from simulator.known_models import known_shape
    >>> cost = calls_cost(known_shape("Llama-3.1-8B"), [1, 5], [1000, 1000], [10, 2])
    >>> round(float(cost.intensity), 2)
    1.71
    """
    times = at_least("number", number, 0)
    each = total_cost(operator_costs(shape, num_tokens, context, precision=precision)).times(times)
    return OperatorCost(
        *(
            np.asarray(part).sum()
            for part in (each.flop, each.weight_bytes, each.kv_bytes, each.activation_bytes)
        )
    )


def relative_bandwidth(traffic: RoundTraffic, mean_emitted: ArrayLike) -> FloatArray:
    """Bytes per emitted token over those of autoregressive decoding.

    Parameters
    ----------
    traffic : RoundTraffic
    mean_emitted : float or array, >= 1
        [tokens/round]

    Returns
    -------
    float or array
        Its inverse is the speedup of a machine that does nothing but move
        bytes. [unitless]

    Raises
    ------
    ValueError
        If mean_emitted is below 1.

    Notes
    -----
    Equation (M8.3) in docs/model.md: the "relative memory bandwidth per token"
    of Table 1 in arXiv:2308.04623. Every sequence of a batch emits
    mean_emitted tokens, so the batch cancels except inside the forwards.

    Examples
    --------
    >>> from simulator.known_models import known_shape
    >>> traffic = round_traffic(known_shape("Llama-3.1-8B"), known_shape("Llama-3.2-1B"), 4, 1000)
    >>> round(float(relative_bandwidth(traffic, 3.36)), 2)
    0.5
    """
    tau = at_least("mean_emitted", mean_emitted, 1)
    return np.asarray(traffic.round.bytes / (tau * traffic.autoregressive.bytes))[()]


def implied_mean_emitted(traffic: RoundTraffic, relative: ArrayLike) -> FloatArray:
    """Mean emitted tokens that a published relative bandwidth stands for.

    Parameters
    ----------
    traffic : RoundTraffic
    relative : float or array, > 0
        Bytes per emitted token over those of autoregressive decoding. [unitless]

    Returns
    -------
    float or array
        [tokens/round]

    Raises
    ------
    ValueError
        If relative is not above 0.

    Notes
    -----
    Equation (M8.3) in docs/model.md solved for the mean emitted tokens.
    """
    ratio = above("relative", relative, 0)
    return np.asarray(traffic.round.bytes / (ratio * traffic.autoregressive.bytes))[()]
