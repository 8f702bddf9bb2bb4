"""Are the trees worth trying those that replay and costs put first?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.replay import replay_windows
from simulator.token_trees import chain_tree
from simulator.tree_choice import choose_tree
from simulator.tree_round_costs import is_chain
from simulator.tree_search import KeptChildren, chances_by_rank, trees_worth_trying
from simulator.tree_windows import rejection_tree_windows
from tests.simulator.test_tree_round_costs import BUSHY, WIDE, world


def kept_children(seed: int, number: int = 400) -> KeptChildren:
    rng = np.random.default_rng(seed)
    return KeptChildren(
        rng.geometric(rng.uniform(0.4, 0.9), number) - 1,
        np.array([number // 2, number - number // 2]),
        np.full(number, 101.0),
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**16))
def test_the_last_is_the_choice_of_choose_tree(seed):
    """Second implementation, in a world whose drafting costs by level alone."""
    kept, costs = kept_children(seed), world(BUSHY, WIDE)
    fitted = np.array([0.01, 0.2, 0.0, 0.0])
    free = type(costs)(costs.timed, costs.plain, costs.whole, {"draft": fitted})
    found = trees_worth_trying(kept, free, max_nodes=9, max_depth=5)
    choice = choose_tree(
        kept.shares,
        [sum(float(c.seconds(n, 100)) for c in free.whole.values()) for n in range(10)],
        [0.0, *(0.01 + 0.2 * np.arange(1, 6))],
        sizes=range(2, 10),
        max_width=kept.width,
        tau_of=lambda parents: replay_windows(kept.windows(parents)).tau,
    )
    if not choice.chain_wins:
        assert found[-1] == choice.tree.parents
    speeds = [replay_windows(kept.windows(p)).tau / free.round_seconds(p, 100.0) for p in found]
    assert speeds == sorted(speeds) and [len(p) for p in found] == sorted({len(p) for p in found})
    assert not any(is_chain(p) for p in found)


@given(st.integers(0, 2**16), st.integers(2, 4))
def test_chances_by_rank_come_back_from_trees_that_were_profiled(seed, known):
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.ones(6), 30)[:, :5]
    lengths = np.array([12, 18])
    firsts = {
        width: rejection_tree_windows(chances, lengths, (-1,) * width).survival[:, 1]
        for width in (*range(1, known + 1), known + 2)
    }
    got = chances_by_rank(firsts)
    inside = np.ones(30, dtype=bool)
    inside[lengths.cumsum() - 1] = False  # a text's last token is never a draft
    assert got.shape == (30, known)
    np.testing.assert_allclose(got[inside], chances[inside, :known], atol=1e-12)
    tree = (-1, -1, 0, 0, 1)
    np.testing.assert_allclose(
        KeptChildren(got, lengths, np.ones(30)).windows(tree).survival,
        rejection_tree_windows(chances, lengths, tree).survival,
        atol=1e-12,
    )


def test_ranks_that_are_not_known_are_refused():
    with pytest.raises(ValueError, match=r"2 children of the pending token, not \[1, 4\]"):
        chances_by_rank({1: [0.5], 4: [0.9]})
    kept = KeptChildren(np.full((4, 2), 0.4), np.array([4]), np.ones(4))
    with pytest.raises(ValueError, match="at most 2 children, not 3"):
        kept.windows((-1, -1, -1))


def test_a_trace_counts_one_draft_call_a_level():
    kept = KeptChildren(np.zeros(5, dtype=np.int64), np.array([5]), np.full(5, 9.0))
    trace = kept.trace((-1, -1, 0, 1, 2))
    assert trace.draft_calls.tolist() == [3, 3, 2, 1, 0]
    assert trace.windows.num_drafted.tolist() == [5, 5, 4, 2, 0]


def test_siblings_of_a_draft_that_is_never_wrong_only_cost():
    kept = KeptChildren(np.zeros(40, dtype=np.int64), np.array([40]), np.full(40, 50.0))
    costs = world(BUSHY, WIDE)
    found = trees_worth_trying(kept, costs, max_nodes=8, max_depth=8)
    chain = chain_tree(7)
    speed = replay_windows(kept.windows(chain)).tau / costs.round_seconds(chain, 49.0)
    assert found
    for tree in found:
        assert replay_windows(kept.windows(tree)).tau / costs.round_seconds(tree, 49.0) < speed
