"""The rules of several rows, acting at once where they are alike.

Each row keeps its own rule and its own random numbers, used up in the same
order as when the row is decoded alone.
"""

from collections.abc import Sequence

import torch

from engine.randomness import Uniforms, draw_in_turn
from engine.rules import Greedy, Rejection, Rule
from engine.sampling import draw


class _Streams:
    """Randomness for rows that each have uniforms of their own."""

    def __init__(self, streams: Sequence[Uniforms]) -> None:
        self.streams = streams

    def draw(self, probs: torch.Tensor) -> torch.Tensor:
        """One token [rows] per row of probs [rows, vocab], by that row's next uniform."""
        return draw(probs, self._next(probs.shape[0]))

    def draw_distinct(self, probs: torch.Tensor, width: int) -> torch.Tensor:
        """Tokens [rows, width]."""
        return draw_in_turn(self, probs, width)

    def accept(self, chances: torch.Tensor) -> torch.Tensor:
        """True [rows] with probability chances [rows]."""
        return self._next(chances.shape[0]) < chances

    def accept_one(self, chance: float) -> bool:
        """Of the only row there is."""
        return bool(self.accept(torch.tensor([chance], dtype=torch.float64)))

    def _next(self, rows: int) -> torch.Tensor:
        assert rows == len(self.streams)
        return torch.cat([stream.take(1) for stream in self.streams])


def next_tokens(rules: Sequence[Rule], logits: torch.Tensor) -> torch.Tensor:
    """The target's token [rows] in every row, from logits [rows, vocab]."""
    together = _as_one(rules)
    if together is not None:
        return together.next_token(logits)
    rows = logits.split(1)
    return torch.cat([rule.next_token(row) for rule, row in zip(rules, rows, strict=True)])


def choose_each(
    rules: Sequence[Rule], logits: torch.Tensor, depth: int
) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
    """One drafted token per row.

    Parameters
    ----------
    rules : sequence of Rule
    logits : torch.Tensor [rows, vocab]
        The draft's.
    depth : int
        Tokens drafted before in this round.

    Returns
    -------
    tokens : torch.Tensor [rows], int64
    laws : list of torch.Tensor [1, vocab] or None
        What each was drawn from; None for a guess.
    """
    together = _as_one(rules)
    if together is not None:
        choice = together.choose(logits, depth, 1)
        laws = [None] * len(rules) if choice.laws is None else list(choice.laws.split(1))
        return choice.tokens[:, 0], laws
    rows = logits.split(1)
    choices = [rule.choose(row, depth, 1) for rule, row in zip(rules, rows, strict=True)]
    return torch.cat([choice.tokens[:, 0] for choice in choices]), [c.laws for c in choices]


def _as_one(rules: Sequence[Rule]) -> Rule | None:
    """One rule that chooses for all rows as each row's own would; None if they are not alike."""
    if all(isinstance(rule, Greedy) for rule in rules):
        return rules[0]
    first = rules[0]
    if not isinstance(first, Rejection):
        return None
    streams = []
    for rule in rules:
        if not isinstance(rule, Rejection) or not isinstance(rule.randomness, Uniforms):
            return None
        if (rule.sampling, rule.candidates) != (first.sampling, first.candidates):
            return None
        streams.append(rule.randomness)
    return Rejection(first.sampling, _Streams(streams), candidates=first.candidates)
