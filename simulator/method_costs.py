"""What does a round of one method cost, whatever the method does in it?

Rounds of a fully parameterised method, timed whole: seconds per stage as
curves in the number of tokens drafted. Needs no account of how a method
drafts, so it holds for all of them; in return it knows only the methods that
were timed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.checks import FloatArray, IntArray, at_least, counts
from simulator.costs import ORIGINS, StageCurve
from simulator.profile_tables import Mode

AUTOREGRESSIVE = ("autoregressive", "{}")
DRAFT = "draft"
"""The stage in which a draft model runs."""
Setting = tuple[str, str]
"""Method and its parameters as canonical JSON."""


@dataclass(frozen=True, eq=False)
class MethodCosts:
    """Stage times of a round of one method.

    Attributes
    ----------
    plain : mapping of str to StageCurve
        Stages of a round without drafts, at 0 tokens. [s]
    drafting : mapping of str to StageCurve
        Stages of a round that drafts, by tokens drafted. [s]
    per_call : frozenset of str
        Stages of ``drafting`` whose curve is the time of one draft call: how often a staged
        draft calls depends on what the lower levels guess, so on the text. [s]
    """

    plain: Mapping[str, StageCurve]
    drafting: Mapping[str, StageCurve]
    per_call: frozenset[str] = frozenset()

    def curves(self) -> Iterator[tuple[str, str, StageCurve]]:
        """(kind of round, stage, curve), always in the same order."""
        for kind, curves in (("plain", self.plain), ("drafting", self.drafting)):
            for stage in sorted(curves):
                yield kind, stage, curves[stage]

    def resample(self, rng: np.random.Generator, size: int) -> dict[tuple[str, str], FloatArray]:
        """Resampled cell medians [size, num_cells] of every curve. [s]"""
        return {
            (kind, stage): curve.resample_medians(rng, size) for kind, stage, curve in self.curves()
        }


@dataclass(frozen=True, eq=False)
class PaidCells:
    """How often each measured cell of each curve is paid, by prompt.

    Attributes
    ----------
    weights : mapping of (kind, stage) to array [num_prompts, num_cells]
        [rounds]
    origin_seconds : array [num_origins]
        Predicted time by ``ORIGINS``. [s]
    """

    weights: Mapping[tuple[str, str], FloatArray]
    origin_seconds: FloatArray

    def seconds_by_stage(self, costs: MethodCosts) -> dict[str, float]:
        """Time of all prompts by stage. [s]"""
        total: dict[str, float] = {}
        for kind, stage, curve in costs.curves():
            if (kind, stage) in self.weights:
                paid = float((self.weights[kind, stage] @ curve.medians).sum())
                total[stage] = total.get(stage, 0.0) + max(paid, 0.0)
        return total

    def resampled_seconds(
        self, prompt_counts: IntArray, medians: Mapping[tuple[str, str], FloatArray]
    ) -> FloatArray:
        """Time of every resample [bootstrap]; equation (M10.1). [s]"""
        total = np.zeros(prompt_counts.shape[0])
        for key, by_prompt in self.weights.items():
            stage = ((prompt_counts @ by_prompt) * medians[key]).sum(axis=1)
            total += np.maximum(stage, 0.0)  # no stage takes less than nothing
        return total


def pay_rounds(
    costs: MethodCosts,
    num_drafted: IntArray,
    rounds: FloatArray,
    cached: FloatArray,
    prompt: IntArray,
    draft_calls: FloatArray | None = None,
) -> PaidCells:
    """Cells paid by rounds that start along a text; arguments as ``weigh_rounds``.

    ``draft_calls`` [num_positions] multiplies the stages in ``costs.per_call``.

    Raises
    ------
    ValueError
        If those are needed and not known where a round drafts.

    Notes
    -----
    Equations (M6.6) and (M6.8) in docs/model.md.
    """
    num_prompts = int(prompt[-1]) + 1
    weights: dict[tuple[str, str], FloatArray] = {}
    origin_seconds = np.zeros(len(ORIGINS))
    for kind, stage, curve in costs.curves():
        used = np.flatnonzero((rounds > 0) & ((num_drafted > 0) == (kind == "drafting")))
        if used.size == 0:
            continue
        spot = curve.locate(num_drafted[used], cached[used])
        times = rounds[used]
        if kind == "drafting" and stage in costs.per_call:
            times = times * _known_calls(draft_calls, used)
        paid = times[:, None] * spot.coefficients
        slot = prompt[used, None] * curve.medians.size + spot.cells
        sums = np.bincount(
            slot.ravel(), weights=paid.ravel(), minlength=num_prompts * curve.medians.size
        )
        weights[kind, stage] = sums.astype(np.float64, copy=False).reshape(num_prompts, -1)
        seconds = np.maximum((paid * curve.medians[spot.cells]).sum(axis=1), 0.0)
        origin_seconds += np.bincount(spot.origin, weights=seconds, minlength=len(ORIGINS))
    return PaidCells(weights, origin_seconds)


def _known_calls(draft_calls: FloatArray | None, used: IntArray) -> FloatArray:
    if draft_calls is None or not np.isfinite(draft_calls[used]).all():
        raise ValueError("draft_calls must be known wherever a round with costs per call drafts")
    return draft_calls[used]


def read_method_costs(table: Any, mode: Mode) -> dict[Setting, MethodCosts]:
    """Round costs of every method in a table of timed rounds.

    Parameters
    ----------
    table : table
        Columns method, parameters, mode, block, round, context [tokens],
        num_drafted [tokens], stage, seconds [s]; a round that lacks a stage took
        no time in it. The stage ``round`` is the whole of a round: what the
        others leave of it becomes ``rest``. A column draft_calls, NaN where unknown, is
        optional; where it varies among rounds that draft equally many tokens, the stage
        ``draft`` is read per call.
    mode : "greedy", "sampled" or "filtered"

    Returns
    -------
    dict
        By method and parameters; without those that had no round that drafts. Rounds
        without drafts that a method has none of are taken from autoregressive decoding.

    Raises
    ------
    ValueError
        If the table has no autoregressive rounds of that mode.
    """
    keep = np.asarray(table["mode"]).astype(str) == mode
    if not keep.any():
        raise ValueError(f"rounds has no rows with mode {mode!r}")
    columns = {
        name: np.asarray(table[name])[keep]
        for name in (
            "method", "parameters", "block", "round", "context", "num_drafted", "stage", "seconds",
        )
    }  # fmt: skip
    if "draft_calls" in table:
        columns["draft_calls"] = np.asarray(table["draft_calls"], dtype=np.float64)[keep]
    columns["num_drafted"] = counts("num_drafted", columns["num_drafted"], 0)
    columns["context"] = at_least("context", columns["context"], 0)
    columns["seconds"] = at_least("seconds", columns["seconds"], 0)
    names = [
        (str(m), str(p)) for m, p in zip(columns["method"], columns["parameters"], strict=True)
    ]
    settings = list(dict.fromkeys(names))
    if AUTOREGRESSIVE not in settings:
        raise ValueError(f"rounds has no autoregressive rounds with mode {mode!r}")
    index = {setting: i for i, setting in enumerate(settings)}
    which = np.array([index[name] for name in names])
    rows = {s: {k: v[which == i] for k, v in columns.items()} for s, i in index.items()}
    alone = _curves(rows[AUTOREGRESSIVE], drafting=False)
    result = {}
    for setting, mine in rows.items():
        drafting = _curves(mine, drafting=True)
        if setting != AUTOREGRESSIVE and not drafting:
            continue  # what never drafted while it was timed, its drafting costs nobody knows
        result[setting] = MethodCosts(
            _curves(mine, drafting=False) or alone,
            drafting,
            frozenset({DRAFT}) if _calls_vary(mine) else frozenset(),
        )
    return result


def _calls_vary(rows: Mapping[str, np.ndarray]) -> bool:
    """Whether rounds that draft equally many tokens call the draft more and less often."""
    if "draft_calls" not in rows:
        return False
    drafts = rows["num_drafted"] > 0
    calls, drafted = rows["draft_calls"][drafts], rows["num_drafted"][drafts]
    if calls.size == 0 or not (calls > 0).all():
        return False
    return any(np.ptp(calls[drafted == n]) > 0 for n in np.unique(drafted))


def _curves(rows: Mapping[str, np.ndarray], *, drafting: bool) -> dict[str, StageCurve]:
    """One curve per stage over the rounds of one kind, absent stages counting as 0 s."""
    keep = (rows["num_drafted"] > 0) == drafting
    if not keep.any():
        return {}
    key = np.stack([rows["block"][keep], rows["round"][keep]]).astype(np.int64)
    _, first, member = np.unique(key, axis=1, return_index=True, return_inverse=True)
    drafted = rows["num_drafted"][keep][first]
    context = rows["context"][keep][first]
    stage = rows["stage"][keep].astype(str)
    per_call = drafting and _calls_vary(rows)
    by_stage: dict[str, FloatArray] = {}
    for name in np.unique(stage):
        mine = stage == name
        by_stage[str(name)] = np.bincount(
            member.ravel()[mine], weights=rows["seconds"][keep][mine], minlength=first.size
        ).astype(np.float64, copy=False)
    if "round" in by_stage:
        whole = by_stage.pop("round")
        by_stage["rest"] = whole - np.sum(list(by_stage.values()), axis=0)
    if per_call and DRAFT in by_stage:
        by_stage[DRAFT] = by_stage[DRAFT] / rows["draft_calls"][keep][first]
    return {
        name: StageCurve.from_samples(drafted, context, seconds, max_contexts=2)
        for name, seconds in by_stage.items()
    }
