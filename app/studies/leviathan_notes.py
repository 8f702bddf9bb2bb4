"""What do the Leviathan study's tables say, in words?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from app.studies import leviathan_tables as names
from app.words import percent, times

Row = Mapping[str, Any]
PUBLISHED_ERROR = 0.18


def notes(tables: Mapping[str, Sequence[Row]]) -> list[str]:
    """One sentence or two per finding, computed from the tables alone.

    Parameters
    ----------
    tables : mapping of str to rows
        As ``leviathan_tables.build`` makes them.
    """
    errors = [row["error"] for row in tables[names.THEORY]]
    found = [
        f"Theorem 3.8 is {percent(fmean(map(abs, errors)), 0)} off on average (signed"
        f" {percent(fmean(errors), 0)}) over {len(errors)} settings; its authors' own measurements"
        f" are {percent(PUBLISHED_ERROR, 0)} from it (Table 4, EXP against EMP)."
    ]
    for chosen in tables[names.CHOICE]:
        where = chosen["sampling"], chosen["drafter"]
        mine = {
            title: [row for row in rows if (row["sampling"], row["drafter"]) == where]
            for title, rows in tables.items()
        }
        found.append(_independence(" ".join(where), mine[names.ROUNDS], mine[names.THEORY]))
        found.append(_choice(" ".join(where), chosen))
    found.append(
        "α along the text: share of the target's own tokens that come from a kept first draft,"
        " rounds started anywhere; from counts: kept over judged drafts, rounds started where they"
        " do, behind rejections. c: a drafted token, choosing it included, over a plain step. L1"
        " knows acceptance by depth and prompt, L2 where rounds start."
    )
    return found


def _independence(where: str, rounds: Sequence[Row], theory: Sequence[Row]) -> str:
    """Where the error comes from: tokens per round, or their time."""
    last, fast = rounds[-1], theory[-1]
    parts = [
        f"{level} {percent(last[level] / last['measured'] - 1, 0)}" for level in ("L0", "L1", "L2")
    ]
    tau = last["L0"] / last["measured"]
    time = (1 + fast["error"]) / tau
    return (
        f"{where}, γ = {last['γ']}: tokens per round against the {last['measured']:.2f} measured:"
        f" {', '.join(parts)}. Of the theorem's {percent(fast['error'], 0)}, one constant and"
        f" independent α is {percent(tau - 1, 0)}; taking verification for one step and the host"
        f" for nothing is {percent(time - 1, 0)} (as factors)."
    )


def _choice(where: str, row: Row) -> str:
    if row["γ by theory"] == row["best γ"]:
        return f"{where}: theory and measurement choose γ = {row['best γ']}."
    return (
        f"{where}: theory chooses γ = {row['γ by theory']} ({times(row['measured there'])}"
        f" measured), best is γ = {row['best γ']} ({times(row['measured best'])}); the choice costs"
        f" {percent(row['lost'], 0)}."
    )
