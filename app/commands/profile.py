"""speculens profile: measure a pair and say in a few lines what came out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.pair import PairOptions
from app.terminal import notice, output, print_json, progress_bar, resumable, table


def run(
    pair: PairOptions,
    out: Path,
    blocks: int,
    methods: str | None,
    trees: Sequence[str],
    as_json: bool,
) -> None:
    """Profile, save, summarise."""
    from engine.errors import InputError
    from measurements import load_profile
    from profiler.catalogue import catalogue
    from profiler.run import ProfilePlan, profile
    from profiler.stages import StagePlan

    if blocks < 2:
        raise InputError(f"blocks must be at least 2, not {blocks}")
    samplings = pair.samplings()
    prompts = pair.load_prompts()
    target, draft = pair.load_pair()
    names = [name.strip() for name in methods.split(",")] if methods else []
    wanted = tuple(catalogue(target, draft, names, trees=trees))
    plan = ProfilePlan(samplings, pair.new_tokens, pair.seed, StagePlan(blocks=blocks), wanted)
    with resumable(), progress_bar() as show:
        path, _ = profile(
            target, draft, prompts, plan, out, lambda s: show(s.what, s.done, s.total)
        )
    summary = _summary(load_profile(path))
    if as_json:
        print_json({"record": str(path), **summary})
        return
    _show(summary)
    notice(f"saved {path}")


def _summary(profile: Any) -> dict[str, Any]:
    from app.records import calibrations

    record = profile.record
    found = calibrations(profile)
    weights = record.target.weight_bytes
    first = next(iter(found.values()))
    context = float(first.context.mean())
    target_seconds = float(first.costs.target.seconds(1, context))
    return {
        "id": record.id,
        "target_ms": 1e3 * target_seconds,
        "draft_ms": 1e3 * float(first.draft_call.seconds(1, context)),
        "verify_ms": {
            str(n - 1): 1e3 * float(first.costs.target.seconds(n, context)) for n in (2, 3, 5, 9)
        },
        "cost_ratio": first.cost_ratio,
        "acceptance_rate": {label: c.acceptance_rate for label, c in found.items()},
        "read_bandwidth_gb_per_s": record.ceilings.median_read_bandwidth_bytes_per_s / 1e9,
        "gflop_per_s": record.ceilings.median_flop_per_s / 1e9,
        "bandwidth_share": weights
        / target_seconds
        / record.ceilings.median_read_bandwidth_bytes_per_s,
        "peak_memory_mb": None
        if record.peak_memory_bytes is None
        else record.peak_memory_bytes / 1e6,
        "peak_memory_counted_by": record.peak_memory_counted_by,
        "weights_mb": (weights + record.draft.weight_bytes) / 1e6,
        "methods": _methods(profile),
    }


def _methods(profile: Any) -> list[dict[str, Any]]:
    """Methods with windows and rounds of their own."""
    if profile.windows is None:
        return []
    found = profile.windows[["method", "parameters"]].drop_duplicates()
    return [
        {"method": name, "parameters": json.loads(parameters)}
        for name, parameters in found.itertuples(index=False, name=None)
    ]


def _show(summary: dict[str, Any]) -> None:
    rows = [
        ["target, 1 token", f"{summary['target_ms']:.2f} ms"],
        *[
            [f"target, {int(g) + 1} tokens (verifies γ = {g})", f"{ms:.2f} ms"]
            for g, ms in summary["verify_ms"].items()
        ],
        ["draft, 1 token", f"{summary['draft_ms']:.2f} ms"],
        ["cost ratio c", f"{summary['cost_ratio']:.3f}"],
        *[
            [f"acceptance rate at {label}", f"{rate:.3f}"]
            for label, rate in summary["acceptance_rate"].items()
        ],
        ["measured read bandwidth", f"{summary['read_bandwidth_gb_per_s']:.1f} GB/s"],
        ["measured arithmetic", f"{summary['gflop_per_s']:.0f} GFLOP/s"],
        ["target weights read (counted), share of bandwidth", f"{summary['bandwidth_share']:.0%}"],
        ["weights of the pair, counted", f"{summary['weights_mb']:.0f} MB"],
    ]
    if summary["peak_memory_mb"] is not None:
        what = {"process": "of the whole process", "allocator": "allocated on the device"}
        rows.append(
            [
                f"peak memory {what[summary['peak_memory_counted_by']]}",
                f"{summary['peak_memory_mb']:.0f} MB",
            ]
        )
    if summary["methods"]:
        rows.append(["other methods profiled", str(len(summary["methods"]))])
    output().print(table("Profile", ["measured, medians", ""], rows))
