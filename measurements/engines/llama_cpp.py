"""llama.cpp's server log: what did each task's drafts come to?

Lines of ``print_timings`` in tools/server: since pull request 24536 (2026-06)
``draft acceptance = R (A accepted / G generated), mean len = L``, with the
rates by position at trace level; before it ``draft acceptance rate = R (...)``
without a mean, from which only the rate over all steps can be had.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measurements.engines.reading import agree, make_report, read_text
from measurements.engines.report import EngineReport, hazards_from_survival
from measurements.files import RecordError

NEW = (
    "mean len: 1 + accepted / steps that verified a draft: the bonus token counts, steps without a"
    " draft do not; by position: accepted there / those steps"
)
OLD = (
    "draft acceptance rate: accepted / generated drafts; here tau is over all steps, those without"
    " a draft included: (tokens - 1) / (tokens - 1 - accepted)"
)
_EVAL = re.compile(r"(?<!prompt )\beval time =\s*([\d.]+) ms /\s*(\d+) (?:tokens|runs)")
_DRAFT = re.compile(
    r"draft acceptance (rate )?= ([\d.]+) \(\s*(\d+) accepted /\s*(\d+) generated\)"
    r"(?:, mean (?:len|acceptance length) =\s*([\d.]+))?"
)
_POSITIONS = re.compile(r"(?:acc per pos|acceptance rate per position) = \(([^)]*)(\)?)")
_STARTS = ("draft acceptance =", "draft acceptance rate =")


@dataclass(frozen=True)
class _Task:
    """Seconds and tokens of a task, drafts kept and made, mean length and rates if printed."""

    line: int
    seconds: float
    tokens: int
    accepted: int
    drafted: int
    mean: float | None
    rates: tuple[float, ...]


def read(paths: Sequence[Path], definition: str | None) -> tuple[EngineReport, ...]:
    """One report per log.

    Raises
    ------
    RecordError
        If a log has no such line, one is cut, or old and new lines are mixed.
    """
    if definition is not None:
        raise RecordError(paths[0], "states its definition: leave out --definition")
    return tuple(_report(path) for path in paths)


def _report(path: Path) -> EngineReport:
    tasks = _tasks(path)
    if not tasks:
        raise RecordError(path, "holds no line 'draft acceptance = ...', needs >= 1")
    dated = {task.mean is not None for task in tasks}
    if len(dated) > 1:
        raise RecordError(path, "mixes lines with and without 'mean len': two versions in one log")
    seconds, tokens = sum(t.seconds for t in tasks), sum(t.tokens for t in tasks)
    accepted, drafted = sum(t.accepted for t in tasks), sum(t.drafted for t in tasks)
    common = {
        "format": "llama.cpp",
        "drafted_tokens": drafted,
        "accepted_tokens": accepted,
        "tokens": tokens,
        "num_requests": len(tasks),
        "seconds_per_output_token": seconds / tokens,
        "engine": "llama.cpp",
    }
    plain = [t.tokens - 1 - t.accepted for t in tasks]  # the first token is prefill's
    if False in dated:
        steps = sum(plain)
        return make_report(
            path,
            **common,
            definition=OLD,
            tau=(steps + accepted) / steps,
            notes=("acceptance by position and the draft length are not printed",),
        )
    rounds = [_rounds(path, t) for t in tasks]
    total = sum(rounds)
    hazards = _hazards(path, tasks, rounds)
    gamma = len(tasks[0].rates) or (drafted // total if drafted % total == 0 else None)
    without = sum(plain) - total
    return make_report(
        path,
        **common,
        definition=NEW,
        tau=1.0 + accepted / total,
        num_draft_tokens=gamma,
        hazards=hazards,
        rounds=total,
        mean_of_requests=sum(t.mean or 1.0 for t in tasks) / len(tasks),
        round_seconds=seconds / sum(plain),
        lengths_vary=gamma is not None and drafted < total * gamma,
        notes=(
            f"{without} of {sum(plain)} steps had no draft",
            "steps are found from a mean printed with two decimals",
        ),
    )


def _tasks(path: Path) -> list[_Task]:
    tasks: list[_Task] = []
    timed: tuple[float, int] | None = None
    for place, line in enumerate(read_text(path).splitlines(), 1):
        if found := _EVAL.search(line):
            timed = 1e-3 * float(found[1]), int(found[2])
        if any(start in line for start in _STARTS):
            draft = _DRAFT.search(line)
            if draft is None:
                raise RecordError(path, f"line {place} is truncated: {line.strip()[-60:]!r}")
            tasks.append(_task(path, place, draft, timed))
            timed = None
        if tasks and (rates := _POSITIONS.search(line)) and "statistics" not in line:
            last = tasks[-1]
            if not rates[2]:
                raise RecordError(path, f"line {place} is truncated: {line.strip()[-60:]!r}")
            values = tuple(float(v) for v in rates[1].split(","))
            tasks[-1] = _Task(
                last.line, last.seconds, last.tokens, last.accepted, last.drafted, last.mean, values
            )
    return tasks


def _task(path: Path, place: int, draft: re.Match[str], timed: tuple[float, int] | None) -> _Task:
    where = f"line {place}"
    accepted, drafted = int(draft[3]), int(draft[4])
    if timed is None:
        raise RecordError(path, f"{where} has no 'eval time' line before it")
    if not 0 <= accepted <= drafted or not drafted:
        raise RecordError(path, f"{where}: accepted must be in [0, {drafted}], not {accepted}")
    if (draft[1] is None) != (draft[5] is not None):
        raise RecordError(path, f"{where} is truncated: {draft[0]!r} is of no known version")
    agree(path, where, "draft acceptance", float(draft[2]), accepted / drafted)
    if timed[1] - 1 - accepted < 1:
        raise RecordError(
            path, f"{where}: {accepted} accepted do not fit into {timed[1]} generated tokens"
        )
    mean = None if draft[5] is None else float(draft[5])
    return _Task(place, *timed, accepted, drafted, mean, ())


def _rounds(path: Path, task: _Task) -> int:
    """Steps that verified a draft, from the printed mean."""
    if not task.accepted or task.mean is None:
        return task.tokens - 1  # nothing kept: every step emitted one token
    if task.mean <= 1:
        raise RecordError(
            path, f"line {task.line}: mean len must be > 1 with {task.accepted} accepted"
        )
    rounds = round(task.accepted / (task.mean - 1.0))
    if not 1 <= rounds <= task.tokens - 1 - task.accepted + 1:
        most = task.tokens - task.accepted
        raise RecordError(
            path,
            f"line {task.line}: mean len {task.mean:g} means {rounds} steps, of {most} at most",
        )
    return rounds


def _hazards(path: Path, tasks: list[_Task], rounds: list[int]) -> tuple[float, ...] | None:
    """From the rates by position, each task weighted by its steps; None unless all print them."""
    sizes = {len(task.rates) for task in tasks}
    if 0 in sizes:
        return None
    if len(sizes) > 1:
        raise RecordError(path, f"mixes tasks with {sorted(sizes)} positions")
    total = sum(rounds)
    survival = [
        sum(n * task.rates[i] for task, n in zip(tasks, rounds, strict=True)) / total
        for i in range(sizes.pop())
    ]
    try:
        return hazards_from_survival(survival)
    except ValueError as error:
        raise RecordError(path, str(error)) from None
