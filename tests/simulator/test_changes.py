"""A scenario with one part of it changed."""

from dataclasses import replace

import numpy as np
import pytest

from simulator.changes import DRAFT, HOST, Change
from simulator.decode_time import decode_weights, stage_samples, total_seconds
from simulator.intervals import draw_resamples
from simulator.round_time import CURVES, StageCosts
from simulator.scenario import Scenario, predict
from tests.simulator.measured_world import noisy_scenario

CHANGES = [
    Change("nothing"),
    Change("draft", draft=0.5),
    Change("host", host=0.0),
    Change("target", target=0.7),
    Change("flat", flat_verify=True),
    Change("all", draft=2.0, host=1.5, target=0.5, flat_verify=True),
]


def test_no_change_changes_nothing():
    scenario = noisy_scenario()
    same = Change("nothing").of_scenario(scenario)
    one, two = predict(scenario), predict(same)
    assert one.speedup == two.speedup
    assert (same.costs.target.medians == scenario.costs.target.medians).all()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_stage_times_change_by_their_factor_alone(change):
    scenario = noisy_scenario()
    before = decode_weights(scenario, 4).seconds_by_stage(scenario.costs)
    after = change.of_scenario(scenario)
    seconds = decode_weights(after, 4).seconds_by_stage(after.costs)
    assert seconds["draft"] == pytest.approx(change.draft * before["draft"], rel=1e-12)
    for name in set(HOST) & set(before):
        assert seconds[name] == pytest.approx(change.host * before[name], rel=1e-12, abs=1e-15)
    if not change.flat_verify:
        assert seconds["target"] == pytest.approx(change.target * before["target"], rel=1e-12)


def test_flat_verification_costs_one_step_wherever_a_round_starts():
    scenario = noisy_scenario()
    flat = Change("flat", flat_verify=True).of_scenario(scenario)
    contexts = np.array([10.0, 33.0, 60.0])
    for width in (1, 3, 16):
        here = flat.costs.target.seconds(width, contexts)
        assert here == pytest.approx(scenario.costs.target.seconds(1, contexts), rel=1e-12)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_changed_resamples_are_resamples_of_changed_costs(change):
    """Second implementation: rebuild the costs of one resample, change them afresh."""
    scenario = noisy_scenario()
    resamples = draw_resamples(scenario.costs, 8, bootstrap=5)
    changed = change.of_resamples(scenario.costs, resamples)
    after = change.of_scenario(scenario)
    fast = changed.seconds(decode_weights(after, 4))
    everyone = replace(resamples, prompt_counts=np.ones_like(resamples.prompt_counts))
    alike = change.of_resamples(scenario.costs, everyone).seconds(decode_weights(after, 4))
    for b in range(5):
        curves = {
            name: replace(
                getattr(scenario.costs, name),
                samples=tuple(np.array([m]) for m in resamples.medians[name][b]),
            )
            for name in CURVES
        }
        drawn = replace(scenario, costs=StageCosts(**curves))
        slow = change.of_scenario(drawn)
        assert alike[b] == pytest.approx(
            total_seconds(decode_weights(slow, 4), slow.costs), rel=1e-9
        )
    assert (fast > 0).all()


def test_acceptance_moves_along_the_text_and_the_closed_form_follows():
    today = Scenario.from_rates(0.6, 4, 0.1, new_tokens=50)
    after = Change("better", acceptance=0.5, draft=0.5, target=2.0).of_scenario(today)
    assert after.trace.acceptance_rate == pytest.approx(0.8)
    assert after.cost_ratio == pytest.approx(0.025)
    worse = Change("worse", acceptance=-0.5).of_scenario(today)
    assert worse.trace.acceptance_rate == pytest.approx(0.3)


def test_time_of_the_texts_is_what_the_prediction_says():
    """Second implementation: tau, round time and tokens of ``predict``."""
    scenario = noisy_scenario()
    prediction = predict(scenario)
    seconds = total_seconds(decode_weights(scenario, 4), scenario.costs)
    assert seconds == pytest.approx(prediction.rounds * prediction.round_seconds, rel=1e-12)
    plain = total_seconds(decode_weights(scenario, 0), scenario.costs)
    expected = prediction.num_tokens * prediction.autoregressive_seconds
    assert plain == pytest.approx(expected, rel=1e-12)
    resamples = draw_resamples(scenario.costs, 8, bootstrap=7)
    weights = decode_weights(scenario, 4)
    by_stage = stage_samples(weights, resamples)
    assert sum(by_stage.values()) == pytest.approx(resamples.seconds(weights), rel=1e-12)
    assert "catch_up" not in by_stage
    assert set(DRAFT) - set(by_stage) == {"catch_up"}


def test_impossible_changes_are_refused():
    with pytest.raises(ValueError, match=r"size of way must be in \[0, 1\], not 2"):
        Change("x", acceptance=2.0)
    with pytest.raises(ValueError, match="target must be finite and > 0, not 0"):
        Change("x", target=0.0)
    with pytest.raises(ValueError, match="draft must be finite and >= 0, not -1"):
        Change("x", draft=-1.0)
