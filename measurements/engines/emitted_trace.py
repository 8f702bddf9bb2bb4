"""Acceptance traces: how many tokens would a round emit that starts here?

JSONL, one line per request: a list of whole numbers, or an object with one
under ``emitted`` (or another key, if it is the only list). What such a line
counts differs between tools, so it has to be said. Walking along it gives the
rounds that decoding would have had.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from measurements.engines.reading import choose, counts, make_report, read_text
from measurements.engines.report import EngineReport, hazards_from_counts
from measurements.files import RecordError

DEFINITIONS = {
    "with-bonus": "tokens emitted by a round that starts here, recovered or bonus token counted",
    "without-bonus": "drafts kept by a round that starts here",
}


def read(paths: Sequence[Path], definition: str | None) -> tuple[EngineReport, ...]:
    """One report per file, with the trace kept.

    Raises
    ------
    RecordError
        If a line is no such list, or the definition was not said.
    """
    why = "does not say whether it counts the bonus token"
    meaning = choose(paths[0], definition, DEFINITIONS, why)
    return tuple(_report(path, meaning) for path in paths)


def _report(path: Path, meaning: str) -> EngineReport:
    more = 0 if meaning == "with-bonus" else 1
    requests: list[tuple[int, ...]] = []
    for place, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            values = _values(path, place, line)
            lowest = 1 - more
            requests.append(
                tuple(n + more for n in counts(path, {"emitted": values}, "emitted",
                                               f"line {place}", lowest))
            )  # fmt: skip
    if not requests:
        raise RecordError(path, "is empty")
    walked = [_walk(each) for each in requests]
    rounds = [n for each in walked for n in each]
    longest = max(max(each) for each in requests)
    kept = [rounds.count(n + 1) for n in range(longest)]
    return make_report(
        path,
        format="emitted-trace",
        definition=DEFINITIONS[meaning] + "; tau from walking along each request",
        tau=sum(rounds) / len(rounds),
        num_draft_tokens=longest - 1,
        hazards=hazards_from_counts(kept),
        rounds=len(rounds),
        accepted_tokens=sum(rounds) - len(rounds),
        tokens=sum(map(len, requests)),
        num_requests=len(requests),
        mean_of_requests=sum(sum(w) / len(w) for w in walked) / len(walked),
        emitted=tuple(requests),
        notes=(
            "num_draft_tokens is the longest round seen, less one",
            "a round that would pass the end of its request counts what the trace says",
        ),
    )


def _values(path: Path, place: int, line: str) -> list[object]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise RecordError(path, f"line {place} is truncated or no JSON: {error.msg}") from None
    if isinstance(row, dict):
        lists = [key for key, value in row.items() if isinstance(value, list)]
        if "emitted" not in row and len(lists) != 1:
            raise RecordError(
                path, f"line {place} must have a list 'emitted', or one list, not {len(lists)}"
            )
        row = row.get("emitted", row[lists[0]] if lists else None)
    if not isinstance(row, list) or not row:
        raise RecordError(path, f"line {place} must be a list of >= 1 number, or hold one")
    return row


def _walk(emitted: tuple[int, ...]) -> list[int]:
    """What the rounds of one request emit, the first starting at its first token."""
    start, rounds = 0, list[int]()
    while start < len(emitted):
        rounds.append(emitted[start])
        start += emitted[start]
    return rounds
