"""Decoding of every method played out, against the closed forms."""

import numpy as np
import pytest

from simulator.chains import block_windows, parallel_windows
from simulator.child_acceptance import accept_by_rank
from simulator.lookup import lookup_windows
from simulator.method_rounds import simulate_tree, simulate_windows
from simulator.replay import replay_windows
from simulator.tree_windows import ranked_tree_windows, rejection_tree_windows

TREE = (-1, -1, -1, 0, 0, 1, 3, 3, 6)


def windows_of_every_kind():
    rng = np.random.default_rng(3)
    lengths, number = [25, 15], 40
    shares = rng.dirichlet(np.ones(4), size=number)[:, :3]
    return {
        "block": block_windows(rng.gamma(1.0, 1.0, number), lengths, 4),
        "parallel": parallel_windows(rng.random((number, 3)), lengths),
        "tree": rejection_tree_windows(shares, lengths, TREE),
        "ranked tree": ranked_tree_windows(rng.integers(0, 4, number), lengths, TREE),
        "lookup": lookup_windows(rng.integers(0, 3, number), np.full(number, 3), lengths),
    }


@pytest.mark.parametrize("kind", windows_of_every_kind())
def test_played_starts_average_to_the_replay(kind):
    """n = 1500 decodes; 6 binomial standard errors a position (2e-9 each), exact where certain."""
    windows = windows_of_every_kind()[kind]
    rng = np.random.default_rng(0)
    started = np.mean([simulate_windows(windows, rng=rng) for _ in range(1500)], axis=0)
    v = replay_windows(windows).start_prob
    assert (abs(started - v) <= 6 * np.sqrt(v * (1 - v) / 1500) + 1e-12).all()


def test_played_trees_average_to_the_replay():
    """Children judged node by node; n = 1500 decodes, 6 standard errors of the mean."""
    rng = np.random.default_rng(5)
    laws = rng.dirichlet(np.full(5, 0.6), size=(40, 2))
    shares = np.array([accept_by_rank(p, q, int(rng.choice(5, p=p)), 3) for p, q in laws])
    played = np.array([simulate_tree(shares, [25, 15], TREE, rng=rng) for _ in range(1500)])
    error = played.std(axis=0, ddof=1) / np.sqrt(1500)
    expected = replay_windows(rejection_tree_windows(shares, [25, 15], TREE)).rounds_per_prompt
    assert (abs(played.mean(axis=0) - expected) <= 6 * error).all()
    chain = replay_windows(rejection_tree_windows(shares, [25, 15], (-1, 0))).rounds_per_prompt
    assert (abs(played.mean(axis=0) - chain) > 6 * error).any()  # control


def test_known_ranks_are_walked():
    ranks = np.random.default_rng(6).integers(0, 3, 40)
    played = simulate_tree(np.eye(3)[ranks], [40], TREE, rng=np.random.default_rng(0))
    assert played == replay_windows(ranked_tree_windows(ranks, [40], TREE)).rounds_per_prompt
