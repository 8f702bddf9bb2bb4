"""Fidelity L1 of every method, from its windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.acceptance import expected_emitted_tokens
from simulator.chains import chain_windows
from simulator.hazards import hazards_from_trace
from simulator.replay import replay_windows
from simulator.tree_windows import ranked_tree_windows
from simulator.uniform_starts import uniform_emitted_tokens, windows_hazards
from tests.simulator.test_windows import random_windows


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 5))
def test_hazards_equal_the_loop_over_starts(seed, length, horizon):
    windows = random_windows(np.random.default_rng(seed), length, horizon)
    hazards = windows_hazards(windows)
    for j in range(horizon):
        rows = [windows.survival[s] for s in range(length) if s + j + 1 < length]
        reached, kept = sum(row[j] for row in rows), sum(row[j + 1] for row in rows)
        assert hazards[0, j] == pytest.approx(kept / reached if reached > 0 else 0)


def test_a_chain_differs_from_the_trace_only_at_the_end():
    accept = np.random.default_rng(0).random(5000)
    windows = chain_windows(accept, [5000], 4)
    assert windows_hazards(windows)[0] == pytest.approx(
        hazards_from_trace(accept, [5000], 4), abs=2e-3
    )


def test_constant_acceptance_is_the_closed_form():
    windows = chain_windows(np.full(60, 0.6), [20, 40], 5)
    assert uniform_emitted_tokens(windows) == pytest.approx(expected_emitted_tokens(0.6, 5))


def test_runs_of_hard_tokens_make_it_flatter():
    """Favourites come in runs of ten: a tree of depth 4 gains less than uniform starts say."""
    ranks = np.repeat(np.random.default_rng(1).integers(0, 3, 400), 10)
    windows = ranked_tree_windows(ranks, [4000], (-1, -1, 0, 2, 3))
    assert uniform_emitted_tokens(windows) > 1.1 * replay_windows(windows).tau
