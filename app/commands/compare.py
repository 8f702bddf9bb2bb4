"""speculens compare: every method on the same prompts, interleaved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.pair import DEFAULT_TEMPERATURES, PairOptions
from app.studies.decoding import decode_all
from app.terminal import notice, output, print_json, progress_bar, resumable, table
from app.words import method_name
from measurements import ComparisonRecord, MethodRow, Sampling, save_record

PAPER_TOP_K = 50
"""Staged speculative decoding (arXiv:2308.04623) samples with it."""


def run(
    pair: PairOptions,
    methods: str,
    draft_lengths: Sequence[int] | None,
    trees: Sequence[str],
    out: Path | None,
    state: Path | None,
    as_json: bool,
) -> None:
    """Decode with each method and print one row per method, parameters and sampling."""
    from engine.sampling import Sampling as Warps
    from profiler.catalogue import GAMMAS, catalogue
    from profiler.describe import header, recorded
    from profiler.measure import measure
    from profiler.run import ProfilePlan, encode_checked
    from profiler.setting_row import setting_row

    samplings = pair.samplings()
    if pair.temperatures == DEFAULT_TEMPERATURES and pair.top_k is None and pair.top_p is None:
        samplings = (*samplings, Warps(1.0, top_k=PAPER_TOP_K))
    prompts = pair.load_prompts()
    plan = ProfilePlan(samplings, pair.new_tokens, pair.seed)
    target, draft = pair.load_pair()
    encoded = encode_checked(target, draft, prompts, pair.new_tokens)
    names = tuple(name.strip() for name in methods.split(","))
    wanted = catalogue(target, draft, names, tuple(draft_lengths or GAMMAS), trees)
    if state is not None:
        with resumable():
            runs = decode_all(pair, target, draft, wanted, samplings, state).runs
    else:
        with progress_bar() as show:
            runs = measure(
                target, encoded, plan, wanted, report=lambda s: show(s.what, s.done, s.total)
            )
    rows = [
        setting_row([r for r in runs if (r.sampling, r.method) == key], runs)
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


def _as_recorded(row: dict[str, Any], sampling: Sampling) -> MethodRow:
    fields = {name: row[name] for name in MethodRow.model_fields}
    return MethodRow.model_validate({**fields, "sampling": sampling})


def _cells(row: dict[str, Any]) -> list[str]:
    from profiler.runs import HOST_STAGES

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
