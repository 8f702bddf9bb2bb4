"""Does the closed form of the first paper hold here, draft length by draft length?

Leviathan, Kalman, Matias, "Fast Inference from Transformers via Speculative
Decoding", arXiv:2211.17192: acceptance and cost ratio estimated, the speedup of
theorem 3.8 beside the measured one, for a draft model and for drafters that
cost next to nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.pair import PairOptions
from app.studies import leviathan_figures, leviathan_notes, leviathan_tables
from app.studies.decoding import decode_all
from measurements import StudyRecord

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from engine.model import Model
    from engine.sampling import Sampling
    from profiler.methods import Method

QUICK_PROMPTS, QUICK_TOKENS = 8, 64
GAMMAS = tuple(range(1, 9))
QUICK_GAMMAS = {"chain": (1, 2, 3, 5, 8), "ngram": (1, 3, 8), "lookup": (1, 3, 8)}
NGRAM = "ngram-T1"


def study(pair: PairOptions, quick: bool, state: Path) -> StudyRecord:
    """Decode every draft length at temperatures 0 and 1, and ask along the target's own texts."""
    from engine.sampling import Sampling
    from profiler.run import ProfilePlan
    from profiler.windows import prompt_windows

    if quick:
        pair = replace(
            pair,
            num_prompts=pair.num_prompts or QUICK_PROMPTS,
            new_tokens=min(pair.new_tokens, QUICK_TOKENS),
        )
    target, draft = pair.load_pair()
    by_drafter = {
        name: [make(gamma) for gamma in (QUICK_GAMMAS[name] if quick else GAMMAS)]
        for name, make in _makers(pair, target, draft).items()
    }
    samplings = (Sampling(0.0), Sampling(1.0))
    plan = ProfilePlan(samplings, pair.new_tokens, pair.seed)
    longest = [methods[-1] for methods in by_drafter.values()]

    def windows(index: int, tokens: list[int], sampling: Sampling) -> pd.DataFrame:
        # what the longest chain would keep says it of every shorter one
        return prompt_windows(target, longest, plan.request(tokens, sampling, index), index)

    methods = [method for group in by_drafter.values() for method in group]
    decoded = decode_all(pair, target, draft, methods, samplings, state, windows)
    tables = leviathan_tables.build(decoded, by_drafter)
    return StudyRecord(
        **decoded.header(pair.dtype),
        name="leviathan",
        question="Does theorem 3.8 say how fast speculative decoding is here?",
        tables=tables,
        published=leviathan_tables.PUBLISHED,
        notes=leviathan_notes.notes(tables),
    )


def figures(record: StudyRecord) -> dict[str, go.Figure]:
    """Theory and measurement by draft length, and tokens per round at three fidelities."""
    return leviathan_figures.figures(record.tables)


def _makers(pair: PairOptions, target: Model, draft: Model) -> dict[str, Callable[[int], Method]]:
    """What makes the chain of a length, by drafter; no trigram where none was counted."""
    from engine.drafters.lookup import LookupDrafter
    from engine.drafters.ngram import NgramDrafter
    from engine.errors import InputError
    from engine.katz import load_ngram
    from engine.trees import Tree
    from profiler.catalogue import NGRAMS
    from profiler.methods import Method, chain

    def cheap(name: str, drafter: NgramDrafter | LookupDrafter, gamma: int) -> Method:
        return Method(name, {"num_draft_tokens": gamma}, drafter, Tree.chain(gamma))

    makers: dict[str, Callable[[int], Method]] = {"chain": lambda gamma: chain(draft, gamma)}
    wanted = contextlib.nullcontext() if pair.ngram else contextlib.suppress(InputError)
    with wanted:  # one that was named must load
        ngram = NgramDrafter(load_ngram(pair.ngram or NGRAMS[NGRAM], target))
        makers["ngram"] = lambda gamma: cheap("ngram", ngram, gamma)
    makers["lookup"] = lambda gamma: cheap("lookup", LookupDrafter(), gamma)
    return makers
