"""Windows from a log of emitted tokens, against walking along it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.emitted_trace import emitted_windows
from simulator.replay import replay_chain, replay_windows


def walked_rounds(emitted: list[int], gamma: int) -> int:
    """Rounds of one text, played one after another."""
    start = rounds = 0
    while start < len(emitted):
        start += min(emitted[start], gamma + 1)
        rounds += 1
    return rounds


@given(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=12), min_size=1, max_size=4),
       st.integers(0, 6))  # fmt: skip
def test_replay_counts_the_rounds_of_a_walk(texts: list[list[int]], gamma: int) -> None:
    lengths = [len(t) for t in texts]
    replay = replay_windows(emitted_windows(np.concatenate(texts), lengths, gamma))
    assert replay.rounds_per_prompt.tolist() == [walked_rounds(t, gamma) for t in texts]


def test_a_chain_logged_this_way_replays_as_from_its_acceptances() -> None:
    accepted = np.array([1, 1, 0, 1, 1, 1, 0, 0, 1, 1])
    run = [int(np.argmin(np.append(accepted[s:], 0))) for s in range(accepted.size)]
    for gamma in range(5):
        ours = replay_windows(emitted_windows(np.array(run) + 1, [accepted.size], gamma))
        theirs = replay_chain(accepted.astype(float), [accepted.size], gamma)
        assert ours.tau == pytest.approx(theirs.tau)


def test_a_round_that_emits_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="emitted must be finite and >= 1, not 0"):
        emitted_windows([1, 0], [2], 1)
