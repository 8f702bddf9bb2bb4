import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.masks import tree_layout
from engine.trees import Growth, Tree


@st.composite
def parent_lists(draw: st.DrawFn) -> list[int]:
    size = draw(st.integers(0, 12))
    return [draw(st.integers(-1, node - 1)) for node in range(size)]


@given(parent_lists())
def test_sorting_keeps_the_tree_and_puts_it_level_by_level(parents: list[int]) -> None:
    tree = Tree.of(parents)
    assert len(tree) == len(parents)
    assert list(tree.depths) == sorted(tree.depths)
    assert Tree.of(tree.parents) == tree

    def shape(given: tuple[int, ...], node: int = -1) -> tuple:  # type: ignore[type-arg]
        return tuple(shape(given, child) for child, p in enumerate(given) if p == node)

    assert shape(tree.parents) == shape(tuple(parents))  # siblings keep their order


@given(parent_lists(), st.integers(0, 6))
def test_a_cut_tree_keeps_what_lies_above_the_cut(parents: list[int], depth: int) -> None:
    tree = Tree.of(parents)
    cut = tree.cut(depth)
    assert cut.depth == min(depth, tree.depth)
    assert cut.parents == tree.parents[: len(cut)]


@given(parent_lists())
def test_every_position_sees_itself_its_ancestors_and_the_pending_token(parents: list[int]) -> None:
    tree = Tree.of(parents)
    for node in range(len(tree)):
        seen = torch.nonzero(tree.ancestry[node + 1])[:, 0].tolist()
        assert seen == [0, *(n + 1 for n in tree.path(node))]
    assert sum(map(len, tree.children.values())) == len(tree)
    assert tree.is_chain == (tree == Tree.chain(len(tree)))


def test_named_shapes() -> None:
    assert Tree.chain(3).parents == (-1, 0, 1)
    assert Tree.k_ary((2, 2)).parents == (-1, -1, 0, 0, 1, 1)
    paths = [(0,), (1,), (0, 0), (0, 1), (0, 0, 0)]
    assert Tree.from_paths(paths).parents == (-1, -1, 0, 0, 2)
    assert Tree.k_ary((3, 2)).widths == (3, 2)


@pytest.mark.parametrize(
    ("parents", "reason"),
    [
        ((0,), "node 0 hangs off node 0: a parent must come first"),
        ((-1, 5), "node 1 hangs off node 5, which does not exist: there are 2 nodes"),
        ((-1, 2, 1), "node 1 hangs off node 2: a parent must come first"),
        ((-2,), "node 0 hangs off node -2, which does not exist"),
        ((-1, 0, -1), "level by level"),
    ],
)
def test_a_bad_tree_is_refused_with_the_node(parents: tuple[int, ...], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Tree(parents)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: Tree.of((-1, 4)), "a cycle, an orphan, or nodes out of order"),
        (lambda: Tree.k_ary((2, 0)), "children per node must be at least 1, not 0"),
        (lambda: Tree.from_paths([(0, 0)]), r"path \(0, 0\) has no parent \(0,\)"),
        (lambda: Tree.from_paths([(1,)]), r"path \(1,\) has no sibling of rank 0"),
        (lambda: Growth(0, 2), "tree budget must be at least 1, not 0"),
        (lambda: Growth(4, -1), "tree depth must be at least 0, not -1"),
    ],
)
def test_bad_shapes_are_refused(call, reason: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=reason):
        call()


def test_a_layout_puts_tokens_at_their_depth_behind_the_text() -> None:
    tree = Tree((-1, -1, 0))
    layout = tree_layout(tree, 4, torch.float32, torch.device("cpu"))
    assert layout is not None
    assert layout.positions.tolist() == [4, 5, 5, 6]
    visible = layout.mask == 0
    assert visible[:, :5].all()
    assert visible[:, 5:].tolist() == [
        [False, False, False], [True, False, False], [False, True, False], [True, False, True],
    ]  # fmt: skip
    assert tree_layout(Tree.chain(3), 4, torch.float32, torch.device("cpu")) is None


def test_trees_with_equal_parents_are_one_shape() -> None:
    shapes = [Tree(p) for p in itertools.repeat((-1, 0), 2)]
    assert len(set(shapes)) == 1
