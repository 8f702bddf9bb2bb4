"""Errors split exactly, and their summary."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.intervals import draw_resamples
from simulator.scenario import Scenario, predict
from simulator.validation import Measurement, compare, coverage, summarise

PREDICTION = predict(Scenario.from_rates(0.8, 4, 0.1, host_share=0.1, new_tokens=60))
TIME = st.floats(0.1, 100)


def exact_measurement(scale=1.0, rounds=None, baseline=1.0):
    """A decode that went as predicted, or off by the given factors."""
    rounds = [PREDICTION.rounds] if rounds is None else rounds
    whole = np.round(np.array(rounds) * 1000)  # counts: repeat the decode 1000 times
    seconds = whole * PREDICTION.round_seconds * scale
    stages = {
        stage: value * float(whole.sum()) * scale
        for stage, value in PREDICTION.round_seconds_by_stage.items()
        if stage != "rest"
    }
    tokens = np.full(len(rounds), 60_000 // len(rounds))
    return Measurement(
        tokens,
        whole,
        seconds,
        tokens,
        tokens * PREDICTION.autoregressive_seconds * baseline,
        stages,
    )


@given(
    st.lists(TIME, min_size=3, max_size=3),
    st.lists(TIME, min_size=3, max_size=3),
    st.lists(st.integers(1, 50), min_size=3, max_size=3),
    st.dictionaries(
        st.sampled_from(["target", "draft", "verification", "sampling", "commit", "other"]), TIME
    ),
)
def test_the_parts_add_up_for_any_measurement(seconds, baseline, rounds, stages):
    """M9: an identity, so it holds for nonsense as well; 1e-9 is the contract."""
    measured = Measurement([50, 50, 50], rounds, seconds, [40, 50, 60], baseline, stages)
    error = compare(PREDICTION, measured)
    parts = error.log_tau + error.log_round + error.log_autoregressive
    assert parts == pytest.approx(error.log_speedup, abs=1e-9)
    assert sum(error.log_round_by_stage.values()) == pytest.approx(error.log_round, abs=1e-9)
    assert error.relative == pytest.approx(PREDICTION.speedup.L2 / measured.speedup - 1, rel=1e-9)


def test_a_perfect_prediction_has_no_error():
    error = compare(PREDICTION, exact_measurement())
    # rounds are rounded to 1/1000
    assert error.log_speedup == pytest.approx(0.0, abs=1e-4)
    assert all(abs(part) < 1e-4 for part in error.log_round_by_stage.values())


def test_signs_say_in_which_direction_a_part_acts():
    """Predicting rounds shorter than they were predicts too much speedup."""
    slow_rounds = compare(PREDICTION, exact_measurement(scale=1.1))
    assert slow_rounds.log_round == pytest.approx(np.log(1.1))
    assert slow_rounds.log_speedup > 0
    slow_baseline = compare(PREDICTION, exact_measurement(baseline=1.2))
    assert slow_baseline.log_autoregressive == pytest.approx(-np.log(1.2))
    more_rounds = compare(PREDICTION, exact_measurement(rounds=[PREDICTION.rounds * 1.3]))
    assert more_rounds.log_tau == pytest.approx(np.log(1.3), rel=1e-3)


def test_one_wrong_stage_takes_the_blame():
    measured = exact_measurement()
    extra = 0.2 * measured.seconds_by_stage["target"]
    stages = {**measured.seconds_by_stage, "target": 1.2 * measured.seconds_by_stage["target"]}
    slower = replace(measured, seconds=measured.seconds + extra, seconds_by_stage=stages)
    error = compare(PREDICTION, slower)
    assert error.log_round_by_stage["target"] == pytest.approx(error.log_round, rel=1e-3)


def test_what_stages_leave_is_the_rest():
    measured = Measurement([10], [4], [2.0], [10], [5.0], {"target": 1.5, "draft": 0.3})
    assert measured.round_seconds_by_stage["rest"] == pytest.approx(0.05)
    assert measured.time_split == pytest.approx({"target": 0.75, "draft": 0.15, "rest": 0.1})
    assert measured.speedup == pytest.approx(2.5)
    assert measured.tau == 2.5


def test_without_stalls_the_speedup_is_the_ratio_of_totals():
    measured = Measurement([12, 20], [4, 10], [0.8, 2.0], [10, 10], [5.0, 5.0], {})
    assert measured.time_ratio == pytest.approx(2.5)  # 0.5 s a step, 0.2 s a round
    assert measured.speedup == pytest.approx(32 / 14 * 2.5)
    assert measured.speedup == pytest.approx(measured.speedup_of_totals)


def test_a_stall_on_one_prompt_moves_the_totals_but_not_the_speedup():
    tokens, rounds = np.full(9, 30), np.full(9, 10)
    calm = Measurement(tokens, rounds, np.full(9, 1.0), tokens, np.full(9, 6.0), {})
    stalled_seconds = np.full(9, 1.0)
    stalled_seconds[4] = 20.0
    stalled = Measurement(tokens, rounds, stalled_seconds, tokens, np.full(9, 6.0), {})
    assert stalled.speedup == pytest.approx(calm.speedup) == pytest.approx(6.0)
    assert stalled.speedup_of_totals < 0.5 * calm.speedup_of_totals


def test_the_interval_holds_the_speedup_and_shrinks_to_it_without_spread():
    tokens, rounds = np.full(9, 30), np.full(9, 10)
    even = Measurement(tokens, rounds, np.full(9, 1.0), tokens, np.full(9, 6.0), {})
    assert even.speedup_interval() == pytest.approx((6.0, 6.0))
    uneven = Measurement(tokens, np.arange(8, 17), np.full(9, 1.0), tokens, np.full(9, 6.0), {})
    low, high = uneven.speedup_interval()
    assert low < uneven.speedup < high


def test_the_interval_covers_as_promised():
    """200 worlds of 40 prompts: a 90 % interval holds the true speedup in 77 to 99 %.

    The bootstrap undercovers slightly at n = 40 (about 88 %); 5 standard errors
    of a frequency near 0.88 over 200 worlds are 0.115, hence the wide band.
    """
    rng = np.random.default_rng(8)
    tokens = np.full(40, 100)
    true_speedup = 100 / 39.5 * (0.6 / 0.8)  # rounds uniform on 30..49; medians of the times
    hits = 0
    for _ in range(200):
        rounds = rng.integers(30, 50, 40)
        seconds = rounds * 0.8 * rng.lognormal(0, 0.05, 40)
        baseline = tokens * 0.6 * rng.lognormal(0, 0.05, 40)
        low, high = Measurement(tokens, rounds, seconds, tokens, baseline, {}).speedup_interval()
        hits += low <= true_speedup <= high
    assert 0.77 * 200 <= hits <= 0.99 * 200


def test_summary_on_errors_known_by_hand():
    scenario = Scenario.from_rates(0.8, 4, 0.1, host_share=0.1, new_tokens=60)
    prediction = predict(scenario, resamples=draw_resamples(scenario.costs, 1))
    factors = [1.0, 1.01, 1.02, 1 / 1.1]
    summary = summarise([(prediction, exact_measurement(scale=f)) for f in factors])
    errors = np.array(factors) - 1
    assert summary.median_abs_error == pytest.approx(np.median(abs(errors)), abs=1e-4)
    assert summary.max_abs_error == pytest.approx(abs(errors).max(), abs=1e-4)
    assert summary.p95_abs_error == pytest.approx(np.quantile(abs(errors), 0.95), abs=1e-4)
    assert summary.bias == pytest.approx(errors.mean(), abs=1e-4)
    assert summary.time_explained == pytest.approx(1.0)
    assert set(asdict(summary)) == {
        "median_abs_error",
        "p95_abs_error",
        "max_abs_error",
        "bias",
        "coverage_90",
        "time_explained",
    }


def test_coverage_counts_the_ends_as_inside():
    assert coverage([1, 1, 1], [2, 2, 2], [1, 2, 2.1]) == pytest.approx(2 / 3)


def test_bad_measurements_are_refused():
    with pytest.raises(ValueError, match="seconds must be finite and > 0, not 0"):
        Measurement([1], [1], [0.0], [1], [1.0], {})
    with pytest.raises(ValueError, match="measured arrays differ in shape"):
        Measurement([1, 2], [1], [1.0], [1], [1.0], {})
    with pytest.raises(ValueError, match="must not name 'rest'"):
        Measurement([1], [1], [1.0], [1], [1.0], {"rest": 0.1})
    with pytest.raises(ValueError, match="a summary needs >= 1 setting, not 0"):
        summarise([])
    with pytest.raises(ValueError, match="every prediction needs an interval"):
        summarise([(PREDICTION, exact_measurement())])
