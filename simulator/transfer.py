"""How wrong is a prediction of what it was not calibrated on?

Forwards are timed, some are held out (a size of model, a context, a batch), a
roofline is fitted to the others and asked for these. And what a measured ratio
of totals, such as tokens per round, is worth where a text was never seen.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulator.checks import FloatArray, above
from simulator.costs import Origin
from simulator.hardware import Hardware
from simulator.model_shape import ModelShape
from simulator.roofline import HALF, Precision
from simulator.stage_fit import StageFit, fit_stage_time


@dataclass(frozen=True, eq=False)
class StagePoints:
    """Timed forwards, one entry each.

    Attributes
    ----------
    shapes : tuple of ModelShape [num_points]
    num_tokens, context, batch : array [num_points]
        [tokens], [tokens], [sequences]
    seconds : array [num_points], > 0
        Medians. [s]

    Raises
    ------
    ValueError
        If the lengths differ.
    """

    shapes: tuple[ModelShape, ...]
    num_tokens: NDArray[np.int64]
    context: NDArray[np.int64]
    batch: NDArray[np.int64]
    seconds: FloatArray

    def __post_init__(self) -> None:
        sizes = [len(value) for value in vars(self).values()]
        if len(set(sizes)) != 1:
            raise ValueError(f"points differ in length: {sizes}")

    def where(self, keep: NDArray[np.bool_]) -> "StagePoints":
        """Some of the points."""
        return StagePoints(
            tuple(shape for shape, kept in zip(self.shapes, keep, strict=True) if kept),
            self.num_tokens[keep],
            self.context[keep],
            self.batch[keep],
            self.seconds[keep],
        )


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Points that a fit did not see, predicted.

    Attributes
    ----------
    fit : StageFit
        To all other points.
    points : StagePoints
        What was held out.
    predicted : array [num_held_out]
        [s]
    origins : tuple of str [num_held_out]
        ``modelled`` or ``extrapolated``.
    """

    fit: StageFit
    points: StagePoints
    predicted: FloatArray
    origins: tuple[Origin, ...]


def predict_held_out(
    points: StagePoints,
    held_out: NDArray[np.bool_],
    hardware: Hardware,
    dtype: str,
    *,
    rng: np.random.Generator,
    precision: Precision = HALF,
    own_attention_rate: bool = False,
    bootstrap: int = 100,
) -> HeldOut:
    """Fit a roofline to some points and ask it for the others.

    Parameters
    ----------
    points : StagePoints
    held_out : array [num_points], bool
        Points the fit must not see; at least one.
    hardware, dtype, rng, precision, own_attention_rate, bootstrap
        As in ``fit_stage_time``.

    Returns
    -------
    HeldOut

    Raises
    ------
    ValueError
        If nothing is held out, or too little is left (``fit_stage_time``).

    Notes
    -----
    Equations (M7.7) and (M7.9) in docs/model.md.

    Examples
    --------
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> from simulator.stage_time import assumed_stage_time
    >>> card, shape = known_hardware("L4"), known_shape("Qwen2.5-1.5B")
    >>> tokens, context = np.tile([1, 4, 16, 64, 256], 3), np.repeat([100, 400, 4000], 5)
    >>> true = assumed_stage_time(shape, card, "bfloat16", overhead_seconds=1e-3)
    >>> ones = np.ones(15, dtype=np.int64)
    >>> points = StagePoints((shape,) * 15, tokens, context, ones, true.seconds(tokens, context))
    >>> told = predict_held_out(points, context == 4000, card, "bfloat16",
    ...                         rng=np.random.default_rng(0), bootstrap=1)
    >>> summarise_errors(told.predicted, told.points.seconds).max_abs_error < 1e-3
    True
    """
    if not held_out.any():
        raise ValueError("at least 1 point must be held out, not 0")
    seen, unseen = points.where(~held_out), points.where(held_out)
    fit = fit_stage_time(
        seen.shapes,
        hardware,
        dtype,
        seen.num_tokens,
        seen.context,
        seen.batch,
        seen.seconds,
        rng=rng,
        bootstrap=bootstrap,
        precision=precision,
        own_attention_rate=own_attention_rate,
    )
    predicted, origins = [], []
    asked = zip(unseen.shapes, unseen.num_tokens, unseen.context, unseen.batch, strict=True)
    for shape, *where in asked:
        time = fit.time.of_shape(shape)
        predicted.append(float(time.seconds(*where)))
        origins.append(time.origin(*where))
    return HeldOut(fit, unseen, np.array(predicted), tuple(origins))


@dataclass(frozen=True)
class ErrorSummary:
    """Relative errors of many predictions. [unitless]

    Attributes
    ----------
    points : int
    median_abs_error, max_abs_error : float
        Of |predicted / measured - 1|.
    bias : float
        Mean of predicted / measured - 1.
    """

    points: int
    median_abs_error: float
    max_abs_error: float
    bias: float


def summarise_errors(predicted: ArrayLike, measured: ArrayLike) -> ErrorSummary:
    """Median, worst and mean relative error.

    Parameters
    ----------
    predicted, measured : array [num_points], > 0
        In the same unit.

    Raises
    ------
    ValueError
        If there is no point, the lengths differ, or a value is not above 0.

    Examples
    --------
    >>> summarise_errors([1.1, 0.8, 1.0], [1.0, 1.0, 1.0]).max_abs_error.__round__(3)
    0.2
    """
    told, found = above("predicted", predicted, 0), above("measured", measured, 0)
    if told.shape != found.shape or told.size == 0:
        raise ValueError(f"need as many predictions as points: {told.shape} and {found.shape}")
    error = told / found - 1.0
    size = np.abs(error)
    return ErrorSummary(error.size, float(np.median(size)), float(size.max()), float(error.mean()))


def ratio_standard_error(totals: ArrayLike, counts: ArrayLike) -> float:
    """Relative standard error of a ratio of totals, over independent units.

    Parameters
    ----------
    totals, counts : array [num_units], >= 2 units
        For example tokens and rounds of each prompt.

    Returns
    -------
    float
        Standard error of log(sum of totals / sum of counts). [unitless]

    Raises
    ------
    ValueError
        If there are fewer than 2 units, lengths differ, or a value is not above 0.

    Notes
    -----
    Equation (M10.6) in docs/model.md: linearised, since a ratio of totals is no mean of ratios.
    Holds for many units; a few prompts understate it.

    Examples
    --------
    >>> round(ratio_standard_error([10, 12, 8, 10], [5, 5, 5, 5]), 4)
    0.0816
    """
    top, bottom = above("totals", totals, 0), above("counts", counts, 0)
    if top.shape != bottom.shape or top.ndim != 1 or top.size < 2:
        raise ValueError(f"need >= 2 units, as many of each: {top.shape} and {bottom.shape}")
    ratio = top.sum() / bottom.sum()
    leftover = top - ratio * bottom
    spread = np.sqrt(top.size / (top.size - 1) * (leftover**2).sum())
    return float(spread / top.sum())
