"""What does a prediction say? The result of a scenario, at three fidelities."""

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.checks import FloatArray
from simulator.intervals import percentile_interval


@dataclass(frozen=True)
class Fidelities:
    """One quantity at the three fidelities: closed form, hazards, replay."""

    L0: float
    L1: float
    L2: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a scenario is predicted to do.

    Attributes
    ----------
    num_draft_tokens : int
        [tokens]
    tau : Fidelities
        Mean emitted tokens per round. [tokens/round]
    speedup : Fidelities
        Over autoregressive decoding. [unitless]
    speedup_low, speedup_high : float or None
        Interval of the L2 speedup; None without resamples. [unitless]
    confidence : float or None
        Probability inside the interval. [unitless]
    speedup_samples : array [bootstrap] or None
        L2 speedup of every resample; the same resamples for every setting. [unitless]
    rounds_per_prompt : array [num_prompts]
        Expected rounds; whole numbers at temperature 0. [rounds]
    num_tokens : int
        Over all prompts. [tokens]
    draft_efficiency : float
        Accepted / proposed drafts. [unitless]
    round_seconds : float
        Mean time of a round, L2. [s]
    round_seconds_by_stage : dict
        Adds up to round_seconds. [s]
    autoregressive_seconds : float
        Time per token of autoregressive decoding, L2. [s]
    autoregressive_seconds_by_stage : dict
        Adds up to autoregressive_seconds. [s]
    provenance : dict
        Share of the predicted time by where its costs come from: ``measured``,
        ``interpolated``, ``extrapolated``, ``assumed``, ``modelled``; adds up
        to 1. [unitless]
    """

    num_draft_tokens: int
    tau: Fidelities
    speedup: Fidelities
    speedup_low: float | None
    speedup_high: float | None
    confidence: float | None
    speedup_samples: FloatArray | None
    rounds_per_prompt: FloatArray
    num_tokens: int
    draft_efficiency: float
    round_seconds: float
    round_seconds_by_stage: Mapping[str, float]
    autoregressive_seconds: float
    autoregressive_seconds_by_stage: Mapping[str, float]
    provenance: Mapping[str, float]

    @property
    def rounds(self) -> float:
        """Expected rounds over all prompts. [rounds]"""
        return float(self.rounds_per_prompt.sum())

    @property
    def tokens_per_s(self) -> float:
        """Of decoding, the prompt not counted, L2. [tokens/s]"""
        return self.tau.L2 / self.round_seconds

    @property
    def time_split(self) -> dict[str, float]:
        """Share of the predicted decode time by stage; adds up to 1. [unitless]"""
        if self.round_seconds == 0:
            return {}
        parts = self.round_seconds_by_stage.items()
        return {stage: seconds / self.round_seconds for stage, seconds in parts}


def speedup_ratio_interval(
    one: Prediction, other: Prediction, confidence: float = 0.9
) -> tuple[float, float]:
    """Interval of the speedup of one setting over that of another, from shared resamples.

    Parameters
    ----------
    one, other : Prediction
        With equal seeds, so that their resamples are pairs.
    confidence : float, in (0, 1)
        [unitless]

    Returns
    -------
    tuple of float
        Low and high. [unitless]

    Raises
    ------
    ValueError
        If a prediction has no resamples, or a resample is not above 0.

    Notes
    -----
    Equation (M10.3) in docs/model.md.
    """
    mine, theirs = one.speedup_samples, other.speedup_samples
    if mine is None or theirs is None:
        raise ValueError("an interval of a ratio needs the resamples of both predictions")
    ratios = mine / theirs
    if not (ratios > 0).all():
        raise ValueError(f"resamples of a ratio must be above 0, not {ratios.min():g}")
    return percentile_interval(ratios, confidence)
