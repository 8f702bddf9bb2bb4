"""What would a drafter propose in a round that starts here, for every position of a text?

The drafter is led along the text as by a target that keeps nothing: it holds
exactly the text so far whenever it is asked.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from engine.clock import Lap, StageClock
from engine.drafters.base import Draft, Drafter
from engine.drafters.fallback import FallbackDrafter
from engine.drafters.lookup import LookupDrafter
from engine.drafters.ngram import NgramDrafter
from engine.drafters.staged import StagedDrafter
from engine.randomness import Randomness
from engine.rules import Choice, Rejection, Rule
from engine.sampling import Sampling, distribution
from engine.trees import Shape
from profiler.own_text import OwnText


@dataclass(frozen=True, eq=False)
class Proposal:
    """What was drafted at one position.

    Attributes
    ----------
    start : int
        Tokens of the text in front of it. [tokens]
    draft : Draft or None
        None is a plain step.
    draft_calls : float
        Forwards of the draft, of a staged one those of its upper level; NaN
        where no model drafts.
    """

    start: int
    draft: Draft | None
    draft_calls: float

    @property
    def num_drafted(self) -> int:
        """Tokens the target verifies; 0 in a plain step. [tokens]"""
        return 0 if self.draft is None else len(self.draft.tree)


class ForcedChoice(Rejection):
    """Chooses the tokens of a known text, so that a draft's laws are those along the text.

    Every sibling is that token; what hangs below any of them has the same law.
    """

    def __init__(
        self,
        sampling: Sampling,
        tokens: torch.Tensor,
        randomness: Randomness,
        candidates: int | None,
    ) -> None:
        super().__init__(sampling, randomness, candidates=candidates)
        self._tokens, self._start = tokens, 0

    def begin(self, start: int) -> None:
        """A round begins behind this many tokens of the text."""
        self._start = start

    def choose(self, logits: torch.Tensor, depth: int | Sequence[int], width: int) -> Choice:
        """The text's token at each depth, and the law it would have been drawn from."""
        depths = [depth] * len(logits) if isinstance(depth, int) else list(depth)
        tokens = self._tokens[[self._start + d for d in depths]]
        return Choice(tokens[:, None].repeat(1, width), distribution(logits, self.drafting))


def proposals(drafter: Drafter, text: OwnText, shape: Shape, rule: Rule) -> Iterator[Proposal]:
    """A proposal for a round start at every position.

    Parameters
    ----------
    drafter : Drafter
        Is started on the text's prompt.
    text : OwnText
    shape : Tree or Growth
        Cut near the end of the text as in a decode: a round drafts at most as
        many tokens as are still wanted, less one.
    rule : Rule
        Chooses the tokens.

    Yields
    ------
    Proposal
        One per position, in order.
    """
    prompt, capacity = text.request.prompt, text.request.capacity
    told = text.prompt_features if drafter.needs_features else None
    drafter.start(prompt, capacity, shape.size - shape.depth, told)
    for start in range(len(text)):
        pending = text.pending(start)
        features = text.features[start : start + 1] if drafter.needs_features else None
        room = shape.cut(len(text) - start - 1)
        rule.begin(start)
        clock = StageClock(text.tokens.device)
        clock.lap("rest", 0)
        draft = drafter.propose(pending, room, rule, clock) if room.depth > 0 else None
        yield Proposal(start, draft, draft_calls(drafter, clock.laps()))
        if draft is None:
            drafter.skip(pending, features)
        else:
            drafter.commit([], features)


def drafts_with_a_model(drafter: Drafter) -> bool:
    """Whether a proposal takes forwards of a network."""
    return not isinstance(drafter, LookupDrafter | NgramDrafter | FallbackDrafter)


def num_kept(draft: Draft, tokens: Sequence[int]) -> int:
    """Levels of a draft that the text follows: what is kept of guesses. [tokens]

    Examples
    --------
    >>> from engine.trees import Tree
    >>> guesses = Draft(torch.tensor([7, 8, 9]), Tree((-1, -1, 1)))
    >>> num_kept(guesses, [8, 9, 4]), num_kept(guesses, [7, 9, 4])
    (2, 1)
    """
    drafted, node = draft.tokens.tolist(), -1
    for depth, token in enumerate(tokens):
        below = draft.tree.children.get(node, ())
        child = next((c for c in below if drafted[c] == token), None)
        if child is None:
            return depth
        node = child
    return len(tokens)


def draft_calls(drafter: Drafter, laps: Iterable[Lap]) -> float:
    """Forwards of the draft among these laps; NaN where no model drafts."""
    if not drafts_with_a_model(drafter):
        return math.nan
    stage = drafter.level if isinstance(drafter, StagedDrafter) else "draft"
    return float(sum(lap.stage == stage for lap in laps))
