"""A noisy measured scenario: prompts of different difficulty, stage times with spread."""

import numpy as np

from simulator.costs import StageCurve
from simulator.round_time import CURVES, StageCosts
from simulator.scenario import Scenario
from simulator.trace import AcceptanceTrace

LEVEL = {"target": 10e-3, "draft": 0.0, "catch_up": 1e-4}
SLOPE = {"target": 0.2e-3, "draft": 0.9e-3, "draft_sampling": 0.1e-3}


def noisy_scenario(*, prompts=8, length=24, seed=0, greedy=False):
    """Reproducible; the cost ratio is the one of its curves, about 0.09."""
    rng = np.random.default_rng(seed)
    difficulty = np.repeat(rng.beta(4, 2, prompts), length)
    accept = rng.random(prompts * length) ** (1 / difficulty - 1)
    if greedy:
        accept = np.round(accept)
    context = np.tile(20.0 + np.arange(length), prompts)
    trace = AcceptanceTrace(accept, accept, context, np.full(prompts, length))
    points = [(n, c) for n in (0, 1, 2, 4, 8, 16) for c in (10, 60) for _ in range(7)]
    tokens, places = np.array(points).T
    curves = {}
    for name in CURVES:
        law = LEVEL.get(name, 0.2e-3) + SLOPE.get(name, 0.0) * tokens + 1e-6 * places
        curves[name] = StageCurve.from_samples(
            tokens, places, law * rng.lognormal(0, 0.1, law.size)
        )
    return Scenario(4, trace, StageCosts(**curves), 0.09)
