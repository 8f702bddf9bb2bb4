"""Ask one drafter, and where it has nothing to say another one.

Prompt lookup costs nothing and is right more often than an n-gram where it finds a place,
and finds none in half of all places. With an n-gram behind it, it serves a level of a staged
stack better than either; with a draft model behind it, the target.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from engine.clock import StageClock
from engine.drafters.base import Draft, Rewindable
from engine.errors import InputError
from engine.rules import Rule
from engine.trees import Shape


class FallbackDrafter:
    """The first of two drafters that proposes something.

    Parameters
    ----------
    first, second : Rewindable
        Neither may want hidden states.
    level : str, optional
        Name of the stage of both; ``first+second`` by default. Tokens carry the name of
        the drafter they came from.
    second_depth : int, optional
        Levels that the second drafts at most: what it drafts costs more. [tokens]

    Raises
    ------
    InputError
        If a drafter wants hidden states, or the depth is below 1.
    """

    needs_features = False

    def __init__(
        self,
        first: Rewindable,
        second: Rewindable,
        level: str | None = None,
        second_depth: int | None = None,
    ) -> None:
        for drafter in (first, second):
            if drafter.needs_features:
                raise InputError(f"'{drafter.level}' wants hidden states; a fallback has none")
        if second_depth is not None and second_depth < 1:
            raise InputError(f"the second drafter's depth must be at least 1, not {second_depth}")
        self.first, self.second, self.second_depth = first, second, second_depth
        self.level = level or f"{first.level}+{second.level}"
        self._pending: torch.Tensor | None = None
        self._draft: Draft | None = None
        self._used: Rewindable | None = None  # whose proposal is open

    def start(
        self,
        prompt: Sequence[int],
        capacity: int,
        spare: int = 0,
        features: torch.Tensor | None = None,
    ) -> None:
        """Both take the prompt; see ``Drafter``."""
        self.first.start(prompt, capacity, spare, None)
        self.second.start(prompt, capacity, spare, None)

    def propose(
        self, pending: torch.Tensor, shape: Shape, rule: Rule, clock: StageClock | None
    ) -> Draft | None:
        """Draft behind pending [1]; see ``Drafter``."""
        self._pending = pending
        self._draft = self._used = None
        shorter = shape if self.second_depth is None else shape.cut(self.second_depth)
        for drafter, asked in ((self.first, shape), (self.second, shorter)):
            draft = drafter.propose(pending, asked, rule, None)
            if draft is not None:
                sources = draft.sources or (drafter.level,) * len(draft.tree)
                self._draft, self._used = replace(draft, sources=sources), drafter
                break
        if clock:
            clock.lap("draft", 0 if self._draft is None else len(self._draft.tree))
        return self._draft

    def commit(self, path: list[int], features: torch.Tensor | None = None) -> None:
        """Keep the pending token and the path; the other drafter is told of them one by one."""
        assert self._pending is not None and self._draft is not None and self._used is not None
        self._used.commit(path, None)
        other = self.second if self._used is self.first else self.first
        other.skip(self._pending, None)
        for node in path:
            other.skip(self._draft.tokens[node : node + 1], None)

    def skip(self, pending: torch.Tensor, features: torch.Tensor | None = None) -> None:
        """Both note the pending token [1]."""
        self.first.skip(pending, None)
        self.second.skip(pending, None)

    def rewind(self, num_tokens: int) -> None:
        """Both forget the last num_tokens; see ``Rewindable``."""
        self.first.rewind(num_tokens)
        self.second.rewind(num_tokens)
