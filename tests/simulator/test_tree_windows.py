"""Walks down static trees: both rules against all outcomes of their algorithms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.chains import chain_windows, parallel_windows
from simulator.child_acceptance import accept_by_rank
from simulator.replay import replay_windows
from simulator.token_trees import chain_tree, tree_depths
from simulator.tree_windows import ranked_tree_windows, rejection_tree_windows
from tests.oracles import decode_law, random_pair, texts
from tests.round_laws import matched_tree_round, rejection_tree_round
from tests.simulator.test_token_trees import trees

SMALL_TREES = [(-1,), (-1, -1), (-1, -1, 0), (-1, -1, 0, 0, 1, 2), (-1, 0, 1, 1), (-1, -1, -1, 1)]


def tables(pair, first, text, width):
    """Rank and acceptance by rank of every token of a text."""
    contexts = (first, *text)[: len(text)]
    ranks = [
        int(np.flatnonzero(np.argsort(-pair.draft[c], kind="stable") == x)[0])
        for c, x in zip(contexts, text, strict=True)
    ]
    chances = [
        accept_by_rank(pair.target[c], pair.draft[c], x, width)
        for c, x in zip(contexts, text, strict=True)
    ]
    return np.array(ranks), np.array(chances)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("parents", SMALL_TREES)
def test_starts_follow_recursive_rejection(seed, parents):
    """P(start at t | text) equals that of the enumerated algorithm, exactly."""
    pair = random_pair(3, np.random.default_rng(seed), agreement=0.3)
    law = decode_law(lambda last, room: rejection_tree_round(pair, last, parents, room), 0, 4)
    for text, probability in texts(pair, 0, 4):
        total, by_start = law[text]
        assert total == pytest.approx(probability, abs=1e-13)
        _, chances = tables(pair, 0, text, 3)
        v = replay_windows(rejection_tree_windows(chances, [4], parents)).start_prob
        assert by_start == pytest.approx(probability * v, abs=1e-13)


@pytest.mark.parametrize("parents", SMALL_TREES)
def test_starts_follow_sample_and_match(parents):
    pair = random_pair(3, np.random.default_rng(7), agreement=0.3)
    law = decode_law(lambda last, room: matched_tree_round(pair, last, parents, room), 0, 4)
    for text, probability in texts(pair, 0, 4):
        total, by_start = law[text]
        assert total == pytest.approx(probability, abs=1e-13)
        ranks, _ = tables(pair, 0, text, 3)
        v = replay_windows(ranked_tree_windows(ranks, [4], parents)).start_prob
        assert by_start == pytest.approx(probability * v, abs=1e-13)


def test_negative_control_a_rule_without_renewal_is_rejected():
    pair = random_pair(3, np.random.default_rng(0), agreement=0.3)
    law = decode_law(
        lambda last, room: rejection_tree_round(pair, last, (-1, -1), room, renewed=False), 0, 3
    )
    worst = max(abs(law[text][0] - probability) for text, probability in texts(pair, 0, 3))
    assert worst > 1e-3


def test_negative_control_the_two_rules_differ():
    pair = random_pair(3, np.random.default_rng(0), agreement=0.3)
    law = decode_law(lambda last, room: rejection_tree_round(pair, last, (-1, -1), room), 0, 4)
    worst = 0.0
    for text, probability in texts(pair, 0, 4):
        ranks, _ = tables(pair, 0, text, 3)
        v = replay_windows(ranked_tree_windows(ranks, [4], (-1, -1))).start_prob
        worst = max(worst, float(abs(law[text][1] - probability * v).max()))
    assert worst > 1e-3


def walk(ranks, parents, start):
    """Nodes one after the other, as long as a child has the token's rank."""
    node, kept = -1, 0
    while start + kept < len(ranks) - 1:
        children = [n for n, parent in enumerate(parents) if parent == node]
        if ranks[start + kept] >= len(children):
            break
        node, kept = children[ranks[start + kept]], kept + 1
    return kept, node not in parents


RANKS = st.lists(st.integers(0, 4), min_size=1, max_size=14)


@given(RANKS, trees())
def test_walks_equal_the_naive_walk(ranks, parents):
    windows = ranked_tree_windows(ranks, [len(ranks)], parents)
    for start in range(len(ranks)):
        kept, leaf = walk(ranks, parents, start)
        assert windows.survival[start].sum() == kept + 1
        assert windows.full[start].sum() == leaf


@given(RANKS, trees())
def test_a_certain_rank_is_a_rank(ranks, parents):
    """Acceptance of 1 at the token's rank: the two functions must agree exactly."""
    certain = np.eye(5)[ranks]
    ranked = ranked_tree_windows(ranks, [len(ranks)], parents)
    rejected = rejection_tree_windows(certain, [len(ranks)], parents)
    reach = ranked.survival.shape[1]  # trailing columns of zeros may be left out
    assert (rejected.survival[:, :reach] == ranked.survival).all()
    assert not rejected.survival[:, reach:].any()
    assert (rejected.full[:, :reach] == ranked.full).all()
    assert (rejected.num_drafted == ranked.num_drafted).all()


