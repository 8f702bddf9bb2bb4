"""Which measured times belong to one round, and what do they say about its cost?

Reads the tables of a profile: groups stage rows into the rounds they were
timed in, and checks that a trace is in order. Anything whose columns can be
read by name will do; no file is opened here.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from simulator.checks import FloatArray, IntArray, at_least, counts, rates
from simulator.costs import StageCurve
from simulator.round_time import StageCosts
from simulator.trace import AcceptanceTrace

Mode = Literal["greedy", "sampled", "filtered"]
_TIMED = ("target", "draft", "draft_sampling", "sampling", "verification", "commit")
_ENOUGH = 3  # rounds that a median of differences needs
_ROUNDING = 1e-5  # sums of float32 probabilities may exceed 1 by this much


@dataclass(frozen=True, eq=False)
class MeasuredRounds:
    """Timed rounds, one entry each, and the draft calls made in them.

    Attributes
    ----------
    num_draft_tokens, context : array [num_rounds]
        [tokens]
    seconds : dict of str to array [num_rounds]
        Per stage; ``rest`` is what the stages leave of the round. [s]
    catch_ups : array [num_rounds]
        Share of rounds whose first draft call read more than one token. [unitless]
    call_tokens, call_context, call_seconds : array [num_calls]
        Draft calls one by one. [tokens], [tokens], [s]
    """

    num_draft_tokens: IntArray
    context: FloatArray
    seconds: dict[str, FloatArray]
    catch_ups: FloatArray
    call_tokens: IntArray
    call_context: FloatArray
    call_seconds: FloatArray

    def draft_call(self) -> StageCurve:
        """One draft call over n tokens."""
        return StageCurve.from_samples(self.call_tokens, self.call_context, self.call_seconds)

    def costs(self) -> StageCosts:
        """Stage curves over the number of drafts; the target's over its tokens."""
        drafting = self.num_draft_tokens > 0
        everywhere = np.ones_like(drafting)
        extra = self._catch_up_samples()
        drafts = self.seconds["draft"] - self.catch_ups * float(np.median(extra))
        drafts = np.maximum(drafts, 0.0)
        return StageCosts(
            target=self._curve(self.seconds["target"], everywhere, shift=1),
            draft=self._curve(np.where(drafting, drafts, 0.0), everywhere),
            catch_up=self._same_everywhere(extra),
            draft_sampling=self._curve(self.seconds["draft_sampling"], everywhere),
            sampling=self._curve(self.seconds["sampling"], ~drafting),
            verification=self._curve(self.seconds["verification"], drafting),
            commit=self._curve(self.seconds["commit"], everywhere),
            rest=self._curve(self.seconds["rest"], everywhere),
        )

    def _curve(self, seconds: FloatArray, where: np.ndarray, shift: int = 0) -> StageCurve:
        return StageCurve.from_samples(
            self.num_draft_tokens[where] + shift, self.context[where], seconds[where]
        )

    def _catch_up_samples(self) -> FloatArray:
        """Extra time of rounds whose first call caught up, against rounds like them."""
        draft = self.seconds["draft"]
        extra = []
        for level in np.unique(self.num_draft_tokens[self.num_draft_tokens > 0]):
            alike = self.num_draft_tokens == level
            plain = draft[alike & (self.catch_ups == 0)]
            if plain.size >= _ENOUGH:
                extra.append(draft[alike & (self.catch_ups == 1)] - np.median(plain))
        pooled = np.concatenate(extra) if extra else np.zeros(0)
        if pooled.size >= _ENOUGH:
            # reading one token more costs no more than a call of its own, stalls apart
            call = float(np.median(self.call_seconds))
            return np.clip(pooled, -call, call)
        single = self.call_seconds[self.call_tokens == 1]
        longer = self.call_seconds[self.call_tokens > 1]
        if single.size and longer.size:
            return longer - np.median(single)
        return np.zeros(1)

    def _same_everywhere(self, samples: FloatArray) -> StageCurve:
        """The same cell at every number of drafts that was timed."""
        levels = np.unique(self.num_draft_tokens[self.num_draft_tokens > 0])
        same = np.ones(levels.size)
        return StageCurve(
            levels,
            same * self.context.mean(),
            (samples,) * levels.size,
            same * self.context.min(),
            same * self.context.max(),
        )


