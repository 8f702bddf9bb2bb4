"""Figures of the medusa-hydra study, from its record alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.studies.medusa_hydra_published import ACCURACY, CHILDREN, DEPTH, TREES
from measurements import StudyRecord

if TYPE_CHECKING:
    import plotly.graph_objects as go


def figures(record: StudyRecord) -> dict[str, go.Figure]:
    """Figures of a record of this study, by title."""
    from app.figures.curves import curves

    trees: list[dict[str, Any]] = [*record.tables[TREES]]
    both = [
        {**row, "kind": kind, "tokens": row[column]}
        for row in trees
        for kind, column in (("decoded", "tau"), ("predicted", "predicted_tau"))
    ]
    label = trees[0]["sampling"]
    ranks = [
        {**row, "rank": rank, "accuracy": row[f"top_{rank}"]}
        for row in record.tables[ACCURACY]
        if row["sampling"] == label and row["head"] in (1, DEPTH)
        for rank in range(1, CHILDREN + 1)
    ]
    firsts = [row for row in record.tables[ACCURACY] if row["sampling"] == label]

    def heads(row: Mapping[str, Any]) -> str:
        return f"{row['sampling']}, {row['heads']}"

    return {
        f"First guess by head, {label}": curves(
            firsts, "head", "top_1", heads, "head", "share of positions where it is right"
        ),
        f"Accuracy by number of guesses, {label}": curves(
            ranks, "rank", "accuracy", lambda row: f"{row['heads']}, head {row['head']}",
            "guesses", "share of positions where one is right",
        ),
        "Tokens per round by size of the tree": curves(
            both, "nodes", "tokens", lambda row: f"{heads(row)}, {row['kind']}",
            "tokens in the tree", "tokens per round",
        ),
        "Speedup by size of the tree": curves(
            trees, "nodes", "speedup", heads, "tokens in the tree", "speedup [×]", spread=True
        ),
        "Cost of a round by size of the tree": curves(
            trees, "nodes", "overhead", heads, "tokens in the tree",
            "round [autoregressive steps]",
        ),
    }  # fmt: skip
