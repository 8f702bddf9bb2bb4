"""Figures of the specdiff study, from its record alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.studies.specdiff_published import FEW_STEPS, KEPT, SETTINGS
from measurements import StudyRecord

if TYPE_CHECKING:
    import plotly.graph_objects as go


def figures(record: StudyRecord) -> dict[str, go.Figure]:
    """Figures of a record of this study, by title."""
    from app.figures.curves import curves

    rows: list[dict[str, Any]] = [*record.tables[SETTINGS]]
    kept = [
        {**row, "position": int(column.removeprefix("kept_")), "kept": row[column]}
        for row in record.tables[KEPT]
        for column in row
        if column.startswith("kept_") and row["filled"] != "in place"
    ]
    few = [r for r in rows if r["drafter"] != "diffusion" or _is(r, FEW_STEPS, "left to right")]
    swept = {row["num_draft_tokens"] for row in record.tables[KEPT]}
    steps = [r for r in rows if r["drafter"] == "diffusion" and r["num_draft_tokens"] in swept]
    steps.sort(key=lambda r: r["draft_calls"])
    length = "draft tokens per round γ"

    def drafter(row: Mapping[str, Any]) -> str:
        return f"{row['sampling']}, {row['drafter']}"

    def filling(row: Mapping[str, Any]) -> str:
        return f"{row['sampling']}, {row['filled']}"

    def setting(row: Mapping[str, Any]) -> str:
        return f"{drafter(row)}, {row['draft_calls']} calls"

    return {
        f"Speedup by draft tokens (diffusion: {FEW_STEPS} steps)": curves(
            few, "num_draft_tokens", "speedup", drafter, length, "speedup [×]", spread=True
        ),
        f"Time of a draft (diffusion: {FEW_STEPS} steps)": curves(
            few, "num_draft_tokens", "draft_s", drafter, length, "time of a draft [ms]", scale=1e3
        ),
        "Tokens per round by denoising steps": curves(
            steps, "draft_calls", "tau", filling, "denoising steps", "tokens per round"
        ),
        "Speedup by denoising steps": curves(
            steps, "draft_calls", "speedup", filling, "denoising steps", "speedup [×]", spread=True
        ),
        "How far drafts are kept": curves(
            kept, "position", "kept", setting, "draft position", "share of rounds that keep it"
        ),
    }


def _is(row: Mapping[str, Any], steps: int, filled: str) -> bool:
    return row["draft_calls"] == steps and row["filled"] == filled
