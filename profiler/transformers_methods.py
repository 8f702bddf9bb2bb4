"""Transformers' ways of decoding beside this project's: as methods, and their stage times."""

from collections.abc import Iterator, Sequence

import numpy as np

from engine.clock import StageClock
from engine.decode import OnRound, Request
from engine.errors import InputError
from engine.events import Generation, Round
from engine.model import Model
from engine.sampling import Sampling
from profiler.baselines import Kind, TransformersEngine
from profiler.methods import Method, OtherEngine
from profiler.stages import StagePlan

TRANSFORMERS = "transformers"
"""The engine's name in parameters and on the command line."""

ROUNDS, NOT_KEPT = 6, 2
"""Rounds of a row, and how many, from the first, are not kept: the first holds the prompt."""


def transformers_methods(
    target: Model,
    draft: Model,
    chains: Sequence[int],
    lookups: Sequence[int] = (),
) -> list[Method]:
    """Plain ``generate()``, assisted generation and prompt lookup, as methods to measure.

    Parameters
    ----------
    target, draft : Model
    chains, lookups : sequence of int
        Drafts per round of assisted generation, and of prompt lookup. [tokens]
    """
    engine = TransformersEngine.of(target, draft)
    wanted: list[tuple[Kind, int]] = [("autoregressive", 0)]
    wanted += [("chain", length) for length in chains]
    wanted += [("lookup", length) for length in lookups]
    return [_method(engine, kind, length) for kind, length in wanted]


def check_engine(name: str) -> None:
    """Refuse, in one line, an engine that cannot be measured beside this one."""
    if name != TRANSFORMERS:
        raise InputError(f"engine must be {TRANSFORMERS}, not '{name}'")


def time_transformers_block(
    target: Model,
    draft: Model,
    text: list[int],
    context: int,
    block: int,
    plan: StagePlan,
    sampling: Sampling,
    seed: int,
) -> Iterator[dict[str, object]]:
    """As ``profiler.stages.time_block``, of Transformers' own calls.

    Every draft length is a ``generate()`` of its own, in shuffled order. The assistant reads two
    tokens in the first call of every round, whatever was kept before, so that no call is one
    that catches up: each counts as a call over one token.
    """
    engine = TransformersEngine.of(target, draft)
    rng = np.random.default_rng((seed, context, block))
    prompt = (text * -(-context // len(text)))[:context]
    for length in (int(g) for g in rng.permutation(plan.draft_lengths)):
        request = Request(prompt, ROUNDS * (length + 1), sampling, seed=int(rng.integers(2**31)))
        kind: Kind = "chain" if length else "autoregressive"
        yield from _row(engine, request, kind, length, block)


def _method(engine: TransformersEngine, kind: Kind, length: int) -> Method:
    parameters: dict[str, int | float | str] = {"engine": TRANSFORMERS}
    if length:
        parameters["num_draft_tokens"] = length
    return Method(kind, parameters, other=_loop(engine, kind, length))


def _loop(engine: TransformersEngine, kind: Kind, length: int) -> OtherEngine:
    def decode(request: Request, clock: StageClock | None, on_round: OnRound | None) -> Generation:
        return engine.decode(request, kind, length, clock=clock, on_round=on_round)

    return decode


def _row(
    engine: TransformersEngine, request: Request, kind: Kind, length: int, block: int
) -> Iterator[dict[str, object]]:
    """Stage times of the kept rounds of one ``generate()``; rounds cut at the end are left out."""
    clock = StageClock(engine.target.device)
    rounds: list[Round] = []

    def another(done: Round) -> bool:
        rounds.append(done)
        return len(rounds) < ROUNDS

    engine.decode(request, kind, length, clock=clock, on_round=another)
    kept = {
        index
        for index, done in enumerate(rounds)
        if index >= NOT_KEPT and done.num_draft_tokens == length
    }
    shared = {"mode": request.sampling.mode, "batch": 1, "repeat": block}
    walls = dict.fromkeys(sorted(kept), 0.0)
    for lap in clock.laps():
        if lap.round not in kept:
            continue
        walls[lap.round] += lap.seconds
        if lap.stage != "rest":
            yield {
                **shared,
                "stage": lap.stage,
                "num_draft_tokens": length,
                "context": len(request.prompt) - 1 + rounds[lap.round].start,
                "num_tokens": lap.num_tokens,
                "seconds": lap.seconds,
            }
    for index, wall in walls.items():
        yield {
            **shared,
            "stage": "round",
            "num_draft_tokens": length,
            "num_tokens": length + 1,
            "context": len(request.prompt) - 1 + rounds[index].start,
            "seconds": wall,
        }