def read_rounds(stages: Any, mode: Mode, batch: int = 1) -> MeasuredRounds:
    """Group the rows of a stages table into rounds.

    Parameters and errors as ``Calibration.from_tables``. Rows outside any
    timed round (no row ``round`` beside them) are left out.
    """
    keep = (np.asarray(stages["mode"]).astype(str) == mode) & (np.asarray(stages["batch"]) == batch)
    if not keep.any():
        raise ValueError(f"stages has no rows with mode {mode!r} and batch {batch}")
    name = np.asarray(stages["stage"]).astype(str)[keep]
    gamma = counts("num_draft_tokens", np.asarray(stages["num_draft_tokens"])[keep], 0)
    tokens = counts("num_tokens", np.asarray(stages["num_tokens"])[keep], 0)
    context = at_least("context", np.asarray(stages["context"])[keep], 0)
    seconds = at_least("seconds", np.asarray(stages["seconds"])[keep], 0)
    key = np.stack([gamma, context, np.asarray(stages["repeat"])[keep]])
    unique, group = np.unique(key, axis=1, return_inverse=True)
    group = group.ravel()

    def total(rows: np.ndarray, values: np.ndarray) -> FloatArray:
        sums = np.bincount(group[rows], weights=values[rows], minlength=unique.shape[1])
        return sums.astype(np.float64, copy=False)

    # several rounds under one key are averaged
    ones = np.ones(name.size)
    rounds = total(name == "round", ones)
    timed = rounds > 0
    number = rounds[timed]
    by_stage = {stage: total(name == stage, seconds)[timed] / number for stage in _TIMED}
    explained = np.sum(list(by_stage.values()), axis=0)
    by_stage["rest"] = total(name == "round", seconds)[timed] / number - explained
    calls = name == "draft"
    levels = unique[0, timed].astype(np.int64)
    _check_rounds(levels, total(calls, ones)[timed] / number, by_stage)
    return MeasuredRounds(
        num_draft_tokens=levels,
        context=unique[1, timed],
        seconds=by_stage,
        catch_ups=total(calls & (tokens > 1), ones)[timed] / number,
        call_tokens=tokens[calls],
        call_context=context[calls],
        call_seconds=seconds[calls],
    )


def read_trace(trace: Any) -> AcceptanceTrace:
    """Acceptance along the texts of a trace table; errors as ``Calibration.from_tables``."""
    prompt = counts("prompt", trace["prompt"], 0)
    if prompt.size == 0:
        raise ValueError("trace must hold >= 1 token, not 0")
    first = np.flatnonzero(np.diff(prompt, prepend=prompt[0] - 1))
    lengths = np.diff(np.append(first, prompt.size))
    expected = np.arange(prompt.size) - np.repeat(first, lengths)
    position = np.asarray(trace["position"])
    if (np.diff(prompt) < 0).any() or (position != expected).any():
        row = int(np.argmax((position != expected) | (np.diff(prompt, prepend=prompt[0]) < 0)))
        raise ValueError(f"trace is not sorted by prompt and position: row {row} is out of order")
    p = np.asarray(trace["target_prob"], dtype=np.float64)
    q = at_least("draft_prob", trace["draft_prob"], 0)
    if not (p > 0).all():
        raise ValueError(f"target_prob of an emitted token must be > 0, not {p[~(p > 0)][0]:g}")
    overlap = np.asarray(trace["overlap"], dtype=np.float64)
    overlap = np.where((overlap > 1) & (overlap <= 1 + _ROUNDING), 1.0, overlap)
    return AcceptanceTrace(
        np.minimum(1.0, q / p), rates("overlap", overlap), np.asarray(trace["context"]), lengths
    )


def _check_rounds(
    levels: IntArray, draft_calls: FloatArray, seconds: dict[str, FloatArray]
) -> None:
    if not (levels == 0).any() or not (levels > 0).any():
        raise ValueError(
            "stages needs timed rounds with num_draft_tokens 0 and with >= 1, has only"
            f" {np.unique(levels).tolist()}"
        )
    wrong = draft_calls != levels
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(
            f"a round with num_draft_tokens {levels[at]} must hold as many draft calls,"
            f" not {draft_calls[at]:g}"
        )
    needed = {"target": levels >= 0, "sampling": levels == 0, "verification": levels > 0}
    for stage, where in needed.items():
        if not (seconds[stage][where] > 0).all():
            raise ValueError(f"stages has rounds without stage {stage!r}")
