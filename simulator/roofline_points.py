"""Where does a forward stand under the roof, and how many tokens does it read for free?

Places prefill, decoding, verification and drafting in the roofline picture:
arithmetic intensity against arithmetic done per second. Uses the traffic of
``roofline`` and the times of ``stage_time``; adds no model of its own.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, above, at_least, one_count
from simulator.roofline import operator_costs, total_cost
from simulator.stage_time import StageTime

Bound = Literal["memory", "arithmetic"]


@dataclass(frozen=True)
class RooflinePoint:
    """One forward in the roofline picture.

    Attributes
    ----------
    intensity : float
        [FLOP/byte]
    flop_per_second : float
        [FLOP/s]
    seconds : float
        [s]
    bound : str
        ``memory`` or ``arithmetic``: which of the two alone would take longer.
    """

    intensity: float
    flop_per_second: float
    seconds: float
    bound: Bound


def roofline_point(
    time: StageTime,
    num_tokens: int,
    context: float,
    batch: float = 1,
    *,
    logit_tokens: int | None = None,
) -> RooflinePoint:
    """A forward's intensity, and the arithmetic it gets done per second.

    Parameters
    ----------
    time : StageTime
    num_tokens, context, batch, logit_tokens
        As in ``operator_costs``, single numbers.

    Returns
    -------
    RooflinePoint
        Never above ``roof``: operators run one after another, so what one
        leaves idle no other uses.

    Raises
    ------
    ValueError
        If a number leaves its bound.

    Notes
    -----
    Equation (M8.5) in docs/model.md.

    Examples
    --------
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> from simulator.stage_time import assumed_stage_time
    >>> card = known_hardware("H100-SXM")
    >>> time = assumed_stage_time(known_shape("Llama-3.1-8B"), card, "bfloat16")
    >>> decode, prefill = roofline_point(time, 1, 1000), roofline_point(time, 2000, 0)
    >>> round(decode.intensity, 2), decode.bound, prefill.bound
    (1.03, 'memory', 'arithmetic')
    """
    cost = total_cost(
        operator_costs(
            time.shape, num_tokens, context, batch,
            precision=time.precision, logit_tokens=logit_tokens,
            tensor_parallel=time.layout.tensor_parallel,
        )
    )  # fmt: skip
    seconds = float(time.seconds(num_tokens, context, batch, logit_tokens=logit_tokens))
    ridge = time.flop_per_second / time.bandwidth
    return RooflinePoint(
        intensity=float(cost.intensity),
        flop_per_second=float(cost.flop) / seconds,
        seconds=seconds,
        bound="memory" if float(cost.intensity) < ridge else "arithmetic",
    )


def roof(intensity: ArrayLike, bandwidth: float, flop_per_second: float) -> FloatArray:
    """The most arithmetic per second at an intensity.

    Parameters
    ----------
    intensity : float or array, >= 0
        [FLOP/byte]
    bandwidth : float, > 0
        [bytes/s]
    flop_per_second : float, > 0
        [FLOP/s]

    Returns
    -------
    float or array, shape of intensity
        [FLOP/s]

    Raises
    ------
    ValueError
        If a number leaves its bound.

    Notes
    -----
    Equation (M8.6) in docs/model.md; [1]_.

    References
    ----------
    .. [1] S. Williams, A. Waterman, D. Patterson, "Roofline: An Insightful
       Visual Performance Model for Multicore Architectures", CACM 52(4), 2009.

    Examples
    --------
    >>> roof([1.0, 100.0, 1000.0], 2.0, 200.0)
    array([  2., 200., 200.])
    """
    reached = at_least("intensity", intensity, 0) * float(above("bandwidth", bandwidth, 0))
    return np.minimum(reached, float(above("flop_per_second", flop_per_second, 0)))


def free_tokens(
    time: StageTime,
    context: float,
    batch: float = 1,
    *,
    tolerance: float = 0.1,
    max_tokens: int = 4096,
) -> int:
    """Most tokens a forward reads in hardly more time than it needs for one.

    Parameters
    ----------
    time : StageTime
    context : float, >= 0
        [tokens]
    batch : float, >= 1
        Sequences; each reads that many tokens.
    tolerance : float, >= 0
        What counts as hardly more: a share of the time for one token.
        [unitless]
    max_tokens : int, >= 1
        Largest number tried. [tokens]

    Returns
    -------
    int, in [1, max_tokens]
        The pending token included: one less may be drafted. [tokens]

    Raises
    ------
    ValueError
        If a number leaves its bound.

    Notes
    -----
    Equation (M8.7) in docs/model.md. Every number is looked at: the time grows
    with the tokens, which a test checks. Of a mixture of experts few tokens
    are free, because each new one may visit experts that must be read.

    Examples
    --------
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> from simulator.stage_time import assumed_stage_time
    >>> card = known_hardware("H100-SXM")
    >>> dense = assumed_stage_time(known_shape("Llama-3.1-8B"), card, "bfloat16")
    >>> experts = assumed_stage_time(known_shape("Mixtral-8x7B-v0.1"), card, "bfloat16")
    >>> free_tokens(dense, 1000) > 10 * free_tokens(experts, 1000)
    True
    """
    slack = 1.0 + float(at_least("tolerance", tolerance, 0))
    tokens = np.arange(1, one_count("max_tokens", max_tokens, 1) + 1)
    seconds = time.seconds(tokens, context, batch)
    return int(np.count_nonzero(seconds <= seconds[0] * slack))
