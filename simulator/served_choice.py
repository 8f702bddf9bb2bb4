"""How many drafts should a server use at each batch, when only its own counters are known?

A run is a load between two readings of a server's counters: how long a token took, and how often
drafts were kept at each position. Runs of a plain server and of one or more that speculate, at
the same batches, say what every number of drafts up to the largest would do. Nothing is known
here about models, texts or stages.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.checks import FloatArray, above, one_count, rates
from simulator.intervals import percentile_interval
from simulator.served_schedule import BatchChoice, ServedPrediction, Source

DRAWS = 2000


@dataclass(frozen=True, eq=False)
class ServedRun:
    """What one server's counters grew by under one load.

    Attributes
    ----------
    num_draft_tokens : int, >= 0
        As the server drafts; 0 without speculation. [tokens]
    batch : int, >= 1
        [sequences]
    seconds_per_token : float, > 0
        Of one sequence, its first token's wait excluded. [s]
    survival : array [num_draft_tokens], in [0, 1]
        Drafts kept at each position over all steps, those without drafts too. [unitless]
    steps : float, > 0
        How much the run counts where acceptance is pooled. [rounds]
    turn : str
        Shared by runs that were made in turn on all servers; empty where they were not.

    Raises
    ------
    ValueError
        If a number leaves its bound.
    """

    num_draft_tokens: int
    batch: int
    seconds_per_token: float
    survival: FloatArray
    steps: float
    turn: str = ""

    def __post_init__(self) -> None:
        drafts = one_count("num_draft_tokens", self.num_draft_tokens, 0)
        one_count("batch", self.batch, 1)
        above("seconds_per_token", self.seconds_per_token, 0)
        above("steps", self.steps, 0)
        kept = rates("survival", self.survival)
        if kept.shape != (drafts,):
            raise ValueError(f"survival must have shape ({drafts},), not {kept.shape}")
        object.__setattr__(self, "survival", kept)

    @property
    def round_seconds(self) -> float:
        """Time per token times tokens per round; what a last round wastes is in it. [s]"""
        return self.seconds_per_token * (1.0 + float(self.survival.sum()))


def choose_by_batch(
    runs: Sequence[ServedRun],
    rng: np.random.Generator,
    *,
    confidence: float = 0.9,
    draws: int = DRAWS,
) -> tuple[BatchChoice, ...]:
    """Speedup of every number of drafts at every batch between the measured ones.

    Parameters
    ----------
    runs : sequence of ServedRun
        Of a plain server and of one or more that speculate; batches that not all of them were
        measured at are left out.
    rng : Generator
    confidence : float, in (0, 1)
        [unitless]
    draws : int, >= 1

    Returns
    -------
    tuple of BatchChoice
        Ascending, one for each batch from the smallest to the largest that was measured.

    Raises
    ------
    ValueError
        If there is no plain server, none that speculates, or no batch common to all.

    Notes
    -----
    Equations (M14.1) to (M14.4) in docs/model.md. Acceptance between measured numbers of drafts is
    an approximation, because rounds start elsewhere (M2); at the measured ones it is exact. Fewer
    drafts than any server's are judged by a line and never chosen. Assumes that times scatter alike
    everywhere, in proportion. Drift between servers that were not measured in turns is in no
    interval.

    Examples
    --------
    >>> runs = [ServedRun(0, 1, 0.010, np.array([]), 100)]
    >>> runs += [ServedRun(2, 1, 0.006, np.array([0.8, 0.6]), 100)]
    >>> (choice,) = choose_by_batch(runs, np.random.default_rng(0))
    >>> round(choice.best.speedup, 3), choice.best.tau, choice.advice
    (1.667, 2.4, 'cannot tell')
    """
    drafts = sorted({run.num_draft_tokens for run in runs})
    if 0 not in drafts:
        raise ValueError("a speedup needs a run without drafts: read a plain server's counters too")
    if len(drafts) < 2:
        raise ValueError("a choice needs a run with drafts, and all are plain")
    batches = _common_batches(runs, drafts)
    times = _round_seconds(runs, drafts, batches, rng, one_count("draws", draws, 1))
    every = np.arange(batches[0], batches[-1] + 1)
    wanted, among = _among_drafts(drafts[1:])
    at = np.array([np.interp(every, batches, row) for row in np.eye(len(batches))])
    plain = times[:, 0] @ at
    seconds = np.einsum("dkb,kw->dwb", times[:, 1:] @ at, among)
    seconds = np.maximum(seconds, plain[:, None])  # no round with drafts beats a plain step
    tau = _taus(runs, drafts[1:], wanted, rng, draws)
    speedups = plain[:, None] * tau[:, :, None] / seconds
    repeated = _spread(runs) is not None
    return tuple(
        _choice(
            int(batch), float(plain[0, place]), wanted, tau[0], speedups[:, :, place],
            [_source(d, int(batch), drafts, batches) for d in wanted],
            confidence if repeated else None,
        )
        for place, batch in enumerate(every)
    )  # fmt: skip


def _common_batches(runs: Sequence[ServedRun], drafts: Sequence[int]) -> list[int]:
    each = [{run.batch for run in runs if run.num_draft_tokens == d} for d in drafts]
    common = sorted(set.intersection(*each))
    if not common:
        found = "; ".join(
            f"{d or 'plain'}: {', '.join(map(str, sorted(b)))}"
            for d, b in zip(drafts, each, strict=True)
        )
        raise ValueError(f"no batch was measured at every number of drafts ({found})")
    return common


def _spread(runs: Sequence[ServedRun]) -> tuple[float, int] | None:
    """Standard deviation of the log time of a round between repeats, and its degrees of freedom.

    What all servers share in a turn is no spread of their ratios, and is taken out.
    """
    squares, freedom = 0.0, 0
    for batch in {run.batch for run in runs}:
        here = [run for run in runs if run.batch == batch]
        drafts, turns = sorted({r.num_draft_tokens for r in here}), sorted({r.turn for r in here})
        cells = {(r.num_draft_tokens, r.turn): float(np.log(r.round_seconds)) for r in here}
        if "" not in turns and len(cells) == len(here) == len(drafts) * len(turns):
            table = np.array([[cells[d, t] for t in turns] for d in drafts])
            rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
            squares += float((rest**2).sum())
            freedom += (len(drafts) - 1) * (len(turns) - 1)
            continue
        for number in drafts:
            each = np.log([r.round_seconds for r in here if r.num_draft_tokens == number])
            squares += each.size * float(each.var())
            freedom += each.size - 1
    return (float(np.sqrt(squares / freedom)), freedom) if freedom else None


def _round_seconds(
    runs: Sequence[ServedRun],
    drafts: Sequence[int],
    batches: Sequence[int],
    rng: np.random.Generator,
    draws: int,
) -> FloatArray:
    """Times of a round [1 + draws, drafts, batches]: the estimate, then draws of it. [s]"""
    mean, number = np.zeros((2, len(drafts), len(batches)))
    for row, d in enumerate(drafts):
        for column, b in enumerate(batches):
            each = [r.round_seconds for r in runs if (r.num_draft_tokens, r.batch) == (d, b)]
            mean[row, column], number[row, column] = np.log(each).mean(), len(each)
    noise = rng.standard_normal((draws, *mean.shape)) / np.sqrt(number)
    spread = _spread(runs)
    if spread is None:
        noise[:] = 0.0
    else:
        deviation, freedom = spread
        scale = deviation * np.sqrt(freedom / rng.chisquare(freedom, draws))  # (M14.3)
        noise *= scale[:, None, None]
    return np.exp(np.concatenate([mean[None], mean + noise]))


def _among_drafts(measured: Sequence[int]) -> tuple[list[int], FloatArray]:
    """Numbers of drafts to judge, and the weight [measured, judged] of each measured time."""
    if len(measured) == 1:  # how a round's time grows with its drafts is not known
        return list(measured), np.ones((1, 1))
    wanted = np.arange(1, measured[-1] + 1)
    weights = np.array([np.interp(wanted, measured, row) for row in np.eye(len(measured))])
    below = wanted < measured[0]
    beyond = (measured[0] - wanted[below]) / (measured[1] - measured[0])
    weights[0, below], weights[1, below] = 1 + beyond, -beyond
    return wanted.tolist(), weights


def _taus(
    runs: Sequence[ServedRun],
    measured: Sequence[int],
    wanted: Sequence[int],
    rng: np.random.Generator,
    draws: int,
) -> FloatArray:
    """Tokens per round [1 + draws, judged], runs of a server drawn with replacement."""
    tau: dict[int, FloatArray] = {}
    for d in measured:
        mine = [run for run in runs if run.num_draft_tokens == d]
        counts = rng.multinomial(len(mine), np.full(len(mine), 1.0 / len(mine)), size=draws)
        weights = np.vstack([np.ones(len(mine)), counts]) * [run.steps for run in mine]
        survival = weights @ np.array([run.survival for run in mine])
        survival /= weights.sum(axis=1, keepdims=True)
        tau[d] = 1.0 + np.cumsum(survival, axis=1)
    columns = []
    for w in wanted:
        longer = min(d for d in measured if d >= w)
        shorter = max((d for d in measured if d < w), default=0)
        curve = tau[longer][:, w - 1]
        if shorter and w < longer:  # (M14.2): its rounds start where the longer one's stop
            missed = tau[shorter][:, shorter - 1] / tau[longer][:, shorter - 1] - 1.0
            curve = curve * (1.0 + missed * (longer - w) / (longer - shorter))
        columns.append(curve)
    return np.column_stack(columns)


def _source(drafts: int, batch: int, measured: Sequence[int], batches: Sequence[int]) -> Source:
    if drafts < measured[1]:
        return "extrapolated"
    return "measured" if drafts in measured and batch in batches else "interpolated"


def _choice(
    batch: int,
    plain: float,
    drafts: Sequence[int],
    tau: FloatArray,
    speedups: FloatArray,
    sources: Sequence[Source],
    confidence: float | None,
) -> BatchChoice:
    """One batch from the estimate and the draws of its speedups [1 + draws, drafts]."""
    timed = [number for number, source in enumerate(sources) if source != "extrapolated"]
    best = max(timed, key=lambda place: float(speedups[0, place]))
    settings = []
    for place, number in enumerate(drafts):
        low = high = may_be_best = None
        if confidence is not None:
            low, high = percentile_interval(speedups[1:, place], confidence)
            ratio = np.log(speedups[1:, place] / speedups[1:, best])
            may_be_best = percentile_interval(ratio, confidence)[1] >= 0
        estimate = float(speedups[0, place])
        settings.append(
            ServedPrediction(
                number,
                batch,
                float(tau[place]),
                plain / estimate,
                estimate,
                low,
                high,
                sources[place],
                may_be_best,
            )
        )
    return BatchChoice(batch, plain, tuple(settings))
