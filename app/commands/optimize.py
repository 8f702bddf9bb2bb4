"""speculens optimize: which method and parameters, from a profile of every method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.records import newest_profile
from app.search import row_name, search
from app.terminal import notice, output, print_json, table
from measurements import load_profile
from simulator.choice import Constraints


def run(
    out: Path,
    record: Path | None,
    sampling: str | None,
    constraints: Constraints,
    as_json: bool,
) -> None:
    """Rank everything the profile knows, at one sampling or at each."""
    profile = load_profile(record) if record is not None else newest_profile(out)
    results = search(profile, sampling, constraints)
    if as_json:
        first = results[0]
        print_json({**first, "profile": profile.record.id, "by_sampling": results})
        return
    notice(f"from {profile.path}")
    for result in results:
        _show(result)
    if profile.windows is None:
        notice("only chains were profiled; speculens profile --methods all adds every other method")


def _show(result: dict[str, Any]) -> None:
    console = output()
    close, front = result["indistinguishable"], result["pareto"]
    rows = [
        [
            row_name(row),
            f"{row['speedup']['L2']:.2f}×",
            f"{row['speedup']['low']:.2f}–{row['speedup']['high']:.2f}",
            f"{row['tau']:.2f}",
            f"{row['work_per_token']:.2f}",
            "best" if rank == 0 else "like the best" if row in close else "",
            "yes" if row in front else "",
        ]
        for rank, row in enumerate(result["ranking"][:12])
    ]
    headings = ["setting", "speedup", "90 %", "τ", "work per token", "", "on the front"]
    console.print(table(f"{result['sampling']}: predicted, fastest first", headings, rows))
    console.print(result["verdict"])
    console.print(result["trees"]["verdict"])
    reasons = dict.fromkeys(row["reason"] for row in result["refused"])
    if reasons:
        console.print(f"{len(result['refused'])} settings refused: {'; '.join(reasons)}")
