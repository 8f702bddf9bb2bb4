"""Drafting from the best candidates only."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.candidates import filter_candidates

SEEDS, SIZES = st.integers(0, 2**32 - 1), st.integers(1, 12)


@given(SEEDS, SIZES)
def test_the_best_stay_in_proportion(seed, number):
    law = np.random.default_rng(seed).dirichlet(np.ones(8), size=3)
    filtered = filter_candidates(law, number)
    for before, after in zip(law, filtered, strict=True):
        kept = np.flatnonzero(after)
        assert set(kept) == set(np.argsort(-before)[:number])
        assert after[kept] / before[kept] == pytest.approx(1 / before[kept].sum())


@given(SEEDS)
def test_one_candidate_accepts_with_the_targets_probability(seed):
    """Sum of min(p, q) with all of q on the favourite is p(favourite): greedy drafting."""
    target, draft = np.random.default_rng(seed).dirichlet(np.ones(6), size=2)
    overlap = np.minimum(target, filter_candidates(draft, 1)).sum()
    assert overlap == pytest.approx(target[np.argmax(draft)])


def test_of_equals_the_first_stays():
    assert filter_candidates([0.25] * 4, 2).tolist() == [0.5, 0.5, 0, 0]


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"draft_law must sum to 1, not 0\.5"):
        filter_candidates([[0.5, 0.5], [0.5, 0.0]], 1)
    with pytest.raises(ValueError, match="num_candidates must be finite and >= 1, not 0"):
        filter_candidates([1.0], 0)
