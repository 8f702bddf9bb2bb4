"""Hydra heads as drafter: one product per level, a row for every token with children."""

from collections.abc import Sequence

import torch

from engine.clock import StageClock
from engine.drafters.base import Draft
from engine.drafters.filling import draft_tree
from engine.heads.hydra import HydraHeads
from engine.rules import Rule
from engine.trees import Shape


class HydraDrafter:
    """Drafts chains and trees no deeper than there are heads.

    Parameters
    ----------
    heads : HydraHeads
    level : str
        Name in the provenance of tokens.
    """

    needs_features = True

    def __init__(self, heads: HydraHeads, level: str = "hydra") -> None:
        self.heads, self.level = heads, level
        # hidden state [1, width] of the last committed token
        self._last: torch.Tensor | None = None

    def start(
        self, prompt: Sequence[int], capacity: int, spare: int, features: torch.Tensor | None
    ) -> None:
        """Keep the hidden state of the last prompt token but one; see ``Drafter``."""
        self._last = None if features is None else features[-1:]

    def propose(
        self, pending: torch.Tensor, shape: Shape, rule: Rule, clock: StageClock | None
    ) -> Draft | None:
        """Draft behind pending [1]; see ``Drafter``.

        A deeper shape is cut at the last head. Nothing is drafted as long as there is no
        hidden state: right behind a prompt of one token.
        """
        if self._last is None:
            return None
        heads = self.heads
        shape = shape.cut(heads.num_heads)
        seen = torch.cat([self._last, heads.embed(pending)], dim=1)
        rows = {-1: 0}  # token with children, as expand knows it -> its row of seen
        depth = 1
        logits = heads.ends.logits(heads.hidden(seen, depth))
        if clock:
            clock.lap("draft", 1)

        def expand(
            nodes: Sequence[int], tokens: torch.Tensor, parents: Sequence[int]
        ) -> torch.Tensor:
            nonlocal seen, rows, depth
            above = [rows[parents[node]] for node in nodes]
            if above != list(range(len(seen))):
                seen = seen[above]
            seen = torch.cat([seen, heads.embed(tokens)], dim=1)
            rows = {node: row for row, node in enumerate(nodes)}
            depth += 1
            logits = heads.ends.logits(heads.hidden(seen, depth))
            if clock:
                clock.lap("draft", len(nodes))
            return logits

        return draft_tree(logits, shape, rule, expand, clock)[0]

    def commit(self, path: list[int], features: torch.Tensor | None) -> None:
        """Draft next from the last kept token's hidden state; see ``Drafter``."""
        assert features is not None
        self._last = features[-1:]

    def skip(self, pending: torch.Tensor, features: torch.Tensor | None) -> None:
        """The same for a step without a draft; see ``Drafter``."""
        self._last = features
