"""``vllm bench forward``: times of forwards over exact batches, without acceptance or sampling.

Keys of ``vllm/benchmarks/forward/main.py`` and ``capture.py`` (vLLM 0.33.0, read 2026-11).
A case is a list of requests; a verifying one has ``query_len == 1 + num_draft_tokens``. The time
is that of a replayed CUDA graph, the slowest rank's; the drafter's part is in it where one is
configured and not excluded, drafting as if everything had been accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measurements.engines.reading import Row, agree, as_row, count, number, read_lines
from measurements.files import RecordError

SCOPES = {"target_only": False, "target_and_drafter": True}


@dataclass(frozen=True)
class ForwardCase:
    """One timed decode step.

    Attributes
    ----------
    name : str
    batch : int
        Requests in the step. [sequences]
    num_tokens : int
        Per request: 1 for a plain step, γ + 1 for one that verifies. [tokens]
    context : float
        Mean number of tokens cached before the step. [tokens]
    seconds : float
        Median. [s]
    with_drafter : bool
        Whether drafting the next tokens is in the time.
    """

    name: str
    batch: int
    num_tokens: int
    context: float
    seconds: float
    with_drafter: bool


def is_forward(row: object) -> bool:
    """Whether an entry of a JSON list is one of this benchmark's."""
    return isinstance(row, dict) and {"case", "requests", "median_us"} <= row.keys()


def read_forwards(path: Path) -> tuple[ForwardCase, ...]:
    """Decode steps of equal requests in a result file; prefills and mixed batches are left out.

    Raises
    ------
    RecordError
        If a key is missing or wrong (names entry and key), or no such step is left.
    """
    found = [_case(path, where, row) for where, row in read_lines(path)]
    cases = tuple(case for case in found if case is not None)
    if not cases:
        raise RecordError(path, "has no case of equal decode requests, only prefills and mixtures")
    return cases


def _case(path: Path, where: str, row: Row) -> ForwardCase | None:
    if not is_forward(row):
        raise RecordError(path, f"{where} is no case of vllm bench forward: no 'median_us'")
    requests = _rows(path, row, "requests", where)
    ranks = _rows(path, row, "ranks", where)
    queries = [count(path, r, "query_len", where, 1) for r in requests]
    lengths = [count(path, r, "kv_len", where, 1) for r in requests]
    drafts = [count(path, r, "num_draft_tokens", where) for r in requests]
    before = [length - query for length, query in zip(lengths, queries, strict=True)]
    median = number(path, row, "median_us", where)
    latency = as_row(path, ranks[0].get("latency_us"), f"{where}: 'latency_us'")
    agree(path, where, "median_us", median, number(path, latency, "median", where))
    scope = ranks[0].get("timing_scope")
    if scope not in SCOPES:
        raise RecordError(
            path, f"{where}: 'timing_scope' must be one of {', '.join(SCOPES)}, not {scope!r}"
        )
    decodes = all(q == 1 + d for q, d in zip(queries, drafts, strict=True)) and min(before) > 0
    if not decodes or len(set(queries)) > 1:
        return None
    if not median > 0:
        raise RecordError(path, f"{where}: 'median_us' must be above 0, not {median:g}")
    return ForwardCase(
        name=str(row["case"]),
        batch=len(requests),
        num_tokens=queries[0],
        context=sum(before) / len(before),
        seconds=1e-6 * median,
        with_drafter=SCOPES[scope],
    )


def _rows(path: Path, row: Row, key: str, where: str) -> list[dict[str, Any]]:
    values = row.get(key)
    if not isinstance(values, list) or not values:
        raise RecordError(path, f"{where}: '{key}' must be a list of at least 1 object")
    return [dict(as_row(path, value, f"{where}: {key}[{n}]")) for n, value in enumerate(values)]
