"""By how many percent does the speedup move when one input moves by one percent?"""

from dataclasses import dataclass

import numpy as np

from simulator.changes import Change
from simulator.checks import FloatArray
from simulator.decode_time import decode_weights, stage_samples, total_seconds
from simulator.intervals import Resamples, percentile_interval
from simulator.scenario import Scenario

_WAY = 1e-3  # of the difference quotient; its error is of the order of the square


@dataclass(frozen=True)
class Elasticity:
    """Relative change of the speedup per relative change of one input.

    Attributes
    ----------
    name : str
        A stage, or ``acceptance_rate``.
    value : float
        [unitless]
    low, high : float or None
        Interval; None without resamples. [unitless]
    """

    name: str
    value: float
    low: float | None
    high: float | None


def speedup_elasticities(
    scenario: Scenario, *, resamples: Resamples | None = None, confidence: float = 0.9
) -> tuple[Elasticity, ...]:
    """Elasticity of the speedup in every stage time and in acceptance.

    Parameters
    ----------
    scenario : Scenario
        At its own num_draft_tokens.
    resamples : Resamples, optional
        Needed for intervals.
    confidence : float, in (0, 1)
        [unitless]

    Returns
    -------
    tuple of Elasticity
        Largest in size first.

    Raises
    ------
    ValueError
        If confidence is outside (0, 1).

    Notes
    -----
    Equations (M12.7) and (M12.8) in docs/model.md, fidelity L2. A stage's
    elasticity is its share of plain decoding less its share of speculative
    decoding, so the stages' elasticities add up to 0. That of acceptance is
    taken toward certainty, by differences. At the best num_draft_tokens it
    also holds while that is free to follow, until another becomes best.

    Examples
    --------
    >>> found = speedup_elasticities(Scenario.from_rates(0.8, 4, 0.1, new_tokens=2000))
    >>> [(e.name, round(e.value, 2)) for e in found]
    [('acceptance_rate', 1.56), ('target', 0.29), ('draft', -0.29)]
    """
    speculative, plain = (decode_weights(scenario, g) for g in (scenario.num_draft_tokens, 0))
    stages = _stage_elasticities(
        speculative.seconds_by_stage(scenario.costs), plain.seconds_by_stage(scenario.costs)
    )
    values = {name: float(value) for name, value in stages.items()}
    values["acceptance_rate"] = float(_acceptance_elasticity(scenario, None))
    samples: dict[str, FloatArray] = {}
    if resamples is not None:
        samples = _stage_elasticities(
            stage_samples(speculative, resamples), stage_samples(plain, resamples)
        )
        samples["acceptance_rate"] = _acceptance_elasticity(scenario, resamples)
    found = []
    for name, value in values.items():
        low, high = percentile_interval(samples[name], confidence) if samples else (None, None)
        found.append(Elasticity(name, value, low, high))
    return tuple(sorted(found, key=lambda e: -abs(e.value)))


def _stage_elasticities(speculative: dict, plain: dict) -> dict[str, FloatArray]:
    """(M12.7), from seconds by stage; numbers or resamples."""
    both = {**speculative, **plain}
    names = [n for n in both if np.any(speculative.get(n, 0.0)) or np.any(plain.get(n, 0.0))]
    total, plain_total = sum(speculative.values()), sum(plain.values())
    return {
        name: np.asarray(plain.get(name, 0.0) / plain_total - speculative.get(name, 0.0) / total)
        for name in names
    }


def _acceptance_elasticity(scenario: Scenario, resamples: Resamples | None) -> FloatArray:
    """(M12.8), for the scenario or for each resample [bootstrap]."""
    rate = scenario.trace.acceptance_rate
    if rate == 1.0:
        return np.zeros(() if resamples is None else resamples.prompt_counts.shape[0])
    logs = []
    for way in (0.0, _WAY, 2 * _WAY):
        moved = Change("draft better", acceptance=way).of_scenario(scenario)
        weights = decode_weights(moved, scenario.num_draft_tokens)
        seconds = (
            total_seconds(weights, moved.costs) if resamples is None else resamples.seconds(weights)
        )
        logs.append(-np.log(seconds))
    # second order, toward certainty only: where nothing is accepted there is no other side
    slope = (-3.0 * logs[0] + 4.0 * logs[1] - logs[2]) / (2.0 * _WAY)
    if resamples is not None:
        positions = scenario.trace.lengths
        start = np.cumsum(positions) - positions
        overlap = np.add.reduceat(scenario.trace.overlap, start)
        rates = resamples.prompt_counts @ overlap / (resamples.prompt_counts @ positions)
        return slope * rates / np.maximum(1.0 - rates, np.finfo(float).tiny)
    return np.asarray(slope * rate / (1.0 - rate))
