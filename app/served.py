"""What does a sweep over servers say, and what would other drafts do? JSON-ready; no printing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from measurements import (
    MeasuredPredicted,
    RecordError,
    ServedSetting,
    ServedWave,
    ServerRecord,
)
from simulator import (
    RoundLine,
    ServedRounds,
    fit_round_line,
    fit_step_seconds,
    lookup_windows,
    served_rounds,
    wave_seconds,
)

if TYPE_CHECKING:
    from profiler.server_trace import ServedTrace


@dataclass(frozen=True)
class Point:
    """Measured rounds of one server with so many sequences in them.

    Attributes
    ----------
    num_draft_tokens : int
        Of the server; 0 without speculation. [tokens]
    active : int
        [sequences]
    drafted : float
        Per sequence and round. [tokens]
    seconds : float
        [s]
    rounds : int
        How many waves of that size took.
    """

    num_draft_tokens: int
    active: int
    drafted: float
    seconds: float
    rounds: int


@dataclass(frozen=True)
class Fitted:
    """Times of rounds with drafts and without.

    Attributes
    ----------
    line : RoundLine or None
        None where fewer than two numbers of drafts were measured.
    plain : RoundLine or None
        Flat; None where no server decoded without drafts.
    num_draft_tokens : tuple of int
        What the line was fitted to. [tokens]
    """

    line: RoundLine | None
    plain: RoundLine | None
    num_draft_tokens: tuple[int, ...]


def points(waves: Iterable[ServedWave]) -> list[Point]:
    """Times of rounds by server and sequences in them, ascending."""
    servers: dict[int, list[ServedWave]] = {}
    for wave in waves:
        servers.setdefault(wave.num_draft_tokens, []).append(wave)
    found = []
    for drafts, mine in sorted(servers.items()):
        steps = [_steps(wave) for wave in mine]
        total = sum(float(part.sum()) for part in steps)
        drafted = sum(wave.drafted for wave in mine) / total
        active, seconds = fit_step_seconds(steps, [_decode_seconds(wave) for wave in mine])
        for number, typical in zip(active.tolist(), seconds.tolist(), strict=True):
            rounds = sum(float(part.max()) for part in steps if part.size == number)
            found.append(Point(drafts, number, drafted, typical, round(rounds)))
    return found


def fitted(measured: Sequence[Point]) -> Fitted:
    """Lines through the points."""
    drafting = [p for p in measured if p.num_draft_tokens]
    plain = [p for p in measured if not p.num_draft_tokens]
    lengths = tuple(sorted({p.num_draft_tokens for p in drafting}))
    line = None
    if len(lengths) >= 2:
        line = fit_round_line(
            [p.active for p in drafting], [p.drafted for p in drafting],
            [p.seconds for p in drafting],
        )  # fmt: skip
    flat = None
    if plain:
        active = np.array([p.active for p in plain])
        seconds = np.array([p.seconds for p in plain])
        flat = RoundLine(active, seconds, np.zeros_like(seconds))
    return Fitted(line, flat, lengths)


def summary(record: ServerRecord) -> dict[str, Any]:
    """Rows by server and batch, times of rounds, and the fit."""
    measured = points(record.waves)
    fit = fitted(measured)
    return {
        "servers": [_row(record, *key) for key in _keys(record)],
        "rounds": [
            {
                "num_draft_tokens": p.num_draft_tokens, "sequences": p.active,
                "drafted": p.drafted, "seconds": p.seconds, "rounds": p.rounds,
            }
            for p in measured
        ],
        "fit": None if fit.line is None else _fit_rows(fit.line, fit.plain),
    }  # fmt: skip


def foretold(
    record: ServerRecord, profile: ServerRecord, trace: ServedTrace, texts: Sequence[str]
) -> list[ServedSetting]:
    """Every speculating server of a record beside what a profile and a trace say of it.

    Parameters
    ----------
    record : ServerRecord
        The measured.
    profile : ServerRecord
        Measured before, with two numbers of drafts and without.
    trace : ServedTrace
        Our own, of the record's prompts.
    texts : sequence of str
        Digest of what each text of the trace begins with, as long as an answer.

    Raises
    ------
    RecordError
        If the profile cannot foretell: one number of drafts, no plain server, fewer sequences.
    """
    fit = fitted(points(profile.waves))
    try:
        return [
            _setting(record, fit, trace, texts, drafts, batch)
            for drafts, batch in _keys(record)
            if drafts
        ]
    except ValueError as error:
        raise RecordError(Path(f"{profile.id}.json"), str(error)) from None


def _setting(
    record: ServerRecord,
    fit: Fitted,
    trace: ServedTrace,
    texts: Sequence[str],
    drafts: int,
    batch: int,
) -> ServedSetting:
    if fit.line is None or fit.plain is None:
        raise ValueError(
            "a prediction needs servers of two numbers of drafts and a plain one, not of"
            f" {', '.join(map(str, fit.num_draft_tokens))} alone"
        )
    wanted = record.new_tokens - 1
    windows = lookup_windows(
        np.minimum(trace.kept, drafts), np.minimum(trace.proposed, drafts), trace.lengths
    )
    rounds = served_rounds(windows, drafts, wanted)
    step_seconds = fit.line.seconds(rounds.drafted_per_step, batch)
    plain_seconds = fit.plain.seconds(0, batch)
    units = _paired(record, drafts, batch)
    mine = [wave for wave, _ in units]
    told = [_wave_seconds(rounds, wave, step_seconds) for wave in mine]
    plain_told = wanted * float(plain_seconds[-1])
    tokens = batch * wanted * len(mine)
    measured = [_decode_seconds(wave) for wave in mine]
    spread = _speedup(units)
    foretold_speedup = batch * plain_told * len(told) / sum(told)
    seen = _counted(mine)
    same = {answer.prompt: answer.text_sha256 == texts[answer.prompt]
            for wave in mine for answer in wave.answers}  # fmt: skip
    return ServedSetting(
        num_draft_tokens=drafts,
        batch=batch,
        units=len(mine),
        tau=MeasuredPredicted(measured=seen.tau, predicted=rounds.tau),
        survival_measured=seen.survival.tolist(),
        survival_predicted=rounds.survival.tolist(),
        seconds_per_token=MeasuredPredicted(
            measured=sum(measured) / tokens, predicted=sum(told) / tokens
        ),
        speedup=None if spread is None else MeasuredPredicted(
            measured=spread["median"], predicted=foretold_speedup,
            low=spread["low"], high=spread["high"],
        ),
        texts_as_traced=sum(same.values()),
        extrapolated=not fit.num_draft_tokens[0] <= drafts <= fit.num_draft_tokens[-1],
    )  # fmt: skip


def _wave_seconds(rounds: ServedRounds, wave: ServedWave, step_seconds: Any) -> float:
    """Decode time of a wave's answers together. [s]"""
    steps = rounds.steps[[answer.prompt for answer in wave.answers]]
    return wave_seconds(steps, step_seconds)


