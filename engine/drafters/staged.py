"""A draft that itself decodes speculatively, under a lower drafter; any depth.

Spector & Re, "Accelerating LLM Inference with Staged Speculative Decoding",
arXiv:2308.04623. The lower level changes what a draft costs, never its law:
chains are decoded by the same lossless rules the target uses, trees are filled
from the draft's own logits, which the lower level only makes available early.

How the levels keep in step. The lower drafter is told of the draft's rounds as
if the draft were its target. When the draft's own reader has judged, the lower
drafter is rewound to what was kept. At rest every level holds the same text,
the pending token excepted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from engine.cache import KVCache
from engine.clock import StageClock
from engine.drafters.base import Draft, Rewindable
from engine.drafters.staged_tree import DraftRows, fill_growing, fill_static
from engine.errors import InputError
from engine.masks import Layout, tree_layout
from engine.model import Model
from engine.rules import Rule
from engine.trees import Growth, Shape, Tree
from engine.verification import Verdict

GUESS_ROOM = 64
"""Cache entries for guesses inside a tree; guesses that do not fit are left out. [tokens]"""


@dataclass
class LevelCounts:
    """What one level did.

    Attributes
    ----------
    calls : int
        Forwards of the level's model, or proposals asked of a level without one.
    proposed, accepted : int
        Tokens handed to the level above, and kept by it. [tokens]
    """

    calls: int = 0
    proposed: int = 0
    accepted: int = 0


class StagedDrafter:
    """Drafts with a causal language model that is itself drafted for.

    Parameters
    ----------
    model : Model
        The draft.
    lower : Rewindable
        Drafts for the draft: an n-gram, prompt lookup, a smaller model, or
        another StagedDrafter.
    lower_shape : Tree or Growth, optional
        What the lower drafter may propose at a time. In a tree: behind each
        token that the draft has yet to run.
    level : str
        Name in the provenance of tokens and of the stage of the draft's forwards.

    Raises
    ------
    InputError
        If two levels share a name, the lower drafter wants hidden states, or
        lower_shape is empty.
    """

    needs_features = False

    def __init__(
        self,
        model: Model,
        lower: Rewindable,
        lower_shape: Shape | None = None,
        level: str = "draft",
    ) -> None:
        shape = Tree.chain(3) if lower_shape is None else lower_shape
        if lower.needs_features:
            raise InputError(
                f"the lower level '{lower.level}' wants hidden states; drafts have none"
            )
        below = [lower.level, *(lower.statistics if isinstance(lower, StagedDrafter) else ())]
        if level in below:
            raise InputError(f"two levels of the stack are called '{level}'")
        if shape.depth < 1:
            raise InputError(f"the lower level must draft at least 1 token, not {shape.depth}")
        self.model, self.lower, self.lower_shape, self.level = model, lower, shape, level
        self._own, self._lower_counts = LevelCounts(), LevelCounts()
        self._cache: KVCache | None = None
        self._behind: list[torch.Tensor] = []  # tokens of the text that have not run yet
        self._base = 0  # where the pending token lies in the cache
        self._pending: torch.Tensor | None = None
        self._draft: Draft | None = None
        self._ran: dict[int, int] | None = None  # of a tree: token -> offset from base

    @property
    def statistics(self) -> dict[str, LevelCounts]:
        """Counts of every level since the drafter was made, this one first."""
        below = self.lower.statistics if isinstance(self.lower, StagedDrafter) else {}
        handed = replace(self._lower_counts)
        if self.lower.level in below:
            handed.calls = below[self.lower.level].calls  # its model's, not how often it was asked
        return {self.level: replace(self._own), **below, self.lower.level: handed}

    @property
    def cache(self) -> KVCache:
        """The draft's cache; refuses before start()."""
        if self._cache is None:
            raise InputError("the drafter was not started on a prompt")
        return self._cache

    def start(
        self,
        prompt: Sequence[int],
        capacity: int,
        spare: int = 0,
        features: torch.Tensor | None = None,
    ) -> None:
        """Run all but the last prompt token on every level; see ``Drafter``."""
        self._cache = self.model.new_cache(capacity, spare + self.lower_shape.size + GUESS_ROOM)
        self._behind = []
        if len(prompt) > 1:
            tokens = torch.tensor(prompt[:-1], device=self.model.device)
            self.model.forward(tokens, self._cache, 0)
        beside = self.lower_shape.size - self.lower_shape.depth
        self.lower.start(prompt, capacity, beside, None)

    def propose(
        self, pending: torch.Tensor, shape: Shape, rule: Rule, clock: StageClock | None
    ) -> Draft:
        """Draft behind pending [1]; see ``Drafter``."""
        self._pending = pending
        self._base = self.cache.length + len(self._behind)
        if isinstance(shape, Tree) and shape.is_chain:
            self._ran = None
            self._draft = self._decode(pending, shape, rule, clock)
        else:
            rows = DraftRows(self, pending, rule, clock, GUESS_ROOM)
            if isinstance(shape, Growth):
                self._draft, self._ran = fill_growing(rows, shape, rule, clock)
            else:
                self._draft, self._ran = fill_static(rows, shape, rule, clock)
        self._own.proposed += len(self._draft.tree)
        return self._draft

    def commit(self, path: list[int], features: torch.Tensor | None = None) -> None:
        """Keep the path on every level."""
        assert self._draft is not None and self._pending is not None
        kept, size = len(path), len(self._draft.tree)
        tokens = self._draft.tokens
        if self._ran is None:
            # the draft ran all but the last token, the lower level holds as many
            self.cache.rollback(self._base + min(kept + 1, size))
            behind = path[size - 1 :]
            if kept == size:
                self.lower.skip(tokens[size - 1 :], None)
            else:
                self.lower.rewind(size - 1 - kept)
        else:
            ran = [self._ran[node] for node in path if node in self._ran]
            self.cache.commit(self._base, [0, *ran])
            behind = path[len(ran) :]  # a path's last token only: all above it got children
            self.lower.skip(self._pending, None)
            for node in path:
                self.lower.skip(tokens[node : node + 1], None)
        self._behind = [tokens[node : node + 1] for node in behind]
        self._own.accepted += kept

    def skip(self, pending: torch.Tensor, features: torch.Tensor | None = None) -> None:
        """The pending token [1] will run through the draft with its next call."""
        self._behind.append(pending)
        self.lower.skip(pending, None)

    def rewind(self, num_tokens: int) -> None:
        """Forget the last num_tokens on every level; see ``Rewindable``."""
        not_run = min(num_tokens, len(self._behind))
        del self._behind[len(self._behind) - not_run :]
        self.cache.rollback(self.cache.length - (num_tokens - not_run))
        self.lower.rewind(num_tokens)

    def ask_lower(
        self, pending: torch.Tensor, shape: Shape, rule: Rule, clock: StageClock | None
    ) -> Draft | None:
        """A proposal of the lower drafter; its time stands under its own name."""
        staged = isinstance(self.lower, StagedDrafter)
        draft = self.lower.propose(pending, shape, rule, clock if staged else None)
        self._lower_counts.calls += 1
        proposed = 0 if draft is None else len(draft.tree)
        self._lower_counts.proposed += proposed
        if clock:
            clock.lap(self.lower.level, proposed)
        return draft

    def count_accepted(self, num_tokens: int) -> None:
        """So many of the lower level's tokens were what the draft chose too."""
        self._lower_counts.accepted += num_tokens

    def run(
        self,
        tokens: torch.Tensor,
        num_logits: int,
        layout: Layout | None,
        clock: StageClock | None,
    ) -> torch.Tensor:
        """One forward of the draft, counted and timed."""
        logits = self.model.forward(tokens, self.cache, num_logits, layout)
        self._own.calls += 1
        if clock:
            clock.lap(self.level, tokens.shape[0])
        return logits

    def _decode(
        self, pending: torch.Tensor, shape: Tree, rule: Rule, clock: StageClock | None
    ) -> Draft:
        """A chain, decoded by the draft as the target decodes: round by round."""
        size = len(shape)
        tokens: list[torch.Tensor] = []
        laws: list[torch.Tensor] = []
        sources: list[str] = []
        while len(sources) < size:
            judge = rule.lower(len(sources))
            # a round adds one token more than it keeps: never beyond the chain
            room = self.lower_shape.cut(size - len(sources) - 1)
            guess = self.ask_lower(pending, room, judge, clock) if room.depth > 0 else None
            if guess is None:
                logits = self.run(torch.cat([*self._behind, pending]), 1, None, clock)
                self.lower.skip(pending, None)
                choice = judge.choose(logits, 0, 1)
                chosen = choice.tokens[:, 0]
                laws += [] if choice.laws is None else [choice.laws]
                num_tokens = 1
                self._behind = []
            else:
                verdict = self._judge(guess, pending, judge, clock)
                kept, chosen = verdict.path, verdict.pending
                tokens += [guess.tokens[node : node + 1] for node in kept]
                sources += [guess.sources[n] if guess.sources else self.lower.level for n in kept]
                laws += verdict.laws
                num_tokens = len(kept) + 1
            tokens.append(chosen)
            sources.append(self.level)
            pending = chosen
            if clock:
                clock.lap("draft_sampling", num_tokens)
        return Draft(
            torch.cat(tokens), shape, torch.cat(laws) if laws else None, sources=tuple(sources)
        )

    def _judge(
        self, guess: Draft, pending: torch.Tensor, judge: Rule, clock: StageClock | None
    ) -> Verdict:
        """Score a proposal with one forward of the draft and keep what it would say itself."""
        base, behind = self.cache.length + len(self._behind), len(self._behind)
        inputs = torch.cat([*self._behind, pending, guess.tokens])
        layout = None
        if not guess.tree.is_chain:
            # what has not run yet stands in front of the tree like a first branch of it
            above = (*range(-1, behind - 1), *(behind + p for p in guess.tree.parents))
            layout = tree_layout(
                Tree(above), self.cache.length, self.model.dtype, self.model.device
            )
        logits = self.run(inputs, len(guess.tree) + 1, layout, clock)
        verdict = judge.verify(guess, logits)
        if not verdict.finite:
            raise InputError(f"{self.model.name} returned logits that are not finite")
        self.cache.commit(base, [0, *(node + 1 for node in verdict.path)])
        self.lower.commit(verdict.path, None)
        self._behind = []
        self.count_accepted(len(verdict.path))
        return verdict
