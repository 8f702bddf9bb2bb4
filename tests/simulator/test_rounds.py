"""Decoding played out with random numbers."""

import numpy as np
import pytest

from simulator.acceptance import emitted_tokens_pmf
from simulator.rounds import simulate_chain, simulate_emitted_tokens
from tests.oracles import greedy_rounds


def test_emitted_tokens_follow_the_pmf():
    """n = 20000 rounds; each frequency within 5 binomial standard errors (6e-7 each)."""
    hazards, n = [0.8, 0.5, 0.9], 20_000
    emitted = simulate_emitted_tokens(hazards, n, rng=np.random.default_rng(1))
    frequency = np.bincount(emitted, minlength=5)[1:] / n
    pmf = emitted_tokens_pmf(hazards)
    assert (abs(frequency - pmf) <= 5 * np.sqrt(pmf * (1 - pmf) / n)).all()


def test_negative_control_a_wrong_pmf_is_noticed():
    """The same tolerance must refuse the i.i.d. law with the mean hazard."""
    hazards, n = [0.8, 0.5, 0.9], 20_000
    emitted = simulate_emitted_tokens(hazards, n, rng=np.random.default_rng(1))
    frequency = np.bincount(emitted, minlength=5)[1:] / n
    wrong = emitted_tokens_pmf(np.full(3, np.mean(hazards)))
    assert (abs(frequency - wrong) > 5 * np.sqrt(wrong * (1 - wrong) / n)).any()


@pytest.mark.parametrize("gamma", [0, 1, 3, 20])
def test_certain_acceptance_is_the_greedy_walk(gamma):
    rng = np.random.default_rng(2)
    agrees = rng.random(40) < 0.7
    played = simulate_chain(agrees.astype(float), [15, 25], gamma, rng=rng, repeats=2)
    walked = [greedy_rounds(agrees[:15], gamma), greedy_rounds(agrees[15:], gamma)]
    assert played.tolist() == [walked, walked]


def test_without_drafts_a_round_emits_one_token():
    emitted = simulate_emitted_tokens([], 3, rng=np.random.default_rng(0))
    assert emitted.tolist() == [1, 1, 1]


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="repeats must be finite and >= 1, not 0"):
        simulate_emitted_tokens([0.5], 0, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"accept_prob must be in \[0, 1\]"):
        simulate_chain([2.0], [1], 1, rng=np.random.default_rng(0))
