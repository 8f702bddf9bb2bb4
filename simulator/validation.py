"""How far was the prediction off, and because of what?

Puts a prediction beside what was decoded for real and splits the error
exactly: into tokens per round, time per round (by stage), and time per
autoregressive token. Plain numbers in, plain numbers out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, above, counts
from simulator.intervals import percentile_interval
from simulator.prediction import Prediction


@dataclass(frozen=True, eq=False)
class Measurement:
    """One setting decoded for real, and autoregressive decoding of the same prompts.

    Attributes
    ----------
    num_tokens, num_rounds : array [num_prompts], >= 1
        With the method, summed over repeats. [tokens], [rounds]
    seconds : array [num_prompts], > 0
        Decoding with the method, prefill excluded. [s]
    baseline_tokens : array [num_prompts], >= 1
        Decoded autoregressively. [tokens]
    baseline_seconds : array [num_prompts], > 0
        [s]
    seconds_by_stage : mapping
        Of the method, summed over prompts; what they leave of the total
        becomes ``rest``. [s]

    Raises
    ------
    ValueError
        If the arrays differ in shape or leave their bounds, or the stages
        include ``rest``.
    """

    num_tokens: IntArray
    num_rounds: IntArray
    seconds: FloatArray
    baseline_tokens: IntArray
    baseline_seconds: FloatArray
    seconds_by_stage: Mapping[str, float]

    def __post_init__(self) -> None:
        checked: dict[str, np.ndarray] = {
            name: counts(name, getattr(self, name), 1)
            for name in ("num_tokens", "num_rounds", "baseline_tokens")
        }
        for name in ("seconds", "baseline_seconds"):
            checked[name] = above(name, getattr(self, name), 0)
        shapes = {name: array.shape for name, array in checked.items()}
        if len(set(shapes.values())) != 1 or checked["seconds"].ndim != 1:
            raise ValueError(f"measured arrays differ in shape: {shapes}")
        if "rest" in self.seconds_by_stage:
            raise ValueError("seconds_by_stage must not name 'rest': it is what stages leave")
        for name, array in checked.items():
            object.__setattr__(self, name, array)

    @property
    def tau(self) -> float:
        """All tokens / all rounds. [tokens/round]"""
        return float(self.num_tokens.sum() / self.num_rounds.sum())

    @property
    def time_ratio(self) -> float:
        """Time of an autoregressive step / time of a round: median over prompts. [unitless]

        Both were measured on the same prompt minutes apart at most, so drift
        of the machine cancels, and a stall on a few prompts does not count.
        """
        return float(np.median(self._time_ratios))

    @property
    def _time_ratios(self) -> FloatArray:
        return (self.baseline_seconds / self.baseline_tokens) / (self.seconds / self.num_rounds)

    @property
    def round_seconds(self) -> float:
        """Time of a round, autoregressive_seconds / time_ratio. [s]"""
        return self.autoregressive_seconds / self.time_ratio

    @property
    def round_seconds_by_stage(self) -> dict[str, float]:
        """Time of a round by stage, ``rest`` included. [s]"""
        return {stage: share * self.round_seconds for stage, share in self.time_split.items()}

    @property
    def autoregressive_seconds(self) -> float:
        """Time per token of autoregressive decoding: median over prompts. [s]"""
        return float(np.median(self.baseline_seconds / self.baseline_tokens))

    @property
    def speedup(self) -> float:
        """tau * time_ratio: the ratio of tokens/s without the machine's stalls. [unitless]"""
        return self.tau * self.time_ratio

    @property
    def speedup_of_totals(self) -> float:
        """Ratio of total tokens/s, stalls and all. [unitless]"""
        baseline = float(self.baseline_seconds.sum() / self.baseline_tokens.sum())
        return baseline * float(self.num_tokens.sum() / self.seconds.sum())

    @property
    def time_split(self) -> dict[str, float]:
        """Share of the total measured time by stage; ``rest`` is unexplained. [unitless]"""
        total = float(self.seconds.sum())
        shares = {stage: value / total for stage, value in self.seconds_by_stage.items()}
        return {**shares, "rest": 1.0 - sum(shares.values())}

    def speedup_interval(
        self, *, seed: int = 0, bootstrap: int = 400, confidence: float = 0.9
    ) -> tuple[float, float]:
        """Bootstrap interval of the speedup, whole prompts resampled. [unitless]"""
        size = self.num_tokens.size
        picks = np.random.default_rng(seed).integers(0, size, size=(bootstrap, size))
        tau = self.num_tokens[picks].sum(axis=1) / self.num_rounds[picks].sum(axis=1)
        return percentile_interval(tau * np.median(self._time_ratios[picks], axis=1), confidence)


