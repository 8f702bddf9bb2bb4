"""Token trees: which drafted token follows which.

A tree is a tuple of parent indices, one per drafted token; -1 hangs off the
pending token. Tokens stand level by level, siblings in the order in which
they were chosen, so a chain is (-1, 0, 1, ...). A *position* counts the
pending token too: position 0 is the pending token, position i + 1 is token i.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from engine.errors import InputError


@dataclass(frozen=True)
class Tree:
    """The shape of what one round drafts.

    Attributes
    ----------
    parents : tuple of int
        Level by level; ``Tree.of`` sorts any valid tuple.

    Raises
    ------
    InputError
        If a parent is missing, the tree has a cycle, or levels are mixed.

    Examples
    --------
    >>> tree = Tree((-1, -1, 0, 0, 1))
    >>> tree.depths, tree.depth, tree.widths
    ((1, 1, 2, 2, 2), 2, (2, 2))
    """

    parents: tuple[int, ...]

    def __post_init__(self) -> None:
        for node, parent in enumerate(self.parents):
            if not -1 <= parent < len(self.parents):
                raise InputError(
                    f"tree node {node} hangs off node {parent}, which does not exist: "
                    f"there are {len(self.parents)} nodes"
                )
            if parent >= node:
                raise InputError(
                    f"tree node {node} hangs off node {parent}: a parent must come first "
                    "(a cycle, or nodes out of order)"
                )
        if any(a > b for a, b in zip(self.parents, self.parents[1:], strict=False)):
            raise InputError(
                f"tree nodes must stand level by level, children in the order of their "
                f"parents: {self.parents}"
            )

    @classmethod
    def chain(cls, num_draft_tokens: int) -> "Tree":
        """A single path."""
        return cls(tuple(range(-1, num_draft_tokens - 1)))

    @classmethod
    def k_ary(cls, widths: Sequence[int]) -> "Tree":
        """Every node of level d has widths[d] children.

        Examples
        --------
        >>> Tree.k_ary((2, 1)).parents
        (-1, -1, 0, 1)
        """
        parents: list[int] = []
        level = [-1]
        for width in widths:
            if width < 1:
                raise InputError(f"children per node must be at least 1, not {width}")
            first = len(parents)
            parents += [node for node in level for _ in range(width)]
            level = list(range(first, len(parents)))
        return cls(tuple(parents))

    @classmethod
    def from_text(cls, text: str) -> "Tree":
        """Parents with commas between, in any valid order.

        Examples
        --------
        >>> Tree.from_text("-1,0,-1").parents
        (-1, -1, 0)
        """
        try:
            parents = [int(part) for part in text.split(",")]
        except ValueError:
            raise InputError(
                f"a tree is whole numbers with commas between, like -1,-1,0, not '{text}'"
            ) from None
        return cls.of(parents)

    @classmethod
    def of(cls, parents: Iterable[int]) -> "Tree":
        """Sort any valid parents level by level.

        Examples
        --------
        >>> Tree.of((-1, 0, 1, -1)).parents
        (-1, -1, 0, 2)
        """
        given = tuple(parents)
        depth: list[int] = []
        for node, parent in enumerate(given):
            if not -1 <= parent < node:
                raise InputError(
                    f"tree node {node} hangs off node {parent}: a parent must be -1 or an "
                    "earlier node (a cycle, an orphan, or nodes out of order)"
                )
            depth.append(1 if parent == -1 else depth[parent] + 1)
        place = {-1: -1}
        result: list[int] = []
        for level in range(1, max(depth, default=0) + 1):
            nodes = [node for node in range(len(given)) if depth[node] == level]
            for node in sorted(nodes, key=lambda n: place[given[n]]):  # stable: keeps ranks
                place[node] = len(result)
                result.append(place[given[node]])
        return cls(tuple(result))

    @classmethod
    def from_paths(cls, paths: Iterable[Sequence[int]]) -> "Tree":
        """Medusa-style choices: each node is the ranks that lead to it.

        Ranks must be gapless: a node of rank r needs its siblings of lower rank.

        Examples
        --------
        >>> Tree.from_paths([(0,), (1,), (0, 0), (0, 1), (1, 0)]).parents
        (-1, -1, 0, 0, 1)
        """
        ordered = sorted({tuple(path) for path in paths}, key=lambda path: (len(path), path))
        index: dict[tuple[int, ...], int] = {(): -1}
        parents: list[int] = []
        for path in ordered:
            if not path:
                raise InputError("a tree path needs at least one rank")
            if path[:-1] not in index:
                raise InputError(f"tree path {path} has no parent {path[:-1]}")
            if path[-1] > 0 and (*path[:-1], path[-1] - 1) not in index:
                raise InputError(f"tree path {path} has no sibling of rank {path[-1] - 1}")
            index[path] = len(parents)
            parents.append(index[path[:-1]])
        return cls(tuple(parents))

    def __len__(self) -> int:
        return len(self.parents)

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """Of every token, 1 for children of the pending token. [tokens]"""
        depths: list[int] = []
        for parent in self.parents:
            depths.append(1 if parent == -1 else depths[parent] + 1)
        return tuple(depths)

    @property
    def depth(self) -> int:
        """Longest path. [tokens]"""
        return max(self.depths, default=0)

    @property
    def size(self) -> int:
        """Tokens drafted. [tokens]"""
        return len(self.parents)

    @property
    def is_chain(self) -> bool:
        """True when no token has a sibling."""
        return self.depth == len(self.parents)

    @cached_property
    def children(self) -> dict[int, tuple[int, ...]]:
        """Tokens below each node that has any; -1 is the pending token."""
        below: dict[int, list[int]] = defaultdict(list)
        for node, parent in enumerate(self.parents):
            below[parent].append(node)
        return {parent: tuple(nodes) for parent, nodes in below.items()}

    @property
    def widths(self) -> tuple[int, ...]:
        """Most children that a node of each level has, from the pending token down."""
        most = [0] * self.depth
        for parent, nodes in self.children.items():
            level = 0 if parent == -1 else self.depths[parent]
            most[level] = max(most[level], len(nodes))
        return tuple(most)

    def cut(self, depth: int) -> "Tree":
        """The levels up to depth.

        Examples
        --------
        >>> Tree.chain(4).cut(2).parents
        (-1, 0)
        """
        if self.depth <= depth:
            return self
        return Tree(self.parents[: sum(d <= depth for d in self.depths)])

    def path(self, node: int) -> list[int]:
        """Tokens from the first level down to node; empty for -1."""
        path = []
        while node >= 0:
            path.append(node)
            node = self.parents[node]
        return path[::-1]

    @cached_property
    def ancestry(self) -> torch.Tensor:
        """Which position sees which, bool [1 + tokens, 1 + tokens]: itself and its ancestors."""
        size = len(self.parents) + 1
        sees = torch.eye(size, dtype=torch.bool)
        sees[:, 0] = True
        for node, parent in enumerate(self.parents):
            sees[node + 1] |= sees[parent + 1]
        return sees


@dataclass(frozen=True)
class Growth:
    """A tree that grows where the draft is confident, within a budget.

    Level by level, the ``beam`` most probable continuations are kept; a rule
    that draws its tokens decides how many children a node gets before it
    draws them, from the node's law alone (docs/model.md, M3).

    Attributes
    ----------
    budget : int
        Tokens in the tree at most. [tokens]
    depth : int
        Longest path. [tokens]
    beam : int
        Tokens per level at most. [tokens]
    width : int
        Children per node at most. [tokens]
    """

    budget: int
    depth: int
    beam: int = 8
    width: int = 4

    def __post_init__(self) -> None:
        for name in ("budget", "beam", "width"):
            if getattr(self, name) < 1:
                raise InputError(f"tree {name} must be at least 1, not {getattr(self, name)}")
        if self.depth < 0:
            raise InputError(f"tree depth must be at least 0, not {self.depth}")

    @property
    def size(self) -> int:
        """Most tokens drafted, before the best are kept. [tokens]"""
        return max(self.budget, self.beam * self.depth)

    def cut(self, depth: int) -> "Growth":
        """The same, no deeper than depth."""
        return Growth(self.budget, min(self.depth, depth), self.beam, self.width)


Shape = Tree | Growth
"""What a round may draft at most."""
