"""Which parameters of a roofline come closest to measured times?

Least squares on logarithms, and the choice of a sharpness. ``stage_fit`` puts
samples in and reads rates and intervals off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulator.checks import FloatArray, IntArray
from simulator.hardware import Hardware
from simulator.model_shape import ModelShape
from simulator.roofline import Precision, operator_costs
from simulator.stage_time import smooth_maximum

SHARPNESSES = (1.0, 2.0, 4.0)
"""Candidates for the sharpness: traffic and arithmetic add up, overlap in part, overlap."""


@dataclass(frozen=True, eq=False)
class IdealTimes:
    """What forwards would take at the peaks, operator by operator.

    Attributes
    ----------
    moving, computing : array [num_operators, num_samples]
        Traffic and arithmetic, each over the hardware's peak. [s]
    attention : array [num_operators], bool
        Which row is attention's.
    depth : array [num_samples]
        Layers of the sample's model over those of the first. [unitless]
    """

    moving: FloatArray
    computing: FloatArray
    attention: NDArray[np.bool_]
    depth: FloatArray

    def take(self, pick: IntArray) -> "IdealTimes":
        """Some of the samples."""
        return IdealTimes(
            self.moving[:, pick], self.computing[:, pick], self.attention, self.depth[pick]
        )


def ideal_times(
    shapes: Sequence[ModelShape],
    which: IntArray,
    points: tuple[ArrayLike, ArrayLike, ArrayLike],
    precision: Precision,
    hardware: Hardware,
    dtype: str,
) -> IdealTimes:
    """Of samples at points (tokens, context, batch), each of the model ``shapes[which]``."""
    costs = [operator_costs(shape, *points, precision=precision) for shape in shapes]
    each = np.arange(which.size)
    # [models, operators, samples], then every sample's own model
    moved = np.array([[cost.bytes for cost in one.values()] for one in costs])[which, :, each].T
    flop = np.array([[cost.flop for cost in one.values()] for one in costs])[which, :, each].T
    depth = np.array([shape.num_layers for shape in shapes])[which] / shapes[0].num_layers
    attention = np.array([name == "attention" for name in costs[0]])
    return IdealTimes(moved / hardware.bandwidth, flop / hardware.peak(dtype), attention, depth)


def sharpest_needed(
    ideal: IdealTimes, measured: FloatArray, candidates: tuple[float, ...], start: FloatArray
) -> tuple[float, FloatArray]:
    """The smallest sharpness that no other beats by more than chance, and its parameters.

    In doubt traffic and arithmetic add up: that makes verification dear, not cheap.
    """
    fits = [fit_logarithms(ideal, measured, s, start) for s in candidates]
    squares = [
        float(((np.log(measured) - log_seconds(fit, ideal, s)) ** 2).sum())
        for s, fit in zip(candidates, fits, strict=True)
    ]
    # twice the log likelihood ratio of normal residuals, against 95 % of chi-square(1)
    floor = np.finfo(float).tiny
    gain = measured.size * np.log((np.array(squares) + floor) / (min(squares) + floor))
    first = int(np.argmax(gain <= 3.84))
    return candidates[first], fits[first]


def log_seconds(parameters: FloatArray, ideal: IdealTimes, sharpness: float) -> FloatArray:
    """Logarithm of (M7.6) with (M7.9).

    Parameters are logarithms: the constant, the shares of bandwidth and FLOP/s, and attention's
    share of the FLOP/s where there is a fourth.
    """
    overhead, moved, computed = np.exp(parameters[:3])
    of_attention = np.exp(parameters[3]) if parameters.size > 3 else computed
    reached = np.where(ideal.attention, of_attention, computed)
    busy = smooth_maximum(ideal.moving / moved, ideal.computing / reached[:, None], sharpness)
    return np.log(overhead * ideal.depth + busy.sum(axis=0))


def fit_logarithms(
    ideal: IdealTimes, measured: FloatArray, sharpness: float, start: FloatArray
) -> FloatArray:
    """Logarithms of the parameters, as many as start has; (M7.7)."""
    from scipy.optimize import least_squares  # slow to import, seldom used

    target = np.log(measured)
    # a constant far below every sample and efficiencies over 6 decades: no bound is ever a guess
    most = (measured / ideal.depth).min()
    rates = start.size - 1
    low = np.log([1e-6 * most] + [1e-4] * rates)
    high = np.log([most] + [1e2] * rates)
    result = least_squares(
        lambda x: log_seconds(x, ideal, sharpness) - target,
        np.clip(start, low + 1e-6, high - 1e-6),
        bounds=(low, high),
    )
    return np.asarray(result.x, dtype=np.float64)
