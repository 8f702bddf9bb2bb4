"""How long does each stage of a round take?

Stages are timed inside real rounds of the engine, on real text. A block runs
every draft length for a few rounds in a row, in shuffled order: in a row,
because a decode keeps its draft length and an autoregressive one never shares
the processor's caches with a draft; shuffled, so that drift of a shared
machine falls on all alike. The first rounds of a row are not kept.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import pandas as pd

from engine.clock import StageClock
from engine.decode import Request, decode_schedule
from engine.drafters.language_model import LanguageModelDrafter
from engine.errors import InputError
from engine.events import Round
from engine.model import Model
from engine.sampling import Sampling
from engine.trees import Tree

DRAFT_LENGTHS = (0, 1, 2, 3, 4, 6, 8, 12, 16)

ROW = {"autoregressive": (6, 2), "speculative": (3, 1)}
"""Rounds in a row, and how many of them, from the first, are not kept."""
CONTEXTS = (24, 96, 256, 512)

ENOUGH = 3
"""Blocks per context and mode below which medians say little."""


@dataclass(frozen=True)
class StagePlan:
    """Which rounds are timed.

    Attributes
    ----------
    draft_lengths : tuple of int
        Each gets one row of rounds per block; 0 is autoregressive. [tokens]
    contexts : tuple of int
        Tokens cached when a block begins. [tokens]
    blocks : int
        Blocks per context and mode; the first is warm-up and not kept.
    """

    draft_lengths: tuple[int, ...] = DRAFT_LENGTHS
    contexts: tuple[int, ...] = CONTEXTS
    blocks: int = 8

    def fitted(self, context_limit: int) -> "StagePlan":
        """The part of the plan that a model of this context can run.

        Raises
        ------
        InputError
            If not even an autoregressive step and one draft token fit.
        """
        lengths = self.draft_lengths
        while _longest(lengths) > context_limit // 2 and len(lengths) > 2:
            lengths = lengths[:-1]
        room = context_limit - _longest(lengths)
        if room < 2:
            raise InputError(f"a context of {context_limit} tokens is too short to profile")
        contexts = tuple(c for c in self.contexts if c <= room) or (room // 2,)
        return StagePlan(lengths, contexts, self.blocks)

    def block_keys(self) -> list[tuple[int, int]]:
        """(context, block) pairs in measuring order; block 0 warms up."""
        return [(c, b) for b in range(self.blocks + 1) for c in self.contexts]


def time_block(
    target: Model,
    draft: Model,
    text: list[int],
    context: int,
    block: int,
    plan: StagePlan,
    sampling: Sampling,
    seed: int,
) -> Iterator[dict[str, object]]:
    """Rows of the stages table from one block: a row of rounds of every draft length.

    Parameters
    ----------
    target, draft : Model
    text : list of int
        Prompt material; repeated or cut to ``context`` tokens.
    context, block : int
        Key of the block; the block number becomes the column ``repeat``.
    plan : StagePlan
    sampling : Sampling
    seed : int

    Yields
    ------
    dict
        Columns of ``measurements.STAGES_SCHEMA``. ``context`` is the number of
        tokens cached before the round.
    """
    rng = np.random.default_rng((seed, context, block))
    order = [int(g) for g in rng.permutation(plan.draft_lengths)]
    schedule = [g for g in order for _ in range(_row(g)[0])]
    kept = [i >= _row(g)[1] for g in order for i in range(_row(g)[0])]
    prompt = (text * -(-context // len(text)))[:context]
    remaining = iter(schedule)
    clock = StageClock(target.device)
    request = Request(prompt, _longest(plan.draft_lengths), sampling, seed=int(rng.integers(2**31)))
    rounds: list[Round] = []

    def another(done: Round) -> bool:
        rounds.append(done)
        return len(rounds) < len(schedule)

    decode_schedule(
        target,
        LanguageModelDrafter(draft),
        request,
        lambda produced: Tree.chain(next(remaining)),
        clock=clock,
        on_round=another,
    )
    shared = {
        "mode": sampling.mode,
        "batch": 1,
        "repeat": block,
    }
    walls = [0.0] * len(schedule)
    for lap in clock.laps():
        if lap.round < 0 or not kept[lap.round]:
            continue
        walls[lap.round] += lap.seconds
        if lap.stage != "rest":
            yield {
                **shared,
                "stage": lap.stage,
                "num_draft_tokens": schedule[lap.round],
                "context": context - 1 + rounds[lap.round].start,
                "num_tokens": lap.num_tokens,
                "seconds": lap.seconds,
            }
    for index, wall in enumerate(walls):
        if kept[index]:
            yield {
                **shared,
                "stage": "round",
                "num_draft_tokens": schedule[index],
                "num_tokens": schedule[index] + 1,
                "context": context - 1 + rounds[index].start,
                "seconds": wall,
            }


TimeBlock = Callable[
    [Model, Model, list[int], int, int, StagePlan, Sampling, int], Iterator[dict[str, object]]
]
"""``time_block``, or what times the same of another engine."""


class BlockTimer:
    """Blocks timed one at a time between other work, contexts in turn.

    Parameters
    ----------
    target, draft : Model
    plan : StagePlan
        Fitted to the pair's context.
    modes : sequence of Sampling
        Samplings that are timed; others are passed over.
    seed : int
    block : callable
        Times one block; ``time_block``, or another engine's.
    """

    def __init__(
        self,
        target: Model,
        draft: Model,
        plan: StagePlan,
        modes: Sequence[Sampling],
        seed: int,
        block: TimeBlock = time_block,
    ) -> None:
        self.target, self.draft, self.plan, self.seed = target, draft, plan, seed
        self._time_block = block
        self._contexts = {mode: cycle(plan.contexts) for mode in modes}
        self._counts = dict.fromkeys(modes, 0)
        self._blocks: list[pd.DataFrame] = []

    def time(self, text: list[int], sampling: Sampling) -> None:
        """Time one block on this text, if the sampling is one of the modes."""
        if sampling not in self._contexts:
            return
        number, context = len(self._blocks), next(self._contexts[sampling])
        rows = self._time_block(
            self.target, self.draft, text, context, number, self.plan, sampling, self.seed
        )
        self._blocks.append(pd.DataFrame(list(rows)))
        self._counts[sampling] += 1

    def complete(self, text: list[int]) -> None:
        """Time what is missing until every mode has ENOUGH blocks per context."""
        wanted = ENOUGH * len(self.plan.contexts)
        for mode in self._contexts:
            while self._counts[mode] < wanted:
                self.time(text, mode)

    @property
    def stages(self) -> pd.DataFrame:
        """All rows so far, columns of ``measurements.STAGES_SCHEMA``."""
        return pd.concat(self._blocks, ignore_index=True)


def _longest(draft_lengths: tuple[int, ...]) -> int:
    """Tokens that one block emits at most. [tokens]"""
    return sum(_row(length)[0] * (length + 1) for length in draft_lengths)


def _row(draft_length: int) -> tuple[int, int]:
    """Rounds in a row of this draft length, and how many of them are not kept."""
    return ROW["speculative" if draft_length else "autoregressive"]
