"""What do the staged study's tables say, in words, and why does it differ from the paper?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.studies import staged_tables as names
from app.studies.staging import PAPER_COST_RATIO, PAPER_GAIN
from app.words import percent, span, times

Row = Mapping[str, Any]


def notes(tables: Mapping[str, Sequence[Row]]) -> list[str]:
    """One sentence or two per finding, computed from the tables alone.

    Parameters
    ----------
    tables : mapping of str to rows
        As ``staged_tables.build`` makes them.
    """
    found = []
    for speed in tables[names.SPEED]:
        mine = {title: [r for r in rows if r.get("sampling") == speed["sampling"]]
                for title, rows in tables.items()}  # fmt: skip
        found += [_order(speed), _traffic(speed, mine[names.BANDWIDTH][0])]
        if mine[names.STAGING]:
            found += _staging(mine[names.STAGING][-1])
    return [
        *found,
        "The best setting of each kind was chosen on the decodes that are quoted, which flatters it"
        " a little. Every setting has a row: calls of the draft and tokens verified (width) per"
        " round, bytes per token over plain decoding's.",
        "Bytes are counted, not measured: every forward of the decodes with its tokens and context"
        " reads all weights and its cache once (docs/model.md, M8); look-ups of the n-gram are left"
        " out. Prefill is left out everywhere.",
    ]


def _order(row: Row) -> str:
    pairs = {"speculative/baseline": "speculative over plain",
             "staged/speculative": "staged over speculative"}  # fmt: skip
    parts = [
        f"{words} {times(row[name])} (90 %: {span(row[f'{name} low'], row[f'{name} high'])})"
        for name, words in pairs.items()
    ]
    certain = all(row[f"{name} low"] > 1 for name in pairs)
    reversed_ = any(row[f"{name} high"] < 1 for name in pairs)
    if certain:
        verdict = "holds: plain < speculative < staged"
    elif reversed_:
        verdict = "does not hold"
    else:
        verdict = "cannot be told: an interval reaches 1"
    return f"{row['sampling']}: the paper's order {verdict}; {', '.join(parts)}."


def _traffic(speed: Row, bandwidth: Row) -> str:
    role = "staged"
    alone = 1 / bandwidth[role]
    reached = speed["staged/baseline"] / alone
    text = (
        f"{speed['sampling']}: by its traffic alone staged decoding would gain {times(alone)}; it"
        f" reaches {percent(reached, 0)} of that (the paper: 73 and 70 %)."
    )
    if reached < 1:
        text += " The rest is arithmetic of wider forwards, and work between them."
    return text


def _staging(row: Row) -> list[str]:
    needed = row["c_for_paper_gain"]
    what = f"{row['sampling']}, γ = {row['γ']} over {row['lower']}"
    return [
        f"{what}: a draft call is c = {row['cost_ratio']:.3f} of a plain step and drafting"
        f" {percent(row['drafting_share'], 0)} of a round, which is all that staging could save."
        f" It makes {percent(1 - row['calls_per_token'], 0)} of the draft calls unnecessary (the"
        f" n-gram is right {percent(row['lower_acceptance_rate'], 0)} of the time), others take"
        f" {row['call_growth']:.2f} times as long, and the n-gram and its judging change"
        f" a round by {row['extra_steps']:+.3f} plain steps.",
        f"{what}: (M5.4) predicts {times(row['predicted_gain'])} over the same chain without it,"
        f" measured {times(row['measured_gain'])}; at the paper's c of at least"
        f" {PAPER_COST_RATIO:.3f} {times(row['gain_at_paper_c'])}. "
        + (
            f"Its gain of {PAPER_GAIN:g}× would need c = {needed:.2f} here."
            if needed is not None
            else f"Its gain of {PAPER_GAIN:g}× is out of reach here at any c: too few calls"
            " are saved for what they cost."
        ),
    ]
