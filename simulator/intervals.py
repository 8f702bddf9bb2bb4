"""How far could the prediction be off? A bootstrap over prompts and samples.

Prompts are resampled whole, because tokens within a prompt are not
independent; the raw times of every measured cell are resampled beside them.
Nothing is replayed: sums per prompt and cell are enough. The same draw serves
every num_draft_tokens, so that settings are compared in pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, one_count, rates
from simulator.round_time import CURVES, RoundWeights, StageCosts


@dataclass(frozen=True, eq=False)
class Resamples:
    """Bootstrap draws shared by all predictions from one calibration.

    Attributes
    ----------
    prompt_counts : array [bootstrap, num_prompts]
        How often each prompt was drawn.
    medians : mapping of str to array [bootstrap, num_cells]
        Resampled cell medians of every curve. [s]
    """

    prompt_counts: IntArray
    medians: Mapping[str, FloatArray]

    def seconds(self, weights: RoundWeights) -> FloatArray:
        """Predicted time of each resample [bootstrap]; equation (M10.1). [s]"""
        return sum(
            self.seconds_by_curve(weights).values(), start=np.zeros(self.prompt_counts.shape[0])
        )

    def seconds_by_curve(self, weights: RoundWeights) -> dict[str, FloatArray]:
        """The same by curve: array [bootstrap] each. [s]"""
        seconds: dict[str, FloatArray] = {}
        prompts = self.prompt_counts.astype(np.float64)
        for name, by_prompt in weights.by_curve.items():
            used = by_prompt.any(axis=0)
            drawn = prompts @ by_prompt[:, used]
            stage = (drawn * self.medians[name][:, used]).sum(axis=1)
            # a line continued through two noisy cells may cross zero; no stage takes less
            seconds[name] = stage if name == "catch_up" else np.maximum(stage, 0.0)
        return seconds


def draw_resamples(
    costs: StageCosts, num_prompts: int, *, seed: int = 0, bootstrap: int = 400
) -> Resamples:
    """Resampled prompts and resampled medians of every cell.

    Parameters
    ----------
    costs : StageCosts
    num_prompts : int, >= 1
    seed : int
        Equal seeds give equal draws, whatever is predicted from them.
    bootstrap : int, >= 1
        Number of resamples.

    Returns
    -------
    Resamples

    Raises
    ------
    ValueError
        If a number is below its bound.

    Notes
    -----
    Equations (M10.1) and (M10.2) in docs/model.md. Stages are resampled
    independently of each other; drift of the machine between profile and use
    is not in the samples, hence not in the interval.
    """
    prompts = one_count("num_prompts", num_prompts, 1)
    size = one_count("bootstrap", bootstrap, 1)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(prompts, np.full(prompts, 1.0 / prompts), size=size)
    medians = {name: getattr(costs, name).resample_medians(rng, size) for name in CURVES}
    return Resamples(counts, medians)


def percentile_interval(samples: ArrayLike, confidence: float) -> tuple[float, float]:
    """Central interval of bootstrap samples.

    Parameters
    ----------
    samples : array [bootstrap]
    confidence : float, in (0, 1)
        Probability inside. [unitless]

    Returns
    -------
    tuple of float
        Low and high, in the unit of the samples.

    Raises
    ------
    ValueError
        If confidence is outside (0, 1) or there are no samples.

    Examples
    --------
    >>> low, high = percentile_interval(range(101), 0.9)
    >>> round(low, 6), round(high, 6)
    (5.0, 95.0)
    """
    inside = float(rates("confidence", confidence))
    if inside in (0.0, 1.0):
        raise ValueError(f"confidence must lie inside (0, 1), not {inside:g}")
    values = np.asarray(samples, dtype=np.float64)
    if values.size == 0:
        raise ValueError("an interval needs at least 1 sample, not 0")
    low, high = np.quantile(values, [(1.0 - inside) / 2.0, (1.0 + inside) / 2.0])
    return float(low), float(high)
