"""Real decodes for a study: every method on every prompt, interleaved, resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from app.pair import PairOptions
from app.terminal import notice, progress_bar

if TYPE_CHECKING:
    from engine.model import Model
    from engine.prompts import Prompts
    from engine.sampling import Sampling
    from profiler.methods import Method
    from profiler.runs import Run

MIN_NEW_TOKENS = 4


@dataclass(frozen=True)
class Decoded:
    """What was decoded, and of what.

    Attributes
    ----------
    runs : list of Run
        Autoregressive decodes among them.
    between : pandas.DataFrame
        What was measured beside every prompt; empty where nothing was.
    """

    target: Model
    draft: Model
    prompts: Prompts
    encoded: list[list[int]]
    samplings: tuple[Sampling, ...]
    new_tokens: int
    runs: list[Run]
    between: pd.DataFrame

    def header(self, dtype: str) -> dict[str, Any]:
        """The fields of a record that say what ran where."""
        from profiler.describe import header

        return header(
            "study", self.target, self.draft, self.prompts, self.encoded, dtype, self.new_tokens
        )

    def of(self, sampling: Sampling, method: Method) -> list[Run]:
        """The decodes of one setting, by prompt."""
        mine = [r for r in self.runs if r.sampling == sampling and r.method == method]
        return sorted(mine, key=lambda run: (run.prompt, run.repeat))


def decode_all(
    pair: PairOptions,
    target: Model,
    draft: Model,
    methods: Sequence[Method],
    samplings: Sequence[Sampling],
    state: Path,
    between: Callable[[int, list[int], Sampling], pd.DataFrame | None] | None = None,
) -> Decoded:
    """Decode, continuing what lies below ``state`` for the same pair, prompts and settings.

    Parameters
    ----------
    pair : PairOptions
        Prompts, tokens, seed and dtype.
    target, draft : Model
    methods : sequence of Method
    samplings : sequence of Sampling
    state : Path
        One file per combination of everything that the decodes depend on.
    between : callable, optional
        Called with the prompt's number, its tokens and the sampling.

    Raises
    ------
    InputError
        If texts are too short, a prompt does not fit or comes twice, or the file of decodes is
        damaged.
    """
    from engine.errors import InputError
    from profiler.measure import measure
    from profiler.run import ProfilePlan, encode_checked
    from profiler.run_log import RunLog

    if pair.new_tokens < MIN_NEW_TOKENS:
        raise InputError(
            f"new tokens must be at least {MIN_NEW_TOKENS}, not {pair.new_tokens}: "
            "rounds need room for drafts"
        )
    prompts = pair.load_prompts()
    encoded = encode_checked(target, draft, prompts, pair.new_tokens)
    plan = ProfilePlan(tuple(samplings), pair.new_tokens, pair.seed)
    identity = _identity(pair, target, draft, prompts, methods, samplings)
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]
    log = RunLog(state / f"decodes-{digest}.jsonl", identity)

    number = {tuple(tokens): index for index, tokens in enumerate(encoded)}
    if between is not None and len(number) < len(encoded):
        raise InputError(f"{prompts.name} holds a prompt twice; every text must be another")

    def beside(tokens: list[int], sampling: Sampling) -> pd.DataFrame | None:
        return between(number[tuple(tokens)], tokens, sampling) if between else None

    with progress_bar() as show:
        runs = measure(
            target, encoded, plan, methods, between=beside, log=log,
            report=lambda step: show(step.what, step.done, step.total),
        )  # fmt: skip
    notice(f"decodes are kept in {log.path}; remove it to measure again")
    return Decoded(
        target, draft, prompts, encoded, tuple(samplings), pair.new_tokens, runs, log.between()
    )


def _identity(
    pair: PairOptions,
    target: Model,
    draft: Model,
    prompts: Prompts,
    methods: Sequence[Method],
    samplings: Sequence[Sampling],
) -> dict[str, Any]:
    from profiler.describe import model_info
    from profiler.machine import fingerprint

    return {
        "machine": fingerprint(target.device).model_dump(mode="json"),
        "target": model_info(target).model_dump(mode="json"),
        "draft": model_info(draft).model_dump(mode="json"),
        "dtype": pair.dtype,
        "prompts": prompts.sha256,
        "new_tokens": pair.new_tokens,
        "seed": pair.seed,
        "ngram": pair.ngram,
        "methods": [f"{method.label} {method.shape}" for method in methods],
        "samplings": [sampling.label for sampling in samplings],
    }
