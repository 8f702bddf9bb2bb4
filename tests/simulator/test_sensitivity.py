"""Break-even and needed values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.sensitivity import break_even_acceptance_rate, break_even_cost_ratio
from simulator.speedup import speedup_from_rates

GAMMA = st.integers(1, 16)
EXTRAS = st.fixed_dictionaries({"verify_slope": st.floats(0, 0.1), "host_share": st.floats(0, 0.5)})


@given(GAMMA, st.floats(0, 0.5), st.floats(0, 1), EXTRAS)
def test_needed_acceptance_is_the_inverse_of_the_speedup(gamma, cost, way, extras):
    """Round trip for every speedup between those of no and of full acceptance."""
    low = speedup_from_rates(0.0, gamma, cost, **extras)
    high = speedup_from_rates(1.0, gamma, cost, **extras)
    wanted = low + way * (high - low)
    alpha = break_even_acceptance_rate(gamma, cost, min(wanted, high), **extras)
    reached = speedup_from_rates(alpha, gamma, cost, **extras)
    assert reached == pytest.approx(wanted, rel=1e-9)


@given(st.floats(0.1, 1), GAMMA, st.floats(0, 1), EXTRAS)
def test_needed_cost_is_the_inverse_of_the_speedup(alpha, gamma, cost, extras):
    wanted = speedup_from_rates(alpha, gamma, cost, **extras)
    found = break_even_cost_ratio(alpha, gamma, wanted * (1 - 1e-12), **extras)
    assert found == pytest.approx(cost, abs=1e-9)


def test_one_draft_breaks_even_where_acceptance_equals_cost():
    """(1 + alpha)/(1 + c) = 1; arXiv:2211.17192, corollary 3.9."""
    costs = np.array([0.05, 0.2, 0.6])
    assert break_even_acceptance_rate(1, costs) == pytest.approx(costs, abs=1e-12)
    assert break_even_cost_ratio(costs, 1) == pytest.approx(costs, abs=1e-12)


def test_a_wish_below_reach_needs_nothing():
    assert break_even_acceptance_rate(4, 0.25, 0.4) == 0.0


def test_lines_over_a_grid_are_one_call():
    line = break_even_acceptance_rate(np.arange(1, 9), 0.1, 1.2)
    assert line.shape == (8,)
    assert line[3] == break_even_acceptance_rate(4, 0.1, 1.2)


def test_unattainable_wishes_are_refused():
    with pytest.raises(ValueError, match="wanted_speedup 6 is not attainable: full acceptance"):
        break_even_acceptance_rate(4, 0.0, 6.0)
    with pytest.raises(ValueError, match="wanted_speedup 4 is not attainable: a free draft gives"):
        break_even_cost_ratio(0.8, 4, 4.0)
    with pytest.raises(ValueError, match="wanted_speedup must be finite and > 0, not 0"):
        break_even_acceptance_rate(4, 0.1, 0.0)
    with pytest.raises(ValueError, match="num_draft_tokens must be finite and >= 1, not 0"):
        break_even_cost_ratio(0.8, 0)
