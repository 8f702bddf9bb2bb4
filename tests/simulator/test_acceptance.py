"""Laws of emitted tokens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.acceptance import (
    emitted_tokens_pmf,
    expected_emitted_from_hazards,
    expected_emitted_tokens,
)

RATE = st.floats(0, 1)
GAMMA = st.integers(0, 32)
HAZARDS = st.lists(RATE, max_size=12)


@given(RATE, GAMMA)
def test_a_round_emits_between_one_and_all_drafts_plus_one(alpha, gamma):
    tau = expected_emitted_tokens(alpha, gamma)
    assert 1.0 <= tau <= (gamma + 1) * (1 + 1e-12)


@given(RATE, GAMMA)
def test_closed_form_is_the_geometric_sum(alpha, gamma):
    exact = sum(alpha**j for j in range(gamma + 1))
    assert expected_emitted_tokens(alpha, gamma) == pytest.approx(exact, rel=1e-12)


@given(st.floats(0, 0.99), GAMMA)
def test_more_acceptance_never_emits_less(alpha, gamma):
    more = expected_emitted_tokens(alpha + 0.01, gamma)
    assert more >= expected_emitted_tokens(alpha, gamma) * (1 - 1e-15)


@given(HAZARDS)
def test_pmf_sums_to_one_and_its_mean_is_the_closed_form(hazards):
    pmf = emitted_tokens_pmf(hazards)
    assert pmf.min() >= 0
    assert pmf.sum() == pytest.approx(1.0, rel=1e-12)
    mean = pmf @ np.arange(1, len(hazards) + 2)
    assert mean == pytest.approx(expected_emitted_from_hazards(hazards), rel=1e-12)


@given(RATE, GAMMA)
def test_equal_hazards_are_constant_acceptance(alpha, gamma):
    from_hazards = expected_emitted_from_hazards(np.full(gamma, alpha))
    assert from_hazards == pytest.approx(expected_emitted_tokens(alpha, gamma), rel=1e-12)


def test_limits():
    assert expected_emitted_tokens(0.0, 7) == 1.0
    assert expected_emitted_tokens(1.0, 7) == 8.0
    assert expected_emitted_tokens(0.3, 0) == 1.0
    # no cancellation beside 1: the sum is 8 - 28 (1 - alpha) to first order
    assert expected_emitted_tokens(1 - 1e-12, 7) == pytest.approx(8 - 28e-12, rel=1e-15)


def test_arguments_broadcast():
    tau = expected_emitted_tokens(np.array([[0.2], [0.9]]), np.arange(5))
    assert tau.shape == (2, 5)
    assert (tau[:, 0] == 1).all()


def test_pmf_enumerates_all_acceptance_patterns():
    """Brute force over the eight patterns of three independent coins."""
    hazards = [0.9, 0.5, 0.25]
    pmf = np.zeros(4)
    for pattern in np.ndindex(2, 2, 2):
        weight = np.prod([h if kept else 1 - h for h, kept in zip(hazards, pattern, strict=True)])
        first_refused = next((i for i, kept in enumerate(pattern) if not kept), 3)
        pmf[first_refused] += weight
    assert emitted_tokens_pmf(hazards) == pytest.approx(pmf, rel=1e-12)


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (0.716, [1.716, 2.596, 3.047, 3.278, 3.432]),
        (0.693, [1.693, 2.506, 2.897, 3.084, 3.200]),
        (0.157, [1.157, 1.186, 1.186, 1.186, 1.186]),
    ],
)
def test_published_traces_iid_formula(alpha, expected):
    """i.i.d. column of the SpecDecode-Bench traces, gamma 1, 3, 5, 7, 10.

    GSM8K EAGLE, CNN/DM EAGLE, GSM8K n-gram (arXiv:2601.11580, computed from the
    public traces). Tolerance: alpha is printed with three digits, and
    d tau / d alpha stays below 8.
    """
    assert expected_emitted_tokens(alpha, [1, 3, 5, 7, 10]) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    ("hazards", "expected"),
    [
        ([0.716, 0.673, 0.654, 0.654, 0.652, 0.675, 0.670], {1: 1.716, 3: 2.512, 5: 2.852}),
        ([0.649, 0.930, 0.941, 0.947, 0.951, 0.956, 0.958], {1: 1.649, 3: 2.821, 5: 3.871}),
    ],
)
def test_published_traces_hazards_give_the_uniform_average(hazards, expected):
    """Uniform-start column of the same traces (GSM8K EAGLE, InstructCoder n-gram).

    Tolerance: hazards are printed with three digits and pooled with censoring.
    """
    for gamma, tau in expected.items():
        assert expected_emitted_from_hazards(hazards[:gamma]) == pytest.approx(tau, abs=0.01)


def test_negative_control_clipping_the_mean_is_caught():
    """A public tool returns min(tau, gamma): the geometric sum refutes it."""
    clipped = min(float(expected_emitted_tokens(0.95, 4)), 4.0)
    assert clipped != pytest.approx(sum(0.95**j for j in range(5)), rel=1e-3)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_rates_outside_the_unit_interval_are_refused(alpha):
    with pytest.raises(ValueError, match=r"acceptance_rate must be in \[0, 1\], not"):
        expected_emitted_tokens(alpha, 4)


@pytest.mark.parametrize("gamma", [-1, 2.5])
def test_draft_numbers_that_are_negative_or_fractional_are_refused(gamma):
    with pytest.raises(ValueError, match="num_draft_tokens must be"):
        expected_emitted_tokens(0.5, gamma)


def test_a_table_of_hazards_is_refused():
    with pytest.raises(ValueError, match="hazards must have one dimension, not 2"):
        emitted_tokens_pmf([[0.5]])


@pytest.mark.parametrize(
    ("by_depth", "published"),
    [
        ([0.79, 0.74, 0.72, 0.73, 0.67], 3.20),  # Vicuna 7B
        ([0.74, 0.69, 0.67, 0.67, 0.66], 2.97),  # Vicuna 33B
        ([0.76, 0.69, 0.67, 0.68, 0.68], 3.00),  # LLaMA2-chat 7B
        ([0.77, 0.69, 0.69, 0.70, 0.71], 3.18),  # LLaMA2-chat 13B
    ],
)
def test_published_chains_of_eagle(by_depth, published):
    """Acceptance by depth and tau of the chain, T = 0, MT-Bench: arXiv:2401.15077.

    Within 4 %: acceptance is printed with two digits, and the chain's length,
    5, is that of the released tree, not stated beside the table.
    """
    assert expected_emitted_from_hazards(by_depth) == pytest.approx(published, rel=0.04)
