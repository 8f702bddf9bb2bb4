"""Fill a tree level by level, whatever drafter supplies the logits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

from engine.clock import StageClock
from engine.drafters.base import Draft
from engine.rules import Choice, Rule
from engine.trees import Growth, Shape, Tree

Expand = Callable[[Sequence[int], torch.Tensor, Sequence[int]], torch.Tensor]
"""Logits [n, vocab] behind n tokens of one level.

Arguments: their indices, their ids [n], and the parents of all tokens chosen
so far (by index, -1 for the pending token).
"""


def draft_tree(
    first_logits: torch.Tensor,
    shape: Shape,
    rule: Rule,
    expand: Expand,
    clock: StageClock | None,
) -> tuple[Draft, tuple[int, ...]]:
    """Choose tokens level by level.

    Parameters
    ----------
    first_logits : torch.Tensor [1, vocab]
        Behind the pending token.
    shape : Tree or Growth
    rule : Rule
    expand : callable
        Called once per level with the tokens that get children.
    clock : StageClock or None
        Choosing is the stage ``draft_sampling``.

    Returns
    -------
    draft : Draft
    origin : tuple of int
        For every token of the draft the index by which ``expand`` knew it.
    """
    if isinstance(shape, Growth):
        return _grow(first_logits, shape, rule, expand, clock)
    draft = _fill(first_logits, shape, rule, expand, clock)
    return draft, tuple(range(len(shape)))


def _fill(
    logits: torch.Tensor, tree: Tree, rule: Rule, expand: Expand, clock: StageClock | None
) -> Draft:
    tokens: list[torch.Tensor] = []  # one tensor per level
    laws: list[torch.Tensor] = []
    law_of: list[int] = []
    parents = [-1]
    first = 0  # index of the level's first token
    for depth, width in enumerate(tree.widths):
        families = [tree.children[parent] for parent in parents]
        choice = rule.choose(logits, depth, width)
        tokens.append(_first_of_each(choice.tokens, [len(f) for f in families]))
        if choice.laws is not None:
            law_of += [sum(map(len, laws)) + row for row, f in enumerate(families) for _ in f]
            laws.append(choice.laws)
        if clock:
            clock.lap("draft_sampling", len(tokens[-1]))
        parents = [node for family in families for node in family if node in tree.children]
        if parents:
            level = tokens[-1]
            if len(parents) < len(level):
                level = level[[node - first for node in parents]]
            logits = expand(parents, level, tree.parents)
        first += len(tokens[-1])
    chain = tree.is_chain
    return Draft(
        torch.cat(tokens),
        tree,
        torch.cat(laws) if laws else None,
        () if chain else tuple(law_of),
    )


@dataclass
class _Node:
    """One token of a growing tree; row and rank say where its level's choice holds it."""

    parent: int
    depth: int
    row: int
    rank: int
    confidence: float


def _grow(
    logits: torch.Tensor, shape: Growth, rule: Rule, expand: Expand, clock: StageClock | None
) -> tuple[Draft, tuple[int, ...]]:
    nodes: list[_Node] = []
    choices: list[Choice] = []
    level = [-1]
    left = shape.budget
    for depth in range(shape.depth):
        choice = rule.choose(logits, depth, min(shape.width, shape.beam))
        choices.append(choice)
        hopes = rule.confidence(logits, choice, depth)  # the level's one read
        if clock:
            clock.lap("draft_sampling", choice.tokens.numel())
        above = [1.0 if parent == -1 else nodes[parent].confidence for parent in level]
        wanted = [
            _Node(parent, depth + 1, row, rank, above[row] * hope)
            for row, parent in enumerate(level)
            for rank, hope in enumerate(hopes[row])
        ]
        # drawn tokens cannot be taken back: the budget binds as the tree grows
        room = shape.beam if rule.guesses else min(shape.beam, left)
        wanted = sorted(wanted, key=lambda node: -node.confidence)[:room]
        wanted.sort(key=lambda node: (node.row, node.rank))
        first = len(nodes)
        nodes += wanted
        left -= len(wanted)
        level = list(range(first, len(nodes)))
        if depth + 1 == shape.depth or (not rule.guesses and left == 0):
            break
        places = [n.row * choice.tokens.shape[1] + n.rank for n in wanted]
        logits = expand(level, choice.tokens.flatten()[places], [n.parent for n in nodes])
    return _keep_the_best(nodes, choices, shape.budget)


def _keep_the_best(
    nodes: list[_Node], choices: list[Choice], budget: int
) -> tuple[Draft, tuple[int, ...]]:
    """The budget's most confident tokens; a parent is never less so than its child."""
    order = sorted(range(len(nodes)), key=lambda i: (-nodes[i].confidence, i))
    kept = sorted(order[:budget])  # by level, then parent, then rank
    place = {-1: -1, **{old: new for new, old in enumerate(kept)}}
    tree = Tree(tuple(place[nodes[i].parent] for i in kept))
    width = choices[0].tokens.shape[1]
    before = [0, *accumulate(c.tokens.shape[0] for c in choices)]  # rows of earlier levels
    law_of = tuple(before[nodes[i].depth - 1] + nodes[i].row for i in kept)
    places = [row * width + nodes[i].rank for row, i in zip(law_of, kept, strict=True)]
    tokens = torch.cat([c.tokens.flatten() for c in choices])[places]
    if choices[0].laws is None:
        return Draft(tokens, tree), tuple(kept)
    laws = torch.cat([c.laws for c in choices if c.laws is not None])
    return Draft(tokens, tree, laws, law_of), tuple(kept)


def _first_of_each(tokens: torch.Tensor, counts: list[int]) -> torch.Tensor:
    """The first counts[i] entries of each row i, one behind the other."""
    width = tokens.shape[1]
    if all(count == width for count in counts):
        return tokens.flatten()
    flat = [row * width + rank for row, count in enumerate(counts) for rank in range(count)]
    return tokens.flatten()[flat]
