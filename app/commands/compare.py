"""speculens compare: every method on the same prompts, interleaved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.pair import PairOptions
from app.terminal import output, print_json, progress_bar, table

if TYPE_CHECKING:
    from profiler.measure import Run

METHODS = ("autoregressive", "chain")


def run(pair: PairOptions, methods: str, draft_lengths: Sequence[int], as_json: bool) -> None:
    """Decode with each method and print one row per method, parameters and temperature."""
    from engine.errors import InputError
    from profiler.measure import measure
    from profiler.run import ProfilePlan, encode_checked

    wanted = METHODS if methods == "all" else tuple(m.strip() for m in methods.split(","))
    if unknown := [m for m in wanted if m not in METHODS]:
        raise InputError(f"method must be one of {', '.join(METHODS)}, not '{unknown[0]}'")
    lengths = tuple(draft_lengths) if "chain" in wanted else ()
    prompts = pair.load_prompts()
    plan = ProfilePlan(pair.samplings(), pair.new_tokens, pair.seed)
    target, draft = pair.load_pair()
    encoded = encode_checked(target, draft, prompts, pair.new_tokens)
    with progress_bar() as show:
        runs = measure(
            target, draft, encoded, plan, lengths, report=lambda s: show(s.what, s.done, s.total)
        )
    rows = [
        _row([r for r in runs if (r.sampling, r.num_draft_tokens) == key], runs)
        for key in dict.fromkeys((s, n) for s in plan.samplings for n in (0, *lengths))
    ]
    if as_json:
        print_json({"methods": rows})
        return
    headings = ["method", "γ", "T", "τ", "kept/drafted", "tokens/s", "speedup", "90 %", "target"]
    output().print(table("Methods, measured", headings, [_cells(row) for row in rows]))


def _row(mine: list[Run], runs: list[Run]) -> dict[str, Any]:
    from profiler.ratios import ratio_spread

    first = mine[0]
    baseline = [r for r in runs if r.sampling == first.sampling and r.num_draft_tokens == 0]
    tokens = sum(len(r.tokens) for r in mine)
    seconds = sum(r.seconds for r in mine)
    drafted = sum(r.num_drafted for r in mine)
    provenance = sum((Counter(r.provenance) for r in mine), Counter())
    stages = sorted({stage for r in mine for stage in r.stage_seconds})
    split = {s: sum(r.stage_seconds.get(s, 0.0) for r in mine) / seconds for s in stages}
    return {
        "method": "chain" if first.num_draft_tokens else "autoregressive",
        "parameters": (
            {"num_draft_tokens": first.num_draft_tokens} if first.num_draft_tokens else {}
        ),
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
        "lossless": True,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    efficiency, speedup = row["draft_efficiency"], row["speedup"]
    return [
        row["method"],
        str(row["parameters"].get("num_draft_tokens", "–")),
        f"{row['temperature']:g}",
        f"{row['tau']:.2f}",
        "–" if efficiency is None else f"{efficiency:.0%}",
        f"{row['tokens_per_s']:.0f}",
        f"{speedup['median']:.2f}×",
        f"{speedup['low']:.2f}–{speedup['high']:.2f}",
        f"{row['time_split'].get('target', 0):.0%}",
    ]
