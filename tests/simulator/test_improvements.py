"""Which improvement buys most."""

from dataclasses import replace

import numpy as np
import pytest

from simulator.changes import Change
from simulator.improvements import CHANGES, acceptance_change, rank_improvements
from simulator.intervals import draw_resamples
from simulator.scenario import Scenario, predict
from tests.simulator.measured_world import noisy_scenario

GAMMAS = range(1, 9)


def seconds_per_token(scenario):
    """Of the best setting, plain decoding among them. [s]"""
    settings = [predict(replace(scenario, num_draft_tokens=g)) for g in (0, *GAMMAS)]
    return min(p.autoregressive_seconds / p.speedup.L2 for p in settings)


def test_gains_are_times_per_token_before_over_after():
    """Brute force: predict every setting before and after every change."""
    scenario = noisy_scenario()
    before = seconds_per_token(scenario)
    ranked = rank_improvements(scenario, candidates=GAMMAS)
    assert {i.change for i in ranked} == set(CHANGES)
    for improvement in ranked:
        after = seconds_per_token(improvement.change.of_scenario(scenario))
        assert improvement.gain == pytest.approx(before / after, rel=1e-12)
    assert [i.gain for i in ranked] == sorted((i.gain for i in ranked), reverse=True)
    assert all(i.gain >= 1 for i in ranked)
    assert all(i.gain_low is None and i.close_to_best is None for i in ranked)


def test_everything_ten_percent_faster_is_ten_percent_faster():
    """Identity: the three times together are the whole."""
    change = Change("all", draft=0.9, host=0.9, target=0.9)
    (only,) = rank_improvements(noisy_scenario(), [change], candidates=GAMMAS)
    assert only.gain == pytest.approx(1 / 0.9, rel=1e-12)


def test_a_change_of_nothing_gains_exactly_nothing_in_every_resample():
    """The pairing: both sides see the same luck."""
    scenario = noisy_scenario()
    resamples = draw_resamples(scenario.costs, 8, bootstrap=50)
    changes = [Change("nothing"), Change("draft free", draft=0.0)]
    ranked = rank_improvements(scenario, changes, candidates=GAMMAS, resamples=resamples)
    free, nothing = ranked
    assert nothing.change.name == "nothing"
    assert (nothing.gain, nothing.gain_low, nothing.gain_high) == (1.0, 1.0, 1.0)
    assert free.gain_low > 1.0
    assert free.close_to_best
    assert not nothing.close_to_best


def test_pairs_are_sharper_than_their_own_intervals():
    scenario = noisy_scenario()
    resamples = draw_resamples(scenario.costs, 8, bootstrap=200)
    (faster,) = rank_improvements(
        scenario, [Change("target", target=0.9)], candidates=GAMMAS, resamples=resamples
    )
    best = predict(replace(scenario, num_draft_tokens=faster.num_draft_tokens), resamples=resamples)
    own = np.log(best.speedup_high / best.speedup_low)
    assert np.log(faster.gain_high / faster.gain_low) < own / 2


def test_a_draft_that_never_hits_is_dropped():
    """Limit: without acceptance only the target's and the host's time count."""
    scenario = Scenario.from_rates(0.0, 4, 0.1, host_share=0.2, new_tokens=30)
    by_name = {i.change.name: i for i in rank_improvements(scenario)}
    assert by_name["draft 10 % faster"].gain == 1.0
    assert by_name["draft 10 % faster"].num_draft_tokens == 0
    assert by_name["host 10 % faster"].gain == pytest.approx(1 / (1 - 0.1 * 0.2))
    assert by_name["target 10 % faster"].gain == pytest.approx(1 / (1 - 0.1 * 0.8))


def test_points_of_acceptance_are_points_of_acceptance():
    scenario = noisy_scenario()
    today = scenario.trace.acceptance_rate
    for points in (0.05, -0.2):
        moved = acceptance_change(scenario, points).of_scenario(scenario)
        assert moved.trace.acceptance_rate == pytest.approx(today + points, abs=1e-9)
    with pytest.raises(ValueError, match=r"acceptance rate must be in \[0, 1\], not"):
        acceptance_change(scenario, 0.9)
    with pytest.raises(ValueError, match="changes must hold >= 1 change"):
        rank_improvements(scenario, [])
