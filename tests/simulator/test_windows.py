"""The interface between methods and replay: what it accepts, and what replay makes of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.replay import replay_windows
from simulator.windows import Windows

KEPT = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=12), min_size=1, max_size=4)


def walked(kept: list[int]) -> list[int]:
    """Round starts, walked one round at a time."""
    starts, position = [], 0
    while position < len(kept):
        starts.append(position)
        position += min(kept[position], len(kept) - position - 1) + 1
    return starts


def random_windows(rng: np.random.Generator, length: int, horizon: int) -> Windows:
    """Any law of kept drafts, one that no formula of ours gave."""
    survival = np.sort(rng.random((length, horizon + 1)), axis=1)[:, ::-1].copy()
    survival[:, 0] = 1
    for s in range(length):
        survival[s, length - s :] = 0
    return Windows(survival, np.minimum(horizon, length - 1 - np.arange(length)), [length])


@given(KEPT)
def test_known_rounds_are_walked(prompts):
    flat, lengths = np.concatenate(prompts), [len(p) for p in prompts]
    starts = replay_windows(Windows.from_kept(flat, flat, lengths)).start_prob
    expected = np.zeros(len(flat))
    first = 0
    for prompt in prompts:
        expected[[first + s for s in walked(prompt)]] = 1
        first += len(prompt)
    assert (starts == expected).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 5))
def test_starts_are_the_renewal_process_of_any_law(seed, length, horizon):
    windows = random_windows(np.random.default_rng(seed), length, horizon)
    start = np.zeros(length)
    start[0] = 1
    for s in range(length):
        for kept in range(min(horizon, length - s - 2) + 1):
            end = kept == horizon
            exactly = windows.survival[s, kept] - (0 if end else windows.survival[s, kept + 1])
            start[s + kept + 1] += start[s] * exactly
    replay = replay_windows(windows)
    assert replay.start_prob == pytest.approx(start, abs=1e-12)
    assert 1 - 1e-12 <= replay.tau <= horizon + 1 + 1e-12


def test_a_full_round_is_one_that_ends_on_a_leaf():
    """Kept 1 of 1 at position 0 is full, kept 1 of a deeper draft at position 2 is not."""
    windows = Windows.from_kept([1, 0, 1, 0, 0], [1] * 5, [5], [True, False, False, False, False])
    replay = replay_windows(windows)
    assert replay.start_prob.tolist() == [1, 0, 1, 0, 1]
    assert replay.after_full_prob.tolist() == [0, 0, 1, 0, 0]


def test_full_at_the_horizon_is_the_default():
    rng = np.random.default_rng(3)
    windows = random_windows(rng, 9, 2)
    full = np.zeros_like(windows.survival)
    full[:, 2] = windows.survival[:, 2]
    told = Windows(windows.survival, windows.num_drafted, windows.lengths, full)
    default = replay_windows(windows).after_full_prob
    assert (replay_windows(told).after_full_prob == default).all() and default.any()


def test_a_cut_round_is_not_full():
    windows = Windows.from_kept([5, 0], [5, 0], [2], [True, True])
    assert windows.full is not None and windows.full.tolist() == [[0, 0], [1, 0]]


def refused(survival, lengths, message):
    with pytest.raises(ValueError, match=message):
        Windows(np.array(survival, dtype=float), np.zeros(len(survival)), lengths)


def test_bad_laws_are_refused():
    refused([[1, 0.5, 0.6], [1, 0, 0], [1, 0, 0]], [3], r"survival\[0\] must not rise: 0.5 to 0.6")
    refused([[1, np.nan], [1, 0]], [2], r"survival\[0\] must not rise")
    refused([[0.5, 0.5], [1, 0]], [2], r"survival\[:, 0\] must be 1, not 0.5")
    refused([[1, -0.5], [1, 0]], [2], r"survival must be in \[0, 1\], not -0.5")
    refused([[1, 0.5], [1, 0.5]], [2], "only 1 tokens are left")
    refused([1, 1], [2], r"survival must be \[num_positions, horizon")
    with pytest.raises(ValueError, match="num_drafted has shape"):
        Windows(np.ones((2, 1)), np.zeros(3), [2])
    with pytest.raises(ValueError, match="between 0 and survival"):
        Windows(np.ones((2, 1)), np.zeros(2), [2], np.full((2, 1), 1.5))
