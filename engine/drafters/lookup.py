"""Prompt lookup: what followed the last time the text ended like this.

The longest suffix that occurred before is looked for in
the prompt and everything generated (Saxena, "Prompt Lookup Decoding", 2023;
Yang et al., arXiv:2304.04487). Of several places the most recent one is taken:
it shares names and indentation with what is being written.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import torch

from engine.clock import StageClock
from engine.drafters.base import Draft
from engine.errors import InputError
from engine.rules import Rule
from engine.trees import Shape, Tree

_chain = lru_cache(maxsize=256)(Tree.chain)


class LookupDrafter:
    """Copies from the text; proposes nothing where its end is new.

    Where the copied stretch reaches the end of the text it goes on through its
    own copy, as in LZ77, so that a loop is drafted at full length. vLLM's rule
    (``NgramProposer``, 0.32.0, read 2026-11) takes the first place and stops at
    the end: ``recent=False, through_copy=False``.

    Parameters
    ----------
    max_ngram, min_ngram : int, >= 1
        Longest and shortest suffix looked for. [tokens]
    level : str
        Name in the provenance of tokens.
    recent : bool
        Take the most recent place, else the first.
    through_copy : bool
        Go on where the text ends, else draft less there.

    Attributes
    ----------
    hits, misses : int
        Calls of ``propose`` that found a place and that did not, since the drafter
        was made. Whether what was found is kept is another question.
    """

    needs_features = False

    def __init__(
        self,
        max_ngram: int = 3,
        level: str = "lookup",
        *,
        min_ngram: int = 1,
        recent: bool = True,
        through_copy: bool = True,
    ) -> None:
        if max_ngram < 1:
            raise InputError(f"the longest suffix must have at least 1 token, not {max_ngram}")
        if not 1 <= min_ngram <= max_ngram:
            raise InputError(
                f"the shortest suffix must have 1 to {max_ngram} tokens, not {min_ngram}"
            )
        self.max_ngram, self.min_ngram, self.level = max_ngram, min_ngram, level
        self.recent, self.through_copy = recent, through_copy
        self.hits = self.misses = 0
        self._text: list[int] = []  # all but the pending token
        self._ends: dict[tuple[int, ...], list[int]] = defaultdict(list)
        self._proposed: list[int] = []  # pending token and draft

    def start(
        self,
        prompt: Sequence[int],
        capacity: int,
        spare: int = 0,
        features: torch.Tensor | None = None,
    ) -> None:
        """Index the prompt; see ``Drafter``."""
        self._text = []
        self._ends = defaultdict(list)
        self._extend(prompt[:-1])

    def propose(
        self, pending: torch.Tensor, shape: Shape, rule: Rule, clock: StageClock | None
    ) -> Draft | None:
        """A chain as deep as the shape, as far as there is text, or None; see ``Drafter``."""
        token = int(pending)
        begin = self._find(token)
        draft = None
        if begin is None:
            self.misses += 1
        else:
            self.hits += 1
            depth = min(shape.depth, shape.size)
            if not self.through_copy:
                depth = min(depth, len(self._text) + 1 - begin)
            self._proposed = self._copy(begin, token, depth)
            drafted = torch.tensor(self._proposed[1:], device=pending.device)
            draft = Draft(drafted, _chain(depth))
        if clock:
            clock.lap("draft", 0 if draft is None else len(draft.tree))
        return draft

    def commit(self, path: list[int], features: torch.Tensor | None = None) -> None:
        """Index the pending token and the kept ones."""
        self._extend(self._proposed[: len(path) + 1])

    def skip(self, pending: torch.Tensor, features: torch.Tensor | None = None) -> None:
        """Index the pending token [1]."""
        self._extend([int(pending)])

    def rewind(self, num_tokens: int) -> None:
        """Forget the last num_tokens; see ``Rewindable``."""
        for _ in range(num_tokens):
            for gram in self._grams(len(self._text)):
                places = self._ends[gram]
                places.pop()  # the latest place is the one that ends here
                if not places:
                    del self._ends[gram]
            self._text.pop()

    def _find(self, pending: int) -> int | None:
        """Where what followed the longest known suffix begins, the pending token included."""
        tail = (*self._text[-(self.max_ngram - 1) :], pending) if self.max_ngram > 1 else (pending,)
        for first in range(len(tail) - self.min_ngram + 1):
            places = self._ends.get(tail[first:])
            if places:
                return places[-1 if self.recent else 0]
        return None

    def _copy(self, begin: int, pending: int, num_tokens: int) -> list[int]:
        """The pending token and what follows ``begin``, through the copy itself if need be."""
        size = len(self._text)
        copied = [pending]
        for place in range(begin, begin + num_tokens):
            copied.append(self._text[place] if place < size else copied[place - size])
        return copied

    def _extend(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            self._text.append(token)
            for gram in self._grams(len(self._text)):
                self._ends[gram].append(len(self._text))

    def _grams(self, end: int) -> list[tuple[int, ...]]:
        """The n-grams that end in front of place ``end``."""
        tail = tuple(self._text[max(0, end - self.max_ngram) : end])
        return [tail[first:] for first in range(len(tail) - self.min_ngram + 1)]
