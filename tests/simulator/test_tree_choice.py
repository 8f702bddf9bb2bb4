"""Trees against measured costs: the verdict on chains, limits, and scoring by replay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.child_acceptance import rank_shares
from simulator.replay import replay_windows
from simulator.token_trees import chain_tree, child_ranks, tree_depths
from simulator.tree_choice import choose_tree
from simulator.tree_windows import ranked_tree_windows
from simulator.trees import expected_emitted_from_tree
from tests.simulator.test_trees import all_trees, rank_vectors

CURVES = st.tuples(st.floats(0, 1), st.floats(0, 0.5))


@settings(max_examples=25, deadline=None)
@given(rank_vectors(), CURVES)
def test_no_small_tree_is_faster_than_the_chosen_one(vector, curve):
    slope, draft = curve
    verify, drafting = 1 + slope * np.arange(6), draft * np.arange(5)
    choice = choose_tree(vector, verify, drafting, sizes=range(6))
    rates = [
        expected_emitted_from_tree(vector, tree)
        / (verify[len(tree)] + drafting[max(tree_depths(tree), default=0)])
        for size in range(6)
        for tree in all_trees(size)
        if max(tree_depths(tree), default=0) <= 4
    ]
    assert choice.tree.tokens_per_second == pytest.approx(max(rates), rel=1e-9)
    assert choice.gain >= 1 and choice.chain_wins == (choice.gain == 1)
    chain = choice.chain
    assert chain.parents == chain_tree(chain.depth)
    assert chain.round_seconds == verify[chain.depth] + drafting[chain.depth]


def test_free_verification_takes_every_node_and_dear_verification_none():
    wide = choose_tree([0.5, 0.3], np.ones(9), np.zeros(9), sizes=range(9))
    assert len(wide.tree.parents) == 8 and not wide.chain_wins
    none = choose_tree([0.5, 0.3], 1 + 2.0 * np.arange(9), np.zeros(9), sizes=range(9))
    assert none.chain_wins and none.tree.parents == () and none.gain == 1


def test_one_candidate_leaves_only_chains():
    assert choose_tree([0.7], np.ones(7), 0.1 * np.arange(7), sizes=range(7)).chain_wins


def test_the_width_limit_holds():
    choice = choose_tree([0.4, 0.3, 0.3], np.ones(9), np.zeros(9), sizes=[0, 8], max_width=2)
    assert max(child_ranks(choice.tree.parents)) == 1


def test_replay_scores_what_independent_ranks_misjudge():
    """Ranks that alternate: two in a row are never equal, so depth 2 needs both branches."""
    ranks = [0, 1] * 30

    def replayed(parents):
        return replay_windows(ranked_tree_windows(ranks, [60], parents)).tau

    verify = 1 + 0.1 * np.arange(5)
    arguments = (rank_shares(ranks, 2), verify, np.zeros(3))
    choice = choose_tree(*arguments, sizes=[0, 1, 2, 3, 4], tau_of=replayed)
    assert choice.tree.tau == replayed(choice.tree.parents)
    assert choose_tree(*arguments, sizes=[0, 1, 2, 3, 4]).tree.tau != choice.tree.tau


def test_shares_of_ranks_by_horizon():
    assert rank_shares([[0, 5], [1, 1]], 2).tolist() == [[0.5, 0.5], [0.0, 0.5]]


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="verify_seconds ends at 2 tokens, sizes at 3"):
        choose_tree([0.5], np.ones(3), np.zeros(3), sizes=[3])
    with pytest.raises(ValueError, match="sizes must name at least 1 size"):
        choose_tree([0.5], np.ones(3), np.zeros(3), sizes=[])
    with pytest.raises(ValueError, match="sizes start at 2, beyond the longest chain of 1"):
        choose_tree([0.5], np.ones(3), np.zeros(2), sizes=[2])
