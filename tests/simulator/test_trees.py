"""Best static trees: two algorithms against each other and against all trees."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.acceptance import expected_emitted_from_hazards, expected_emitted_tokens
from simulator.token_trees import chain_tree, child_ranks, level_order, tree_depths
from simulator.trees import best_first_trees, dynamic_programme_tau, expected_emitted_from_tree
from tests.simulator.test_token_trees import trees


@st.composite
def rank_vectors(draw, falling=True):
    """Shares of at most 5 ranks, sum at most 1."""
    shares = np.array(draw(st.lists(st.floats(0.01, 1), min_size=1, max_size=5)))
    shares *= draw(st.floats(0, 1)) / shares.sum()
    return np.sort(shares)[::-1] if falling else shares


@cache
def all_trees(size):
    """Every tree of a size, as level-ordered parents (each child not before its elder's)."""
    if size == 0:
        return [()]
    found = []
    for tree in all_trees(size - 1):
        lowest = tree[-1] if tree else -1
        found += [(*tree, parent) for parent in range(lowest, size - 1)]
    return found


def best_of_all(vector, size, max_depth=99, max_width=99):
    allowed = (
        tree
        for smaller in range(size + 1)
        for tree in all_trees(smaller)
        if max(tree_depths(tree), default=0) <= max_depth
        and max(child_ranks(tree), default=-1) < max_width
    )
    return max(expected_emitted_from_tree(vector, tree) for tree in allowed)


@settings(max_examples=30, deadline=None)
@given(rank_vectors(falling=False), st.integers(0, 5), st.integers(0, 4), st.integers(1, 4))
def test_the_programme_finds_the_best_of_all_trees(vector, size, depth, width):
    tau = dynamic_programme_tau(vector, size, max_depth=depth, max_width=width)
    assert tau[-1] == pytest.approx(best_of_all(vector, size, depth, width), abs=1e-12)


@given(rank_vectors(), st.integers(0, 40), st.integers(0, 12), st.integers(1, 6))
def test_best_first_equals_the_programme(vector, size, depth, width):
    grown = best_first_trees(vector, size, max_depth=depth, max_width=width)
    tau = dynamic_programme_tau(vector, size, max_depth=depth, max_width=width)
    assert grown.tau == pytest.approx(tau[: len(grown.tau)], abs=1e-9)
    if len(grown.tau) <= size:  # the limits leave no room for more nodes
        assert tau[len(grown.tau) :] == pytest.approx(grown.tau[-1], abs=1e-9)


@given(st.lists(rank_vectors(), min_size=1, max_size=4), st.integers(0, 20))
def test_they_agree_for_vectors_by_level_too(vectors, size):
    table = np.zeros((len(vectors), 5))
    for row, vector in zip(table, vectors, strict=True):
        row[: len(vector)] = vector
    grown = best_first_trees(table, size)
    tau = dynamic_programme_tau(table, size)
    assert grown.tau == pytest.approx(tau[: len(grown.tau)], abs=1e-9)


@given(rank_vectors(), st.integers(0, 40), st.integers(0, 6), st.integers(1, 4))
def test_what_is_grown_is_worth_what_it_says_and_keeps_the_limits(vector, size, depth, width):
    grown = best_first_trees(vector, size, max_depth=depth, max_width=width)
    for number in range(len(grown.tau)):
        tree = grown.parents(number)
        assert expected_emitted_from_tree(vector, tree) == pytest.approx(grown.tau[number])
        assert max(tree_depths(tree), default=0) == grown.depths[number] <= depth
        assert max(child_ranks(tree), default=-1) < width
    gains = np.diff(grown.tau)
    assert (gains[1:] <= gains[:-1] + 1e-12).all()  # every node is worth less than the last


@given(st.floats(0, 1), st.integers(0, 12))
def test_a_tree_with_one_branch_is_a_chain(alpha, gamma):
    """Best-first stops early only where a path product underflows to 0."""
    expected = expected_emitted_tokens(alpha, gamma)
    assert expected_emitted_from_tree([alpha], chain_tree(gamma)) == pytest.approx(expected)
    assert best_first_trees([alpha], gamma).tau[-1] == pytest.approx(expected)
    hazards = np.linspace(alpha, 0, gamma)[:, None]
    by_level = expected_emitted_from_hazards(hazards[:, 0])
    assert expected_emitted_from_tree(hazards, chain_tree(gamma)) == pytest.approx(by_level)


@given(rank_vectors(falling=False), trees(), st.floats(0, 1))
def test_tokens_lie_between_a_step_and_the_depth_and_grow_with_acceptance(vector, parents, share):
    tau = expected_emitted_from_tree(vector, parents)
    depth = max(tree_depths(parents), default=0)
    assert -1e-9 <= tau - 1 <= depth + 1e-9
    assert expected_emitted_from_tree(share * vector, parents) <= tau + 1e-12
    assert expected_emitted_from_tree(0 * vector, parents) == 1


def test_certain_acceptance_fills_the_longest_path():
    assert expected_emitted_from_tree([1.0, 0.0], (-1, -1, 0, 2)) == 4
    assert best_first_trees([1.0, 0.0], 6).depths[-1] == 6


SEQUOIA_LLAMA3 = (  # arXiv:2402.12374, appendix E: Llama3-70B drafted by 8B, CNN Daily
    ".7732 .1039 .0402 .0206 .0128 .0081 .0064 .0043 .0035 .0026 .0025 .0021 .0016 .0014 .0010 "
    ".0010 .0010 .0007 .0007 .0006 .0007 .0006 .0004 .0004 .0005 .0006 .0004 .0003 .0002 .0004 "
    ".0001"
)


def sequoia_vector():
    return np.array([float(share) for share in SEQUOIA_LLAMA3.split()])


def test_published_chain_limit_of_sequoia():
    """Infinite chain, 1 / (1 - P1) = 4.41 (ibid., section 4.1.2); 60 drafts reach it to 1e-6."""
    tau = expected_emitted_from_tree(sequoia_vector(), chain_tree(60))
    assert tau == pytest.approx(1 / (1 - 0.7732), abs=1e-5)
    assert round(tau, 2) == 4.41


def test_published_tokens_of_sequoia_exceed_constant_ranks():
    """(768, 18) measured 11.68 at T = 0 and 11.37 at 0.6 on MT-Bench (ibid., table 2).

    The constant vector (measured on another data set) predicts 8.35: easy
    positions come in runs, which independent ranks cannot know.
    """
    vector = np.minimum.accumulate(sequoia_vector())
    tau = best_first_trees(vector, 767, max_depth=18).tau[-1]
    assert tau == pytest.approx(8.35, abs=0.01)
    assert 0.25 < 1 - tau / 11.37 < 0.30


# cumulative top-1 .. top-5 accuracy of heads 1-4: FasterDecoding/Medusa, medusa_acc.csv (2023)
MEDUSA_HEADS = {
    "7B": (".560 .672 .727 .760 .780", ".316 .424 .485 .528 .563", ".201 .288 .348 .383 .417",
           ".147 .225 .274 .311 .340"),
    "13B": (".594 .705 .758 .792 .816", ".340 .440 .507 .546 .580", ".216 .309 .361 .403 .436",
            ".150 .232 .288 .323 .354"),
    "33B": (".605 .716 .765 .798 .822", ".356 .469 .529 .569 .596", ".225 .320 .379 .421 .446",
            ".160 .249 .307 .348 .376"),
}  # fmt: skip


def medusa_tree():
    """mc_sim_7b_63, FasterDecoding/Medusa, medusa_choices.py (2023)."""
    first = [(r,) for r in range(10)]
    second = [(0, r) for r in range(10)] + [(1, r) for r in range(7)] + [(2, r) for r in range(3)]
    second += [(3, 0), (3, 1), *((r, 0) for r in range(4, 10))]
    third = [(0, 0, r) for r in range(10)] + [(0, 1, r) for r in range(3)]
    third += [(0, 2, 0), (0, 2, 1), (0, 3, 0), (0, 4, 0), (0, 5, 0), (0, 6, 0), (0, 7, 0)]
    third += [(1, 0, 0), (1, 0, 1), (2, 0, 0)]
    return first + second + third + [(0, 0, 0, 0), (0, 0, 0, 1)]


@pytest.mark.parametrize(
    ("size", "measured", "within"), [("7B", 2.31, 0.02), ("13B", 2.39, 0.02), ("33B", 2.33, 0.065)]
)
def test_published_tokens_of_medusas_tree(size, measured, within):
    """Spec-Bench leaderboard, Medusa on an A100: 2.31, 2.39, 2.33 tokens per step.

    Heads' accuracies were logged while training; the 33B run is marked failed,
    hence its wider bound.
    """
    heads = np.array([[float(x) for x in row.split()] for row in MEDUSA_HEADS[size]])
    by_rank = np.diff(heads, axis=1, prepend=0.0)
    tree = level_order(medusa_tree())
    assert np.bincount(tree_depths(tree)).tolist() == [0, 10, 28, 23, 2]
    assert expected_emitted_from_tree(by_rank, tree) == pytest.approx(measured, rel=within)


def specinfer_tree(width):
    """Expansion <1,1,k,1,1,1,1,1>: a chain of two that splits into so many chains of six."""
    paths = [(0,), (0, 0)]
    paths += [(0, 0, r, *[0] * more) for r in range(width) for more in range(6)]
    return level_order(paths)


@pytest.mark.parametrize(
    ("top", "published", "signs"),
    [
        ([0.68, 0.77, 0.81, 0.84, 0.85], [2.95, 3.07, 3.21, 3.33, 3.43], (1, -1)),
        ([0.54, 0.81, 0.91, 0.95, 0.97], [1.79, 2.11, 2.26, 2.32, 2.38], (1, 1)),
    ],
)
def test_negative_control_specinfer_is_not_independent(top, published, signs):
    """Tables 1 and 2 of arXiv:2305.09781, Alpaca, greedy and stochastic.

    One acceptance vector for all levels must fail: it over-predicts the chain
    and gives width less than half of its published worth.
    """
    ours = []
    for width in range(1, 6):
        rows = np.zeros((8, 5))
        rows[:, 0] = top[0]
        rows[2] = np.diff(top, prepend=0.0)
        ours.append(expected_emitted_from_tree(rows, specinfer_tree(width)))
    assert tuple(np.sign(np.subtract(ours, published)[[0, -1]])) == signs
    assert ours[-1] - ours[0] < 0.5 * (published[-1] - published[0])
    assert np.abs(np.divide(ours, published) - 1).max() < 0.22


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="must not rise with rank"):
        best_first_trees([0.1, 0.2], 3)
    with pytest.raises(ValueError, match=r"accept_by_rank sums to 1.2 in a row"):
        dynamic_programme_tau([0.6, 0.6], 3)
    with pytest.raises(ValueError, match="the tree is 2 deep, accept_by_rank has 1 rows"):
        expected_emitted_from_tree([[0.5]], (-1, 0))
    with pytest.raises(ValueError, match="max_width must be finite and >= 1, not 0"):
        best_first_trees([0.5], 3, max_width=0)
