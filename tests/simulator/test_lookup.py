"""Proposals of varying length, and none on a miss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.lookup import expected_emitted_with_misses, hit_rate, lookup_windows
from simulator.replay import replay_windows

PROPOSALS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=15).map(
    lambda pairs: (np.array([min(p) for p in pairs]), np.array([max(p) for p in pairs]))
)


@given(PROPOSALS)
def test_tokens_are_hits_and_misses(proposals):
    """The closed form is an identity for rounds, with the rates of the rounds themselves."""
    kept, proposed = proposals
    length = len(kept)
    replay = replay_windows(lookup_windows(kept, proposed, [length]))
    position, emitted_on_hits, hits, rounds, with_room = 0, 0, 0, 0, 0
    while position < length:
        room = length - position - 1
        drafted, emitted = min(proposed[position], room), min(kept[position], room) + 1
        rounds, with_room = rounds + 1, with_room + (room > 0)
        hits += drafted > 0
        emitted_on_hits += emitted * (drafted > 0)
        position += emitted
    assert replay.expected_rounds == rounds
    assert hit_rate(replay) == pytest.approx(hits / with_room if with_room else 0)
    tau_on_hit = emitted_on_hits / hits if hits else 1
    assert expected_emitted_with_misses(hits / rounds, tau_on_hit) == pytest.approx(replay.tau)


@given(PROPOSALS)
def test_a_miss_costs_a_plain_step(proposals):
    kept, proposed = proposals
    windows = lookup_windows(kept, proposed, [len(kept)])
    misses = proposed == 0
    assert (windows.num_drafted[misses] == 0).all()
    assert (windows.survival[misses, 1:] == 0).all()


def test_limits():
    assert expected_emitted_with_misses(0.0, 5.0) == 1
    assert expected_emitted_with_misses(1.0, 5.0) == 5


def test_a_proposal_kept_in_full_is_a_full_round():
    replay = replay_windows(lookup_windows([1, 0, 1, 0, 0], [1, 0, 2, 0, 0], [5]))
    assert replay.after_full_prob.tolist() == [0, 0, 1, 0, 0]


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="kept must be at most proposed, not 2 of 1"):
        lookup_windows([2], [1], [1])
    with pytest.raises(ValueError, match="kept has shape"):
        lookup_windows([2], [1, 1], [1])
    with pytest.raises(ValueError, match=r"tau_on_hit must be finite and >= 1, not 0\.5"):
        expected_emitted_with_misses(0.5, 0.5)
