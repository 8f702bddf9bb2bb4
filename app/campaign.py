"""What do the validation records of a campaign say together? No drawing, no printing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from app.stage_groups import GROUP_LABELS, GROUPS, grouped
from app.words import percent
from measurements import SettingRow, ValidationRecord

WRONG = 0.05
"""Errors of a speedup beyond this are explained one by one."""
LEVELS = ("L0", "L1", "L2")


@dataclass(frozen=True)
class MethodErrors:
    """Errors of one method over all its settings, relative. [unitless]

    ``tau_same_texts`` is the median error of tokens per round along the texts behind the very
    prompts that were decoded: what is left of it is the model's, or the coins of a decode.
    """

    method: str
    settings: int
    median: dict[str, float]
    worst: dict[str, float]
    bias: float
    tau_same_texts: float


@dataclass(frozen=True)
class Wrong:
    """A setting whose speedup was foretold wrongly, and the term to blame."""

    prompts: str
    sampling: str
    method: str
    parameters: dict[str, int | float | str]
    error: float
    term: str
    share: float
    explanation: str


@dataclass(frozen=True)
class Verdict:
    """Over all settings of all records.

    Attributes
    ----------
    settings : int
    median, p95, worst, bias, coverage : float
        Of the speedup at L2, with times of rounds taken between the decodes. [unitless]
    foretold : dict
        The same figures with the profile's own times, fixed before anything was decoded.
    tau_other_prompts, tau_same_texts : dict
        Median, 95th percentile and worst error of tokens per round: foretold from the
        profiled prompts, and replayed on the texts behind the decoded ones.
    rounds_equal : tuple of int
        At temperature 0: prompts whose rounds were replayed exactly, of how many.
    by_method : tuple of MethodErrors
    by_sampling : dict of str to dict
        Median error and bias of L2 by sampling.
    wrong : tuple of Wrong
        Largest error first.
    """

    settings: int
    median: float
    p95: float
    worst: float
    bias: float
    coverage: float
    foretold: dict[str, float]
    tau_other_prompts: dict[str, float]
    tau_same_texts: dict[str, float]
    rounds_equal: tuple[int, int]
    by_method: tuple[MethodErrors, ...]
    by_sampling: dict[str, dict[str, float]]
    wrong: tuple[Wrong, ...]

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The figures in sentences."""
        before, other, same = self.foretold, self.tau_other_prompts, self.tau_same_texts
        equal, prompts = self.rounds_equal
        return [
            f"{self.settings} settings on prompts that were not profiled. Speedup, L2: median "
            f"error {percent(self.median)}, 95th percentile {percent(self.p95)}, worst "
            f"{percent(self.worst)}, bias {percent(self.bias)}; {percent(self.coverage, 0)} of "
            "measured values in the 90 % interval.",
            f"With the profile's own times, fixed before the first decode: median "
            f"{percent(before['median'])}, 95th percentile {percent(before['p95'])}, bias "
            f"{percent(before['bias'])}, {percent(before['coverage'], 0)} in the interval.",
            f"Tokens per round foretold from other prompts: median error "
            f"{percent(other['median'])}, worst {percent(other['worst'])}; replayed on the texts "
            f"behind the decoded prompts: {percent(same['median'])}, {percent(same['worst'])}; at "
            f"temperature 0 rounds are equal on {equal} of {prompts} prompts.",
            *(
                f"{label}: median {percent(row['median'])}, bias {percent(row['bias'])}, tokens "
                f"per round {percent(row['tau'])}"
                for label, row in self.by_sampling.items()
            ),
        ]


def verdict(records: Sequence[ValidationRecord]) -> Verdict:
    """Errors over all records together.

    Raises
    ------
    ValueError
        If there is no record, or records are of different machines, pairs or dtypes.
    """
    if not records:
        raise ValueError("a campaign needs at least 1 record, not 0")
    for name in ("machine", "target", "draft", "dtype"):
        found = {repr(_comparable(record, name)) for record in records}
        if len(found) > 1:
            raise ValueError(f"records differ in {name}: {'; '.join(sorted(found))}")
    rows = [(record, row) for record in records for row in record.settings]
    settings = [row for _, row in rows]
    errors = np.array([_error(row) for row in settings])
    same = [row for row in settings if row.rounds.same_texts]
    return Verdict(
        settings=len(settings),
        **_spread(errors),
        coverage=coverage(settings),
        foretold=_foretold(settings),
        tau_other_prompts=_spread_of_tau([row.tau.L2 / row.tau.measured - 1 for row in settings]),
        tau_same_texts=_spread_of_tau([_own_tau_error(row) for row in same]),
        rounds_equal=_rounds_equal(same),
        by_method=tuple(
            _method(name, settings) for name in dict.fromkeys(r.method for r in settings)
        ),
        by_sampling={label: _sampling(label, settings) for label in _labels(settings)},
        wrong=tuple(
            sorted(
                (_wrong(record, row) for record, row in rows if abs(_error(row)) > WRONG),
                key=lambda case: -abs(case.error),
            )
        ),
    )


def _comparable(record: ValidationRecord, name: str) -> object:
    value = getattr(record, name)
    return value.slug if name == "machine" else getattr(value, "name", value)


