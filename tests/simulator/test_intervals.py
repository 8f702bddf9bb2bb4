"""Bootstrap over prompts and raw stage samples."""

from dataclasses import replace

import numpy as np
import pytest

from simulator.costs import StageCurve
from simulator.intervals import Resamples, draw_resamples, percentile_interval
from simulator.round_time import CURVES, RoundWeights, StageCosts
from simulator.scenario import Scenario, predict
from simulator.trace import AcceptanceTrace


def noisy_costs(rng, samples=9):
    points = [(n, c) for n in (0, 1, 4, 8) for c in (10, 90) for _ in range(samples)]
    tokens, context = np.array(points).T
    curves = {}
    for name in CURVES:
        law = (0.5 + 0.05 * tokens + 1e-3 * context) * (1.0 if name == "target" else 0.1)
        curves[name] = StageCurve.from_samples(
            tokens, context, law * rng.lognormal(0, 0.2, law.size)
        )
    return StageCosts(**curves)


def some_trace(rng, prompts=6, length=20):
    accept = rng.random(prompts * length) ** 0.3
    context = np.tile(20.0 + np.arange(length), prompts)
    return AcceptanceTrace(accept, accept, context, np.full(prompts, length))


def test_each_resample_is_a_prediction_from_resampled_data():
    """Second implementation: rebuild costs and prompts of one resample, predict afresh."""
    rng = np.random.default_rng(4)
    costs, trace = noisy_costs(rng), some_trace(rng)
    resamples = draw_resamples(costs, 6, seed=11, bootstrap=20)
    fast = predict(Scenario(5, trace, costs, 0.1), resamples=resamples).speedup_samples
    for b in range(20):
        curves = {}
        for name in CURVES:
            curve = getattr(costs, name)
            medians = tuple(np.array([m]) for m in resamples.medians[name][b])
            curves[name] = replace(curve, samples=medians)
        drawn = np.repeat(np.arange(6), resamples.prompt_counts[b])
        rows = np.concatenate([np.arange(20) + 20 * p for p in drawn])
        again = AcceptanceTrace(
            trace.accept_prob[rows], trace.overlap[rows], trace.context[rows], np.full(6, 20)
        )
        slow = predict(Scenario(5, again, StageCosts(**curves), 0.1))
        # extrapolation keeps the anchor points chosen from the original medians
        assert fast[b] == pytest.approx(slow.speedup.L2, rel=1e-9)


def test_equal_seeds_give_equal_draws_whatever_is_predicted():
    rng = np.random.default_rng(0)
    costs = noisy_costs(rng)
    one, two = (draw_resamples(costs, 6, seed=3, bootstrap=30) for _ in range(2))
    other = draw_resamples(costs, 6, seed=4, bootstrap=30)
    assert (one.prompt_counts == two.prompt_counts).all()
    assert all((one.medians[n] == two.medians[n]).all() for n in CURVES)
    assert (one.prompt_counts != other.prompt_counts).any()
    assert (one.prompt_counts.sum(axis=1) == 6).all()


def test_identical_prompts_and_exact_costs_leave_no_width():
    trace = AcceptanceTrace(np.ones(20) * 0.5, np.ones(20) * 0.5, np.ones(20) * 9, [10, 10])
    scenario = Scenario(3, trace, StageCosts.assumed(0.1), 0.1)
    p = predict(scenario, resamples=draw_resamples(scenario.costs, 2))
    assert p.speedup_low == pytest.approx(p.speedup_high, rel=1e-12)


def test_no_stage_takes_less_than_nothing_in_a_resample():
    beyond = RoundWeights({"target": np.array([[-5.0, 6.0]])}, np.zeros(4))
    falling = Resamples(np.ones((1, 1), dtype=int), {"target": np.array([[10.0, 1.0]])})
    assert falling.seconds(beyond) == 0.0


def test_percentiles_are_central():
    low, high = percentile_interval(np.arange(1001), 0.5)
    assert (low, high) == (250, 750)


def test_bad_arguments_are_refused():
    costs = StageCosts.assumed(0.1)
    with pytest.raises(ValueError, match="bootstrap must be finite and >= 1, not 0"):
        draw_resamples(costs, 2, bootstrap=0)
    with pytest.raises(ValueError, match="num_prompts must be finite and >= 1, not 0"):
        draw_resamples(costs, 0)
    with pytest.raises(ValueError, match=r"confidence must lie inside \(0, 1\), not 0"):
        percentile_interval([1.0], 0.0)
    with pytest.raises(ValueError, match="at least 1 sample, not 0"):
        percentile_interval([], 0.9)
