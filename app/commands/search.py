"""speculens optimize --measure: find the fastest setting by decoding, not by the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.pair import PairOptions
from app.terminal import notice, output, print_json, progress_bar, table
from app.words import method_name

if TYPE_CHECKING:
    from profiler.search_ranking import Standing


def run(pair: PairOptions, journal: Path, trials: int, methods: str, as_json: bool) -> None:
    """Measure settings until the journal holds so many trials, then rank all it holds."""
    from engine.errors import InputError
    from profiler.run import ProfilePlan, encode_checked
    from profiler.search import search
    from profiler.search_space import SPACE, method_of, paired_decodes

    names = list(SPACE) if methods == "all" else [name.strip() for name in methods.split(",")]
    if unknown := [name for name in names if name not in SPACE]:
        raise InputError(f"method must be one of {', '.join(SPACE)}, not '{unknown[0]}'")
    target, draft = pair.load_pair()
    prompts = pair.load_prompts()
    encoded = encode_checked(target, draft, prompts, pair.new_tokens)
    (sampling, *_) = pair.samplings()
    plan = ProfilePlan((sampling,), pair.new_tokens, pair.seed)
    requests = [plan.request(tokens, sampling, index) for index, tokens in enumerate(encoded)]
    measure = paired_decodes(target, lambda setting: method_of(target, draft, setting), requests)
    with progress_bar() as show:
        standings = search(
            {name: SPACE[name] for name in names}, measure, len(requests), journal,
            num_trials=trials, seed=pair.seed,
            report=lambda step: show(step.what, step.done, step.total),
        )  # fmt: skip
    rows = [_row(standing) for standing in standings]
    if as_json:
        close = [row for row in rows[1:] if row["close_to_best"]]
        print_json(
            {"best": rows[0], "indistinguishable": close, "ranking": rows, "journal": str(journal)}
        )
    else:
        _show(rows, sampling.label)
    notice(f"kept in {journal}")


def _row(standing: Standing) -> dict[str, Any]:
    return {
        "method": standing.setting.method,
        "parameters": dict(standing.setting.parameters),
        "speedup": {
            "measured": standing.speedup, "low": standing.low, "high": standing.high,
        },
        "num_prompts": standing.num_prompts,
        "relative": {
            "median": standing.relative,
            "low": standing.relative_low,
            "high": standing.relative_high,
        },
        "close_to_best": standing.close_to_best,
    }  # fmt: skip


def _show(rows: list[dict[str, Any]], label: str) -> None:
    cells = [
        [
            method_name(row["method"], row["parameters"]),
            f"{row['speedup']['measured']:.2f}×",
            f"{row['speedup']['low']:.2f}–{row['speedup']['high']:.2f}",
            str(row["num_prompts"]),
            "best" if rank == 0 else "like the best" if row["close_to_best"] else "",
        ]
        for rank, row in enumerate(rows)
    ]
    headings = ["setting", "speedup", "90 %", "prompts", ""]
    output().print(table(f"{label}: measured, fastest first", headings, cells))
