"""What will any method gain, from what it would keep and what its rounds cost?

``scenario`` answers for chains from stage curves that reach beyond what was
timed; this file answers for whatever has ``Windows`` and timed rounds, at the
same three fidelities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.acceptance import expected_emitted_tokens
from simulator.checks import FloatArray, IntArray, at_least, counts, one_count
from simulator.costs import ORIGINS
from simulator.intervals import percentile_interval
from simulator.lookup import expected_emitted_with_misses
from simulator.method_costs import AUTOREGRESSIVE, MethodCosts, PaidCells, Setting, pay_rounds
from simulator.prediction import Fidelities, Prediction
from simulator.replay import replay_windows
from simulator.round_variance import rounds_variance
from simulator.uniform_starts import uniform_emitted_tokens
from simulator.windows import Windows


@dataclass(frozen=True, eq=False)
class MethodTrace:
    """What one method would keep, wherever along the texts its rounds start.

    Attributes
    ----------
    windows : Windows
    context : array [num_positions], >= 1
        Tokens before each position, the prompt's included. [tokens]
    exact : bool
        Whether the windows are the law of the method, or an estimate of it.
    draft_calls : array [num_positions]
        Forwards of the draft in a round that starts here; NaN where no model drafts.
    """

    windows: Windows
    context: FloatArray
    exact: bool
    draft_calls: FloatArray

    @property
    def cached(self) -> FloatArray:
        """Tokens cached before a round that starts here: all but the pending one. [tokens]"""
        return self.context - 1

    @property
    def prompt_of_position(self) -> IntArray:
        """Index of the prompt of each position."""
        lengths = self.windows.lengths
        return np.repeat(np.arange(lengths.size), lengths)


@dataclass(frozen=True, eq=False)
class MethodProfile:
    """Traces and costs of every profiled method at one sampling.

    Attributes
    ----------
    traces : mapping of Setting to MethodTrace
        On the same texts.
    costs : mapping of Setting to MethodCosts
        ``AUTOREGRESSIVE`` among them.
    """

    traces: Mapping[Setting, MethodTrace]
    costs: Mapping[Setting, MethodCosts]

    def predict(
        self,
        setting: Setting,
        *,
        seed: int = 0,
        bootstrap: int = 400,
        confidence: float = 0.9,
        future_prompts: int | None = None,
    ) -> Prediction:
        """See ``predict_method``; equal seeds pair the resamples of all settings."""
        for name, known in (("traces", self.traces), ("costs", self.costs)):
            if setting not in known:
                raise ValueError(f"{setting[0]} {setting[1]} is not among the profiled {name}")
        return predict_method(
            self.traces[setting], self.costs[setting], self.costs[AUTOREGRESSIVE],
            seed=seed, bootstrap=bootstrap, confidence=confidence, future_prompts=future_prompts,
        )  # fmt: skip


def predict_method(
    trace: MethodTrace,
    costs: MethodCosts,
    alone: MethodCosts,
    *,
    seed: int = 0,
    bootstrap: int = 400,
    confidence: float = 0.9,
    future_prompts: int | None = None,
) -> Prediction:
    """Tokens per round, time and speedup of a method at all three fidelities.

    Parameters
    ----------
    trace : MethodTrace
    costs, alone : MethodCosts
        Of the method and of autoregressive decoding.
    seed : int
        Of the bootstrap.
    bootstrap : int, >= 0
        Number of resamples; 0 gives no interval.
    confidence : float, in (0, 1)
        [unitless]
    future_prompts : int, >= 1, optional
        The interval is then for what so many other prompts will measure, each decoded
        once; without it, for the speedup on texts like these.

    Returns
    -------
    Prediction
        ``num_draft_tokens`` is the most that a round verifies.

    Raises
    ------
    ValueError
        If a number leaves its bounds, or the predicted time is not above 0.

    Notes
    -----
    Equations (M6.6), (M6.7) and (M10.5) in docs/model.md. L2 replays the windows and
    pays every round where it starts. L1 lets rounds start anywhere: hazards by
    depth, prompt by prompt. L0 has one rate, the chance that the first draft is
    kept where there is one, held for the whole depth, and one cost, drafting
    over a step.
    """
    one_count("bootstrap", bootstrap, 0)
    windows, prompts = trace.windows, trace.prompt_of_position
    replay = replay_windows(windows)
    everywhere = np.ones(windows.num_positions)
    nothing = np.zeros(windows.num_positions, dtype=np.int64)
    rounds = pay_rounds(
        costs, windows.num_drafted, replay.start_prob, trace.cached, prompts, trace.draft_calls
    )
    steps = pay_rounds(alone, nothing, everywhere, trace.cached, prompts)
    number = replay.expected_rounds
    round_stages = {k: v / number for k, v in rounds.seconds_by_stage(costs).items()}
    step_stages = {k: v / everywhere.size for k, v in steps.seconds_by_stage(alone).items()}
    round_seconds, step_seconds = sum(round_stages.values()), sum(step_stages.values())
    if not (round_seconds > 0 and step_seconds > 0):
        raise ValueError(
            f"costs must give a time above 0, not {round_seconds:g} s per round"
            f" and {step_seconds:g} s per autoregressive step"
        )
    anywhere = pay_rounds(
        costs, windows.num_drafted, everywhere / everywhere.size, trace.cached, prompts,
        trace.draft_calls,
    ).seconds_by_stage(costs)  # fmt: skip
    tau = Fidelities(textbook_tau(windows), uniform_emitted_tokens(windows), replay.tau)
    drafting = sum(v for k, v in anywhere.items() if k not in NOT_DRAFTING)
    speedup = Fidelities(
        tau.L0 / (1.0 + drafting / step_seconds),
        tau.L1 * step_seconds / sum(anywhere.values()),
        tau.L2 * step_seconds / round_seconds,
    )
    samples = (
        None if bootstrap == 0 else _samples(rounds, steps, costs, alone, prompts, seed, bootstrap)
    )
    if samples is not None and future_prompts is not None:
        samples = samples * _of_other_prompts(
            rounds,
            steps,
            costs,
            alone,
            trace,
            seed,
            bootstrap,
            one_count("future_prompts", future_prompts, 1),
        )
    low, high = (None, None) if samples is None else percentile_interval(samples, confidence)
    return Prediction(
        num_draft_tokens=int(windows.num_drafted.max(initial=0)),
        tau=tau,
        speedup=speedup,
        speedup_low=low,
        speedup_high=high,
        confidence=None if samples is None else confidence,
        speedup_samples=samples,
        rounds_per_prompt=replay.rounds_per_prompt,
        num_tokens=windows.num_positions,
        draft_efficiency=replay.draft_efficiency,
        round_seconds=round_seconds,
        round_seconds_by_stage=round_stages,
        autoregressive_seconds=step_seconds,
        autoregressive_seconds_by_stage=step_stages,
        provenance=_origin_shares(rounds),
    )


NOT_DRAFTING = frozenset({"target", "sampling", "verification", "commit", "rest"})


def textbook_tau(windows: Windows) -> float:
    """Tokens per round from one number: the rate of first drafts, held for the whole depth.

    Notes
    -----
    Equations (M2.1) and (M2.9) in docs/model.md; the hit rate is the share of
    positions where anything is drafted.

    Examples
    --------
    >>> round(textbook_tau(Windows.from_kept([2, 1, 1, 0], [2, 2, 1, 0], [4])), 4)
    2.5
    """
    drafts = windows.num_drafted > 0
    if not drafts.any() or windows.horizon == 0:
        return 1.0
    rate = float(windows.survival[drafts, 1].mean())
    on_hit = expected_emitted_tokens(rate, windows.horizon)
    return float(expected_emitted_with_misses(float(drafts.mean()), on_hit))


def _samples(
    rounds: PaidCells,
    steps: PaidCells,
    costs: MethodCosts,
    alone: MethodCosts,
    prompts: IntArray,
    seed: int,
    size: int,
) -> FloatArray:
    """Speedup of every resample: prompts drawn whole, cells resampled."""
    # prompts and the baseline's cells are drawn alike for every setting, which pairs them
    rng = np.random.default_rng(seed)
    number = int(prompts[-1]) + 1
    drawn = rng.multinomial(number, np.full(number, 1.0 / number), size=size)
    baseline = alone.resample(rng, size)
    mine = costs.resample(rng, size)
    return steps.resampled_seconds(drawn, baseline) / rounds.resampled_seconds(drawn, mine)


def _of_other_prompts(
    rounds: PaidCells,
    steps: PaidCells,
    costs: MethodCosts,
    alone: MethodCosts,
    trace: MethodTrace,
    seed: int,
    size: int,
    future_prompts: int,
) -> FloatArray:
    """Factors by which so many prompts, each decoded once, miss the speedup of all such texts."""
    rng = np.random.default_rng((seed, 1))
    number = trace.windows.lengths.size
    drawn = rng.multinomial(future_prompts, np.full(number, 1.0 / number), size=size)
    ratio = _times(steps, alone, drawn) / _times(rounds, costs, drawn)
    everyone = np.ones((1, number), dtype=np.int64)
    whole = _times(steps, alone, everyone) / _times(rounds, costs, everyone)
    # the coins of one decode, in rounds of all these prompts
    expected = drawn @ replay_windows(trace.windows).rounds_per_prompt
    coins = np.sqrt(drawn @ rounds_variance(trace.windows)) / expected
    return ratio / whole * np.exp(-coins * rng.standard_normal(size))


def _times(paid: PaidCells, costs: MethodCosts, prompt_counts: IntArray) -> FloatArray:
    """Time at the measured medians of prompts drawn so often [size]. [s]"""
    medians = {(kind, stage): curve.medians[None, :] for kind, stage, curve in costs.curves()}
    return paid.resampled_seconds(prompt_counts, medians)


def _origin_shares(paid: PaidCells) -> dict[str, float]:
    total = paid.origin_seconds.sum()
    shares = zip(ORIGINS, paid.origin_seconds / total, strict=True)
    return {origin: float(share) for origin, share in shares if share > 0}


def read_method_traces(table: Any, sampling: str) -> dict[Setting, MethodTrace]:
    """Windows of every method in a table, at one sampling.

    Parameters
    ----------
    table : table
        Columns method, parameters (JSON), sampling, prompt, position, context
        [tokens], num_drafted [tokens], survival (list, from j = 0), draft_calls,
        exact; sorted by prompt and position within a setting.
    sampling : str
        Label.

    Raises
    ------
    ValueError
        If the table has no rows at that sampling, or a setting's rows are out of order.
    """
    keep = np.flatnonzero(np.asarray(table["sampling"]).astype(str) == sampling)
    if keep.size == 0:
        raise ValueError(f"windows has no rows at sampling {sampling!r}")
    methods = np.asarray(table["method"])[keep]
    parameters = np.asarray(table["parameters"])[keep]
    members: dict[Setting, list[int]] = {}
    for row, setting in enumerate(zip(methods, parameters, strict=True)):
        members.setdefault((str(setting[0]), str(setting[1])), []).append(row)
    columns = {
        name: np.asarray(table[name])[keep]
        for name in ("prompt", "position", "context", "num_drafted", "draft_calls", "exact")
    }
    every = list(table["survival"])
    survival = [np.asarray(every[row], dtype=np.float64) for row in keep]
    return {setting: _trace(setting, rows, columns, survival) for setting, rows in members.items()}


def _trace(
    setting: Setting,
    rows: list[int],
    columns: Mapping[str, np.ndarray],
    survival: list[np.ndarray],
) -> MethodTrace:
    mine = {name: values[rows] for name, values in columns.items()}
    prompt = counts("prompt", mine["prompt"], 0)
    first = np.flatnonzero(np.diff(prompt, prepend=prompt[0] - 1))
    lengths = np.diff(np.append(first, prompt.size))
    expected = np.arange(prompt.size) - np.repeat(first, lengths)
    if (np.diff(prompt) < 0).any() or (mine["position"] != expected).any():
        raise ValueError(f"windows of {setting[0]} {setting[1]} are not sorted by position")
    kept = [survival[row] for row in rows]
    table = np.zeros((len(kept), max(row.size for row in kept)))
    for at, row in enumerate(kept):
        table[at, : row.size] = row
    table = np.minimum.accumulate(np.clip(table, 0.0, 1.0), axis=1)  # float32 on disk
    windows = Windows(table, counts("num_drafted", mine["num_drafted"], 0), lengths)
    return MethodTrace(
        windows,
        at_least("context", mine["context"], 1),
        bool(mine["exact"].all()),
        mine["draft_calls"].astype(np.float64),
    )
