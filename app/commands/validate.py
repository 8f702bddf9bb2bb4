"""speculens validate: predict first, decode for real, explain the difference."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from app import validation_record
from app.pair import PairOptions
from app.records import newest_profile, setting_of
from app.terminal import notice, output, print_json, progress_bar, table
from app.validation_record import Predictions, predict_all, predict_methods
from app.words import method_name, short_name
from measurements import (
    Profile,
    RecordError,
    SettingRow,
    SpeedupRow,
    ValidationRecord,
    load_profile,
    save_validation,
)
from simulator.method_costs import AUTOREGRESSIVE, Setting

if TYPE_CHECKING:
    from engine.model import Model
    from profiler.run import ProfilePlan
    from profiler.runs import Run

CHAIN_LENGTHS = (1, 2, 4, 8)
STALL_LIMIT = 0.05


def run(
    pair: PairOptions,
    out: Path,
    record: Path | None,
    methods: str,
    gammas: Sequence[int] | None,
    trees: Sequence[str],
    repeats: int,
    report: Path | None,
    engine: str | None,
    as_json: bool,
) -> None:
    """Validate a profile's predictions on the pair it was made of.

    ``engine`` names another engine: acceptance is still the profile's, all times are its own.
    """
    from engine.errors import InputError
    from profiler.describe import header, ran_by_transformers, recorded
    from profiler.run import ProfilePlan, encode_checked
    from profiler.transformers_methods import check_engine

    if repeats < 1:
        raise InputError(f"repeats must be at least 1, not {repeats}")
    if engine is not None:
        check_engine(engine)
        if methods != "chain" or trees:
            raise InputError(f"of {engine} only chains can be foretold; leave out other methods")
    samplings = pair.samplings()
    prompts = pair.load_prompts()
    target, draft = pair.load_pair()
    encoded = encode_checked(target, draft, prompts, pair.new_tokens)
    profile = _profile(out, record, target.name, draft.name, pair.dtype)
    _check_traces(profile, [s.label for s in samplings])
    plan = ProfilePlan(samplings, pair.new_tokens, pair.seed)
    if engine is not None:
        decoded = _decode_elsewhere(target, draft, encoded, plan, profile, gammas, repeats)
    else:
        decode = _decode_chains if methods == "chain" and not trees else _decode_methods
        decoded = decode(target, draft, encoded, plan, profile, methods, gammas, trees, repeats)
    same = prompts.sha256 == profile.record.prompts.sha256
    fields = header("validation", target, draft, prompts, encoded, pair.dtype, pair.new_tokens)
    if engine is not None:
        fields |= ran_by_transformers(fields)
    made = validation_record.build(
        {**fields, "profile_id": profile.record.id},
        decoded.predictions, decoded.profiled, decoded.runs,
        [recorded(s) for s in samplings], repeats,
        same and pair.new_tokens == profile.record.new_tokens, baseline=decoded.baseline,
    )  # fmt: skip
    path = save_validation(out, made, decoded.stages)
    if report is not None:
        from app.report import render

        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(render(made, profile.record), encoding="utf-8")
        notice(f"report {report}")
    identical = _identical_texts(decoded.runs)
    if as_json:
        print_json(_as_json(made, path, identical))
    else:
        _show(made)
        _show_identical(identical)
    notice(f"saved {path}")


@dataclass(frozen=True)
class _Decoded:
    """Every decode, and what was predicted for it: with stage times taken between the decodes
    (``stages``) and with the profile's own (``profiled``), or with the profile's alone."""

    runs: list[Run]
    predictions: Predictions
    profiled: Predictions | None = None
    stages: pd.DataFrame | None = None
    baseline: Setting = AUTOREGRESSIVE


def _decode_chains(
    target: Model,
    draft: Model,
    encoded: list[list[int]],
    plan: ProfilePlan,
    profile: Profile,
    methods: str,
    gammas: Sequence[int] | None,
    trees: Sequence[str],
    repeats: int,
) -> _Decoded:
    """Chains, with blocks of stages timed after every prompt."""
    from profiler.measure import measure
    from profiler.methods import chain
    from profiler.stages import BlockTimer

    lengths = gammas or CHAIN_LENGTHS
    labels = [s.label for s in plan.samplings]
    profiled = predict_all(profile, labels, lengths)
    grid = plan.stages.fitted(min(target.context, draft.context))
    timer = BlockTimer(target, draft, grid, plan.modes(), plan.seed)
    with progress_bar() as show:
        runs = measure(
            target, encoded, plan, [chain(draft, g) for g in lengths], repeats=repeats,
            report=lambda s: show(s.what, s.done, s.total), between=timer.time,
        )  # fmt: skip
        timer.complete(encoded[0])
    return _Decoded(
        runs, predict_all(profile, labels, lengths, timer.stages), profiled, timer.stages
    )


def _decode_elsewhere(
    target: Model,
    draft: Model,
    encoded: list[list[int]],
    plan: ProfilePlan,
    profile: Profile,
    gammas: Sequence[int] | None,
    repeats: int,
) -> _Decoded:
    """Transformers' assisted generation, with blocks of its own stages after every prompt."""
    from profiler.measure import measure
    from profiler.stages import BlockTimer
    from profiler.transformers_methods import time_transformers_block, transformers_methods

    lengths = gammas or CHAIN_LENGTHS
    labels = [s.label for s in plan.samplings]
    grid = plan.stages.fitted(min(target.context, draft.context))
    timer = BlockTimer(target, draft, grid, plan.modes(), plan.seed, time_transformers_block)
    baseline, *chains = transformers_methods(target, draft, lengths)
    with progress_bar() as show:
        runs = measure(
            target, encoded, plan, [baseline, *chains], repeats=repeats,
            report=lambda s: show(s.what, s.done, s.total), between=timer.time,
        )  # fmt: skip
        timer.complete(encoded[0])
    foretold = predict_all(profile, labels, lengths, timer.stages)
    names = {
        setting_of("chain", {"num_draft_tokens": g}): setting_of(m.name, m.parameters)
        for g, m in zip(lengths, chains, strict=True)
    }
    predictions = {(label, names[setting]): made for (label, setting), made in foretold.items()}
    return _Decoded(
        runs, predictions, stages=timer.stages,
        baseline=setting_of(baseline.name, baseline.parameters),
    )  # fmt: skip


