"""Which rates does this machine reach, given a few timed forwards?

Three numbers (a constant, the share of the bandwidth, the share of the FLOP/s)
by least squares on the logarithms of measured times, with bootstrap intervals.
What the fit does not explain stays visible as residuals.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares

from simulator.checks import FloatArray, above, at_least, counts, one_count
from simulator.hardware import Hardware
from simulator.intervals import percentile_interval
from simulator.model_shape import ModelShape
from simulator.roofline import HALF, Precision, operator_costs
from simulator.stage_time import Covered, StageTime, smooth_maximum

MIN_SETTINGS = 5
"""Different settings needed: three parameters and two to judge them by."""

SHARPNESSES = (1.0, 2.0, 4.0)
"""Candidates for the sharpness: traffic and arithmetic add up, overlap in part, overlap."""


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
        Its sharpness is the chosen one.
    overhead_seconds : Fitted
        [s]
    bandwidth_efficiency, flop_efficiency : Fitted
        Share of the hardware's peak; an interval over decades says that the
        samples do not tell. [unitless]
    residuals : array [num_samples]
        log(measured / fitted). [unitless]
    """

    time: StageTime
    overhead_seconds: Fitted
    bandwidth_efficiency: Fitted
    flop_efficiency: Fitted
    residuals: FloatArray

    @property
    def median_abs_error(self) -> float:
        """Median of |measured / fitted - 1|. [unitless]"""
        return float(np.median(np.abs(np.expm1(self.residuals))))


def fit_stage_time(
    shape: ModelShape,
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
) -> StageFit:
    """Calibrate a roofline to measured forwards.

    Parameters
    ----------
    shape : ModelShape
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

    Returns
    -------
    StageFit

    Raises
    ------
    ValueError
        If there are fewer than 5 different settings, arrays differ in length,
        or a value leaves its bounds.

    Notes
    -----
    Equations (M7.6) and (M7.7) in docs/model.md. Logarithms weigh a fast and a
    slow forward alike. Samples are resampled singly, as if independent; drift
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
    settings = len(np.unique(np.stack([tokens, cached, rows]), axis=1).T)
    if settings < MIN_SETTINGS:
        raise ValueError(f"a fit needs >= {MIN_SETTINGS} different settings, not {settings}")
    resamples = one_count("bootstrap", bootstrap, 1)
    costs = operator_costs(shape, tokens, cached, rows, precision=precision).values()
    moving = np.array([cost.bytes for cost in costs]) / hardware.bandwidth
    computing = np.array([cost.flop for cost in costs]) / hardware.peak(dtype)
    start = np.log([0.1 * measured.min(), 0.7, 0.5])
    candidates = SHARPNESSES if sharpness is None else (sharpness,)
    chosen, best = _sharpest_needed(moving, computing, measured, candidates, start)
    drawn = []
    for _ in range(resamples):
        pick = rng.integers(measured.size, size=measured.size)
        # a parameter the samples do not show stays where it starts: start anywhere
        start = best + rng.normal(0.0, 2.0, size=3)
        drawn.append(_minimise(moving[:, pick], computing[:, pick], measured[pick], chosen, start))
    overhead, moved, computed = (
        Fitted(float(np.exp(value)), *percentile_interval(np.exp(samples), confidence))
        for value, samples in zip(best, np.array(drawn).T, strict=True)
    )
    time = StageTime(
        shape,
        hardware.bandwidth * moved.value,
        hardware.peak(dtype) * computed.value,
        overhead.value,
        precision,
        chosen,
        Covered(_range(tokens), _range(cached), _range(rows)),
    )
    residuals = np.log(measured) - _log_seconds(best, moving, computing, chosen)
    return StageFit(time, overhead, moved, computed, residuals)


def _sharpest_needed(
    moving: FloatArray,
    computing: FloatArray,
    measured: FloatArray,
    candidates: tuple[float, ...],
    start: FloatArray,
) -> tuple[float, FloatArray]:
    """The smallest sharpness that no other beats by more than chance, and its parameters.

    In doubt traffic and arithmetic add up: that makes verification dear, not cheap.
    """
    fits = [_minimise(moving, computing, measured, s, start) for s in candidates]
    squares = [
        float(((np.log(measured) - _log_seconds(fit, moving, computing, s)) ** 2).sum())
        for s, fit in zip(candidates, fits, strict=True)
    ]
    # twice the log likelihood ratio of normal residuals, against 95 % of chi-square(1)
    floor = np.finfo(float).tiny
    gain = measured.size * np.log((np.array(squares) + floor) / (min(squares) + floor))
    first = int(np.argmax(gain <= 3.84))
    return candidates[first], fits[first]


def _log_seconds(
    parameters: FloatArray, moving: FloatArray, computing: FloatArray, sharpness: float
) -> FloatArray:
    """Logarithm of (M7.6) for ideal times [num_operators, num_samples]."""
    overhead, moved, computed = np.exp(parameters)
    busy = smooth_maximum(moving / moved, computing / computed, sharpness).sum(axis=0)
    return np.log(overhead + busy)


def _minimise(
    moving: FloatArray,
    computing: FloatArray,
    measured: FloatArray,
    sharpness: float,
    start: FloatArray,
) -> FloatArray:
    """Logarithms of the three parameters; (M7.7)."""
    target = np.log(measured)
    # a constant far below every sample and efficiencies over 6 decades: no bound is ever a guess
    low = np.log([1e-6 * measured.min(), 1e-4, 1e-4])
    high = np.log([measured.min(), 1e2, 1e2])
    result = least_squares(
        lambda x: _log_seconds(x, moving, computing, sharpness) - target,
        np.clip(start, low + 1e-6, high - 1e-6),
        bounds=(low, high),
    )
    return np.asarray(result.x, dtype=np.float64)


def _range(values: ArrayLike) -> tuple[float, float]:
    array = np.asarray(values, dtype=np.float64)
    return float(array.min()), float(array.max())
