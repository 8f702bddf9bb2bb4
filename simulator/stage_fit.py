"""Which rates does this machine reach, given a few timed forwards?

Three numbers (a constant, the share of the bandwidth, the share of the FLOP/s)
by least squares on the logarithms of measured times, with bootstrap intervals;
a fourth where attention computes at a rate of its own. The forwards may be of
several models. What the fit does not explain stays visible as residuals.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, above, at_least, counts, one_count
from simulator.hardware import Hardware
from simulator.intervals import percentile_interval
from simulator.model_shape import ModelShape
from simulator.roofline import HALF, Precision
from simulator.roofline_fit import (
    SHARPNESSES,
    fit_logarithms,
    ideal_times,
    log_seconds,
    sharpest_needed,
)
from simulator.stage_time import Covered, StageTime

SPARE_SETTINGS = 2
"""Different settings needed beyond the parameters, to judge these by."""


@dataclass(frozen=True)
class Fitted:
    """A parameter with its interval.

    Attributes
    ----------
    value, low, high : float
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class StageFit:
    """A roofline fitted to measured times.

    Attributes
    ----------
    time : StageTime
        Of the first sample's model (``of_shape`` gives others); its sharpness is the
        chosen one.
    overhead_seconds : Fitted
        Of the first sample's model. [s]
    bandwidth_efficiency, flop_efficiency : Fitted
        Share of the hardware's peak; an interval over decades says that the
        samples do not tell. [unitless]
    residuals : array [num_samples]
        log(measured / fitted). [unitless]
    attention_flop_efficiency : Fitted, optional
        Where attention has a rate of its own; flop_efficiency is then that of the
        matrices. [unitless]
    """

    time: StageTime
    overhead_seconds: Fitted
    bandwidth_efficiency: Fitted
    flop_efficiency: Fitted
    residuals: FloatArray
    attention_flop_efficiency: Fitted | None = None

    @property
    def median_abs_error(self) -> float:
        """Median of |measured / fitted - 1|. [unitless]"""
        return float(np.median(np.abs(np.expm1(self.residuals))))


def fit_stage_time(
    shape: ModelShape | Sequence[ModelShape],
    hardware: Hardware,
    dtype: str,
    num_tokens: ArrayLike,
    context: ArrayLike,
    batch: ArrayLike,
    seconds: ArrayLike,
    *,
    rng: np.random.Generator,
    bootstrap: int = 100,
    confidence: float = 0.9,
    precision: Precision = HALF,
    sharpness: float | None = None,
    own_attention_rate: bool = False,
) -> StageFit:
    """Calibrate a roofline to measured forwards.

    Parameters
    ----------
    shape : ModelShape, or a sequence of them [num_samples]
        Whose forwards these are.
    hardware : Hardware
        Efficiencies are shares of its peaks; prediction does not depend on them.
    dtype : str
    num_tokens, context, batch : array [num_samples]
        What each forward worked on, as in ``operator_costs``.
    seconds : array [num_samples], > 0
        [s]
    rng : numpy.random.Generator
    bootstrap : int, >= 1
        Resamples of the samples.
    confidence : float, in (0, 1)
        [unitless]
    precision : Precision
    sharpness : float, >= 1, optional
        By default the smallest of ``SHARPNESSES`` whose residuals no other beats
        by more than chance; samples far from the ridge hardly tell. [unitless]
    own_attention_rate : bool
        Whether attention's FLOP/s are a parameter of their own: its kernels differ
        from those of the matrices, on a CPU often in dtype as well.

    Returns
    -------
    StageFit

    Raises
    ------
    ValueError
        If there are fewer than 5 different settings (6 with own_attention_rate),
        arrays differ in length, or a value leaves its bounds.

    Notes
    -----
    Equations (M7.6), (M7.7) and (M7.9) in docs/model.md. Logarithms weigh a fast
    and a slow forward alike. Samples are resampled singly, as if independent; drift
    of the machine between them is not in the interval.

    Examples
    --------
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> from simulator.stage_time import assumed_stage_time
    >>> card, shape = known_hardware("L4"), known_shape("Qwen2.5-1.5B")
    >>> true = assumed_stage_time(shape, card, "bfloat16", overhead_seconds=1e-3)
    >>> tokens, batch = np.array([1, 2, 8, 64, 256, 1024]), np.ones(6)
    >>> fit = fit_stage_time(shape, card, "bfloat16", tokens, 100 * batch, batch,
    ...                      true.seconds(tokens, 100), rng=np.random.default_rng(0), bootstrap=20)
    >>> round(fit.bandwidth_efficiency.value, 3), round(fit.flop_efficiency.value, 3)
    (0.8, 0.7)
    """
    tokens, cached = counts("num_tokens", num_tokens, 1), at_least("context", context, 0)
    rows, measured = at_least("batch", batch, 1), above("seconds", seconds, 0)
    if not tokens.shape == cached.shape == rows.shape == measured.shape or tokens.ndim != 1:
        raise ValueError(
            "samples differ in shape:"
            f" {tokens.shape}, {cached.shape}, {rows.shape}, {measured.shape}"
        )
    shapes = [shape] * measured.size if isinstance(shape, ModelShape) else list(shape)
    if len(shapes) != measured.size:
        raise ValueError(f"need a shape per sample, not {len(shapes)} for {measured.size} samples")
    kinds = {one: index for index, one in enumerate(dict.fromkeys(shapes))}
    which = np.array([kinds[one] for one in shapes], dtype=np.int64)
    needed = 3 + own_attention_rate + SPARE_SETTINGS
    settings = len(np.unique(np.stack([which, tokens, cached, rows]), axis=1).T)
    if settings < needed:
        raise ValueError(f"a fit needs >= {needed} different settings, not {settings}")
    resamples = one_count("bootstrap", bootstrap, 1)
    ideal = ideal_times(list(kinds), which, (tokens, cached, rows), precision, hardware, dtype)
    start = np.log([0.1 * measured.min(), 0.7, 0.5, 0.5][: 3 + own_attention_rate])
    candidates = SHARPNESSES if sharpness is None else (sharpness,)
    chosen, best = sharpest_needed(ideal, measured, candidates, start)
    drawn = []
    for _ in range(resamples):
        pick = rng.integers(measured.size, size=measured.size)
        # a parameter the samples do not show stays where it starts: start anywhere
        start = best + rng.normal(0.0, 2.0, size=best.size)
        drawn.append(fit_logarithms(ideal.take(pick), measured[pick], chosen, start))
    overhead, moved, computed, *attention = (
        Fitted(float(np.exp(value)), *percentile_interval(np.exp(samples), confidence))
        for value, samples in zip(best, np.array(drawn).T, strict=True)
    )
    time = StageTime(
        shapes[0],
        hardware.bandwidth * moved.value,
        hardware.peak(dtype) * computed.value,
        overhead.value,
        precision,
        chosen,
        Covered(
            _range(tokens),
            _range(cached),
            _range(rows),
            _range([one.num_parameters for one in kinds]),
        ),
        hardware.peak(dtype) * attention[0].value if attention else None,
    )
    residuals = np.log(measured) - log_seconds(best, ideal, chosen)
    return StageFit(time, overhead, moved, computed, residuals, *attention)


def _range(values: ArrayLike) -> tuple[float, float]:
    array = np.asarray(values, dtype=np.float64)
    return float(array.min()), float(array.max())