def _paired(
    record: ServerRecord, drafts: int, batch: int
) -> list[tuple[ServedWave, ServedWave | None]]:
    """Waves of one server, each with the plain server's of the same unit."""
    plain = {w.unit: w for w in record.waves if not w.num_draft_tokens and w.batch == batch}
    return [
        (wave, plain.get(wave.unit))
        for wave in record.waves
        if (wave.num_draft_tokens, wave.batch) == (drafts, batch)
    ]


def _speedup(
    units: Sequence[tuple[ServedWave, ServedWave | None]],
) -> dict[str, float] | None:
    """Decode time of the plain server over this one's, with its 90 % interval over the units."""
    from profiler.ratios import ratio_spread

    paired = [
        (_decode_seconds(plain), _decode_seconds(wave))
        for wave, plain in units
        if plain is not None
    ]
    return ratio_spread([p for p, _ in paired], [own for _, own in paired]) if paired else None


def _row(record: ServerRecord, drafts: int, batch: int) -> dict[str, Any]:
    units = _paired(record, drafts, batch)
    waves = [wave for wave, _ in units]
    tokens = batch * (record.new_tokens - 1) * len(waves)
    first = [answer.arrivals_s[0] - answer.sent_s for w in waves for answer in w.answers]
    spans = [max(answer.arrivals_s[-1] for answer in wave.answers) for wave in waves]
    counted = _counted(waves)
    return {
        "num_draft_tokens": drafts,
        "batch": batch,
        "waves": len(waves),
        "tokens_per_s": median(batch * record.new_tokens / span for span in spans),
        "seconds_to_first_token": median(first),
        "seconds_per_token": sum(map(_decode_seconds, waves)) / tokens,
        "speedup": _speedup(units) if drafts else None,
        "tau": counted.tau if drafts else None,
        "survival": counted.survival.tolist(),
        "rounds_counted": int(counted.drafts),
        "rounds_seen": int(counted.steps.sum()),
    }


def _counted(waves: Sequence[ServedWave]) -> ServedRounds:
    """What a server's counters and pieces say over waves."""
    steps = [float(len(answer.sizes) - 1) for wave in waves for answer in wave.answers]
    accepted = np.sum([wave.accepted_by_position for wave in waves], axis=0, dtype=float)
    return ServedRounds(
        np.array(steps), float(sum(w.drafts for w in waves)),
        float(sum(w.drafted for w in waves)), accepted,
    )  # fmt: skip


def _fit_rows(line: RoundLine, plain: RoundLine | None) -> list[dict[str, Any]]:
    rows = []
    known = {} if plain is None else dict(zip(plain.active, plain.fixed_seconds, strict=True))
    for place, active in enumerate(line.active):
        alone = known.get(active)
        fixed = float(line.fixed_seconds[place])
        rows.append(
            {
                "sequences": int(active),
                "fixed_seconds": fixed,
                "draft_token_seconds": float(line.draft_seconds[place]),
                "exponent": line.exponent,
                "plain_step_seconds": None if alone is None else float(alone),
                "speculating_seconds": None if alone is None else fixed - float(alone),
            }
        )
    return rows


def _decode_seconds(wave: ServedWave) -> float:
    """Of a wave's answers together, their first tokens' waits excluded. [s]

    By the server's own clock where it tells: pieces reach a busy client late and together.
    """
    if wave.decode_s is not None:
        return wave.decode_s
    return sum(answer.arrivals_s[-1] - answer.arrivals_s[0] for answer in wave.answers)


def _steps(wave: ServedWave) -> NDArray[np.float64]:
    """Of each answer, its prefill's excluded. [rounds]

    Pieces that came together were several rounds: without drafts every token is one, with them
    the server counts how many there were.
    """
    if not wave.num_draft_tokens:
        return np.array([sum(answer.sizes[1:]) for answer in wave.answers], dtype=np.float64)
    seen = np.array([len(answer.sizes) - 1 for answer in wave.answers], dtype=np.float64)
    return seen * max(wave.drafts / seen.sum(), 1.0)


def _keys(record: ServerRecord) -> list[tuple[int, int]]:
    return sorted({(wave.num_draft_tokens, wave.batch) for wave in record.waves})
