"""How long does decoding the texts of a scenario take, and which part of it is whose?"""

import numpy as np

from simulator.checks import FloatArray
from simulator.intervals import Resamples
from simulator.replay import replay_chain
from simulator.round_time import RoundWeights, StageCosts, weigh_rounds
from simulator.scenario import Scenario


def decode_weights(scenario: Scenario, num_draft_tokens: int) -> RoundWeights:
    """How often decoding all texts pays each measured cell.

    Parameters
    ----------
    scenario : Scenario
    num_draft_tokens : int, >= 0
        Instead of the scenario's own; 0 is autoregressive decoding. [tokens]

    Returns
    -------
    RoundWeights

    Raises
    ------
    ValueError
        If num_draft_tokens is negative.

    Notes
    -----
    Equation (M6.4) in docs/model.md, fidelity L2.

    Examples
    --------
    >>> scenario = Scenario.from_rates(0.8, 4, 0.1, new_tokens=10)
    >>> decode_weights(scenario, 0).seconds_by_stage(scenario.costs)["target"]
    10.0
    """
    trace = scenario.trace
    replay = replay_chain(trace.accept_prob, trace.lengths, num_draft_tokens)
    return weigh_rounds(
        scenario.costs,
        replay.num_drafted,
        replay.start_prob,
        replay.after_full_prob,
        trace.cached,
        trace.prompt_of_position,
    )


def total_seconds(weights: RoundWeights, costs: StageCosts) -> float:
    """Time of all texts. [s]"""
    return float(weights.seconds_by_prompt(costs).sum())


def stage_samples(weights: RoundWeights, resamples: Resamples) -> dict[str, FloatArray]:
    """Time of each stage in each resample [bootstrap], as in (M10.1). [s]"""
    samples: dict[str, FloatArray] = {}
    for name, seconds in resamples.seconds_by_curve(weights).items():
        stage = "draft" if name == "catch_up" else name
        samples[stage] = samples.get(stage, np.zeros_like(seconds)) + seconds
    return samples
