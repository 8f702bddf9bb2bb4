"""speculens optimize --measure and merge: the fastest setting by decoding, not by the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.pair import PairOptions
from app.terminal import notice, output, print_json, progress_bar, resumable, table
from app.words import method_name

if TYPE_CHECKING:
    from engine.model import Model
    from profiler.search_ranking import Standing


def run(
    pair: PairOptions, place: str, records: Path | None, trials: int, methods: str, as_json: bool
) -> None:
    """Measure settings until all processes have measured so many, then rank them."""
    from engine.errors import InputError
    from profiler.run import ProfilePlan, encode_checked
    from profiler.search import search
    from profiler.search_space import SPACE, method_of, paired_decodes

    names = list(SPACE) if methods == "all" else [name.strip() for name in methods.split(",")]
    if unknown := [name for name in names if name not in SPACE]:
        raise InputError(f"method must be one of {', '.join(SPACE)}, not '{unknown[0]}'")
    if records is None:
        records = Path("search-records") if "://" in place else Path(f"{place}.records")
    target, draft = pair.load_pair()
    prompts = pair.load_prompts()
    encoded = encode_checked(target, draft, prompts, pair.new_tokens)
    (sampling, *_) = pair.samplings()
    plan = ProfilePlan((sampling,), pair.new_tokens, pair.seed)
    requests = [plan.request(tokens, sampling, index) for index, tokens in enumerate(encoded)]
    measure = paired_decodes(target, lambda setting: method_of(target, draft, setting), requests)
    with resumable(), progress_bar() as show:
        standings = search(
            {name: SPACE[name] for name in names}, measure, len(requests), place,
            num_trials=trials,
            identity=_identity(pair, target, draft, prompts.sha256, sampling.label),
            records=records,
            report=lambda step: show(step.what, step.done, step.total),
        )  # fmt: skip
    _say(standings, f"{sampling.label}: measured", {"journal": place}, as_json)
    notice(f"kept in {place}, records in {records}")


def merge(folders: Sequence[Path], into: Path, as_json: bool) -> None:
    """Put the records of several folders into one, and rank what it then holds."""
    from measurements import load_search_runs, merge_search_runs
    from profiler.search import rank_records

    new = merge_search_runs(folders, into)
    runs = load_search_runs(into)
    said = {"into": str(into), "new": new, "records": len(runs)}
    _say(rank_records(runs), f"{len(runs)} records", said, as_json)
    notice(f"{new} new records in {into}")


def _identity(
    pair: PairOptions, target: Model, draft: Model, prompts: str, sampling: str
) -> dict[str, Any]:
    """What processes must share for their times to be of one search."""
    from profiler.machine import fingerprint

    machine = fingerprint(target.device)
    return {
        "machine": machine.slug,
        "number of threads": machine.threads,
        "target": [target.name, target.num_parameters, target.forward_kind],
        "draft": [draft.name, draft.num_parameters, draft.forward_kind],
        "dtype": pair.dtype,
        "prompt set": prompts,
        "number of new tokens": pair.new_tokens,
        "sampling": sampling,
        "seed": pair.seed,
    }


def _say(standings: Sequence[Standing], title: str, further: dict[str, Any], as_json: bool) -> None:
    rows = [_row(standing) for standing in standings]
    if as_json:
        close = [row for row in rows[1:] if row["close_to_best"]]
        print_json({"best": rows[0], "indistinguishable": close, "ranking": rows, **further})
    else:
        _show(rows, title)


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


def _show(rows: list[dict[str, Any]], title: str) -> None:
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
    output().print(table(f"{title}, fastest first", headings, cells))
