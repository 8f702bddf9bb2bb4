"""Shapes of token trees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.token_trees import (
    chain_tree,
    checked_tree,
    child_ranks,
    child_table,
    level_order,
    tree_depths,
    with_child,
    without_subtree,
)


@st.composite
def trees(draw, max_nodes=12):
    """Any tree: every node picks an earlier parent."""
    size = draw(st.integers(0, max_nodes))
    return tuple(draw(st.integers(-1, node - 1)) for node in range(size))


def paths_of(parents):
    paths = {-1: ()}
    for node, (parent, rank) in enumerate(zip(parents, child_ranks(parents), strict=True)):
        paths[node] = (*paths[parent], rank)
    return [paths[node] for node in range(len(parents))]


@given(trees())
def test_paths_and_parents_tell_the_same_tree(parents):
    paths = paths_of(parents)
    assert len(set(paths)) == len(parents)
    assert [len(path) for path in paths] == list(tree_depths(parents))
    rebuilt = level_order(paths)
    assert sorted(paths_of(rebuilt)) == sorted(paths)
    assert list(rebuilt) == sorted(rebuilt)  # level by level


@given(trees())
def test_the_table_finds_every_child(parents):
    table = child_table(parents)
    assert (table >= 0).sum() == len(parents) and (table[:, -1] == -1).all()
    for node, (parent, rank) in enumerate(zip(parents, child_ranks(parents), strict=True)):
        assert table[parent + 1, rank] == node


def test_a_chain_is_one_path():
    assert chain_tree(0) == ()
    assert tree_depths(chain_tree(4)) == (1, 2, 3, 4)


def test_bad_trees_are_refused():
    with pytest.raises(ValueError, match=r"the parent of node 1 must be in \[-1, 0\], not 1"):
        checked_tree((-1, 1))
    with pytest.raises(ValueError, match=r"tree path \(0, 0\) has no parent \(0,\)"):
        level_order([(0, 0)])
    with pytest.raises(ValueError, match=r"tree path \(1,\) has no sibling of rank 0"):
        level_order([(1,)])


@given(st.data())
def test_a_child_that_is_added_can_be_taken_away_again(data):
    tree: tuple[int, ...] = ()
    for _ in range(data.draw(st.integers(0, 12))):
        tree = with_child(tree, data.draw(st.integers(-1, len(tree) - 1)))
    node = data.draw(st.integers(-1, len(tree) - 1))
    grown = with_child(tree, node)
    assert checked_tree(grown) == grown
    assert without_subtree(grown, len(tree)) == tree


@given(st.data())
def test_removing_a_node_takes_exactly_what_hangs_beneath_it(data):
    tree: tuple[int, ...] = ()
    for _ in range(data.draw(st.integers(1, 12))):
        tree = with_child(tree, data.draw(st.integers(-1, len(tree) - 1)))
    node = data.draw(st.integers(0, len(tree) - 1))

    def hangs(other: int) -> bool:
        return other == node or (tree[other] >= 0 and hangs(tree[other]))

    left = without_subtree(tree, node)
    assert checked_tree(left) == left
    assert len(left) == sum(not hangs(other) for other in range(len(tree)))
    depths = [depth for other, depth in enumerate(tree_depths(tree)) if not hangs(other)]
    assert list(tree_depths(left)) == depths


@pytest.mark.parametrize("node", [-2, 2])
def test_a_node_that_is_not_there_is_refused(node):
    with pytest.raises(ValueError, match=f"not {node}"):
        with_child((-1, 0), node)
    with pytest.raises(ValueError, match=f"not {node}"):
        without_subtree((-1, 0), node)
