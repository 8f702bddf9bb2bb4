"""speculens compare: every method on the same prompts, interleaved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.pair import DEFAULT_TEMPERATURES, PairOptions
from app.studies.decoding import decode_all
from app.terminal import notice, output, print_json, progress_bar, resumable, table
from app.words import method_name, span, times
from measurements import ComparisonRecord, MethodRow, Sampling, save_record

if TYPE_CHECKING:
    from engine.model import Model
    from engine.prompts import Prompts
    from engine.sampling import Sampling as Warps
    from profiler.methods import Method

PAPER_TOP_K = 50
"""Staged speculative decoding (arXiv:2308.04623) samples with it."""


def run(
    pair: PairOptions,
    methods: str,
    draft_lengths: Sequence[int] | None,
    trees: Sequence[str],
    out: Path | None,
    state: Path | None,
    engine: str | None,
    as_json: bool,
) -> None:
    """Decode with each method and print one row per method, parameters and sampling.

    ``engine`` names another engine whose own decoding is measured beside them.
    """
    from engine.sampling import Sampling as Warps
    from profiler.catalogue import GAMMAS, catalogue
    from profiler.engine_ratios import engine_ratios
    from profiler.measure import measure
    from profiler.run import ProfilePlan, encode_checked
    from profiler.setting_row import setting_row
    from profiler.transformers_methods import check_engine

    if engine is not None:
        check_engine(engine)
    samplings = pair.samplings()
    if pair.temperatures == DEFAULT_TEMPERATURES and pair.top_k is None and pair.top_p is None:
        samplings = (*samplings, Warps(1.0, top_k=PAPER_TOP_K))
    prompts = pair.load_prompts()
    plan = ProfilePlan(samplings, pair.new_tokens, pair.seed)
    target, draft = pair.load_pair()
    encoded = encode_checked(target, draft, prompts, pair.new_tokens)
    names = tuple(name.strip() for name in methods.split(","))
    gammas = tuple(draft_lengths or GAMMAS)
    wanted = catalogue(target, draft, names, gammas, trees)
    if engine is not None:
        wanted += _other_methods(target, draft, names, gammas)
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
    against = {
        s.label: ratios
        for s in samplings
        if (ratios := engine_ratios([r for r in runs if r.sampling == s]))
    }
    if out is not None:
        _save(out, rows, pair, target, draft, prompts, encoded, samplings)
    if as_json:
        print_json({"methods": rows, **({"against": against} if against else {})})
        return
    headings = ["method", "τ", "kept", "tok/s", "speedup, 90 %", "target", "draft", "host", "same"]
    for sampling in plan.samplings:
        mine = [row for row in rows if row["sampling"] == sampling.label]
        title = f"{sampling.label}: measured; kept: accepted/drafted; same: autoregressive texts"
        output().print(table(title, headings, [_cells(row) for row in mine]))
        for name, ratios in against.get(sampling.label, {}).items():
            output().print(_against(name, ratios))


def _other_methods(
    target: Model, draft: Model, names: Sequence[str], gammas: Sequence[int]
) -> list[Method]:
    """Transformers' methods that do what the named ones do."""
    from profiler.catalogue import LONG
    from profiler.transformers_methods import transformers_methods

    def asked(name: str) -> bool:
        return name in names or "all" in names

    return transformers_methods(
        target, draft, gammas if asked("chain") else (),
        (*gammas, LONG) if asked("lookup") else (),
    )  # fmt: skip


def _save(
    out: Path,
    rows: Sequence[dict[str, Any]],
    pair: PairOptions,
    target: Model,
    draft: Model,
    prompts: Prompts,
    encoded: list[list[int]],
    samplings: Sequence[Warps],
) -> None:
    """One record for every engine: speedups are over its own autoregressive decoding."""
    from profiler.describe import header, ran_by_transformers, recorded
    from profiler.methods import THIS_ENGINE

    by_label = {s.label: recorded(s) for s in samplings}
    by_engine: dict[str, list[MethodRow]] = defaultdict(list)
    for row in rows:
        by_engine[row["parameters"].get("engine", THIS_ENGINE)].append(
            _as_recorded(row, by_label[row["sampling"]])
        )
    for engine, made_by_it in by_engine.items():
        fields = header("comparison", target, draft, prompts, encoded, pair.dtype, pair.new_tokens)
        if engine != THIS_ENGINE:
            fields |= ran_by_transformers(fields)
        made = ComparisonRecord(**fields, seed=pair.seed, methods=made_by_it)
        notice(f"saved {save_record(out, made)}")


def _against(name: str, ratios: dict[str, Any]) -> str:
    plain, best = ratios["autoregressive"], ratios["best"]
    return (
        f"this engine against {name}: autoregressive {_spread(plain)}; best lossless "
        f"{_spread(best)} ({best['ours']} against {best['theirs']})"
    )


def _spread(ratio: dict[str, Any]) -> str:
    return f"{times(ratio['median'])} ({span(ratio['low'], ratio['high'])})"


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
