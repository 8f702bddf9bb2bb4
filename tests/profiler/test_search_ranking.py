"""Standings from paired times."""

import numpy as np
import pytest

from profiler.search_ranking import MIN_PROMPTS, Setting, rank_settings

A, B, C = Setting("a"), Setting("b"), Setting("c")


def times(speedup, prompts, *, noise=0.0, seed=0, hardness=None):
    rng = np.random.default_rng(seed)
    hard = np.ones(100) if hardness is None else hardness
    return {p: [(hard[p] / speedup * np.exp(noise * rng.standard_normal()), hard[p])]
            for p in prompts}  # fmt: skip


def test_the_speedup_is_the_ratio_of_totals():
    both = {A: {0: [(1.0, 3.0)], 1: [(4.0, 4.0)]}}
    (only,) = rank_settings(both)
    assert only.speedup == pytest.approx(7 / 5)
    assert (only.relative, only.close_to_best) == (1.0, True)


def test_repeats_of_a_prompt_count_once():
    once = rank_settings({A: {0: [(1.0, 2.0)], 1: [(2.0, 2.0)]}})[0]
    thrice = rank_settings({A: {0: [(0.5, 1.5), (1.5, 2.5)], 1: [(2.0, 2.0)]}})[0]
    assert once.speedup == pytest.approx(thrice.speedup)


def test_settings_are_compared_on_the_prompts_they_share():
    """The slow one was given up on easy prompts; its own ratio flatters it."""
    fast = {p: [(1.0, 4.0 if p < 8 else 1.5)] for p in range(40)}
    slow = {p: [(1.25, 4.0)] for p in range(8)}
    best, other = rank_settings({A: slow, B: fast})
    assert best.setting == B
    assert other.speedup > best.speedup
    assert other.relative == pytest.approx(0.8)
    assert not other.close_to_best


def test_too_few_shared_prompts_tell_nothing():
    fast = times(2.0, range(20))
    for shared, close in ((MIN_PROMPTS - 1, True), (MIN_PROMPTS, False)):
        assert rank_settings({A: fast, B: times(1.5, range(shared))})[1].close_to_best == close


def test_pairing_tells_what_separate_intervals_cannot():
    """Prompts differ by far more than the settings do."""
    hardness = np.random.default_rng(1).lognormal(0, 1, 100)
    gain = np.random.default_rng(2).lognormal(0.5, 0.4, 40)
    fast = {p: [(hardness[p] / gain[p], hardness[p])] for p in range(40)}
    slow = {p: [(1.03 * seconds, plain) for seconds, plain in fast[p]] for p in fast}
    best, other = rank_settings({A: slow, B: fast})
    assert other.high > best.low
    assert not other.close_to_best


def test_equal_settings_are_rarely_told_apart():
    """False alarms at 90 %: 100 searches expect 10 to 13 with 20 prompts; 25 is 4 sd above."""
    alarms = 0
    for seed in range(100):
        pair = {A: times(2.0, range(20), noise=0.1, seed=2 * seed),
                B: times(2.0, range(20), noise=0.1, seed=2 * seed + 1)}  # fmt: skip
        alarms += not rank_settings(pair)[1].close_to_best
    assert alarms < 25


def test_nothing_to_rank_is_refused():
    for nothing in ({}, {A: {}}):
        with pytest.raises(ValueError, match="at least 1 setting, each with at least 1 time"):
            rank_settings(nothing)
