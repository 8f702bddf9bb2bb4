"""The interface between a decode loop and a drafter."""

from dataclasses import dataclass
from typing import Protocol

import torch

from engine.clock import StageClock
from engine.sampling import Sampling


@dataclass(frozen=True)
class Draft:
    """A chain of drafted tokens.

    Attributes
    ----------
    tokens : torch.Tensor [num_draft_tokens], int64
    probs : torch.Tensor [num_draft_tokens, vocab] or None
        The vectors the tokens were drawn from; None when drafting greedily.
    """

    tokens: torch.Tensor
    probs: torch.Tensor | None


class Drafter(Protocol):
    """Proposes a chain after the text so far."""

    def start(self, prompt: list[int], capacity: int) -> None:
        """Take the prompt; its last token is the first pending one."""
        ...

    def propose(
        self,
        pending: torch.Tensor,
        num_draft_tokens: int,
        sampling: Sampling,
        uniforms: torch.Tensor,
        clock: StageClock | None,
    ) -> Draft:
        """Draft a chain behind the pending token [1], one uniform per token."""
        ...

    def skip(self, pending: torch.Tensor) -> None:
        """Take note that the target went on from the pending token [1] without a draft."""
        ...

    def commit(self, num_accepted: int) -> None:
        """Keep the pending token and the first num_accepted drafts of the last proposal."""
        ...
