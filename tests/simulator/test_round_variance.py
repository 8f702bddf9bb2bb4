"""The spread of the number of rounds: enumeration, limits, Monte Carlo."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.chains import chain_windows
from simulator.replay import replay_windows
from simulator.round_variance import rounds_left, rounds_variance
from simulator.windows import Windows


def enumerated(windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the rounds of each prompt, every way of cutting it summed up."""
    means, variances = [], []
    first = 0
    for length in windows.lengths.tolist():
        law: dict[int, float] = {}

        def walk(at: int, rounds: int, chance: float, end: int, law: dict[int, float]) -> None:
            if at == end:
                law[rounds] = law.get(rounds, 0.0) + chance
                return
            kept = np.append(windows.survival[at], 0.0)
            for j in range(windows.horizon + 1):
                if kept[j] > kept[j + 1]:
                    walk(at + j + 1, rounds + 1, chance * (kept[j] - kept[j + 1]), end, law)

        walk(first, 0, 1.0, first + length, law)
        values, chances = np.array(list(law)), np.array(list(law.values()))
        mean = float(values @ chances)
        means.append(mean)
        variances.append(float(((values - mean) ** 2) @ chances))
        first += length
    return np.array(means), np.array(variances)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 4), st.integers(0, 2**31)
)
def test_equals_enumeration(lengths: list[int], gamma: int, seed: int) -> None:
    accept = np.random.default_rng(seed).choice([0.0, 0.3, 0.8, 1.0], size=sum(lengths))
    windows = chain_windows(accept, lengths, gamma)
    means, variances = enumerated(windows)
    assert rounds_variance(windows) == pytest.approx(variances, abs=1e-12)
    first = np.cumsum(lengths) - lengths
    assert rounds_left(windows)[first] == pytest.approx(means, abs=1e-12)
    assert replay_windows(windows).rounds_per_prompt == pytest.approx(means, abs=1e-12)


def test_no_coins_no_spread() -> None:
    for kept in product((0, 1, 2), repeat=5):
        windows = Windows.from_kept(kept, [2] * 5, [3, 2])
        assert rounds_variance(windows) == pytest.approx([0.0, 0.0], abs=1e-12)


def test_long_texts_approach_the_renewal_law() -> None:
    """Var(N)/length tends to Var(emitted)/E(emitted)^3 (Feller, vol. II, XI.5)."""
    alpha, gamma, length = 0.7, 3, 20_000
    kept = alpha ** np.arange(gamma + 1)
    law = kept - np.append(kept[1:], 0.0)
    emitted = np.arange(1, gamma + 2)
    mean = float(law @ emitted)
    spread = float(law @ emitted**2) - mean**2
    windows = chain_windows(np.full(length, alpha), [length], gamma)
    assert rounds_variance(windows)[0] / length == pytest.approx(spread / mean**3, rel=2e-3)
