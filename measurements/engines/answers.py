"""Spec-Bench, EAGLE and Medusa: answer files with what every step accepted.

One line per question, ``choices`` with ``new_tokens``, ``wall_time`` and
``accept_lengths`` (Spec-Bench ``evaluation/eval.py``; EAGLE and Medusa
``gen_*_answer*.py``, read 2026-11). Forks disagree on two things, and neither
is guessed: whether ``accept_lengths`` counts the bonus token, told from
``new_tokens`` where possible, and whether ``idxs`` holds steps or the last
step's index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measurements.engines.reading import Row, as_row, choose, counts, make_report, read_lines
from measurements.engines.report import EngineReport, hazards_from_counts
from measurements.files import RecordError

BONUS = {
    "with-bonus": "accept_lengths holds tokens emitted per step, as Spec-Bench writes",
    "without-bonus": "accept_lengths holds drafts kept per step",
}
STEPS = {
    "idxs-last": "idxs holds the last step's index, from 0, as EAGLE and Medusa write",
    "idxs-steps": "idxs holds the number of steps",
}
WORDS = {
    "with-bonus": "accept_lengths: tokens emitted per step, the bonus token counts",
    "without-bonus": "accept_lengths: drafts kept per step, without the bonus token; here + 1",
    "idxs-last": "new_tokens / (idxs + 1): all tokens over all steps, the bonus token counts",
    "idxs-steps": "new_tokens / idxs: all tokens over all steps, the bonus token counts",
    "steps": "new_tokens / decoding_steps: all tokens over all steps, the bonus token counts",
}
SLACK = 1
"""The first token, from prefill, is in new_tokens or not. [tokens per turn]"""


@dataclass(frozen=True)
class _Answer:
    """One choice: tokens, seconds and steps of its turns, and what its steps accepted."""

    place: str
    tokens: list[int]
    seconds: float
    steps: list[int] | None
    last_index: list[int] | None
    accepted: list[int] | None


def read(paths: Sequence[Path], definition: str | None) -> tuple[EngineReport, ...]:
    """One report per file.

    Raises
    ------
    RecordError
        If a line lacks the fields, its counts contradict each other, or it could
        mean two things and none was named.
    """
    return tuple(_report(path, definition) for path in paths)


def _report(path: Path, definition: str | None) -> EngineReport:
    answers, models = list[_Answer](), set[str]()
    for where, row in read_lines(path):
        models.add(str(row.get("model_id")))
        choices = row.get("choices")
        if not isinstance(choices, list) or not choices:
            raise RecordError(path, f"{where}: 'choices' must be a list of >= 1, not {choices!r}")
        answers += [_answer(path, where, as_row(path, c, where)) for c in choices]
    if len(models) > 1:
        raise RecordError(path, f"mixes runs of {', '.join(sorted(models))}: import them apart")
    recorded = [a.accepted is not None for a in answers]
    if any(recorded) != all(recorded):
        place = answers[recorded.index(False)].place
        raise RecordError(path, f"{place} lacks 'accept_lengths', which other lines have")
    tokens, seconds = sum(sum(a.tokens) for a in answers), sum(a.seconds for a in answers)
    common = {
        "format": "answers",
        "tokens": tokens,
        "num_requests": len(answers),
        "tokens_per_second": tokens / seconds if seconds else None,
        "seconds_per_output_token": seconds / tokens if seconds else None,
        "batch": 1.0,
        "model": models.pop(),
    }
    if not recorded[0]:
        return _from_steps(path, answers, definition, common)
    meaning = _meaning(path, answers, definition)
    less = 1 if meaning == "with-bonus" else 0
    kept = [n - less for a in answers for n in a.accepted or ()]
    if min(kept) < 0:
        raise RecordError(path, "'accept_lengths' must be >= 1 where it counts the bonus, not 0")
    by_kept = [kept.count(n) for n in range(max(kept) + 1)]
    taus = [1 - less + sum(a.accepted) / len(a.accepted) for a in answers if a.accepted]
    return make_report(
        path,
        **common,
        definition=WORDS[meaning],
        tau=1.0 + sum(kept) / len(kept),
        num_draft_tokens=max(kept),
        hazards=hazards_from_counts(by_kept),
        rounds=len(kept),
        accepted_tokens=sum(kept),
        mean_of_requests=sum(taus) / len(taus),
        notes=(
            "num_draft_tokens is the longest round seen, less one; the method may draft a tree, and"
            " then acceptance by position is by depth",
            "seconds include prefill",
        ),
    )  # fmt: skip


def _answer(path: Path, where: str, row: Row) -> _Answer:
    tokens = counts(path, row, "new_tokens", where)
    seconds = row.get("wall_time", [])
    if not isinstance(seconds, list) or not all(isinstance(s, int | float) for s in seconds):
        raise RecordError(path, f"{where}: 'wall_time' must be a list of seconds")
    accepted = counts(path, row, "accept_lengths", where) if "accept_lengths" in row else None
    if accepted == []:
        raise RecordError(path, f"{where}: 'accept_lengths' must hold >= 1 step, not 0")
    steps = counts(path, row, "decoding_steps", where) if "decoding_steps" in row else None
    last = counts(path, row, "idxs", where) if "idxs" in row else None
    if accepted is not None and steps is not None and sum(steps) != len(accepted):
        raise RecordError(
            path,
            f"{where}: 'accept_lengths' holds {len(accepted)} steps, 'decoding_steps' {sum(steps)}:"
            " truncated",
        )
    if accepted is None and steps is None and last is None:
        raise RecordError(path, f"{where} lacks 'accept_lengths', 'decoding_steps' and 'idxs'")
    return _Answer(where, tokens, float(sum(seconds)), steps, last, accepted)


def _meaning(path: Path, answers: list[_Answer], definition: str | None) -> str:
    """Which of the two accept_lengths are: their sum is new_tokens, or it lacks one per step."""
    fits = {name for name in BONUS if all(_fits(a, name) for a in answers)}
    if definition is not None:
        choose(path, definition, BONUS, "")
        if fits and definition not in fits:
            raise RecordError(
                path, f"'accept_lengths' add up to 'new_tokens' only {fits.pop()}: not {definition}"
            )
        return definition
    if len(fits) == 1:
        return fits.pop()
    why = "has 'accept_lengths' that 'new_tokens' does not explain one way"
    return choose(path, None, BONUS, why)


def _fits(answer: _Answer, meaning: str) -> bool:
    accepted = answer.accepted or []
    emitted = sum(accepted) + (len(accepted) if meaning == "without-bonus" else 0)
    return abs(emitted - sum(answer.tokens)) <= SLACK * len(answer.tokens)


def _from_steps(
    path: Path, answers: list[_Answer], definition: str | None, common: dict[str, object]
) -> EngineReport:
    if all(a.steps is not None for a in answers):
        if definition is not None:
            raise RecordError(path, "states its steps: leave out --definition")
        meaning, steps = "steps", [sum(a.steps or ()) for a in answers]
    elif all(a.last_index is not None for a in answers):
        meaning = choose(path, definition, STEPS, "has 'idxs', which forks write two ways")
        more = 1 if meaning == "idxs-last" else 0
        steps = [sum(i + more for i in a.last_index or ()) for a in answers]
    else:
        raise RecordError(path, "mixes lines with 'decoding_steps' and with 'idxs'")
    if min(steps) < 1:
        raise RecordError(path, f"steps of an answer must be >= 1, not {min(steps)}")
    tokens = sum(sum(a.tokens) for a in answers)
    each = [sum(a.tokens) / n for a, n in zip(answers, steps, strict=True)]
    return make_report(
        path,
        **common,
        definition=WORDS[meaning],
        tau=tokens / sum(steps),
        rounds=sum(steps),
        mean_of_requests=sum(each) / len(each),
        notes=("acceptance by position and the draft length are not recorded",),
    )
