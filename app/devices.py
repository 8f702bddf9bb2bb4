"""What do servers on several numbers of devices say together, and of other numbers of them?

JSON-ready; no printing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.served import Point, points, summary
from measurements import ServerRecord, scan
from simulator.degree_fit import STAGES, TERMS, DegreeFit, Term, fit_degrees

_ALIKE = (
    "model", "draft", "dtype", "speculation", "max_ngram", "min_ngram", "engine", "new_tokens",
)  # fmt: skip


def alike(out: Path, record: ServerRecord) -> dict[int, ServerRecord]:
    """The newest sweeps like this one, by number of devices: itself, and others below a folder."""
    found = {record.tensor_parallel: record}
    for _, other in scan(out).servers:
        same = all(getattr(other, name) == getattr(record, name) for name in _ALIKE)
        same = same and other.prompts.sha256 == record.prompts.sha256
        if same and other.machine.slug == record.machine.slug:
            found.setdefault(other.tensor_parallel, other)
    return dict(sorted(found.items()))


def of_degrees(
    records: Mapping[int, ServerRecord],
    degrees: Sequence[int] = (),
    drafts: Sequence[int] = (),
    active: Sequence[int] = (),
) -> dict[str, Any] | None:
    """Terms of every stage, and rounds foretold on measured and other numbers of devices.

    Parameters
    ----------
    records : mapping of int to ServerRecord
        By number of devices.
    degrees : sequence of int
        To foretell; by default the measured ones and twice the largest. [devices]
    drafts : sequence of int
        To foretell; by default as measured. [tokens]
    active : sequence of int
        By default the least and the most that were measured. [sequences]

    Returns
    -------
    dict or None
        None of a single number of devices. ``refused`` says what could not be fitted, and why.

    Raises
    ------
    ValueError
        If something is asked for that no server showed.
    """
    if len(records) < 2:
        return None
    seen = {degree: points(record.waves) for degree, record in records.items()}
    tokens = _tokens_per_step(records)
    refused: list[str] = []
    plain = _fits(seen, False, refused)
    drafting = _fits(seen, True, refused)
    measured = [set(fit.active) for fit in (*plain, *drafting)]
    common = sorted(set.intersection(*measured)) if measured else []
    rows = tuple(active) or tuple(dict.fromkeys((*common[:1], *common[-1:])))
    lengths = tuple(drafts) or tuple(
        sorted({p.num_draft_tokens for each in seen.values() for p in each} - {0})
    )
    wanted = tuple(degrees) or (*records, 2 * max(records))
    return {
        "degrees": list(records),
        "records": [record.id for record in records.values()],
        "terms": [
            row
            for fits, stages in ((plain, ("plain step",)), (drafting, STAGES))
            for fit in fits
            for row in _terms(fit, stages, rows)
        ],
        "foretold": [
            _foretold(plain, drafting, seen, tokens, (degree, k, b))
            for b in rows
            for k in (0, *lengths)
            for degree in wanted
            if (drafting if k else plain)
        ],
        "refused": refused,
    }


def _fits(
    seen: Mapping[int, Sequence[Point]], drafting: bool, refused: list[str]
) -> list[DegreeFit]:
    """One fit of three terms, or the two ends that two degrees leave: those that fit best."""
    each = [(d, p) for d, ps in seen.items() for p in ps if bool(p.num_draft_tokens) == drafting]
    left_out: tuple[Term | None, ...] = (None,)
    if len({degree for degree, _ in each}) == 2:
        left_out = ("rest", "communication", "divisible")
    try:
        fits = [
            fit_degrees(
                [d for d, _ in each], [p.active for _, p in each], [p.drafted for _, p in each],
                [p.seconds for _, p in each], without=without,
            )
            for without in left_out
        ]  # fmt: skip
        errors = [float((fit.residuals**2).sum()) for fit in fits]
        # of a second degree that is slower, the end without communication is not one
        return [fits[i] for i in sorted(np.argsort(errors, kind="stable")[:2])]
    except ValueError as error:
        refused.append(f"{'rounds' if drafting else 'plain steps'}: {error}")
        return []


def _terms(fit: DegreeFit, stages: Iterable[str], active: Sequence[int]) -> list[dict[str, Any]]:
    left_out = [term for term in TERMS if term not in fit.shown]
    return [
        {
            "stage": stage,
            "sequences": rows,
            "left_out": left_out[0] if left_out else None,
            **{
                f"{term}_seconds": float(fit.stage_terms(rows)[number, place])
                for number, term in enumerate(TERMS)
            },
            "worst_residual": float(abs(fit.residuals).max()),
        }
        for place, stage in enumerate(stages)
        for rows in active
    ]


def _tokens_per_step(records: Mapping[int, ServerRecord]) -> dict[int, float]:
    """By drafts, steps without one counted: it does not depend on the devices."""
    tokens: dict[int, float] = {}
    steps: dict[int, float] = {}
    for record in records.values():
        for row in summary(record)["servers"]:
            k = row["num_draft_tokens"]
            emitted = row["waves"] * row["batch"] * (record.new_tokens - 1)
            tokens[k] = tokens.get(k, 0) + emitted
            # pieces that came together are one to the client, two to the server
            steps[k] = steps.get(k, 0) + max(row["rounds_seen"], row["rounds_counted"])
    return {k: tokens[k] / steps[k] for k in tokens}


def _foretold(
    plain: Sequence[DegreeFit],
    drafting: Sequence[DegreeFit],
    seen: Mapping[int, Sequence[Point]],
    tokens: Mapping[int, float],
    asked: tuple[int, int, int],
) -> dict[str, Any]:
    """A round on so many devices, with its speedup where tokens per round are known."""
    degree, k, rows = asked
    drafted = [p.drafted for ps in seen.values() for p in ps if p.num_draft_tokens == k]
    mean = float(np.mean(drafted)) if drafted else float(k)  # lookup does not always find some
    told = [fit.seconds(degree, rows, mean) for fit in (drafting if k else plain)]
    met = [p.seconds for p in seen.get(degree, ()) if (p.num_draft_tokens, p.active) == (k, rows)]
    speedups = [
        tokens[k] * step.seconds(degree, rows, 0) / round_seconds
        for step, round_seconds in zip(plain, told, strict=False)
        if k in tokens and k
    ]
    return {
        "degree": degree,
        "num_draft_tokens": k,
        "sequences": rows,
        "round_seconds": {"low": min(told), "high": max(told)},
        "measured_seconds": met[0] if met else None,
        "speedup": {"low": min(speedups), "high": max(speedups)} if speedups else None,
        "extrapolated": degree not in seen,
    }
