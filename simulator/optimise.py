"""Which number of draft tokens is best, and which cannot be told from it?"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simulator.intervals import Resamples, percentile_interval
from simulator.prediction import Prediction
from simulator.scenario import Scenario, predict_each

Fidelity = Literal["L0", "L1", "L2"]
CANDIDATES = range(1, 17)


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best setting of a search and how sure it is.

    Attributes
    ----------
    best : Prediction
    predictions : tuple of Prediction
        All candidates, in the order given.
    fidelity : str
        The one that was compared.
    indistinguishable : tuple of int or None
        Other candidates whose speedup may as well be the best one's. [tokens]
        None when that is not known: no resamples, or not at fidelity L2.
    gain_is_certain : bool or None
        Whether the best setting's interval lies above 1; None when unknown.
    """

    best: Prediction
    predictions: tuple[Prediction, ...]
    fidelity: Fidelity
    indistinguishable: tuple[int, ...] | None
    gain_is_certain: bool | None


def best_num_draft_tokens(
    scenario: Scenario,
    candidates: Iterable[int] = CANDIDATES,
    *,
    fidelity: Fidelity = "L2",
    resamples: Resamples | None = None,
    confidence: float = 0.9,
) -> Optimum:
    """The number of draft tokens with the highest predicted speedup.

    Parameters
    ----------
    scenario : Scenario
        Its own num_draft_tokens is replaced by each candidate.
    candidates : iterable of int, >= 0
        0 stands for autoregressive decoding. [tokens]
    fidelity : "L0", "L1" or "L2"
    resamples : Resamples, optional
        Needed to tell settings apart.
    confidence : float, in (0, 1)
        [unitless]

    Returns
    -------
    Optimum

    Raises
    ------
    ValueError
        If there is no candidate, or one is negative.

    Notes
    -----
    Settings are compared in pairs on the same resamples (M10.3): two are told
    apart when the interval of the log ratio of their speedups excludes 0. Not
    corrected for choosing the best of many.

    Examples
    --------
    >>> optimum = best_num_draft_tokens(Scenario.from_rates(0.8, 1, 0.05), fidelity="L0")
    >>> optimum.best.num_draft_tokens
    8
    """
    predictions = predict_each(scenario, candidates, resamples, confidence)
    if not predictions:
        raise ValueError("candidates must hold >= 1 number of draft tokens, not 0")
    best = max(predictions, key=lambda p: float(getattr(p.speedup, fidelity)))
    if resamples is None or fidelity != "L2":
        return Optimum(best, predictions, fidelity, None, None)
    close = tuple(
        p.num_draft_tokens
        for p in predictions
        if p is not best and not _told_apart(best, p, confidence)
    )
    certain = best.speedup_low is not None and best.speedup_low > 1.0
    return Optimum(best, predictions, fidelity, close, certain)


def _told_apart(one: Prediction, other: Prediction, confidence: float) -> bool:
    if one.speedup_samples is None or other.speedup_samples is None:
        return False
    ratios = one.speedup_samples / other.speedup_samples
    if not (ratios > 0).all():  # stage times so noisy that some resamples add up to nothing
        return False
    low, high = percentile_interval(np.log(ratios), confidence)
    return not low <= 0.0 <= high
