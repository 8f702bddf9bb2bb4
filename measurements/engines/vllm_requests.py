"""vLLM's per-request acceptance: responses of ``--per-request-spec-decode-metrics``.

``metrics.speculative_decoding`` as docs/features/speculative_decoding/
acceptance_metrics.md of vLLM describes it (experimental; read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from measurements.engines.reading import (
    Row,
    agree,
    as_row,
    count,
    counts,
    make_report,
    number,
    read_lines,
)
from measurements.engines.report import EngineReport
from measurements.files import RecordError

DEFINITION = (
    "1 + accepted draft tokens / verification steps of a request: the bonus token counts, steps"
    " without a draft do not; here summed over requests"
)


def read(paths: Sequence[Path], definition: str | None) -> tuple[EngineReport, ...]:
    """One report over all responses of the files.

    Raises
    ------
    RecordError
        If a response lacks the metrics, its histogram contradicts its totals, or
        responses differ in the configured number of draft tokens.
    """
    if definition is not None:
        raise RecordError(paths[0], "states its definition: leave out --definition")
    found = [(p, where, _metrics(p, where, row)) for p in paths for where, row in read_lines(p)]
    requests = [r for p, where, row in found if (r := _checked(p, where, row)) is not None]
    path, where, first = found[0]
    gamma = count(path, first, "num_spec_tokens", where, 1)
    for p, place, row in found:
        if (other := count(p, row, "num_spec_tokens", place, 1)) != gamma:
            raise RecordError(
                p, f"{place}: 'num_spec_tokens' is {other} and was {gamma}: import them apart"
            )
    if not requests:
        raise RecordError(path, "holds no request that drafted anything, needs >= 1")
    kept = {k: [0] * (k + 1) for k in range(gamma + 1)}
    for rows in requests:
        for drafted, counted in rows.items():
            kept[drafted] = [a + b for a, b in zip(kept[drafted], counted, strict=True)]
    rounds = sum(map(sum, kept.values()))
    accepted = sum(n * v for row in kept.values() for n, v in enumerate(row))
    vary = sum(kept[gamma]) < rounds
    note = "draft lengths vary: acceptance by position counts the rounds that drafted it"
    report = make_report(
        path,
        format="vllm-requests",
        definition=DEFINITION,
        tau=1.0 + accepted / rounds,
        num_draft_tokens=gamma,
        hazards=_hazards(kept, gamma),
        rounds=rounds,
        drafted_tokens=sum(k * sum(row) for k, row in kept.items()),
        accepted_tokens=accepted,
        num_requests=len(requests),
        mean_of_requests=sum(map(_tau, requests)) / len(requests),
        lengths_vary=vary,
        engine="vLLM",
        notes=(note,) if vary else (),
    )
    return (report,)


def _metrics(path: Path, where: str, row: Row) -> Row:
    inner = row.get("metrics", row)
    inner = inner.get("speculative_decoding", inner) if isinstance(inner, dict) else inner
    if not isinstance(inner, dict) or "num_spec_steps" not in inner:
        raise RecordError(path, f"{where} lacks 'metrics.speculative_decoding'")
    return inner


def _checked(path: Path, where: str, row: Row) -> dict[int, list[int]] | None:
    """Rounds of a request by drafted and kept tokens; None if it drafted nothing."""
    steps = count(path, row, "num_spec_steps", where)
    accepted = count(path, row, "num_accepted_draft_tokens", where)
    histogram = counts(path, row, "acceptance_histogram", where)
    gamma = count(path, row, "num_spec_tokens", where, 1)
    if len(histogram) != gamma + 1:
        raise RecordError(
            path,
            f"{where}: 'acceptance_histogram' must hold num_spec_tokens + 1 = {gamma + 1} counts,"
            f" not {len(histogram)}",
        )
    agree(path, where, "num_spec_steps", steps, sum(histogram))
    total = sum(n * v for n, v in enumerate(histogram))
    agree(path, where, "num_accepted_draft_tokens", accepted, total)
    if not steps:
        return None
    stated = number(path, row, "mean_acceptance_length", where, 1)
    agree(path, where, "mean_acceptance_length", stated, 1.0 + accepted / steps)
    lengths = row.get("acceptance_histogram_by_draft_length")
    if lengths is None:
        drafted = count(path, row, "num_draft_tokens", where)
        if drafted != steps * gamma:
            raise RecordError(
                path, f"{where} drafted {drafted} tokens in {steps} steps and lacks"
                " 'acceptance_histogram_by_draft_length'",
            )  # fmt: skip
        return {gamma: histogram}
    by_length = as_row(path, lengths, f"{where}: 'acceptance_histogram_by_draft_length'")
    found = {}
    for key in by_length:
        row_of_length = counts(path, by_length, key, where)
        if not key.isdigit() or int(key) > gamma or len(row_of_length) != int(key) + 1:
            raise RecordError(
                path,
                f"{where}: 'acceptance_histogram_by_draft_length' must map lengths of 0 to {gamma}"
                f" to one count more, not '{key}' to {len(row_of_length)}",
            )
        found[int(key)] = row_of_length
    agree(path, where, "acceptance_histogram_by_draft_length", sum(map(sum, found.values())), steps)
    return found


def _hazards(kept: dict[int, list[int]], gamma: int) -> tuple[float, ...]:
    """Kept over tried by position, over the rounds that drafted that far."""
    tried = [sum(sum(row[n:]) for k, row in kept.items() if k > n) for n in range(gamma)]
    passed = [sum(sum(row[n + 1 :]) for k, row in kept.items() if k > n) for n in range(gamma)]
    return tuple(p / t for p, t in zip(passed, tried, strict=True) if t)


def _tau(rows: dict[int, list[int]]) -> float:
    rounds = sum(map(sum, rows.values()))
    return 1.0 + sum(n * v for row in rows.values() for n, v in enumerate(row)) / rounds
