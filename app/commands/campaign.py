"""speculens validate --plan: many settings foretold from some prompts, then decoded on others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from app import validation_record
from app.campaign import Verdict, verdict
from app.pair import DEFAULT_TEMPERATURES, PairOptions
from app.records import setting_of
from app.replays import replayed_rounds
from app.terminal import notice, output, print_json, progress_bar, resumable, table
from app.validation_record import predict_methods
from app.words import method_name, percent
from measurements import (
    Profile,
    RecordError,
    ValidationRecord,
    load_profile,
    load_validation,
    save_validation,
)

if TYPE_CHECKING:
    from engine.model import Model
    from engine.prompts import Prompts
    from engine.sampling import Sampling
    from profiler.run import ProfilePlan

MOST_WRONG = 12
"""So many of the worst settings are printed; the report and --json have more."""
BLOCKS = 4
"""Blocks per context and mode in the profiles of a campaign, of stages and of methods."""
TIMED = 40
"""Rounds of all methods are timed about so often between the decodes of a sampling."""


@dataclass(frozen=True)
class Plan:
    """What a campaign measures where the command line does not say otherwise.

    Attributes
    ----------
    labels : tuple of str or None
        Of methods of the catalogue; None is every one.
    parts : tuple of (samplings, number of prompts)
        Samplings as (temperature, top-k); so many prompts in each half of each set. The
        lower the temperature, the more texts differ in how they are drafted, so the more
        of them it takes to know the mean.
    both_sets : bool
        Whether there is a second prompt set beside the first.
    """

    labels: tuple[str, ...] | None
    parts: tuple[tuple[tuple[tuple[float, int | None], ...], int], ...]
    both_sets: bool


GREEDY: tuple[tuple[float, int | None], ...] = ((0.0, None),)
COOL: tuple[tuple[float, int | None], ...] = ((0.7, None),)
DRAWN: tuple[tuple[float, int | None], ...] = ((1.0, None), (1.0, 50))
PLANS = {
    "full": Plan(
        (
            "chain γ 2", "chain γ 4", "chain γ 8", "chain γ 6, rule block",
            "tree tree 4-2-1, nodes 20", "tree tree grown, nodes 12",
            "staged γ 8, lower lookup+ngram-T1", "ngram γ 2, counted ngram-T1", "lookup γ 4",
            "diffusion γ 8, steps 2", "medusa nodes 16", "hydra nodes 16", "mtp γ 4",
        ),
        ((GREEDY, 190), (COOL, 80), (DRAWN, 40)), True,
    ),
    "quick": Plan(
        ("chain γ 2", "chain γ 4", "lookup γ 4"), ((((0.0, None), (1.0, 50)), 6),), False
    ),
    "everything": Plan(None, ((GREEDY, 40), (COOL, 40), (DRAWN, 40)), True),
}  # fmt: skip


def run(
    name: str,
    pair: PairOptions,
    out: Path,
    state: Path | None,
    methods: str | None,
    repeats: int,
    report: Path | None,
    as_json: bool,
) -> None:
    """Carry out a plan: one validation record per prompt set, and what they say together."""
    from engine.errors import InputError
    from profiler.catalogue import catalogue
    from profiler.run import ProfilePlan
    from profiler.stages import StagePlan

    if name not in PLANS:
        raise InputError(f"plan must be one of {', '.join(PLANS)}, not '{name}'")
    if repeats < 1:
        raise InputError(f"repeats must be at least 1, not {repeats}")
    plan = PLANS[name]
    parts = _parts(plan, pair)
    sets = _prompt_sets(plan, pair)
    target, draft = pair.load_pair()
    wanted = catalogue(target, draft, [n.strip() for n in (methods or "all").split(",")])
    if methods is None and plan.labels is not None:
        known = {m.label: m for m in wanted}
        if missing := [label for label in plan.labels if label not in known]:
            notice(
                f"this pair has no drafter for {'; '.join(missing)}: left out "
                "(speculens train makes what is missing)"
            )
        wanted = [known[label] for label in plan.labels if label in known]
    stages = StagePlan(blocks=BLOCKS)
    plans = [
        (
            ProfilePlan(
                samplings, pair.new_tokens, pair.seed, stages, tuple(wanted), method_blocks=BLOCKS
            ),
            number,
        )
        for samplings, number in parts
    ]
    folder = out / "campaign" if state is None else state
    records: list[ValidationRecord] = []
    with resumable():
        for prompts in sets:
            for measured, number in plans:
                labels = ", ".join(s.label for s in measured.samplings)
                halves = prompts.take(2 * number)
                notice(
                    f"part {len(records) + 1} of {len(sets) * len(plans)}: {prompts.name}, {labels}"
                )
                records.append(
                    _one_part(target, draft, halves, measured, pair.dtype, out, folder, repeats)
                )
    found = verdict(records)
    if report is not None:
        from app.campaign_report import render

        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(render(records), encoding="utf-8")
        notice(f"report {report}")
    if as_json:
        print_json({**found.as_json(), "records": [record.id for record in records]})
    else:
        _show(found)


def _parts(plan: Plan, pair: PairOptions) -> list[tuple[tuple[Sampling, ...], int]]:
    """Samplings and prompts of the plan, unless the command line names others."""
    from engine.sampling import Sampling

    if pair.temperatures != DEFAULT_TEMPERATURES or pair.top_k or pair.top_p:
        return [(pair.samplings(), pair.num_prompts or plan.parts[-1][1])]
    return [
        (
            tuple(Sampling(temperature, top_k) for temperature, top_k in samplings),
            pair.num_prompts or number,
        )
        for samplings, number in plan.parts
    ]


def _prompt_sets(plan: Plan, pair: PairOptions) -> list[Prompts]:
    """The embedded functions and passages; a file given takes the place of the last."""
    from engine.prompts import held_out_passages, held_out_prompts, read_prompts

    sets = [held_out_prompts(), held_out_passages()] if plan.both_sets else [held_out_prompts()]
    if pair.prompts is not None:
        sets[-1] = read_prompts(pair.prompts)
    return sets


def _one_part(
    target: Model,
    draft: Model,
    prompts: Prompts,
    measured: ProfilePlan,
    dtype: str,
    out: Path,
    folder: Path,
    repeats: int,
) -> ValidationRecord:
    """Profile one half, foretell, decode the other half, compare."""
    from profiler.describe import header, recorded
    from profiler.measure import measure
    from profiler.method_timer import MethodTimer
    from profiler.run import encode_checked
    from profiler.run_log import RunLog

    first, second = prompts.halves()
    texts = encode_checked(target, draft, first, measured.new_tokens)
    encoded = encode_checked(target, draft, second, measured.new_tokens)
    fields = header("validation", target, draft, second, encoded, dtype, measured.new_tokens)
    identity = _identity(fields, measured, repeats)
    stem = f"{second.sha256[:8]}-{measured.samplings[0].label}-{dtype}"
    profile = _profile(target, draft, first, measured, out, folder / f"{stem}.profile")
    labels = [s.label for s in measured.samplings]
    settings = [setting_of(m.name, m.parameters) for m in measured.methods]
    future = len(encoded) * repeats
    foretold = predict_methods(profile, labels, settings, future_prompts=future)
    log = RunLog(folder / f"{stem}.jsonl", {**identity, "profile": profile.record.id})
    pointer = folder / f"{stem}.record"
    if (finished := _finished(pointer, profile.record.id)) is not None:
        return finished
    limit = min(target.context, draft.context)
    timer = MethodTimer(
        target, measured.methods, texts, measured.stages.fitted(limit).contexts,
        measured.modes(), measured.seed, limit, max(1, future // TIMED),
        calls=Counter({label: log.count(label) for label in labels}),
    )  # fmt: skip
    with progress_bar() as show:
        runs = measure(
            target, encoded, measured, measured.methods, repeats=repeats, between=timer.time,
            log=log, report=lambda s: show(s.what, s.done, s.total),
        )  # fmt: skip
    with progress_bar() as show:
        replayed = replayed_rounds(
            target, measured.methods, encoded, measured, folder / f"{stem}.replays", identity, show
        )
    rounds = log.between()
    predictions = predict_methods(
        profile, labels, settings, _with_missing(rounds, profile.rounds), future
    )
    if untimed := {s for s in settings if not all((label, s) in predictions for label in labels)}:
        notice(f"left out, as no round drafted while timed: {', '.join(map(' '.join, untimed))}")
    record = validation_record.build(
        {**fields, "profile_id": profile.record.id}, predictions, foretold, runs,
        [recorded(s) for s in measured.samplings], repeats, False, replayed,
    )  # fmt: skip
    path = save_validation(out, record, rounds=rounds)
    pointer.write_text(str(path), encoding="utf-8")
    notice(f"saved {path}")
    return record


def _finished(pointer: Path, profile_id: str) -> ValidationRecord | None:
    """The record that an earlier run made of this part from this profile."""
    if not pointer.exists():
        return None
    try:
        record = load_validation(Path(pointer.read_text(encoding="utf-8")))
    except RecordError as error:
        notice(f"comparing again: {error}")
        return None
    return record if record.profile_id == profile_id else None


def _with_missing(rounds: pd.DataFrame, profiled: pd.DataFrame | None) -> pd.DataFrame:
    """Rounds timed between the decodes; the profile's for what never drafted among them."""
    key = ["method", "parameters", "mode"]
    drafted = rounds[rounds["num_drafted"] > 0][key].drop_duplicates()
    assert profiled is not None
    known = profiled.merge(drafted, on=key, how="left", indicator="in_between")
    missing = known[(known["in_between"] == "left_only") & (known["method"] != "autoregressive")]
    return pd.concat([rounds, missing[rounds.columns]], ignore_index=True)


