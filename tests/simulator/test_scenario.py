"""Predictions of whole scenarios."""

# ruff: noqa: SIM300 (L0, L1, L2 are fields, not constants)

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.acceptance import expected_emitted_tokens
from simulator.intervals import draw_resamples
from simulator.round_time import StageCosts
from simulator.scenario import Scenario, predict
from simulator.speedup import speedup_from_rates, textbook_speedup
from simulator.trace import AcceptanceTrace

GUESSES = {
    "acceptance_rate": st.floats(0, 1),
    "num_draft_tokens": st.integers(0, 12),
    "cost_ratio": st.floats(0, 1),
}


@settings(deadline=None, max_examples=40)
@given(st.fixed_dictionaries(GUESSES), st.floats(0, 0.1), st.floats(0, 0.5))
def test_closed_forms_are_recovered_from_guesses(guesses, slope, host):
    """L0 is Theorem 3.8; L1 of a constant text is (M6.2), by a different route."""
    scenario = Scenario.from_rates(**guesses, verify_slope=slope, host_share=host, new_tokens=40)
    prediction = predict(scenario)
    alpha, gamma = guesses["acceptance_rate"], guesses["num_draft_tokens"]
    cost = guesses["cost_ratio"]
    assert prediction.speedup.L0 == pytest.approx(textbook_speedup(alpha, gamma, cost), rel=1e-9)
    expected = speedup_from_rates(alpha, gamma, cost, verify_slope=slope, host_share=host)
    assert prediction.speedup.L1 == pytest.approx(expected, rel=1e-9)
    assert prediction.tau.L1 == pytest.approx(expected_emitted_tokens(alpha, gamma), rel=1e-9)


def test_replay_of_a_long_constant_text_approaches_the_closed_form():
    prediction = predict(Scenario.from_rates(0.8, 5, 0.1, host_share=0.1, new_tokens=30_000))
    assert prediction.speedup.L2 == pytest.approx(prediction.speedup.L1, rel=1e-3)


@settings(deadline=None, max_examples=40)
@given(st.fixed_dictionaries(GUESSES))
def test_identities_hold(guesses):
    p = predict(Scenario.from_rates(**guesses, new_tokens=30))
    assert p.tau.L2 == pytest.approx(p.num_tokens / p.rounds)
    assert p.speedup.L2 == pytest.approx(p.tau.L2 * p.autoregressive_seconds / p.round_seconds)
    assert sum(p.round_seconds_by_stage.values()) == pytest.approx(p.round_seconds)
    assert sum(p.time_split.values()) == pytest.approx(1.0)
    assert sum(p.provenance.values()) == pytest.approx(1.0)
    assert p.provenance.keys() == {"assumed"}


def test_no_drafts_is_exactly_autoregressive():
    p = predict(Scenario.from_rates(0.7, 0, 0.2, verify_slope=0.1, host_share=0.2))
    assert (p.speedup.L0, p.speedup.L2, p.tau.L2) == (1.0, 1.0, 1.0)
    assert p.speedup.L1 == pytest.approx(1.0, rel=1e-12)
    assert p.draft_efficiency == 0.0


def test_seconds_scale_with_the_target_step_and_speedup_does_not():
    one = predict(Scenario.from_rates(0.7, 4, 0.2))
    slow = predict(Scenario.from_rates(0.7, 4, 0.2, target_seconds=0.03))
    assert slow.autoregressive_seconds == pytest.approx(0.03)
    assert slow.round_seconds == pytest.approx(0.03 * one.round_seconds)
    assert slow.speedup.L2 == pytest.approx(one.speedup.L2)


def hard_and_easy():
    accept = np.concatenate([np.full(40, 0.95), np.full(40, 0.2)])
    return AcceptanceTrace(accept, accept, 30.0 + np.tile(np.arange(40), 2), np.array([40, 40]))


def test_differences_between_prompts_lower_the_gain():
    """Pooled tokens / rounds is a harmonic mean: below the formula at the mean rate."""
    scenario = Scenario(6, hard_and_easy(), StageCosts.assumed(0.05), 0.05)
    p = predict(scenario)
    assert p.tau.L2 < p.tau.L0
    assert p.tau.L1 < p.tau.L0


def test_interval_holds_the_prediction_and_comes_only_with_resamples():
    scenario = Scenario(4, hard_and_easy(), StageCosts.assumed(0.05), 0.05)
    bare = predict(scenario)
    assert bare.speedup_low is bare.speedup_high is bare.speedup_samples is bare.confidence is None
    resamples = draw_resamples(scenario.costs, 2, bootstrap=200)
    p = predict(scenario, resamples=resamples, confidence=0.8)
    assert p.speedup_low < p.speedup.L2 < p.speedup_high
    assert p.confidence == 0.8
    assert p.speedup_samples.shape == (200,)
    assert p.speedup.L2 == bare.speedup.L2


def test_importing_the_simulator_loads_no_heavy_package():
    code = (
        "import sys, simulator;"
        "print([m for m in ('torch', 'pandas', 'pydantic', 'engine') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_bad_scenarios_are_refused():
    with pytest.raises(ValueError, match=r"acceptance_rate must be in \[0, 1\], not 2"):
        Scenario.from_rates(2.0, 4, 0.1)
    with pytest.raises(ValueError, match="new_tokens must be finite and >= 1, not 0"):
        Scenario.from_rates(0.5, 4, 0.1, new_tokens=0)
    with pytest.raises(ValueError, match=r"num_draft_tokens must be whole, not 1\.5"):
        Scenario.from_rates(0.5, 1.5, 0.1)
    with pytest.raises(ValueError, match="costs must give a time above 0, not 0 s per round"):
        predict(Scenario.from_rates(0.5, 4, 0.0, target_seconds=0.0))
    with pytest.raises(ValueError, match=r"confidence must lie inside \(0, 1\), not 1"):
        scenario = Scenario(4, hard_and_easy(), StageCosts.assumed(0.05), 0.05)
        predict(scenario, resamples=draw_resamples(scenario.costs, 2), confidence=1.0)
