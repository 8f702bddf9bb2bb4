"""What shape is this token tree?

A tree is a plain tuple of parent indices, one per drafted token; -1 hangs off
the pending token, a parent comes before its children, and the children of one
token are ranked by their order. A chain is (-1, 0, 1, ...).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simulator.checks import counts, one_count

Parents = tuple[int, ...]
MOST_NODES = 4096
"""Of a tree that is given by its widths: a few of them name more nodes than fit anywhere."""


def checked_tree(parents: Sequence[int]) -> Parents:
    """The parents as a tuple, refused unless each comes before its child.

    Raises
    ------
    ValueError
        Naming the first node that hangs off a later or missing one.

    Examples
    --------
    >>> checked_tree([-1, 0, 0])
    (-1, 0, 0)
    """
    tree = tuple(int(parent) for parent in parents)
    for node, parent in enumerate(tree):
        if not -1 <= parent < node:
            raise ValueError(f"the parent of node {node} must be in [-1, {node - 1}], not {parent}")
    return tree


def tree_from_text(text: str) -> Parents:
    """The tree that parents with commas between name.

    Raises
    ------
    ValueError
        One line: what is wrong with it.

    Examples
    --------
    >>> tree_from_text("-1,0,0")
    (-1, 0, 0)
    """
    try:
        parents = [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(
            f"a tree is whole numbers with commas between, like -1,0,0, not '{text}'"
        ) from None
    return checked_tree(parents)


def k_ary_tree(widths: Sequence[int]) -> Parents:
    """Every node of a level has as many children as widths says of that level.

    Raises
    ------
    ValueError
        If a width is below 1, or the tree has more than 4096 nodes.

    Examples
    --------
    >>> k_ary_tree((2, 1))
    (-1, -1, 0, 1)
    """
    children = counts("widths", widths, 1)
    if (number := np.cumprod(children.astype(float)).sum()) > MOST_NODES:
        raise ValueError(f"a tree has at most {MOST_NODES} nodes, not {number:g}")
    parents: list[int] = []
    level = [-1]
    for width in children.tolist():
        first = len(parents)
        parents += [node for node in level for _ in range(width)]
        level = list(range(first, len(parents)))
    return tuple(parents)


def chain_tree(num_draft_tokens: int) -> Parents:
    """A single path.

    Examples
    --------
    >>> chain_tree(3)
    (-1, 0, 1)
    """
    return tuple(range(-1, one_count("num_draft_tokens", num_draft_tokens, 0) - 1))


def with_child(parents: Parents, node: int) -> Parents:
    """The tree with one more child of a node, behind its others; -1 is the pending token.

    Examples
    --------
    >>> with_child((-1, 0), -1)
    (-1, 0, -1)
    """
    if not -1 <= node < len(parents):
        raise ValueError(f"node must be in [-1, {len(parents) - 1}], not {node}")
    return (*parents, node)


def without_subtree(parents: Parents, node: int) -> Parents:
    """The tree without a node and everything beneath it; later siblings move up a rank.

    Examples
    --------
    >>> without_subtree((-1, -1, 0, 1, 2), 0)
    (-1, 0)
    """
    if not 0 <= node < len(parents):
        raise ValueError(f"node must be in [0, {len(parents) - 1}], not {node}")
    gone, place = {node}, {-1: -1}
    kept: list[int] = []
    for other, parent in enumerate(parents):
        if other in gone or parent in gone:
            gone.add(other)
            continue
        place[other] = len(kept)
        kept.append(place[parent])
    return tuple(kept)


def tree_depths(parents: Parents) -> tuple[int, ...]:
    """Depth of every node; 1 for a child of the pending token. [tokens]

    Examples
    --------
    >>> tree_depths((-1, -1, 0, 2))
    (1, 1, 2, 3)
    """
    depths: list[int] = []
    for parent in parents:
        depths.append(1 if parent == -1 else depths[parent] + 1)
    return tuple(depths)


def child_ranks(parents: Parents) -> tuple[int, ...]:
    """Rank of every node among its siblings, from 0.

    Examples
    --------
    >>> child_ranks((-1, -1, 0, 2, 0))
    (0, 1, 0, 0, 1)
    """
    born = dict.fromkeys(range(-1, len(parents)), 0)
    ranks = []
    for parent in parents:
        ranks.append(born[parent])
        born[parent] += 1
    return tuple(ranks)


def child_table(parents: Parents) -> NDArray[np.int64]:
    """Which node is the child of a rank: [num_nodes + 1, width + 1].

    Row node + 1 lists the children of a node, row 0 those of the pending
    token; -1 where there is none, as in all of the last column.

    Examples
    --------
    >>> child_table((-1, -1, 0))
    array([[ 0,  1, -1],
           [ 2, -1, -1],
           [-1, -1, -1],
           [-1, -1, -1]])
    """
    ranks = child_ranks(parents)
    table = np.full((len(parents) + 1, max(ranks, default=-1) + 2), -1)
    for node, (parent, rank) in enumerate(zip(parents, ranks, strict=True)):
        table[parent + 1, rank] = node
    return table


def level_order(paths: Sequence[tuple[int, ...]]) -> Parents:
    """Parents of the nodes that rank paths name, level by level.

    Parameters
    ----------
    paths : sequence of tuples
        Every node as the ranks that lead to it, in any order; (0, 1) is the
        second child of the first.

    Raises
    ------
    ValueError
        If a node lacks its parent or a sibling of lower rank.

    Examples
    --------
    >>> level_order([(0,), (0, 0), (1,)])
    (-1, -1, 0)
    """
    index: dict[tuple[int, ...], int] = {(): -1}
    parents: list[int] = []
    for path in sorted(paths, key=lambda path: (len(path), path)):
        if path[:-1] not in index:
            raise ValueError(f"tree path {path} has no parent {path[:-1]}")
        if path[-1] > 0 and (*path[:-1], path[-1] - 1) not in index:
            raise ValueError(f"tree path {path} has no sibling of rank {path[-1] - 1}")
        index[path] = len(parents)
        parents.append(index[path[:-1]])
    return tuple(parents)
