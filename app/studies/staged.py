"""Is staged decoding faster than speculative, and that than plain?

Spector & Re, "Accelerating LLM Inference with Staged Speculative Decoding",
arXiv:2308.04623: an oracle, a smaller draft, and a Katz trigram counted in the
draft's own text. Both tables and the three figures, run here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.pair import PairOptions
from app.studies import staged_figures, staged_notes, staged_tables
from app.studies.decoding import decode_all
from app.studies.staging import LOWER
from measurements import StudyRecord

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from engine.model import Model
    from engine.trees import Growth
    from profiler.methods import Method

TOP_K = 50
QUICK_PROMPTS, QUICK_TOKENS = 12, 96
CHAINS, QUICK_CHAINS = (2, 4, 6, 8), (4, 8)
STAGED_CHAINS = (4, 6, 8, 10)
PAPER_NGRAM, SHARP_NGRAM = "ngram-T1.5", "ngram-T1"

# batch sizes, depth and children per node of the authors' code, read 2026-11
SPECULATIVE_BATCH, STAGED_BATCH, DEPTH, CHILDREN = 6, 36, 8, 4


def study(pair: PairOptions, quick: bool, state: Path) -> StudyRecord:
    """Decode all settings, deterministic and with top-k, and put the tables together.

    Raises
    ------
    InputError
        If there is no n-gram counted for the draft; says how to count one.
    """
    from engine.sampling import Sampling
    from profiler.ceilings import measure_ceilings
    from profiler.lock import device_lock

    if quick:
        pair = replace(
            pair,
            num_prompts=pair.num_prompts or QUICK_PROMPTS,
            new_tokens=min(pair.new_tokens, QUICK_TOKENS),
        )
    target, draft = pair.load_pair()
    methods = _methods(pair, draft, quick)
    samplings = (Sampling(0.0), Sampling(1.0, top_k=TOP_K))
    decoded = decode_all(pair, target, draft, methods, samplings, state)
    with device_lock(target.device):
        ceilings = measure_ceilings(target.device, target.dtype)
    tables = staged_tables.build(decoded, methods, ceilings)
    return StudyRecord(
        **decoded.header(pair.dtype),
        name="staged",
        question="Is staged speculative decoding faster than speculative, and that than plain?",
        tables=tables,
        published=staged_tables.PUBLISHED,
        notes=staged_notes.notes(tables),
    )


def figures(record: StudyRecord) -> dict[str, go.Figure]:
    """Roofline, sorted speeds, provenance, time."""
    return staged_figures.figures(record.tables)


def _methods(pair: PairOptions, draft: Model, quick: bool) -> list[Method]:
    """Chains and the paper's trees, with the draft alone and with an n-gram beneath it."""
    from engine.drafters.language_model import LanguageModelDrafter
    from engine.drafters.ngram import NgramDrafter
    from engine.drafters.staged import StagedDrafter
    from engine.errors import InputError
    from engine.katz import load_ngram
    from engine.trees import Tree
    from profiler.catalogue import NGRAMS
    from profiler.methods import Method, chain

    sources = {"ngram": pair.ngram} if pair.ngram is not None else NGRAMS
    try:
        lowers = {
            name: NgramDrafter(load_ngram(s, draft), level=name) for name, s in sources.items()
        }
    except InputError as error:
        raise InputError(
            f"{error}; count one with 'speculens train ngram --steps 20' for this pair and name "
            "its folder with --ngram"
        ) from None
    paper = lowers.get(PAPER_NGRAM) or lowers["ngram"]
    chosen = [(gamma, paper) for gamma in (QUICK_CHAINS if quick else STAGED_CHAINS)]
    if SHARP_NGRAM in lowers:
        chosen += [(gamma, lowers[SHARP_NGRAM]) for gamma in ((8,) if quick else (8, 10))]

    def tree(name: str, batch: int, drafter: LanguageModelDrafter | StagedDrafter) -> Method:
        # the paper's rule: likeliest children, kept where the target samples them
        parameters: dict[str, int | float | str] = {"tree": "grown", "nodes": batch}
        if isinstance(drafter, StagedDrafter):
            parameters["lower"] = drafter.lower.level
        return Method(name, parameters, drafter, _growth(batch), "match")

    staged = [
        Method(
            "staged",
            {"num_draft_tokens": gamma, "lower": lower.level},
            StagedDrafter(draft, lower, Tree.chain(LOWER)),
            Tree.chain(gamma),
        )
        for gamma, lower in chosen
    ]
    return [
        *(chain(draft, gamma) for gamma in (QUICK_CHAINS if quick else CHAINS)),
        tree("tree", SPECULATIVE_BATCH, LanguageModelDrafter(draft)),
        *staged,
        tree("staged", STAGED_BATCH, StagedDrafter(draft, paper, Tree.chain(LOWER))),
    ]


def _growth(batch: int) -> Growth:
    from engine.trees import Growth

    depth = min(DEPTH, batch)  # no path is longer than its tree
    return Growth(budget=batch, depth=depth, beam=max(2, batch // depth), width=CHILDREN)