def _identity(fields: Mapping[str, Any], plan: ProfilePlan, repeats: int) -> dict[str, Any]:
    """What decodes are of: enough to refuse to go on with others."""
    return {
        "machine": fields["machine"].slug,
        "target": fields["target"].model_dump(),
        "draft": fields["draft"].model_dump(),
        "dtype": fields["dtype"],
        "prompts": fields["prompts"].sha256,
        "new_tokens": plan.new_tokens,
        "seed": plan.seed,
        "repeats": repeats,
        "samplings": [s.label for s in plan.samplings],
        "methods": [m.label for m in plan.methods],
    }


def _profile(
    target: Model, draft: Model, prompts: Prompts, plan: ProfilePlan, out: Path, pointer: Path
) -> Profile:
    """The profile of a half: the one an earlier run finished, or a new one."""
    from profiler.run import profile

    if pointer.exists():
        try:
            found = load_profile(Path(pointer.read_text(encoding="utf-8")))
        except RecordError as error:
            notice(f"profiling again: {error}")
        else:
            if found.record.complete and found.record.prompts.sha256 == prompts.sha256:
                return found
    with progress_bar() as show:
        path, _ = profile(
            target, draft, prompts, plan, out, lambda s: show(s.what, s.done, s.total)
        )
    pointer.parent.mkdir(parents=True, exist_ok=True)
    pointer.write_text(str(path), encoding="utf-8")
    return load_profile(path)


def _show(found: Verdict) -> None:
    console = output()
    console.print(
        table(
            "Error of the predicted speedup by method: median of |predicted/measured − 1|, worst",
            ["method", "settings", "L2", "worst", "L1", "L0", "bias of L2", "τ, these texts"],
            [
                [
                    row.method, str(row.settings), percent(row.median["L2"]),
                    percent(row.worst["L2"]), percent(row.median["L1"]),
                    percent(row.median["L0"]), percent(row.bias), percent(row.tau_same_texts),
                ]
                for row in found.by_method
            ],
        )
    )  # fmt: skip
    for line in found.lines():
        console.print(line)
    if found.wrong:
        console.print(f"{len(found.wrong)} settings are off by more than 5 %, the worst of them:")
    for case in found.wrong[:MOST_WRONG]:
        console.print(
            f"{case.error:+.1%} {case.prompts}, {case.sampling}, "
            f"{method_name(case.method, case.parameters)}: {case.term} ({case.share:+.1%}); "
            f"{case.explanation}"
        )
