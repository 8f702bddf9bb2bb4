"""speculens export: a choice of drafts as an engine's configuration."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.commands.import_engine import imported
from app.commands.optimize_served import decided
from app.engine_scenario import Costs, with_drafts
from app.exports import ENGINES, Export, Plan
from app.planning import (
    Machine,
    constant_hazards,
    plan_from_decision,
    plan_from_hazards,
    plan_from_profile,
    plan_from_report,
    with_schedule,
)
from app.records import newest_profile
from app.served_decision import decidable
from app.terminal import notice, output, print_json
from measurements import RecordError, load_profile
from measurements.files import write_atomically


@dataclass(frozen=True)
class Source:
    """Where the plan comes from; the first that is given, else the newest profile.

    Attributes
    ----------
    files : sequence of Path
        Of an engine, as ``speculens import`` reads them.
    format_name, definition : str or None
        As there.
    acceptance : sequence of float
        One constant rate, or one per draft position.
    record : Path or None
        A profile.
    out : Path
        Folder of profiles.
    sampling : str or None
    """

    files: Sequence[Path]
    format_name: str | None
    definition: str | None
    acceptance: Sequence[float]
    record: Path | None
    out: Path
    sampling: str | None


def run(
    engine: str,
    source: Source,
    method: str | None,
    gamma: int | None,
    costs: Costs,
    machine: Machine | None,
    names: tuple[str | None, str | None],
    write: Path | None,
    as_json: bool,
) -> None:
    """Plan, put it into the engine's words, say what is predicted and how to check it.

    Raises
    ------
    ValueError
        If an option leaves its bound or the engine cannot express the plan.
    """
    if engine not in ENGINES:
        raise ValueError(f"--engine must be one of {', '.join(ENGINES)}, not '{engine}'")
    plan = _plan(source, method, gamma, costs)
    if machine is not None:
        plan = with_schedule(plan, machine)
    target, draft = names
    plan = replace(plan, target=target or plan.target, draft=draft or plan.draft)
    export = ENGINES[engine](plan)
    if write is not None:
        _write(write, export)
    if as_json:
        print_json(as_document(plan, export))
    else:
        _show(plan, export)


def _plan(source: Source, method: str | None, gamma: int | None, costs: Costs) -> Plan:
    if source.files:
        reports, _ = imported(source.files, source.format_name, source.definition, None, costs)
        if gamma is None and costs.cost_ratio is None and decidable(reports):
            return plan_from_decision(decided(source.files, reports), method)
        drafted = [report for report in reports if report.speculative]
        if len(drafted) != 1:
            raise RecordError(
                source.files[0], f"holds {len(drafted)} runs with drafts: one makes a plan"
            )
        report = drafted[0]
        if report.num_draft_tokens is None:
            report = with_drafts(report, gamma)
        return plan_from_report(report, method, gamma, costs)
    if source.acceptance:
        given = tuple(source.acceptance)
        hazards = constant_hazards(given[0]) if len(given) == 1 else given
        return plan_from_hazards(hazards, method, gamma, costs, "the acceptance that was given")
    profile = (
        load_profile(source.record) if source.record is not None else newest_profile(source.out)
    )
    return plan_from_profile(profile, source.sampling, method, gamma)


def _write(folder: Path, export: Export) -> None:
    """The configuration, and its rehearsal where there is one, as files that the engine reads.

    Raises
    ------
    ValueError
        If there is nothing to write, or the folder cannot be written.
    """
    files = dict(export.files)
    if not files:
        raise ValueError(f"--write: {export.engine} takes flags, no file")
    if export.rehearsal is not None and export.engine == "vllm":
        files["rehearsal.json"] = export.rehearsal
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(folder / name, (json.dumps(content, indent=1) + "\n").encode())
    except OSError as error:
        raise ValueError(f"--write: {folder} cannot be written ({error.strerror})") from None
    notice(f"wrote {', '.join(str(folder / name) for name in files)}")


def as_document(plan: Plan, export: Export) -> dict[str, object]:
    """Everything as one JSON document."""
    return {
        "engine": export.engine,
        "files": dict(export.files),
        "command": list(export.command),
        "predicted": {
            "method": plan.method,
            "num_draft_tokens": plan.num_draft_tokens,
            "origin": plan.origin,
            "tau": plan.tau,
            "survival": plan.survival,
            "speedup": plan.speedup,
            "schedule": None if plan.schedule is None else [list(p) for p in plan.schedule],
        },
        "rehearsal": None if export.rehearsal is None else dict(export.rehearsal),
        "check": list(export.check),
        "notes": list(export.notes),
    }


def _show(plan: Plan, export: Export) -> None:
    console = output()
    for name, content in export.files.items():
        console.print(f"[bold]{name}[/bold]")
        print(json.dumps(content, indent=1))
    console.print("[bold]run[/bold]")
    print(export.command[0] if len(export.command) == 1 else shlex.join(export.command))
    console.print("[bold]predicted[/bold]")
    for line in plan.predicted:
        console.print(line)
    console.print("[bold]check[/bold]")
    for line in export.check:
        console.print(line)
    if export.rehearsal is not None:
        console.print("[bold]rehearse[/bold] the predicted acceptance (text is worthless)")
        print(json.dumps(export.rehearsal))
    for line in export.notes:
        notice(f"note: {line}")
