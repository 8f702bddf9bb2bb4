"""How long should a forward take on this machine, from first principles?

Traffic and arithmetic of every operator divided by what the machine reaches,
plus a constant. Needs no measurement: then efficiencies are assumed and every
value says so. ``stage_fit`` finds them from measured samples instead.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, above, at_least
from simulator.communication import ONE_DEVICE, Layout, communication_seconds
from simulator.costs import Origin
from simulator.hardware import Hardware
from simulator.model_shape import ModelShape
from simulator.roofline import HALF, Precision, operator_costs

SHARPNESS = 2.0
"""Of the smooth maximum: at the ridge point 41 % above either limit.

Between what two published machines ask for: 1 fits the 8B model on an H100 of
arXiv:2601.11580, 4 the 7B model on an A100 of arXiv:2402.12374. For assumed
rates only; a fit chooses its own.
"""


@dataclass(frozen=True)
class Covered:
    """Range of the measurements behind a fit.

    Attributes
    ----------
    num_tokens, context, batch : pair of float
        Lowest and highest. [tokens, tokens, sequences]
    num_parameters : pair of float
        Of the models that were timed; any by default.
    """

    num_tokens: tuple[float, float]
    context: tuple[float, float]
    batch: tuple[float, float]
    num_parameters: tuple[float, float] = (0.0, np.inf)

    def holds(self, num_tokens: ArrayLike, context: ArrayLike, batch: ArrayLike) -> bool:
        """Whether every query lies inside."""
        spans = (self.num_tokens, self.context, self.batch)
        return all(
            bool(((np.asarray(query) >= low) & (np.asarray(query) <= high)).all())
            for query, (low, high) in zip((num_tokens, context, batch), spans, strict=True)
        )


@dataclass(frozen=True, eq=False)
class StageTime:
    """Time of a model's forward as a roofline.

    Attributes
    ----------
    shape : ModelShape
    bandwidth : float, > 0
        What the forward reaches, on each device. [bytes/s]
    flop_per_second : float, > 0
        What the forward reaches, on each device. [FLOP/s]
    overhead_seconds : float, >= 0
        Launches and whatever else neither grows nor divides. [s]
    precision : Precision
    sharpness : float, >= 1
        1 adds traffic and arithmetic, infinity takes the larger. [unitless]
    covered : Covered, optional
        Range of the samples it was fitted to; None when rates are assumed.
    attention_flop_per_second : float, > 0, optional
        What attention reaches, where that is another rate; by default flop_per_second.
        [FLOP/s]
    layout : Layout
        Devices that share the forward, and what links them; one by default.

    Raises
    ------
    ValueError
        If a number leaves its bound.

    Notes
    -----
    Equations (M7.6) and, for several devices, (M7.12) in docs/model.md. The maximum is taken
    operator by operator and added up, since kernels run one after another: attention may wait
    for memory while the projections beside it compute. Left out: steps between
    kernels, caches on the chip, clocks that fall with load, arithmetic while devices talk.

    Examples
    --------
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> card = known_hardware("A100-SXM-80GB")
    >>> time = assumed_stage_time(known_shape("Llama-3.1-8B"), card, "bfloat16")
    >>> [round(1e3 * float(time.seconds(n, 1000)), 1) for n in (1, 5, 512)]
    [9.3, 9.3, 38.7]
    >>> time.origin(1, 1000)
    'assumed'
    """

    shape: ModelShape
    bandwidth: float
    flop_per_second: float
    overhead_seconds: float = 0.0
    precision: Precision = HALF
    sharpness: float = SHARPNESS
    covered: Covered | None = None
    attention_flop_per_second: float | None = None
    layout: Layout = ONE_DEVICE

    def __post_init__(self) -> None:
        above("bandwidth", self.bandwidth, 0)
        above("flop_per_second", self.flop_per_second, 0)
        at_least("overhead_seconds", self.overhead_seconds, 0)
        at_least("sharpness", self.sharpness, 1)
        if self.attention_flop_per_second is not None:
            above("attention_flop_per_second", self.attention_flop_per_second, 0)

    def seconds(
        self,
        num_tokens: ArrayLike,
        context: ArrayLike,
        batch: ArrayLike = 1,
        *,
        logit_tokens: ArrayLike | None = None,
    ) -> FloatArray:
        """Time of one forward; arguments as in ``operator_costs``. [s]"""
        costs = operator_costs(
            self.shape,
            num_tokens,
            context,
            batch,
            precision=self.precision,
            logit_tokens=logit_tokens,
            tensor_parallel=self.layout.tensor_parallel,
        )
        rates = {"attention": self.attention_flop_per_second or self.flop_per_second}
        moving = np.array([cost.bytes for cost in costs.values()]) / self.bandwidth
        computing = np.array(
            [cost.flop / rates.get(name, self.flop_per_second) for name, cost in costs.items()]
        )
        busy = smooth_maximum(moving, computing, self.sharpness).sum(axis=0)
        told = self.communication_seconds(num_tokens, batch, logit_tokens=logit_tokens)
        return np.asarray(self.overhead_seconds + busy + told)[()]

    def communication_seconds(
        self, num_tokens: ArrayLike, batch: ArrayLike = 1, *, logit_tokens: ArrayLike | None = None
    ) -> FloatArray:
        """What of it the devices spend on telling each other, (M7.11). [s]"""
        return communication_seconds(
            self.shape, self.layout, num_tokens, batch,
            logit_tokens=logit_tokens, value_bytes=self.precision.activation,
        )  # fmt: skip

    def origin(self, num_tokens: ArrayLike, context: ArrayLike, batch: ArrayLike = 1) -> Origin:
        """Where values for these queries come from: the weakest of them.

        ``assumed``: rates were written down; ``modelled``: fitted, inside the
        range of the samples, the size of the model included; ``extrapolated``:
        fitted, outside.
        """
        if self.covered is None:
            return "assumed"
        low, high = self.covered.num_parameters
        inside = low <= self.shape.num_parameters <= high
        inside = inside and self.covered.holds(num_tokens, context, batch)
        return "modelled" if inside else "extrapolated"

    def of_shape(self, shape: ModelShape) -> "StageTime":
        """The same machine running another model.

        Equation (M7.9) in docs/model.md: rates stay, the constant grows with the layers, since
        every layer launches the same work. Where it was fitted, ``origin`` says
        ``extrapolated`` outside the range of sizes that were timed.

        Examples
        --------
        >>> from simulator.hardware import known_hardware
        >>> from simulator.known_models import known_shape
        >>> card, small = known_hardware("A100-SXM-80GB"), known_shape("Llama-3.2-1B")
        >>> time = assumed_stage_time(small, card, "bfloat16", overhead_seconds=1e-3)
        >>> time.of_shape(known_shape("Llama-3.1-8B")).overhead_seconds  # 32 layers, not 16
        0.002
        """
        overhead = self.overhead_seconds * shape.num_layers / self.shape.num_layers
        return replace(self, shape=shape, overhead_seconds=overhead)


def assumed_stage_time(
    shape: ModelShape,
    hardware: Hardware,
    dtype: str,
    *,
    bandwidth_efficiency: float = 0.8,
    flop_efficiency: float = 0.7,
    overhead_seconds: float = 0.0,
    precision: Precision = HALF,
    sharpness: float = SHARPNESS,
    layout: Layout = ONE_DEVICE,
) -> StageTime:
    """A stage time from published peaks and guessed efficiencies.

    Parameters
    ----------
    shape : ModelShape
    hardware : Hardware
    dtype : str
        Of the arithmetic; picks the peak.
    bandwidth_efficiency, flop_efficiency : float, > 0
        Share of the peak that is reached. The defaults are near the 81 % and
        77 % that a published fit of an 8B model on one H100 amounts to
        (coefficients of arXiv:2601.11580). [unitless]
    overhead_seconds : float, >= 0
        0 flatters small models, whose launches outlast their work. [s]
    precision : Precision
    sharpness : float, >= 1
        [unitless]
    layout : Layout
        So many of the hardware, linked so.

    Returns
    -------
    StageTime

    Raises
    ------
    ValueError
        If a number leaves its bound or the hardware has no figure for dtype.

    Notes
    -----
    Equation (M7.6) in docs/model.md. Rooflines that were fitted to nothing miss
    by 30 to 45 % in published comparisons: use them to rank.
    """
    return StageTime(
        shape,
        hardware.bandwidth * float(above("bandwidth_efficiency", bandwidth_efficiency, 0)),
        hardware.peak(dtype) * float(above("flop_efficiency", flop_efficiency, 0)),
        overhead_seconds,
        precision,
        sharpness,
        layout=layout,
    )


def smooth_maximum(first: ArrayLike, second: ArrayLike, sharpness: float) -> FloatArray:
    """A maximum without the kink, of numbers >= 0.

    Parameters
    ----------
    first, second : float or array, >= 0
    sharpness : float, >= 1
        1 gives the sum, large values the maximum. [unitless]

    Returns
    -------
    float or array, broadcast shape of the inputs
        In the unit of the inputs.

    Notes
    -----
    Equation (M7.6) in docs/model.md: the norm of order sharpness, scaled by
    the larger number so that powers neither overflow nor vanish.

    Examples
    --------
    >>> smooth_maximum([0.0, 3.0, 1e-200], [2.0, 3.0, 0.0], 2.0).round(3)
    array([2.   , 4.243, 0.   ])
    """
    high, low = np.maximum(first, second), np.minimum(first, second)
    ratio = np.divide(low, high, out=np.zeros_like(high), where=high > 0)
    return high * (1.0 + ratio**sharpness) ** (1.0 / sharpness)
