"""The interface between a decode loop and a drafter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from engine.clock import StageClock
from engine.trees import Shape, Tree

if TYPE_CHECKING:
    from engine.rules import Rule


@dataclass(frozen=True)
class Draft:
    """A tree of drafted tokens; a chain is the tree without siblings.

    Attributes
    ----------
    tokens : torch.Tensor [num_tokens], int64
        In the order of the tree.
    tree : Tree
    laws : torch.Tensor [num_laws, vocab] or None
        The vectors the tokens were drawn from, siblings without replacement;
        None for guesses (``Rule.guesses``).
    law_of : tuple of int
        Row of ``laws`` each token was drawn from; empty means row i for token i.
    sources : tuple of str
        Level of the stack that produced each token; empty means the drafter's own.
    """

    tokens: torch.Tensor
    tree: Tree
    laws: torch.Tensor | None = None
    law_of: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()

    def token_laws(self) -> torch.Tensor:
        """The law of each token [num_tokens, vocab]; there must be laws."""
        assert self.laws is not None
        return self.laws if not self.law_of else self.laws[list(self.law_of)]


class Drafter(Protocol):
    """Proposes tokens after the text so far.

    One proposal is open at a time: ``propose`` is followed by ``commit``. When
    the target goes on without a draft, ``skip`` is called instead of both.

    Attributes
    ----------
    level : str
        Name of this drafter in the provenance of tokens.
    needs_features : bool
        Whether ``start``, ``commit`` and ``skip`` want the target's last hidden states.
    """

    level: str
    needs_features: bool

    def start(
        self, prompt: Sequence[int], capacity: int, spare: int, features: torch.Tensor | None
    ) -> None:
        """Take the prompt; its last token is the first pending one.

        ``capacity``: length of the longest text. ``spare``: tokens of a proposal beside its
        longest path, which a cache must hold as well.
        ``features`` [len(prompt) - 1, width]: the target's last hidden states
        (behind the final norm) of all prompt tokens but the last.
        """
        ...

    def propose(
        self, pending: torch.Tensor, shape: Shape, rule: "Rule", clock: StageClock | None
    ) -> Draft | None:
        """Draft a tree behind the pending token [1]; None when there is nothing to propose.

        May stay below the shape, never above it.
        """
        ...

    def commit(self, path: list[int], features: torch.Tensor | None) -> None:
        """Keep the pending token and the tokens of the last proposal along path.

        ``features`` [1 + len(path), width]: of the pending token and of the path.
        """
        ...

    def skip(self, pending: torch.Tensor, features: torch.Tensor | None) -> None:
        """The target went on from the pending token [1] without a draft; features [1, width]."""
        ...


class Rewindable(Drafter, Protocol):
    """A drafter that can draft for another drafter.

    The other one decodes ahead with it and may have to take back some of that
    text when its own reader rejects it.
    """

    def rewind(self, num_tokens: int) -> None:
        """Forget the last num_tokens >= 0 that were committed or skipped; no proposal is open."""
        ...
