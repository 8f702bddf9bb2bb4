"""Medusa heads as drafter: one product for all depths, whatever the tree.

The law of a depth does not depend on the tokens above it, so the nodes of one
level share it; each parent's children are still drawn for themselves.
"""

from collections.abc import Sequence

import torch

from engine.clock import StageClock
from engine.drafters.base import Draft
from engine.drafters.filling import draft_tree
from engine.heads.medusa import MedusaHeads
from engine.rules import Rule
from engine.trees import Shape


class MedusaDrafter:
    """Drafts chains and trees no deeper than there are heads.

    Parameters
    ----------
    heads : MedusaHeads
    level : str
        Name in the provenance of tokens.
    """

    needs_features = True

    def __init__(self, heads: MedusaHeads, level: str = "medusa") -> None:
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
        shape = shape.cut(self.heads.num_heads)
        hidden = self.heads.hidden(self._last, shape.depth)[:, 0]
        laws = self.heads.ends.logits(hidden)  # [depth, vocab]
        if clock:
            clock.lap("draft", shape.depth)
        depth = 0

        def expand(
            nodes: Sequence[int], tokens: torch.Tensor, parents: Sequence[int]
        ) -> torch.Tensor:
            nonlocal depth
            depth += 1
            return laws[depth].expand(len(nodes), -1)

        return draft_tree(laws[:1], shape, rule, expand, clock)[0]

    def commit(self, path: list[int], features: torch.Tensor | None) -> None:
        """Draft next from the last kept token's hidden state; see ``Drafter``."""
        assert features is not None
        self._last = features[-1:]

    def skip(self, pending: torch.Tensor, features: torch.Tensor | None) -> None:
        """The same for a step without a draft; see ``Drafter``."""
        self._last = features
