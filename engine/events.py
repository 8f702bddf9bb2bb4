"""What a decode reports: tokens with their provenance, rounds, stage times."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Provenance = Literal["target", "draft", "recovered", "bonus"]
"""Which part of the stack produced a token.

``target``: an autoregressive step; ``draft``: a kept draft; ``recovered``:
drawn by the target after a rejection; ``bonus``: drawn by the target after
every draft was kept.
"""


@dataclass(frozen=True)
class Round:
    """One draft, verify, commit cycle.

    Attributes
    ----------
    start : int
        Tokens generated before the round. [tokens]
    num_draft_tokens, num_accepted : int
        Drafted and kept. [tokens]
    tokens : tuple of int
        Emitted: the kept drafts and one token of the target's.
    rejected : tuple of int
        Drafts that were not kept.
    """

    start: int
    num_draft_tokens: int
    num_accepted: int
    tokens: tuple[int, ...]
    rejected: tuple[int, ...] = ()

    @property
    def provenance(self) -> tuple[Provenance, ...]:
        """One entry per emitted token."""
        if self.num_draft_tokens == 0:
            return ("target",)
        last: Provenance = "bonus" if self.num_accepted == self.num_draft_tokens else "recovered"
        kept: list[Provenance] = ["draft"] * self.num_accepted
        return (*kept, last)[: len(self.tokens)]


@dataclass
class Generation:
    """Everything one decode produced.

    Attributes
    ----------
    rounds : list of Round
    prefill_seconds, decode_seconds : float
        Wall time of the prompt and of all rounds. [s]
    """

    rounds: list[Round] = field(default_factory=list)
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0

    @property
    def tokens(self) -> list[int]:
        """Generated token ids, without the prompt."""
        return [token for r in self.rounds for token in r.tokens]

    def with_provenance(self) -> Iterator[tuple[int, Provenance]]:
        """Generated tokens, each with the level that produced it."""
        for r in self.rounds:
            yield from zip(r.tokens, r.provenance, strict=True)

    @property
    def mean_emitted(self) -> float:
        """Tokens per round, tau. [tokens/round]"""
        return len(self.tokens) / len(self.rounds)
