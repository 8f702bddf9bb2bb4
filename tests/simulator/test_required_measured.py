"""Acceptance and draft time that measured texts and costs ask for."""

from dataclasses import replace

import numpy as np
import pytest

from simulator.changes import Change
from simulator.required_measured import required_acceptance, required_draft_time
from simulator.required_rates import required_acceptance_rate, required_cost_ratio
from simulator.scenario import Scenario, predict
from simulator.trace import AcceptanceTrace
from tests.simulator.measured_world import noisy_scenario

GAMMAS = range(1, 9)


def best_speedup(scenario):
    return max(predict(replace(scenario, num_draft_tokens=g)).speedup.L2 for g in GAMMAS)


def way_of(scenario, rate):
    today = scenario.trace.acceptance_rate
    return (rate - today) / (1 - today) if rate > today else rate / today - 1


@pytest.mark.parametrize("greedy", [True, False])
@pytest.mark.parametrize("factor", [0.6, 0.9, 1.2])
def test_the_needed_acceptance_gives_the_wanted_speedup(greedy, factor):
    """Round trip through ``predict``, for less and for more than today's speedup."""
    scenario = noisy_scenario(greedy=greedy)
    wanted = factor * best_speedup(scenario)
    found = required_acceptance(scenario, wanted, GAMMAS)
    moved = Change("x", acceptance=way_of(scenario, found.value)).of_scenario(scenario)
    assert best_speedup(moved) == pytest.approx(wanted, rel=1e-8)
    assert (found.value > scenario.trace.acceptance_rate) == (factor > 1)


@pytest.mark.parametrize("factor", [0.6, 0.9, 1.1])
def test_the_allowed_draft_time_gives_the_wanted_speedup(factor):
    scenario = noisy_scenario()
    wanted = factor * best_speedup(scenario)
    found = required_draft_time(scenario, wanted, GAMMAS)
    assert best_speedup(Change("x", draft=found.value).of_scenario(scenario)) == pytest.approx(
        wanted, rel=1e-9
    )
    slower = Change("x", draft=found.value * 1.01).of_scenario(scenario)
    assert best_speedup(slower) < wanted


def test_todays_speedup_needs_todays_draft():
    scenario = noisy_scenario()
    today = best_speedup(scenario)
    assert required_draft_time(scenario, today, GAMMAS).value == pytest.approx(1.0)
    assert required_acceptance(scenario, today, GAMMAS).value == pytest.approx(
        scenario.trace.acceptance_rate, rel=1e-6
    )


def test_long_texts_of_constant_acceptance_ask_what_the_closed_form_asks():
    """Limit; the end of the text weighs about 1 part in its number of rounds."""
    scenario = Scenario.from_rates(0.7, 4, 0.1, new_tokens=4000)
    rate = required_acceptance(scenario, 1.8, [3, 4, 5])
    closed = required_acceptance_rate(0.1, 1.8, [3, 4, 5])
    assert rate.value == pytest.approx(closed.value, rel=2e-3)
    time = required_draft_time(scenario, 1.8, GAMMAS)
    cost = required_cost_ratio(0.7, 1.8, GAMMAS)
    assert time.value * 0.1 == pytest.approx(cost.value, rel=5e-3)
    assert time.num_draft_tokens == cost.num_draft_tokens


def test_clustered_rejections_ask_for_more_than_the_closed_form_says():
    """Negative control for reading (M2.1) backwards: same mean acceptance, hard texts in runs."""
    accept = np.tile(np.repeat([1.0, 0.1], 10), 20)
    trace = AcceptanceTrace(accept, accept, 1.0 + np.arange(400.0), np.array([400]))
    even = Scenario.from_rates(float(accept.mean()), 4, 0.1, new_tokens=400)
    clustered = replace(even, trace=trace)
    wanted = 1.3
    needed = required_acceptance(clustered, wanted, [4]).value
    assert needed != pytest.approx(required_acceptance(even, wanted, [4]).value, rel=0.02)


def test_out_of_reach_says_what_there_is():
    scenario = noisy_scenario()
    never = required_acceptance(scenario, 50.0, GAMMAS)
    assert not never.reachable
    assert never.value == 1.0
    sure = Change("x", acceptance=1.0).of_scenario(scenario)
    assert never.speedup == pytest.approx(best_speedup(sure))
    dear = required_draft_time(scenario, 50.0, GAMMAS)
    assert (dear.reachable, dear.value) == (False, 0.0)
    free = Change("x", draft=0.0).of_scenario(scenario)
    assert dear.speedup == pytest.approx(best_speedup(free))


def test_a_draft_that_takes_no_time_has_none_to_save():
    with pytest.raises(ValueError, match="drafting must take a time above 0, not 0 s"):
        required_draft_time(Scenario.from_rates(0.8, 4, 0.0), 2.0)