def _decode_methods(
    target: Model,
    draft: Model,
    encoded: list[list[int]],
    plan: ProfilePlan,
    profile: Profile,
    methods: str,
    gammas: Sequence[int] | None,
    trees: Sequence[str],
    repeats: int,
) -> _Decoded:
    """Any methods that were profiled; predicted before they are decoded."""
    from profiler.catalogue import GAMMAS, catalogue
    from profiler.measure import measure

    names = [name.strip() for name in methods.split(",")]
    wanted = catalogue(target, draft, names, tuple(gammas or GAMMAS), trees)
    keys = {setting_of(m.name, m.parameters): m for m in wanted}
    predictions = predict_methods(profile, [s.label for s in plan.samplings], list(keys))
    known = {setting for _, setting in predictions}
    if missing := [m.label for key, m in keys.items() if key not in known]:
        notice(f"not profiled, so left out: {', '.join(missing)}")
    with progress_bar() as show:
        runs = measure(
            target, encoded, plan, [m for key, m in keys.items() if key in known],
            repeats=repeats, report=lambda s: show(s.what, s.done, s.total),
        )  # fmt: skip
    return _Decoded(runs, predictions)


def _profile(out: Path, record: Path | None, target: str, draft: str, dtype: str) -> Profile:
    if record is None:
        return newest_profile(out, target=target, draft=draft, dtype=dtype)
    profile = load_profile(record)
    has = (profile.record.target.name, profile.record.draft.name, profile.record.dtype)
    if has != (target, draft, dtype):
        raise RecordError(
            record,
            f"is of {has[0]} with {has[1]} in {has[2]}, not of {target} with {draft} in {dtype}",
        )
    return profile


def _check_traces(profile: Profile, labels: Sequence[str]) -> None:
    if missing := [label for label in labels if label not in profile.traces]:
        raise RecordError(
            profile.path,
            f"has no trace at {missing[0]}, only at {', '.join(profile.traces)}; profile it first",
        )


