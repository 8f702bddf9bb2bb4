"""Drafts under drafts: calls by recursion, by replay, by play, and by enumeration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.method_rounds import simulate_staged_calls
from simulator.replay import replay_chain
from simulator.staged import rollout_draft_calls, staged_draft_calls
from tests.oracles import MarkovPair, accept_probs, random_pair, speculative_law, texts

HAZARDS = st.lists(st.floats(0, 1), max_size=5)


def test_limits():
    assert staged_draft_calls([[0.0, 0.0]], 5).calls[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert staged_draft_calls([[]], 5).calls[0].tolist() == [0, 1, 2, 3, 4, 5]
    full = staged_draft_calls([[1.0] * 3], 9)
    assert full.calls[0].tolist() == [0, 1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert full.asked.tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert full.proposed.tolist() == [0, 0, 1, 2, 3, 3, 4, 5, 6, 6]


def test_without_levels_the_lowest_drafter_is_asked_once():
    alone = staged_draft_calls([], 3)
    assert alone.calls.shape == (0, 4)
    assert alone.asked.tolist() == [0, 1, 1, 1] and alone.proposed.tolist() == [0, 1, 2, 3]


@given(HAZARDS, st.integers(0, 10))
def test_calls_lie_between_full_rounds_and_one_per_token(hazards, longest):
    calls = staged_draft_calls([hazards], longest).calls[0]
    tokens = np.arange(longest + 1)
    assert (calls <= tokens + 1e-9).all()
    assert (calls >= np.ceil(tokens / (len(hazards) + 1)) - 1e-9).all()


@given(st.floats(0, 1), st.integers(0, 5), st.integers(1, 8))
def test_equal_hazards_are_a_roll_out_with_the_same_acceptance_everywhere(alpha, lower, longest):
    recursion = staged_draft_calls([[alpha] * lower], longest).calls[0]
    replayed = rollout_draft_calls(np.full((2, longest), alpha), lower)
    assert replayed == pytest.approx(np.tile(recursion, (2, 1)), abs=1e-12)


@given(HAZARDS, HAZARDS, st.integers(0, 8))
def test_a_level_that_is_not_drafted_for_is_called_once_a_token(upper, lower, longest):
    """Two levels whose lower one drafts alone: its calls are the tokens it was asked for."""
    both = staged_draft_calls([upper, []], longest)
    one = staged_draft_calls([upper], longest)
    assert both.calls[0] == pytest.approx(one.calls[0])
    assert both.calls[1] == pytest.approx(one.proposed)
    deeper = staged_draft_calls([upper, lower], longest)
    assert deeper.calls[0] == pytest.approx(one.calls[0])  # what lies below moves no call above
    assert (deeper.calls[1] <= both.calls[1] + 1e-9).all()


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_played_chains_average_to_the_recursion(seed):
    """n = 2000 chains, three levels; 6 standard errors (2e-9 a value)."""
    rng = np.random.default_rng(seed)
    hazards = [rng.random(4), rng.random(2), rng.random(3)]
    expected = staged_draft_calls(hazards, 7)
    played = np.array([simulate_staged_calls(hazards, 7, rng=rng) for _ in range(2000)])
    error = played.std(axis=0, ddof=1) / np.sqrt(2000)
    exact = np.append(expected.calls[:, 7], expected.asked[7])
    assert (abs(played.mean(axis=0) - exact) <= 6 * error).all()


def naive_calls(row, wanted, lower):
    """Calls along one roll-out of 0 and 1, as the engine's rule counts them."""
    produced = calls = 0
    while produced < wanted:
        room = min(lower, wanted - produced - 1)
        kept = 0
        while kept < room and row[produced + kept]:
            kept += 1
        produced, calls = produced + kept + 1, calls + 1
    return calls


@given(
    st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5),
    st.integers(0, 4),
)
def test_roll_outs_at_temperature_zero_are_counted_exactly(rows, lower):
    calls = rollout_draft_calls(np.array(rows, dtype=float), lower)
    for row, counted in zip(rows, calls, strict=True):
        assert counted.tolist() == [naive_calls(row, wanted, lower) for wanted in range(7)]


@pytest.mark.parametrize("seed", range(3))
def test_roll_outs_follow_the_enumerated_lower_level(seed):
    """Given the chain that the draft writes, its expected calls are those of the real algorithm.

    The lower level enumerated under the draft also writes each chain with the
    draft's own probability: staging moves no law, hence no tokens per round.
    """
    draft = random_pair(3, np.random.default_rng(seed), agreement=0.3)
    law = speculative_law(draft, 0, 3, 2)
    for chain, probability in texts(draft, 0, 3):
        total, by_start = law[chain]
        assert total == pytest.approx(probability, abs=1e-13)
        calls = rollout_draft_calls(accept_probs(draft, 0, chain)[None], 2)[0, -1]
        assert by_start.sum() == pytest.approx(probability * calls, abs=1e-13)


def test_staging_never_changes_tau():
    """The target sees chains of the draft's law: the same pair, the same starts."""
    rng = np.random.default_rng(4)
    target, lower = random_pair(3, rng, agreement=0.3), random_pair(3, rng, agreement=0.3)
    staged = np.zeros((3, 3))  # what the staged draft says behind each token
    for last in range(3):
        law = speculative_law(MarkovPair(target.draft, lower.draft), last, 3, 2)
        for chain, (total, _) in law.items():
            staged[last, chain[0]] += total
    assert staged == pytest.approx(target.draft, abs=1e-13)
    for text, _ in texts(target, 0, 4):
        plain = replay_chain(accept_probs(target, 0, text), [4], 3).tau
        pair = MarkovPair(target.target, staged)
        assert replay_chain(accept_probs(pair, 0, text), [4], 3).tau == pytest.approx(plain)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"hazards must be in \[0, 1\], not 2"):
        staged_draft_calls([[2.0]], 3)
    with pytest.raises(ValueError, match="hazards of a level must have one dimension, not 2"):
        staged_draft_calls([[[0.5]]], 3)
    with pytest.raises(ValueError, match=r"accept_prob must be \[num_starts"):
        rollout_draft_calls([0.5], 1)