@given(RANKS, trees(), st.integers(0, 2**32 - 1))
def test_drawn_ranks_average_to_rejection(ranks, parents, seed):
    """Second account: walks over drawn ranks; 400 draws, 5 standard errors, bounded by 1/2."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.ones(4), size=len(ranks))
    cumulative = chances.cumsum(axis=1)
    kept = np.zeros(len(ranks))
    for _ in range(400):
        drawn = (rng.random((len(ranks), 1)) > cumulative[:, :3]).sum(axis=1)
        kept += [
            walk(np.where(drawn == 3, 99, drawn), parents, s)[0] >= 1 for s in range(len(ranks))
        ]
    survival = rejection_tree_windows(chances[:, :3], [len(ranks)], parents).survival
    if survival.shape[1] > 1:
        assert (abs(kept / 400 - survival[:, 1]) <= 5 * 0.5 / 20).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(0, 6))
def test_a_tree_with_one_branch_is_a_chain(accept, gamma):
    lengths = [len(accept)]
    tree = rejection_tree_windows(np.array(accept)[:, None], lengths, chain_tree(gamma))
    chain = chain_windows(accept, lengths, gamma)
    assert tree.survival == pytest.approx(chain.survival, abs=1e-15)
    assert (tree.num_drafted == chain.num_drafted).all()
    replays = replay_windows(tree), replay_windows(chain)
    assert replays[0].after_full_prob == pytest.approx(replays[1].after_full_prob, abs=1e-12)


@given(RANKS, trees(8), trees(8))
def test_a_tree_within_a_tree_keeps_no_more(ranks, parents, more):
    """Round by round, that is: over a text the larger one may land on worse starts."""
    offset = len(parents)
    larger = parents + tuple(parent + offset if parent >= 0 else -1 for parent in more)
    small, large = (
        ranked_tree_windows(ranks, [len(ranks)], tree).survival for tree in (parents, larger)
    )
    assert (large[:, : small.shape[1]] >= small[:, : large.shape[1]]).all()


@given(RANKS, trees())
def test_drafts_kept_lie_between_none_and_the_depth(ranks, parents):
    replay = replay_windows(ranked_tree_windows(ranks, [len(ranks)], parents))
    assert -1e-9 <= replay.tau - 1 <= max(tree_depths(parents), default=0) + 1e-9


@given(st.lists(st.floats(0, 1), min_size=2, max_size=10), st.integers(1, 4))
def test_horizon_tables_of_a_causal_drafter_are_position_tables(accept, depth):
    number = len(accept)
    by_horizon = np.zeros((number, depth, 1))
    for j in range(depth):
        by_horizon[: max(number - j, 0), j, 0] = accept[j:]
    shape = chain_tree(depth)
    by_position = rejection_tree_windows(np.array(accept)[:, None], [number], shape)
    horizon = rejection_tree_windows(by_horizon, [number], shape)
    assert (horizon.survival == by_position.survival).all()
    parallel = parallel_windows(by_horizon[:, :, 0], [number])
    assert horizon.survival == pytest.approx(parallel.survival, abs=1e-15)


def test_ranks_by_horizon_belong_to_their_start():
    """Position 2 is rank 1 for the round started at 1 and rank 0 for the one started at 2."""
    ranks = [[0, 0], [0, 1], [0, 0], [0, 0], [0, 0]]
    windows = ranked_tree_windows(ranks, [5], (-1, 0))
    assert windows.survival.sum(axis=1).tolist() == [3, 2, 3, 2, 1]


def test_nodes_without_room_are_not_verified():
    windows = ranked_tree_windows([0, 0, 0], [3], (-1, -1, 0, 0, 0))
    assert windows.num_drafted.tolist() == [5, 2, 0]


def test_without_a_tree_every_round_is_a_step():
    replay = replay_windows(rejection_tree_windows(np.full((3, 1), 0.5), [3], ()))
    assert replay.expected_rounds == 3 and replay.num_drafted.tolist() == [0, 0, 0]


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"accept_by_rank sums to 1.2 in a row"):
        rejection_tree_windows([[0.6, 0.6]], [1], (-1,))
    with pytest.raises(ValueError, match="the tree is 2 deep, the table's horizon is 1"):
        ranked_tree_windows([[0], [0]], [2], (-1, 0))
    with pytest.raises(ValueError, match="the parent of node 0"):
        ranked_tree_windows([0], [1], (0,))
    with pytest.raises(ValueError, match="must have 2 or 3 dimensions, not 1"):
        rejection_tree_windows([0.5], [1], (-1,))