@dataclass(frozen=True)
class ErrorTerms:
    """log(predicted / measured) of the speedup, and its parts.

    log_tau + log_round + log_autoregressive = log_speedup: log_round carries
    the sign with which it acts (a round predicted too long is negative), and
    log_round_by_stage adds up to it. All natural logarithms. [unitless]
    """

    log_speedup: float
    log_tau: float
    log_round: float
    log_autoregressive: float
    log_round_by_stage: dict[str, float]

    @property
    def relative(self) -> float:
        """Predicted / measured speedup - 1. [unitless]"""
        return float(np.expm1(self.log_speedup))


@dataclass(frozen=True)
class Summary:
    """Errors of the L2 speedup over many settings, relative to measured. [unitless]

    bias is the mean signed error, coverage_90 the share of measured speedups
    inside the predicted interval, time_explained the smallest share of wall
    time that stages explain in any setting.
    """

    median_abs_error: float
    p95_abs_error: float
    max_abs_error: float
    bias: float
    coverage_90: float
    time_explained: float


def compare(prediction: Prediction, measurement: Measurement) -> ErrorTerms:
    """The error of a predicted speedup, split exactly.

    Parameters
    ----------
    prediction : Prediction
        Its L2 values are judged.
    measurement : Measurement

    Returns
    -------
    ErrorTerms

    Notes
    -----
    Equations (M9.1) and (M9.2) in docs/model.md. The split by stage weighs
    time differences by the logarithmic mean of predicted and measured round
    time, which is the one weight that makes the parts add up.
    """
    predicted, measured = prediction.round_seconds, measurement.round_seconds
    log_round = -float(np.log(predicted / measured))
    ours, theirs = prediction.round_seconds_by_stage, measurement.round_seconds_by_stage
    weight = 1.0 / _logarithmic_mean(predicted, measured)
    return ErrorTerms(
        log_speedup=float(np.log(prediction.speedup.L2 / measurement.speedup)),
        log_tau=float(np.log(prediction.tau.L2 / measurement.tau)),
        log_round=log_round,
        log_autoregressive=float(
            np.log(prediction.autoregressive_seconds / measurement.autoregressive_seconds)
        ),
        log_round_by_stage={
            stage: -(ours.get(stage, 0.0) - theirs.get(stage, 0.0)) * weight
            for stage in dict.fromkeys([*ours, *theirs])
        },
    )


def summarise(pairs: Sequence[tuple[Prediction, Measurement]]) -> Summary:
    """Errors over many settings.

    Parameters
    ----------
    pairs : sequence of (Prediction, Measurement), at least 1
        Predictions with an interval.

    Returns
    -------
    Summary

    Raises
    ------
    ValueError
        If there is no pair, or a prediction has no interval.
    """
    if not pairs:
        raise ValueError("a summary needs >= 1 setting, not 0")
    errors = np.array([p.speedup.L2 / m.speedup - 1.0 for p, m in pairs])
    return Summary(
        median_abs_error=float(np.median(np.abs(errors))),
        p95_abs_error=float(np.quantile(np.abs(errors), 0.95)),
        max_abs_error=float(np.abs(errors).max()),
        bias=float(errors.mean()),
        coverage_90=coverage(
            [p.speedup_low for p, _ in pairs],
            [p.speedup_high for p, _ in pairs],
            [m.speedup for _, m in pairs],
        ),
        time_explained=min(1.0 - m.time_split["rest"] for _, m in pairs),
    )


def coverage(
    low: Sequence[float | None], high: Sequence[float | None], measured: ArrayLike
) -> float:
    """Share of measured values inside their intervals; ValueError where one has none.

    Examples
    --------
    >>> coverage([1.0, 2.0], [2.0, 3.0], [1.5, 3.5])
    0.5
    """
    if None in low or None in high:
        raise ValueError("every prediction needs an interval: predict with bootstrap >= 1")
    bottom, top = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    values = np.asarray(measured, dtype=np.float64)
    return float(((bottom <= values) & (values <= top)).mean())


def _logarithmic_mean(a: float, b: float) -> float:
    """(a - b) / log(a / b), and a where they are equal; a, b > 0."""
    relative = (a - b) / b
    # log1p keeps the digits when a and b nearly agree
    return a if relative == 0.0 else float(b * relative / np.log1p(relative))
