"""What staging is worth, from what it saves and costs."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from simulator.staged import staged_draft_calls
from simulator.staging_gain import cost_ratio_for_gain, lower_acceptance_rate, staged_gain

COST, GAMMA = st.floats(0, 3), st.integers(1, 12)
SHARE, GROWTH, EXTRA = st.floats(0.05, 1), st.floats(0.5, 3), st.floats(0, 1)


@given(COST, GAMMA)
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


@given(COST, GAMMA, SHARE, GROWTH, EXTRA)
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