def _error(row: SettingRow, level: str = "L2") -> float:
    return float(getattr(row.speedup, level) / row.speedup.measured - 1)


def _own_tau_error(row: SettingRow) -> float:
    """Tokens per round replayed on the decoded prompts' own texts, against measured."""
    return row.rounds.measured / row.rounds.L2 - 1


def _spread(errors: np.ndarray) -> dict[str, float]:
    return {
        "median": float(np.median(np.abs(errors))),
        "p95": float(np.quantile(np.abs(errors), 0.95)),
        "worst": float(np.abs(errors).max()),
        "bias": float(errors.mean()),
    }


def _spread_of_tau(errors: Sequence[float]) -> dict[str, float]:
    return (
        _spread(np.array(errors))
        if errors
        else dict.fromkeys(("median", "p95", "worst", "bias"), 0.0)
    )


def _covered(row: SettingRow, predicted: float) -> bool:
    """Whether the measured value lies in the interval, moved to this prediction."""
    s = row.speedup
    scale = predicted / s.L2
    return s.L2_low * scale <= s.measured <= s.L2_high * scale


def place_in_interval(row: SettingRow) -> float:
    """Where the measured speedup lies in its predicted interval.

    0 is the prediction, -1 and 1 are the ends; an interval of no width holds its own value only.
    [unitless]
    """
    s = row.speedup
    off = s.measured - s.L2
    half = s.L2_high - s.L2 if off > 0 else s.L2 - s.L2_low
    if off == 0:
        return 0.0
    return off / half if half > 0 else math.copysign(math.inf, off)


def coverage(settings: Sequence[SettingRow]) -> float:
    """Share of measured speedups inside their predicted 90 % interval. [unitless]"""
    return float(np.mean([_covered(row, row.speedup.L2) for row in settings]))


def _foretold(settings: Sequence[SettingRow]) -> dict[str, float]:
    before = [(row, row.speedup.L2_profiled or row.speedup.L2) for row in settings]
    errors = np.array([predicted / row.speedup.measured - 1 for row, predicted in before])
    covered = float(np.mean([_covered(row, predicted) for row, predicted in before]))
    return {**_spread(errors), "coverage": covered}


def _rounds_equal(rows: Sequence[SettingRow]) -> tuple[int, int]:
    prompts = [p for row in rows if row.temperature == 0 for p in row.per_prompt]
    return sum(abs(p.num_rounds - p.predicted_rounds) < 1e-6 for p in prompts), len(prompts)


def _labels(settings: Sequence[SettingRow]) -> list[str]:
    return list(dict.fromkeys(row.sampling.label for row in settings))


def _method(name: str, settings: Sequence[SettingRow]) -> MethodErrors:
    mine = [row for row in settings if row.method == name]
    by_level = {level: np.abs([_error(row, level) for row in mine]) for level in LEVELS}
    return MethodErrors(
        name,
        len(mine),
        {level: float(np.median(errors)) for level, errors in by_level.items()},
        {level: float(errors.max()) for level, errors in by_level.items()},
        float(np.mean([_error(row) for row in mine])),
        float(np.median([abs(_own_tau_error(row)) for row in mine])),
    )


def _sampling(label: str, settings: Sequence[SettingRow]) -> dict[str, float]:
    mine = [row for row in settings if row.sampling.label == label]
    errors = np.array([_error(row) for row in mine])
    tau = np.median([abs(row.tau.L2 / row.tau.measured - 1) for row in mine])
    return {"median": _spread(errors)["median"], "bias": float(errors.mean()), "tau": float(tau)}


def terms(row: SettingRow) -> dict[str, float]:
    """The error of a setting's speedup by cause, 100 × log adding up to the whole (M9)."""
    prompts = row.error.log_tau_prompts or 0.0
    stages = grouped(row.error.log_round_by_stage)
    return {
        "other prompts": prompts,
        "tokens per round": row.error.log_tau - prompts,
        **{f"time of {GROUP_LABELS[group]}": stages[group] for group in GROUPS},
        "time of a plain step": row.error.log_autoregressive,
    }


def _wrong(record: ValidationRecord, row: SettingRow) -> Wrong:
    parts = terms(row)
    sign = 1.0 if row.error.log_speedup > 0 else -1.0
    term = max(parts, key=lambda name: sign * parts[name])
    return Wrong(
        record.prompts.name, row.sampling.label, row.method, dict(row.parameters), _error(row),
        term, parts[term], _explanation(term, row),
    )  # fmt: skip


def _explanation(term: str, row: SettingRow) -> str:
    tau, rounds = row.tau, row.rounds
    number = len(row.per_prompt)
    if term == "other prompts":
        own = sum(p.num_tokens for p in row.per_prompt) / rounds.L2
        return f"τ {tau.L2:.2f} on the profiled prompts, {own:.2f} on these {number}"
    if term == "tokens per round":
        return f"{rounds.L2:.0f} rounds replayed on these texts, {rounds.measured:.0f} decoded"
    seconds = row.round_seconds
    return (
        f"a round {1e3 * seconds['L2']:.2f} ms, decoded {1e3 * seconds['measured']:.2f} ms; a "
        f"plain step {100 * row.error.log_autoregressive:+.1f} %"
    )
