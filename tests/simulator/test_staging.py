"""Does drafting the draft pay? Limits, the chain as a second account, and both sides of c*."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simulator.method_prediction import MethodTrace
from simulator.method_rounds import simulate_staged_calls
from simulator.speedup import speedup_from_rates
from simulator.staged import staged_draft_calls
from simulator.staging import (
    break_even_draft_cost,
    cost_ratio_for_gain,
    draft_calls_per_round,
    lower_acceptance_rate,
    staged_calls_from_rates,
    staged_gain,
    staged_speedup,
    staging_extra_seconds,
)
from simulator.windows import Windows

RATE, COST, GAMMA, LOWER = st.floats(0, 1), st.floats(0, 1), st.integers(1, 12), st.integers(0, 5)
DEAR, SHARE, GROWTH, EXTRA = st.floats(0, 3), st.floats(0.05, 1), st.floats(0.5, 3), st.floats(0, 1)


@given(RATE, GAMMA, COST, RATE, COST, st.floats(0, 0.9))
def test_without_lower_drafts_it_is_the_chain(rate, gamma, cost, lower_rate, lower_cost, host):
    staged = staged_speedup(rate, gamma, cost, lower_rate, 0, lower_cost, host_share=host)
    assert staged == pytest.approx(speedup_from_rates(rate, gamma, cost, host_share=host))


@given(RATE, GAMMA, st.floats(0.01, 1), LOWER)
def test_a_free_and_perfect_lower_level_leaves_one_call_per_lower_round(rate, gamma, cost, lower):
    calls = -(-gamma // (lower + 1))
    staged = staged_speedup(rate, gamma, cost, 1.0, lower, 0.0)
    chain = speedup_from_rates(rate, gamma, cost * calls / gamma)
    assert staged == pytest.approx(chain)


@given(st.floats(0.05, 1), st.integers(2, 12), RATE, st.integers(1, 5), st.floats(1e-4, 0.2),
       st.floats(1.01, 5))  # fmt: skip
def test_it_pays_above_the_break_even_cost_and_not_below(rate, gamma, upper, lower, cost, factor):
    work = staged_calls_from_rates(rate, lower, gamma)
    even = break_even_draft_cost(gamma, work.calls[0, gamma], cost * work.proposed[gamma])

    def gain(draft_cost):
        staged = staged_speedup(upper, gamma, draft_cost, rate, lower, cost)
        return staged / speedup_from_rates(upper, gamma, draft_cost)

    assert gain(even) == pytest.approx(1)
    assert gain(even * factor) > 1 > gain(even / factor)


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_played_rounds_cost_what_the_formula_says(seed):
    """Monte Carlo: drafting time of played chains, within five standard errors."""
    rng = np.random.default_rng(seed)
    rate, lower, gamma, cost, lower_cost = 0.6, 3, 7, 0.2, 0.01
    played = np.array(
        [simulate_staged_calls([[rate] * lower, []], gamma, rng=rng) for _ in range(1500)]
    )
    seconds = cost * played[:, 0] + lower_cost * played[:, 1]
    error = 5 * seconds.std() / np.sqrt(len(seconds))
    chain = speedup_from_rates(0.8, gamma, 0.0)  # tau, since drafting is free
    staged = staged_speedup(0.8, gamma, cost, rate, lower, lower_cost)
    assert float(chain / staged) - 1 == pytest.approx(seconds.mean(), abs=error)


@given(st.floats(0, 1), GAMMA, COST, RATE, LOWER, st.floats(0, 0.2), st.floats(0, 0.9))
def test_the_speedup_is_a_round_over_a_round(rate, gamma, cost, lower_rate, lower, extra, host):
    """Second account: the round of (M5.6) added up term by term."""
    work = staged_calls_from_rates(lower_rate, lower, gamma)
    tau = speedup_from_rates(rate, gamma, 0.0)
    h = host / (1 - host)
    drafting = cost * work.calls[0, gamma] + extra * work.proposed[gamma]
    expected = tau * (1 + h) / (drafting + 1 + h)
    staged = staged_speedup(rate, gamma, cost, lower_rate, lower, extra, host_share=host)
    assert staged == pytest.approx(float(expected))


def test_no_call_saved_is_no_break_even():
    assert break_even_draft_cost(4, 4, 0.1) is None
    assert break_even_draft_cost(1, 1, 0.0) is None
    assert break_even_draft_cost(4, 3, 0.0) == 0


def test_arrays_broadcast():
    costs = np.array([[0.1], [0.4]])
    table = staged_speedup(0.8, [2, 4, 8], costs, 0.5, 2, 0.01)
    assert table.shape == (2, 3)
    assert table[1, 2] == pytest.approx(staged_speedup(0.8, 8, 0.4, 0.5, 2, 0.01))


def test_what_is_refused():
    with pytest.raises(ValueError, match="extra must be finite and >= 0"):
        break_even_draft_cost(4, 2, -0.1)
    with pytest.raises(ValueError, match="lower_acceptance_rate"):
        staged_calls_from_rates(1.2, 2, 4)
    with pytest.raises(ValueError, match="lower_cost"):
        staged_speedup(0.8, 4, 0.1, 0.5, 2, -1)
    with pytest.raises(ValueError, match="chain_calls must be above 0, not 0"):
        staging_extra_seconds(0, 1, 1, 1)


def test_a_measured_round_that_follows_the_formula_gives_its_own_extra():
    """Seconds made of the model: calls at 2 ms, a lower level of 0.3 ms a round."""
    assert staging_extra_seconds(8, 0.016, 4, 0.008 + 0.0003) == pytest.approx(0.0003)
    assert staging_extra_seconds(8, 0.016, 4, 0.007) == 0


def test_calls_are_weighed_by_round_starts():
    windows = Windows.from_kept([2, 0, 0, 0], [2, 2, 2, 0], [4])  # rounds start at 0 and 3
    calls = np.array([1.0, 9.0, 9.0, 0.0])
    trace = MethodTrace(windows, np.arange(1.0, 5.0), True, calls)
    assert draft_calls_per_round(trace) == pytest.approx(0.5)
    nobody = MethodTrace(windows, np.arange(1.0, 5.0), True, np.full(4, np.nan))
    assert draft_calls_per_round(nobody) is None


@given(DEAR, GAMMA)
def test_nothing_saved_and_nothing_added_gains_nothing(cost, gamma):
    assert staged_gain(cost, gamma, gamma) == 1


@given(GAMMA, SHARE, GROWTH, EXTRA)
def test_free_draft_calls_leave_only_the_extra_work(gamma, share, growth, extra):
    gain = staged_gain(0.0, gamma, share * gamma, call_growth=growth, extra=extra)
    assert gain == pytest.approx(1 / (1 + extra))


@given(GAMMA, SHARE, GROWTH, EXTRA)
def test_dear_draft_calls_gain_what_is_saved_of_them(gamma, share, growth, extra):
    gain = staged_gain(1e9, gamma, share * gamma, call_growth=growth, extra=extra)
    assert gain == pytest.approx(1 / (share * growth), rel=1e-6)


@given(DEAR, GAMMA, SHARE, GROWTH, EXTRA)
def test_the_needed_cost_ratio_is_the_inverse(cost, gamma, share, growth, extra):
    costs = {"call_growth": growth, "extra": extra}
    gain = float(staged_gain(cost, gamma, share * gamma, **costs))
    assume(abs(1 - gain * share * growth) > 1e-3 and gain > 1.001)
    needed = cost_ratio_for_gain(gain, gamma, share * gamma, **costs)
    assert needed == pytest.approx(cost, rel=1e-6, abs=1e-9)


def test_no_cost_ratio_gains_more_than_the_calls_that_are_saved():
    assert cost_ratio_for_gain(2.0, 8, 4, extra=0.1) is None
    assert cost_ratio_for_gain(1.9, 8, 4, extra=0.1) > 0
    assert cost_ratio_for_gain(0.5, 8, 4) == 0


@given(st.floats(0.01, 0.99), st.integers(2, 12), st.integers(1, 4))
def test_the_lower_rate_explains_the_calls(rate, gamma, lower):
    calls = float(staged_draft_calls([np.full(lower, rate)], gamma).calls[0, gamma])
    assert lower_acceptance_rate(calls / gamma, gamma, lower) == pytest.approx(rate, abs=1e-6)


def test_limits_of_the_lower_rate_and_refusals():
    assert lower_acceptance_rate(1.0, 8, 3) == 0
    assert lower_acceptance_rate(0.01, 8, 3) == 1
    with pytest.raises(ValueError, match=r"calls_per_token must be in \(0, 1\], not 1.5"):
        lower_acceptance_rate(1.5, 8, 3)
    with pytest.raises(ValueError, match="staged round"):
        staged_gain(0.0, 4, 2, extra=-1.0)
