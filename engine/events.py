"""What a decode reports: tokens with their provenance, rounds, stage times."""

from collections.abc import Iterator
from dataclasses import dataclass, field

Provenance = str
"""Which part of the stack produced a token.

``target``: an autoregressive step; ``recovered``: the target's own token after
a rejection; ``bonus``: the target's own token when nothing was left to reject;
anything else: the level of the drafter whose token was kept, ``draft``,
``ngram``, ``lookup``, ``medusa`` and so on.
"""


@dataclass(frozen=True)
class Round:
    """One draft, verify, commit cycle.

    Attributes
    ----------
    start : int
        Tokens generated before the round. [tokens]
    num_draft_tokens, num_accepted : int
        Drafted (all branches of a tree) and kept. [tokens]
    tokens : tuple of int
        Emitted: the kept drafts and one token of the target's.
    rejected : tuple of int
        Drafts that were not kept.
    provenance : tuple of str
        One entry per emitted token.
    """

    start: int
    num_draft_tokens: int
    num_accepted: int
    tokens: tuple[int, ...]
    rejected: tuple[int, ...] = ()
    provenance: tuple[Provenance, ...] = ("target",)


@dataclass
class Generation:
    """Everything one decode produced.

    Attributes
    ----------
    rounds : list of Round
    prefill_seconds, decode_seconds : float
        Wall time of the prompt and of all rounds. [s]
    prompt_rounds : int
        Rounds, from the first, whose stages also hold the prompt: 0 in this engine.
    """

    rounds: list[Round] = field(default_factory=list)
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    prompt_rounds: int = 0

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
