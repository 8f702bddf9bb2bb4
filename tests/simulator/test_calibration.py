"""From the tables of a profile to a prediction, on a toy machine with known laws."""

# ruff: noqa: SIM300 (L0, L1, L2 are fields, not constants)

import numpy as np
import pytest

from simulator.calibration import Calibration, predict_chain
from simulator.replay import replay_chain
from simulator.validation import Measurement, compare, summarise
from tests.toy_process import DRAFT_LENGTHS, decode, stages_table, trace_table


@pytest.fixture(scope="module")
def stages():
    return stages_table(repeats=12)


@pytest.fixture(scope="module", params=[True, False], ids=["greedy", "sampled"])
def greedy(request):
    return request.param


@pytest.fixture(scope="module")
def trace(greedy):
    return trace_table(greedy)


@pytest.fixture(scope="module")
def calibration(stages, trace, greedy):
    return Calibration.from_tables(stages, trace, "greedy" if greedy else "sampled")


def measured_by_playing(trace, gamma):
    """Rounds and times of a decoder that was not written from the simulator."""
    chain, baseline = decode(trace, gamma, seed=40 + gamma), decode(trace, 0, seed=7)
    stages = {}
    for item in chain:
        for stage, seconds in item.seconds.items():
            stages[stage] = stages.get(stage, 0.0) + seconds
    del stages["rest"]
    return Measurement(
        [item.num_tokens for item in chain],
        [item.num_rounds for item in chain],
        [item.total_seconds for item in chain],
        [item.num_tokens for item in baseline],
        [item.total_seconds for item in baseline],
        stages,
    )


def test_numbers_of_the_trace_are_taken_over(calibration, trace):
    ratio = trace["draft_prob"] / trace["target_prob"]
    assert (calibration.accept_prob == np.minimum(1.0, ratio)).all()
    assert calibration.acceptance_rate == pytest.approx(trace["overlap"].mean())
    assert calibration.lengths.tolist() == trace.groupby("prompt").size().tolist()
    assert (calibration.context == trace["context"]).all()
    assert (calibration.overlap == trace["overlap"]).all()


def test_cost_ratio_is_that_of_the_toy_machine(calibration):
    """0.52 ms (1 + 5e-5 c) / 6.1 ms (1 + 1.2e-4 c); medians of 36 samples, sd 4 %: 5 % is 5 sd."""
    c = calibration.trace.cached.mean()
    true = 5.2e-4 * (1 + 5e-5 * c) / (6.1e-3 * (1 + 1.2e-4 * c))
    assert calibration.cost_ratio == pytest.approx(true, rel=0.05)


def test_predictions_match_a_decoder_played_out(calibration, trace):
    """The acceptance bar: median |error| <= 4 %, worst <= 10 %, errors add up."""
    pairs = []
    for gamma in DRAFT_LENGTHS:
        prediction = predict_chain(calibration, gamma)
        measurement = measured_by_playing(trace, gamma)
        error = compare(prediction, measurement)
        parts = error.log_tau + error.log_round + error.log_autoregressive
        assert parts == pytest.approx(error.log_speedup, abs=1e-9)
        pairs.append((prediction, measurement))
    summary = summarise(pairs)
    assert summary.median_abs_error <= 0.04
    assert summary.max_abs_error <= 0.10


@pytest.mark.parametrize("gamma", DRAFT_LENGTHS)
def test_greedy_rounds_per_prompt_are_exact(stages, gamma):
    trace = trace_table(greedy=True)
    calibration = Calibration.from_tables(stages, trace, "greedy")
    played = [item.num_rounds for item in decode(trace, gamma, seed=1)]
    assert predict_chain(calibration, gamma, bootstrap=0).rounds_per_prompt.tolist() == played


def test_negative_control_the_textbook_misses_what_replay_hits(stages):
    """On correlated text L0 must overshoot by more than the bar allows."""
    trace = trace_table(greedy=True)
    calibration = Calibration.from_tables(stages, trace, "greedy")
    errors = [
        predict_chain(calibration, g, bootstrap=0).speedup.L0
        / measured_by_playing(trace, g).speedup
        - 1
        for g in (4, 6, 8)
    ]
    assert min(errors) > 0.10


def test_rounds_come_from_replay_of_the_table(calibration):
    prediction = predict_chain(calibration, 3, bootstrap=0)
    replay = replay_chain(calibration.accept_prob, calibration.lengths, 3)
    assert (prediction.rounds_per_prompt == replay.rounds_per_prompt).all()
    assert prediction.tau.L2 == replay.tau


def test_shared_resamples_give_the_interval_of_the_seed(calibration):
    shared = calibration.resamples(seed=5, bootstrap=60)
    one = predict_chain(calibration, 4, resamples=shared)
    two = predict_chain(calibration, 4, seed=5, bootstrap=60)
    assert (one.speedup_low, one.speedup_high) == (two.speedup_low, two.speedup_high)
    assert one.speedup_low < one.speedup.L2 < one.speedup_high
    assert predict_chain(calibration, 4, bootstrap=0).speedup_low is None


def test_times_never_profiled_are_flagged(calibration):
    assert "extrapolated" in predict_chain(calibration, 30, bootstrap=0).provenance
    profiled = predict_chain(calibration, 4, bootstrap=0).provenance
    assert profiled["measured"] > 0.95


def test_a_missing_mode_is_refused(stages, trace):
    greedy_only = stages[stages["mode"] == "greedy"]
    with pytest.raises(ValueError, match="stages has no rows with mode 'sampled' and batch 1"):
        Calibration.from_tables(greedy_only, trace, "sampled")
