"""speculens import: what engines' own files say, in this project's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.engine_scenario import Costs, scenarios, with_drafts
from app.forward_costs import forward_costs
from app.terminal import notice, output, print_json, table
from measurements import RecordError
from measurements.engines import EngineReport, read_forwards, read_reports

MOST_SHOWN = 3
"""Runs that are shown whole; more of them a line each."""


def run(
    files: Sequence[Path],
    format_name: str | None,
    definition: str | None,
    gamma: int | None,
    costs: Costs,
    as_json: bool,
) -> None:
    """Read, predict, and say what is missing to decide."""
    rows = imported(files, format_name, definition, gamma, costs)[1]
    if as_json:
        print_json({"scenarios": rows})
        return
    if len(rows) > MOST_SHOWN:
        _show_runs(rows)
        return
    for row in rows:
        _show(row)


def with_forwards(costs: Costs, files: Sequence[Path], batch: int | None) -> Costs:
    """Costs completed by timed forwards; what was said on the command line stays.

    Raises
    ------
    RecordError
        If a file cannot be read, or its cases do not give the costs.
    """
    cases = [case for path in files for case in read_forwards(path)]
    try:
        found = forward_costs(cases, batch)
    except ValueError as error:
        raise RecordError(files[0], str(error)) from None
    drafting = "no case with a drafter"
    if found.cost_ratio is not None:
        drafting = f"a drafted token {found.cost_ratio:.3f} steps"
    notice(
        f"timed forwards, batch {found.batch}: plain step {1e3 * found.step_seconds:.3g} ms, "
        f"verified token {found.verify_slope:.3f} steps, {drafting}"
    )
    return replace(
        costs,
        cost_ratio=found.cost_ratio if costs.cost_ratio is None else costs.cost_ratio,
        verify_slope=costs.verify_slope or found.verify_slope,
    )


def imported(
    files: Sequence[Path],
    format_name: str | None,
    definition: str | None,
    gamma: int | None,
    costs: Costs,
) -> tuple[list[EngineReport], list[dict[str, Any]]]:
    """The reports of the files and a scenario of each.

    Raises
    ------
    RecordError
        If a file cannot be read, or an option contradicts it.
    """
    found = read_reports(files, format_name, definition)
    try:
        reports = [with_drafts(report, gamma) for report in found]
        return reports, scenarios(reports, costs)
    except ValueError as error:
        raise RecordError(files[0], str(error)) from None


def _show(row: dict[str, Any]) -> None:
    console = output()
    engine = " ".join(str(row[k]) for k in ("engine", "version", "model") if row[k])
    console.print(f"[bold]{row['source']}[/bold] {engine} ({row['format']})")
    console.print(f"source's definition: {row['definition']}")
    rows = [
        ["τ, tokens per round, bonus included", f"{row['tau']:.3f} over {row['averaged']}"],
        ["mean over requests", _number(row["mean_of_requests"])],
        ["draft tokens per round γ", _number(row["num_draft_tokens"], "g")],
        ["acceptance by position", _list(row["hazards"])],
        ["constant acceptance rate α that gives τ", _number(row["acceptance_rate"])],
        ["batch", _number(row["batch"], "g")],
        ["time per output token", _milliseconds(row["seconds_per_output_token"])],
        ["time of a round", _milliseconds(row["round_seconds"])],
    ]
    measured, even = row["measured"], row["break_even"]
    if measured is not None:
        rows.append(["measured speedup", f"{measured['speedup']:.2f}×"])
        rows.append(["a round took, in plain steps", f"{measured['round_steps']:.2f}"])
        if "draft_cost" in measured:
            rows.append(["a drafted token cost, in steps", f"{measured['draft_cost']:.3f}"])
    for level, at in (row["predicted"] or {}).items():
        own = "" if at["speedup"] is None else f"{at['speedup']:.2f}× here, "
        far = at["best_num_draft_tokens"] > at["measured_up_to"]
        rows.append(
            [
                f"predicted, {level}",
                f"{own}best γ = {at['best_num_draft_tokens']} at {at['best_speedup']:.2f}×"
                + (" (beyond what was measured)" if far else ""),
            ]
        )
    if even is not None:
        rows.append(["pays while a round takes below", f"{even['round_steps']:.2f} steps"])
        if even["cost_ratio"] is not None:
            rows.append(["pays while a draft step costs below", f"{even['cost_ratio']:.3f} steps"])
    console.print(table("", ["quantity", "value"], [r for r in rows if r[1] != "–"]))
    for note in row["notes"]:
        console.print(f"note: {note}")
    for lack in row["missing"]:
        notice(f"missing: {lack}")


def _show_runs(rows: Sequence[dict[str, Any]]) -> None:
    console = output()
    for definition in dict.fromkeys(row["definition"] for row in rows):
        console.print(f"source's definition: {definition}")
    cells = [
        [
            row["source"],
            _number(row["num_draft_tokens"], "g"),
            _number(row["batch"], "g"),
            f"{row['tau']:.3f}",
            _milliseconds(row["seconds_per_output_token"]),
            _number(row["request_seconds"]),
            "–" if row["measured"] is None else f"{row['measured']['speedup']:.2f}×",
        ]
        for row in rows
    ]
    headings = ["run", "γ", "batch", "τ", "per token", "request [s]", "measured speedup"]
    console.print(table(f"{len(rows)} runs", headings, cells))
    plain = any(row["num_draft_tokens"] == 0 for row in rows)
    if plain and any(row["measured"] is not None for row in rows):
        notice("speculens optimize --from FILES chooses the drafts for every batch from these runs")


def _number(value: float | None, style: str = ".3f") -> str:
    return "–" if value is None else format(value, style)


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{1e3 * value:.3g} ms"


def _list(values: list[float] | None) -> str:
    return "–" if not values else ", ".join(f"{v:.3f}" for v in values)
