"""The textbook formula and its extension."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.speedup import host_steps, operations_factor, speedup_from_rates, textbook_speedup

RATE = st.floats(0, 1)
COST = st.floats(0, 2)
GAMMA = st.integers(0, 24)


@given(RATE, GAMMA, COST)
def test_speedup_is_bounded_by_one_token_per_draft_plus_one(alpha, gamma, cost):
    assert 0 < textbook_speedup(alpha, gamma, cost) <= (gamma + 1) * (1 + 1e-12)


@given(RATE, COST, st.floats(0, 0.9), st.floats(0, 1))
def test_no_drafts_is_autoregressive_decoding(alpha, cost, host, slope):
    assert textbook_speedup(alpha, 0, cost) == 1.0
    extended = speedup_from_rates(alpha, 0, cost, verify_slope=slope, host_share=host)
    assert extended == pytest.approx(1.0, rel=1e-15)


@given(RATE, GAMMA, COST)
def test_without_extras_the_extension_is_the_textbook(alpha, gamma, cost):
    assert speedup_from_rates(alpha, gamma, cost) == textbook_speedup(alpha, gamma, cost)


@given(RATE, GAMMA, COST, st.floats(0, 0.1), st.floats(0, 0.1))
def test_dearer_drafts_or_verification_never_help(alpha, gamma, cost, more, slope):
    base = speedup_from_rates(alpha, gamma, cost, verify_slope=slope)
    assert speedup_from_rates(alpha, gamma, cost + more, verify_slope=slope) <= base
    assert speedup_from_rates(alpha, gamma, cost, verify_slope=slope + more) <= base


@given(st.floats(0.01, 1), COST)
def test_some_gamma_gains_when_acceptance_exceeds_cost(alpha, cost):
    """Corollary 3.9 of arXiv:2211.17192: alpha > c gives at least (1+alpha)/(1+c)."""
    if alpha > cost:
        best = textbook_speedup(alpha, np.arange(1, 25), cost).max()
        assert best >= (1 + alpha) / (1 + cost) * (1 - 1e-12)
        assert best > 1


def test_free_drafts_and_sure_acceptance_give_the_limit():
    assert textbook_speedup(1.0, 4, 0.0) == 5.0
    assert textbook_speedup(0.0, 4, 0.25) == 0.5


def test_host_time_dilutes_towards_tokens_per_round():
    """When the host is nearly all of a step, only the number of rounds counts."""
    diluted = speedup_from_rates(0.8, 4, 0.5, host_share=1 - 1e-9)
    assert diluted == pytest.approx(3.3616, rel=1e-6)


@pytest.mark.parametrize(
    ("gamma", "alpha", "cost", "published"),
    [
        (7, 0.82, 0.11, 2.5),
        (7, 0.62, 0.02, 2.3),
        (5, 0.68, 0.04, 2.4),
        (5, 0.65, 0.02, 2.4),
        (5, 0.73, 0.04, 2.6),
        (3, 0.56, 0.11, 1.6),
    ],
)
def test_published_table_4_expected_speedups(gamma, alpha, cost, published):
    """EXP column of Table 4, arXiv:2211.17192; alpha is printed with two digits."""
    assert textbook_speedup(alpha, gamma, cost) == pytest.approx(published, abs=0.07)


@pytest.mark.parametrize(
    ("alpha", "gamma", "operations", "speed"),
    [(0.6, 2, 1.53, 1.96), (0.8, 2, 1.23, 2.44), (0.8, 5, 1.63, 3.69), (0.9, 2, 1.11, 2.71)],
)
def test_published_table_1_factors(alpha, gamma, operations, speed):
    """Table 1, arXiv:2211.17192, c = 0; printed with three digits."""
    assert operations_factor(alpha, gamma, 0.0) == pytest.approx(operations, abs=0.006)
    assert textbook_speedup(alpha, gamma, 0.0) == pytest.approx(speed, abs=0.006)


def test_negative_control_counting_accepted_instead_of_emitted_misses_table_1():
    """Leaving out the target's own token must break the published values."""
    accepted_only = textbook_speedup(0.8, 5, 0.0) - 1
    assert accepted_only != pytest.approx(3.69, abs=0.006)


def test_a_map_of_settings_is_one_call():
    alpha, cost = np.meshgrid(np.linspace(0, 1, 50), np.linspace(0, 0.5, 40))
    speedups = textbook_speedup(alpha[..., None], np.arange(1, 9), cost[..., None])
    assert speedups.shape == (40, 50, 8)
    assert speedups[7, 20, 3] == textbook_speedup(alpha[7, 20], 4, cost[7, 20])


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"cost_ratio must be finite and >= 0, not -0.1"):
        textbook_speedup(0.5, 4, -0.1)
    with pytest.raises(ValueError, match="verify_slope must be finite and >= 0, not nan"):
        speedup_from_rates(0.5, 4, 0.1, verify_slope=float("nan"))
    with pytest.raises(ValueError, match="host_share must be below 1, not 1"):
        host_steps(1.0)
    with pytest.raises(ValueError, match="operations_ratio must be finite and >= 0, not -1"):
        operations_factor(0.5, 4, -1)
