"""Rates that explain what a server reports, against the formulas they invert."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.acceptance import expected_emitted_from_hazards, expected_emitted_tokens
from simulator.implied_rates import (
    implied_acceptance_rate,
    implied_draft_cost,
    speedups_by_drafts,
)
from simulator.speedup import speedup_from_rates


@given(st.floats(0, 1), st.integers(1, 20))
def test_the_rate_gives_back_its_tokens_per_round(alpha: float, gamma: int) -> None:
    tau = min(float(expected_emitted_tokens(alpha, gamma)), gamma + 1.0)
    again = expected_emitted_tokens(implied_acceptance_rate(tau, gamma), gamma)
    assert again == pytest.approx(tau, rel=1e-12)


@given(st.floats(0, 1), st.integers(1, 16), st.floats(0, 1), st.floats(0, 0.2), st.floats(0, 0.9))
def test_the_cost_gives_back_what_made_the_speedup(
    alpha: float, gamma: int, cost: float, slope: float, host: float
) -> None:
    tau = expected_emitted_tokens(alpha, gamma)
    speedup = speedup_from_rates(alpha, gamma, cost, verify_slope=slope, host_share=host)
    implied = implied_draft_cost(tau, gamma, speedup, host_share=host)
    assert implied == pytest.approx(cost + slope, abs=1e-9)


def test_a_table_of_drafts_is_the_closed_form() -> None:
    gammas = np.arange(1, 9)
    costs = {"verify_slope": 0.02, "host_share": 0.1}
    table = speedups_by_drafts(0.7, 0.1, gammas, **costs)
    np.testing.assert_allclose(table, speedup_from_rates(0.7, gammas, 0.1, **costs), rtol=1e-12)


def test_a_table_by_position_takes_its_tokens_from_hazards() -> None:
    hazards = [0.9, 0.5, 0.2]
    tau = [expected_emitted_from_hazards(hazards[:g]) for g in (1, 2, 3)]
    table = speedups_by_drafts(hazards, 0.2, [1, 2, 3])
    np.testing.assert_allclose(table, np.array(tau) / (1 + 0.2 * np.arange(1, 4)), rtol=1e-12)


@pytest.mark.parametrize(("tau", "gamma"), [(0.9, 4), (5.1, 4), (2.0, 0), (np.nan, 4)])
def test_impossible_reports_are_refused(tau: float, gamma: int) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        implied_acceptance_rate(tau, gamma)