def _identical_texts(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """At temperature 0: how many texts equal the autoregressive one, token for token."""
    from profiler.methods import AUTOREGRESSIVE as ALONE

    greedy = [r for r in runs if r.sampling.greedy]
    alone = {(r.prompt, r.repeat): r.tokens for r in greedy if r.method == ALONE}
    rows = []
    for method in dict.fromkeys(r.method for r in greedy if r.method != ALONE):
        if not method.lossless:
            continue
        mine = [r for r in greedy if r.method == method]
        rows.append(
            {
                "method": method.name,
                "parameters": dict(method.parameters),
                "identical": sum(r.tokens == alone[r.prompt, r.repeat] for r in mine),
                "texts": len(mine),
            }
        )
    return rows


def _show_identical(rows: list[dict[str, Any]]) -> None:
    if rows:
        counts = ", ".join(
            f"{method_name(row['method'], row['parameters'])}: {row['identical']}/{row['texts']}"
            for row in rows
        )
        output().print(
            f"T0 texts identical to autoregressive decoding, {counts} "
            "(in float32 all; in 16 bit near-ties may go the other way)"
        )


def _as_json(
    record: ValidationRecord, path: Path, identical: list[dict[str, Any]]
) -> dict[str, Any]:
    content = record.model_dump(mode="json")
    errors = [abs(_of_totals(row) - 1) for row in record.settings]
    of_totals = {"median_abs_error": statistics.median(errors), "max_abs_error": max(errors)}
    return {
        "record": str(path),
        "identical_texts": identical,
        "summary_of_totals": of_totals,
        **content,
    }


def _of_totals(row: SettingRow) -> float:
    """Predicted speedup over the plain ratio of total times."""
    baseline = sum(p.baseline_seconds for p in row.per_prompt)
    return row.speedup.L2 * sum(p.seconds for p in row.per_prompt) / baseline


def _show(record: ValidationRecord) -> None:
    console = output()
    headings = [
        "",
        "γ or setting",
        "τ meas",
        "L0",
        "L1",
        "L2",
        "S meas",
        "90 %",
        "L0",
        "L1",
        "L2",
        "error",
        "drift",
    ]
    if stall := _stall(record):
        notice(stall)
    rows = []
    for row in record.settings:
        tau, speedup = row.tau, row.speedup
        rows.append(
            [
                row.sampling.label,
                short_name(row),
                *[f"{v:.2f}" for v in (tau.measured, tau.L0, tau.L1, tau.L2)],
                f"{speedup.measured:.2f}",
                f"{speedup.measured_low:.2f}–{speedup.measured_high:.2f}",
                *[f"{v:.2f}" for v in (speedup.L0, speedup.L1, speedup.L2)],
                f"{speedup.L2 / speedup.measured - 1:+.1%}",
                _drift(speedup),
            ]
        )
    title = (
        "Predicted and measured: τ (tokens/round), speedup S (×), error of L2; "
        "drift: L2 with the profile's stage times over L2 with those taken between the decodes"
    )
    console.print(table(title, headings, rows))
    _show_error_and_time(record)
    summary = record.summary
    console.print(
        f"L2 speedup error: median {summary.median_abs_error:.1%}, worst "
        f"{summary.max_abs_error:.1%}, bias {summary.bias:+.1%}; measured inside the 90 % interval "
        f"in {summary.coverage_90:.0%} of settings; stages explain at least "
        f"{summary.time_explained:.1%} of wall time"
    )
    if before := record.summary_profiled:
        console.print(
            f"with the profile's own stage times: median {before.median_abs_error:.1%}, worst "
            f"{before.max_abs_error:.1%}, bias {before.bias:+.1%}"
        )
    errors = [abs(_of_totals(row) - 1) for row in record.settings]
    console.print(
        f"against plain ratios of total times: median {statistics.median(errors):.1%}, "
        f"worst {max(errors):.1%}"
    )


def _drift(speedup: SpeedupRow) -> str:
    if speedup.L2_profiled is None:
        return "–"
    return f"{speedup.L2_profiled / speedup.L2 - 1:+.1%}"


def _stall(record: ValidationRecord) -> str | None:
    """A line when wall time as a whole tells another story than the typical prompt."""
    worst = max(
        abs(row.speedup.L2 / _of_totals(row) / row.speedup.measured - 1) for row in record.settings
    )
    if worst <= STALL_LIMIT:
        return None
    return (
        f"the machine stalled while measuring: ratios of total times differ from the medians shown "
        f"by up to {worst:.0%}; measure again on a quiet machine"
    )


def _show_error_and_time(record: ValidationRecord) -> None:
    stages = ("target", "draft", "draft_sampling", "verification", "commit", "sampling", "rest")
    short = {"draft_sampling": "d.sampl.", "verification": "verify"}
    headings = ["", "γ or setting", "τ", "round", "AR", "=", *[short.get(s, s) for s in stages]]
    rows = []
    for row in record.settings:
        error = row.error
        parts = (error.log_tau, error.log_round, error.log_autoregressive, error.log_speedup)
        rows.append(
            [
                row.sampling.label,
                short_name(row),
                *[f"{100 * part:+.1f}" for part in parts],
                *[f"{row.time_split.get(stage, 0.0):.1%}" for stage in stages],
            ]
        )
    title = "Error of L2 explained (100 × log; the first three add up), and measured time split"
    output().print(table(title, headings, rows))
