"""speculens predict --tensor-parallel: rounds on other numbers of devices.

From sweeps over servers on two numbers of devices or more, or, given --hardware, from rooflines
and a link.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.devices import alike, of_degrees
from app.hardware_scenario import HardwareScenario, scenarios
from app.terminal import notice, output, print_json, table
from measurements import RecordError, load_server, scan


def from_servers(
    out: Path,
    record: Path | None,
    degrees: Sequence[int],
    drafts: Sequence[int],
    batches: Sequence[int],
    as_json: bool,
) -> None:
    """From the newest sweep, or the given one, and those like it on other numbers of devices."""
    if record is not None:
        newest = load_server(record)
    else:
        found = [r for _, r in scan(out).servers]
        if not found:
            raise RecordError(out, "holds no sweep over servers: profile --serve first")
        newest = found[0]
    try:
        told = of_degrees(alike(out, newest), degrees, drafts, batches)
    except ValueError as error:
        raise RecordError(Path(f"{newest.id}.json"), str(error)) from None
    if told is None:
        raise RecordError(
            out,
            f"holds servers of {newest.model} on {newest.tensor_parallel} devices alone: profile"
            " them with another --tensor-parallel",
        )
    if as_json:
        print_json(told)
    else:
        show_devices(told)


def from_hardware(scenario: HardwareScenario, degrees: Sequence[int], as_json: bool) -> None:
    """From rooflines, for every number of devices."""
    rows = scenarios(scenario, degrees)
    if as_json:
        print_json({"settings": rows})
        return
    headings = ["devices", "γ", "plain ms", "talk", "round ms", "talk", "τ", "S", "tok/s"]
    cells = [
        [
            str(row["tensor_parallel"]),
            str(row["num_draft_tokens"]),
            f"{1e3 * row['step_seconds']:.2f}",
            f"{row['step_communication']:.0%}",
            f"{1e3 * row['round_seconds']:.2f}",
            f"{row['round_communication']:.0%}",
            f"{row['tau']:.2f}",
            f"{row['speedup']:.2f}×",
            f"{row['tokens_per_s']:.0f}",
        ]
        for row in rows
    ]
    output().print(table("From rooflines, not measured", headings, cells))
    notice("such rooflines were 30 to 45 % off in absolute time: use them to rank")


def show_devices(told: dict[str, Any]) -> None:
    """Terms by stage, then rounds by devices."""
    for line in told["refused"]:
        notice(f"not fitted: {line}")
    if told["terms"]:
        _show_terms(told)
    if told["foretold"]:
        _show_foretold(told)


def _show_terms(told: dict[str, Any]) -> None:
    rows = [
        [
            row["stage"],
            str(row["sequences"]),
            *(
                "left out" if row["left_out"] == term else f"{1e3 * row[f'{term}_seconds']:.3f}"
                for term in ("divisible", "rest", "communication")
            ),
            f"{row['worst_residual']:.1%}",
        ]
        for row in told["terms"]
    ]
    degrees = ", ".join(map(str, told["degrees"]))
    headings = ["stage", "sequences", "divisible", "rest", "per further device", "worst residual"]
    output().print(table(f"Terms of a stage, servers on {degrees} devices [ms]", headings, rows))
    if len(told["degrees"]) == 2:
        notice("two numbers of devices cannot tell three terms apart: both ends are shown")


def _show_foretold(told: dict[str, Any]) -> None:
    rows = [
        [
            f"{row['degree']}{'*' if row['extrapolated'] else ''}",
            str(row["num_draft_tokens"] or "plain"),
            str(row["sequences"]),
            _span(row["round_seconds"], 1e3),
            "–" if row["measured_seconds"] is None else f"{1e3 * row['measured_seconds']:.2f}",
            "–" if row["speedup"] is None else _span(row["speedup"], 1.0),
        ]
        for row in told["foretold"]
    ]
    headings = ["devices", "K", "sequences", "round ms", "measured", "S"]
    output().print(table("Rounds by number of devices", headings, rows))
    output().print("*: not measured; S: steady rounds that emit the measured tokens")


def _span(ends: dict[str, float], scale: float) -> str:
    low, high = scale * ends["low"], scale * ends["high"]
    return f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f}–{high:.2f}"
