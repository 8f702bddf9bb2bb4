"""What do engines' own runs with and without drafts say to do at each batch? No printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from app.exports.plan import schedule_ranges
from measurements.engines import EngineReport, survival_of_hazards
from simulator.served_choice import ServedRun, choose_by_batch
from simulator.served_schedule import BatchChoice, ServedPrediction, steady_schedule

SEED = 0
CONFIDENCE = 0.9


@dataclass(frozen=True)
class Decision:
    """A choice for every batch between the measured ones.

    Attributes
    ----------
    choices : tuple of BatchChoice
        Ascending.
    schedule : tuple of (int, int, int)
        First and last batch, and the drafts between. [sequences, tokens]
    reports : tuple of EngineReport
        What it was made from.
    """

    choices: tuple[BatchChoice, ...]
    schedule: tuple[tuple[int, int, int], ...]
    reports: tuple[EngineReport, ...]

    def drafts_at(self, batch: int) -> int:
        """Drafts that the schedule has for a batch; the first's and last's beyond its ends."""
        after = (g for _, last, g in self.schedule if batch <= last)
        return next(after, self.schedule[-1][2])

    def chosen(self, batch: int) -> ServedPrediction | None:
        """What is predicted of the schedule at a batch; None where it drafts nothing."""
        return self.setting(batch, self.drafts_at(batch))

    def setting(self, batch: int, drafts: int) -> ServedPrediction | None:
        """What is predicted of a number of drafts at a batch; None where nothing is."""
        each = (s for c in self.choices if c.batch == batch for s in c.settings)
        return next((s for s in each if s.num_draft_tokens == drafts), None)


def decidable(reports: Sequence[EngineReport]) -> bool:
    """Whether runs with and without drafts, timed at stated batches, are among the reports."""
    timed = [r for r in reports if r.batch is not None and r.seconds_per_output_token is not None]
    chains = [r for r in timed if r.speculative and r.hazards and not r.tree]
    plain = {r.batch for r in timed if not r.speculative}
    return any(r.batch in plain for r in chains)


def decide(reports: Sequence[EngineReport]) -> Decision:
    """The choice that runs of one engine and one model support.

    Raises
    ------
    ValueError
        If runs are of several models, one lacks what a choice needs, or none is plain.
    """
    models = sorted({r.model for r in reports if r.model is not None})
    if len(models) > 1:
        raise ValueError(f"runs are of {len(models)} models, {', '.join(models)}: one at a time")
    runs = [_run(report) for report in reports]
    choices = choose_by_batch(runs, np.random.default_rng(SEED), confidence=CONFIDENCE)
    ranges = schedule_ranges(steady_schedule(choices))
    before = choices[0].batch - 1
    schedule = tuple((low + before, high + before, g) for low, high, g in ranges)
    return Decision(choices, schedule, tuple(reports))


def pooled_survival(reports: Sequence[EngineReport], drafts: int) -> list[float]:
    """Drafts kept by position per round that drafted, of the runs with the next more drafts.

    Parameters
    ----------
    reports : sequence of EngineReport
        At least one that drafts as many.
    drafts : int, >= 1
        [tokens]
    """
    chains = [r for r in reports if r.hazards and r.num_draft_tokens and not r.tree]
    nearest = min(n for r in chains if (n := r.num_draft_tokens or 0) >= drafts)
    mine = [r for r in chains if r.num_draft_tokens == nearest]
    weights = [float(r.rounds or 1) for r in mine]
    return np.average([_survival(r) for r in mine], axis=0, weights=weights)[:drafts].tolist()


def compared(decision: Decision, reports: Sequence[EngineReport]) -> list[dict[str, Any]]:
    """What the chosen configuration did, beside what was predicted of it, JSON-ready by batch.

    A report whose drafts vary is of a schedule: its batch says how many drafts are meant. Runs
    without drafts among the reports give the measured speedup; without them it is left out.

    Raises
    ------
    ValueError
        If no run is of a batch and a number of drafts that were judged.
    """
    groups: dict[tuple[int, int], list[EngineReport]] = {}
    for report in reports:
        run = _run(report)
        drafts = run.num_draft_tokens
        if drafts and report.lengths_vary:
            drafts = decision.drafts_at(run.batch)
        groups.setdefault((run.batch, drafts), []).append(report)
    both = {report.speculative for report in reports} == {True, False}
    own = decide(reports) if both else None
    rows = []
    for (batch, drafts), mine in sorted(groups.items()):
        told = decision.setting(batch, drafts)
        if told is None:
            continue
        seconds, plain = _typical(mine), groups.get((batch, 0))
        speedup = None if plain is None else _typical(plain) / seconds
        seen = own and own.setting(batch, mine[0].num_draft_tokens or 0)
        rows.append(
            {
                "batch": batch,
                "num_draft_tokens": drafts,
                "runs": len(mine),
                "tau": {"measured": _tau(mine), "predicted": told.tau},
                "seconds_per_token": {
                    "measured": seconds,
                    "predicted": told.seconds_per_token,
                    "error": told.seconds_per_token / seconds - 1,
                },
                "speedup": {
                    "measured": speedup,
                    "measured_low": seen and seen.low,
                    "measured_high": seen and seen.high,
                    "predicted": told.speedup,
                    "low": told.low,
                    "high": told.high,
                    "error": None if speedup is None else told.speedup / speedup - 1,
                },
            }
        )
    if not rows:
        found = ", ".join(f"{g} drafts at batch {b}" for b, g in sorted(groups))
        raise ValueError(f"nothing was predicted of what was measured: {found}")
    return rows


def as_document(decision: Decision) -> dict[str, Any]:
    """Everything, JSON-ready; ``best`` and its rivals are those of the smallest batch."""
    rows = [_batch_row(decision, choice) for choice in decision.choices]
    first = rows[0]
    return {
        "best": None if first["advice"] == "do not speculate" else first["best"],
        "indistinguishable": first["indistinguishable"] or [],
        "pareto": [],
        "verdict": verdict(decision),
        "schedule": [list(part) for part in decision.schedule],
        "batches": rows,
    }


def verdict(decision: Decision) -> str:
    """What to do, by batch, in one line."""
    first, last = decision.choices[0].batch, decision.choices[-1].batch
    if all(g == 0 for _, _, g in decision.schedule):
        most = decision.choices[0].settings[-1].num_draft_tokens
        return (
            f"do not speculate: up to {most} drafts, nothing is faster at batch {first} to {last}"
        )
    return "; ".join(_part(decision, *part) for part in decision.schedule)


def _part(decision: Decision, low: int, high: int, drafts: int) -> str:
    where = f"batch {low}" if low == high else f"batch {low} to {high}"
    if not drafts:
        return f"{where}: do not speculate"
    ends = [s for b in dict.fromkeys((low, high)) if (s := decision.chosen(b)) is not None]
    speeds = " to ".join(_speed(s) for s in ends)
    advice = {c.advice for c in decision.choices if low <= c.batch <= high}
    doubt = ", which cannot be told from plain decoding" if "cannot tell" in advice else ""
    beyond = ", extrapolated" if any(s.source == "extrapolated" for s in ends) else ""
    return f"{where}: {drafts} drafts, {speeds}{beyond}{doubt}"


def _speed(setting: ServedPrediction) -> str:
    span = "" if setting.low is None else f" ({setting.low:.2f}–{setting.high:.2f})"
    return f"{setting.speedup:.2f}×{span}"


def _batch_row(decision: Decision, choice: BatchChoice) -> dict[str, Any]:
    close = choice.indistinguishable
    return {
        "batch": choice.batch,
        "advice": choice.advice,
        "num_draft_tokens": decision.drafts_at(choice.batch),
        "plain_seconds_per_token": choice.plain_seconds_per_token,
        "best": _setting_row(choice.best),
        "indistinguishable": None
        if close is None
        else [_setting_row(s) for s in choice.settings if s.num_draft_tokens in close],
        "settings": [_setting_row(s) for s in choice.settings],
    }


def _setting_row(setting: ServedPrediction) -> dict[str, Any]:
    """As ``optimize`` shows settings: acceptance by position makes it fidelity L1."""
    row = asdict(setting)
    drafts, speedup = row.pop("num_draft_tokens"), row.pop("speedup")
    spans = {"L2": None, "L1": speedup, "low": row.pop("low"), "high": row.pop("high")}
    return {
        "method": "chain", "parameters": {"num_draft_tokens": drafts}, "speedup": spans, **row,
    }  # fmt: skip


def _run(report: EngineReport) -> ServedRun:
    drafts, seconds = report.num_draft_tokens, report.seconds_per_output_token
    if report.batch is None or seconds is None:
        raise ValueError(f"{report.source} has no {'time' if report.batch else 'batch'}")
    if report.tree or drafts is None or (drafts and not report.hazards):
        raise ValueError(f"{report.source} has no acceptance by position of a chain")
    share = 1.0
    if drafts and report.rounds and report.steps:  # steps without a draft, as n-grams have
        share = min(1.0, report.rounds / report.steps)
    weight = report.steps or report.rounds or report.tokens or 1
    batch = round(report.batch)
    survival = share * np.array(_survival(report))
    return ServedRun(drafts, batch, seconds, survival, float(weight), report.turn or "")


def _survival(report: EngineReport) -> list[float]:
    """Per round that drafted; positions that no round reached are 0."""
    kept = list(survival_of_hazards(report.hazards or ()))
    return kept + [0.0] * ((report.num_draft_tokens or 0) - len(kept))


def _typical(reports: Sequence[EngineReport]) -> float:
    """Seconds per token, the geometric mean over runs. [s]"""
    return float(np.exp(np.mean([np.log(r.seconds_per_output_token or 1.0) for r in reports])))


def _tau(reports: Sequence[EngineReport]) -> float:
    """Over all steps. [tokens/round]"""
    runs = [_run(report) for report in reports]
    kept = [1.0 + float(run.survival.sum()) for run in runs]
    return float(np.average(kept, weights=[run.steps for run in runs]))
