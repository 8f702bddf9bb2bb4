"""speculens compare: every method on the same prompts, interleaved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.pair import DEFAULT_TEMPERATURES, PairOptions
from app.terminal import notice, output, print_json, progress_bar, table
from app.words import method_name
from measurements import ComparisonRecord, MethodRow, Sampling, save_record

if TYPE_CHECKING:
    from profiler.runs import Run

PAPER_TOP_K = 50
"""Staged speculative decoding (arXiv:2308.04623) samples with it."""


def run(
    pair: PairOptions,
    methods: str,
    draft_lengths: Sequence[int] | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Decode with each method and print one row per method, parameters and sampling."""
    from engine.sampling import Sampling as Warps
    from profiler.catalogue import GAMMAS, catalogue
    from profiler.describe import header, recorded
    from profiler.measure import measure
    from profiler.run import ProfilePlan, encode_checked

    samplings = pair.samplings()
    if pair.temperatures == DEFAULT_TEMPERATURES and pair.top_k is None and pair.top_p is None:
        samplings = (*samplings, Warps(1.0, top_k=PAPER_TOP_K))
    prompts = pair.load_prompts()
    plan = ProfilePlan(samplings, pair.new_tokens, pair.seed)
    target, draft = pair.load_pair()
    encoded = encode_checked(target, draft, prompts, pair.new_tokens)
    names = tuple(name.strip() for name in methods.split(","))
    wanted = catalogue(target, draft, names, tuple(draft_lengths or GAMMAS))
    with progress_bar() as show:
        runs = measure(
            target, encoded, plan, wanted, report=lambda s: show(s.what, s.done, s.total)
        )
    rows = [
        _row([r for r in runs if (r.sampling, r.method) == key], runs)
        for key in dict.fromkeys((s, r.method) for s in plan.samplings for r in runs)
    ]
    if out is not None:
        by_label = {s.label: recorded(s) for s in plan.samplings}
        made = ComparisonRecord(
            **header("comparison", target, draft, prompts, encoded, pair.dtype, pair.new_tokens),
            seed=pair.seed,
            methods=[_as_recorded(row, by_label[row["sampling"]]) for row in rows],
        )
        notice(f"saved {save_record(out, made)}")
    if as_json:
        print_json({"methods": rows})
        return
    headings = ["method", "τ", "kept", "tok/s", "speedup, 90 %", "target", "draft", "host", "same"]
    for sampling in plan.samplings:
        mine = [row for row in rows if row["sampling"] == sampling.label]
        title = f"{sampling.label}: measured; kept: accepted/drafted; same: autoregressive texts"
        output().print(table(title, headings, [_cells(row) for row in mine]))


def _row(mine: list[Run], runs: list[Run]) -> dict[str, Any]:
    from profiler.methods import AUTOREGRESSIVE
    from profiler.ratios import ratio_spread

    first = mine[0]
    alike = [r for r in runs if r.sampling == first.sampling]
    baseline = [r for r in alike if r.method == AUTOREGRESSIVE]
    tokens = sum(len(r.tokens) for r in mine)
    seconds = sum(r.seconds for r in mine)
    drafted = sum(r.num_drafted for r in mine)
    provenance = sum((Counter(r.provenance) for r in mine), Counter())
    stages = sorted({stage for r in mine for stage in r.stage_seconds})
    split = {s: sum(r.stage_seconds.get(s, 0.0) for r in mine) / seconds for s in stages}
    return {
        "method": first.method.name,
        "parameters": dict(first.method.parameters),
        "sampling": first.sampling.label,
        "temperature": first.sampling.temperature,
        "top_k": first.sampling.top_k,
        "top_p": first.sampling.top_p,
        "tau": tokens / sum(r.num_rounds for r in mine),
        "draft_efficiency": sum(r.num_accepted for r in mine) / drafted if drafted else None,
        "tokens_per_s": tokens / seconds,
        "speedup": ratio_spread(
            [r.seconds / len(r.tokens) for r in baseline], [r.seconds / len(r.tokens) for r in mine]
        ),
        "time_split": {**split, "rest": max(0.0, 1 - sum(split.values()))},
        "provenance": {level: count / tokens for level, count in provenance.items()},
        "lossless": first.method.lossless,
        "identical_texts": _identical(mine, alike),
    }


def _as_recorded(row: dict[str, Any], sampling: Sampling) -> MethodRow:
    fields = {name: row[name] for name in MethodRow.model_fields}
    return MethodRow.model_validate({**fields, "sampling": sampling})


def _identical(mine: list[Run], alike: list[Run]) -> dict[str, int] | None:
    """Texts equal to autoregressive ones, where the method promises it; else None."""
    rule = mine[0].method.rule
    if not mine[0].method.lossless or not (mine[0].sampling.greedy or rule == "coupled"):
        return None
    plain = "rejection" if mine[0].sampling.greedy else rule
    alone = {
        (r.prompt, r.repeat): r.tokens
        for r in alike
        if r.method.drafter is None and r.method.rule == plain
    }
    same = sum(alone.get((r.prompt, r.repeat)) == r.tokens for r in mine)
    return {"same": same, "texts": len(mine)}


def _cells(row: dict[str, Any]) -> list[str]:
    from profiler.measure import HOST_STAGES

    host = (*HOST_STAGES, "rest")
    efficiency, speedup, split = row["draft_efficiency"], row["speedup"], row["time_split"]
    same = row["identical_texts"]
    drafting = sum(v for stage, v in split.items() if stage not in host and stage != "target")
    return [
        method_name(row["method"], row["parameters"]),
        f"{row['tau']:.2f}",
        "–" if efficiency is None else f"{efficiency:.0%}",
        f"{row['tokens_per_s']:.0f}",
        f"{speedup['median']:.2f}× {speedup['low']:.2f}–{speedup['high']:.2f}",
        f"{split.get('target', 0):.0%}",
        f"{drafting:.0%}",
        f"{sum(split.get(stage, 0) for stage in host):.0%}",
        "–" if same is None else f"{same['same']}/{same['texts']}",
    ]
