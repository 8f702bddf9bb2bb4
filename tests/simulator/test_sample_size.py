"""Prompts that tell two settings apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, ttest_1samp

from simulator.intervals import percentile_interval
from simulator.sample_size import (
    difference_told_apart,
    log_speed_spread,
    power_to_tell_apart,
    prompts_to_tell_apart,
)


@pytest.mark.parametrize(("effect", "published"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_published_numbers_of_pairs(effect, published):
    """Small, medium and large effect of Cohen (1988), 80 % power at 5 %: G*Power 3.1."""
    assert prompts_to_tell_apart(effect, 1.0, power=0.8, confidence=0.95) == published


def test_published_power_of_sixty():
    """Cohen (1988), exercise 2.5, as R's pwr.t.test prints it: 0.4555818."""
    power = power_to_tell_apart(60, 0.2, 1.0, confidence=0.9)
    assert power == pytest.approx(0.4555818, abs=5e-7)


@pytest.mark.parametrize(("num", "effect"), [(5, 0.9), (12, 0.6), (40, 0.3)])
def test_the_share_of_simulated_measurements_that_tell(num, effect):
    """Monte Carlo, 4000 measurements: 4 standard errors are 4 sqrt(p q / 4000) <= 0.032."""
    rng = np.random.default_rng(7)
    drawn = effect + rng.standard_normal((4000, num))
    told = (ttest_1samp(drawn, 0.0, axis=1).pvalue < 0.1).mean()
    p = power_to_tell_apart(num, effect, 1.0)
    assert told == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 4000))


def test_bootstrap_intervals_tell_about_as_often():
    """What (M10.3) does with 24 prompts. 400 measurements: 4 standard errors are 0.09.

    A percentile interval is too short by sqrt((n - 1)/n) and t over z, 5 % at
    24: it tells up to 0.03 more often; hence 0.12 above, 0.09 below.
    """
    rng, num, effect = np.random.default_rng(3), 24, 0.45
    told = 0
    for drawn in effect + rng.standard_normal((400, num)):
        means = drawn[rng.integers(0, num, (300, num))].mean(axis=1)
        low, high = percentile_interval(means, 0.9)
        told += not low <= 0 <= high
    p = power_to_tell_apart(num, effect, 1.0)
    assert p - 0.09 < told / 400 < p + 0.12


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 300), st.floats(0.01, 0.5), st.floats(0.3, 0.95))
def test_prompts_and_difference_are_inverses(num, spread, power):
    difference = difference_told_apart(num, spread, power=power)
    assert power_to_tell_apart(num, difference, spread) == pytest.approx(power, abs=1e-9)
    assert prompts_to_tell_apart(difference * (1 + 1e-9), spread, power=power) == num


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 500), st.floats(0.05, 1.0), st.floats(1.05, 2.0))
def test_power_rises_with_prompts_and_difference(num, effect, more):
    power = power_to_tell_apart(num, effect, 1.0)
    assert power_to_tell_apart(num + 1, effect, 1.0) >= power - 1e-12
    assert power_to_tell_apart(num, effect * more, 1.0) >= power - 1e-12


def test_many_prompts_follow_the_normal_law():
    """Limit: n = ((z(1 - a/2) + z(power)) spread / difference)^2."""
    normal = ((norm.isf(0.05) + norm.isf(0.2)) / 0.01) ** 2
    assert prompts_to_tell_apart(0.01, 1.0) == pytest.approx(normal, rel=1e-4)


def test_no_difference_is_told_by_chance_alone():
    """Limit: power falls to 1 - confidence."""
    assert power_to_tell_apart(20, 1e-9, 1.0, confidence=0.9) == pytest.approx(0.1, abs=1e-6)


def test_the_spread_is_that_of_paired_logs():
    one = np.array([1.0, 2.0, 4.0, 3.0])
    assert log_speed_spread(one, 1.3 * one) == pytest.approx(0.0, abs=1e-15)
    assert log_speed_spread(one, one * np.exp([0.1, -0.1, 0.1, -0.1])) == pytest.approx(
        np.sqrt(0.04 / 3)
    )


def test_arguments_are_bounded():
    with pytest.raises(ValueError, match="need the same prompts twice, at least 2"):
        log_speed_spread([1.0], [1.0])
    with pytest.raises(ValueError, match="difference must be finite and > 0, not 0"):
        prompts_to_tell_apart(0.0, 0.1)
    with pytest.raises(ValueError, match=r"power must lie inside \(0, 1\), not 1"):
        prompts_to_tell_apart(0.1, 0.1, power=1.0)
    with pytest.raises(ValueError, match=r"power must be > 0\.1, 1 - confidence, not 0\.05"):
        difference_told_apart(10, 0.1, power=0.05)
    with pytest.raises(ValueError, match="num_prompts must be finite and >= 2, not 1"):
        power_to_tell_apart(1, 0.1, 0.1)
    with pytest.raises(ValueError, match="difference must be large enough"):
        prompts_to_tell_apart(1e-9, 1.0)
