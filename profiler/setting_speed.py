"""How fast is a setting, whatever else the machine did meanwhile?

Tokens per round are of all decodes together; times are medians over prompts of
what was measured side by side, because a stall of a shared machine falls on a
few decodes and says nothing of the setting.
"""

from collections.abc import Sequence

import numpy as np

from profiler.ratios import RESAMPLES
from profiler.runs import Run

DRAFTING = ("draft", "draft_sampling")
"""Stages in which a round drafts."""


def speed_of(mine: Sequence[Run], plain: Sequence[Run], seed: int = 0) -> dict[str, float]:
    """What the decodes of a setting say, against autoregressive ones.

    Parameters
    ----------
    mine, plain : sequence of Run
        Of the setting and autoregressive: the same prompts in the same order.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        ``tau`` [tokens/round]; ``accepted_per_draft`` [tokens]; ``speedup``, which is
        tau / overhead, with the ends ``speedup_low`` and ``speedup_high`` of its 90 %
        interval over prompts [unitless]; ``overhead``, a round in autoregressive steps,
        median over prompts; of a round ``draft_s``, ``target_s``, ``round_s``, beside an
        autoregressive ``step_s`` [s].

    Raises
    ------
    ValueError
        If there are no decodes, or not equally many.
    """
    overhead = float(np.median(_in_steps(mine, plain, [r.seconds for r in mine])))
    step = float(np.median(_steps(plain)))
    drafting = [sum(r.stage_seconds.get(s, 0.0) for s in DRAFTING) for r in mine]
    target = [r.stage_seconds["target"] for r in mine]
    rounds = sum(r.num_rounds for r in mine)
    low, high = np.quantile(_resampled(mine, plain, seed), [0.05, 0.95])
    tau = sum(len(r.tokens) for r in mine) / rounds
    return {
        "tau": tau,
        "accepted_per_draft": sum(r.num_accepted for r in mine) / rounds,
        "speedup": tau / overhead,
        "speedup_low": float(low),
        "speedup_high": float(high),
        "overhead": overhead,
        "draft_s": step * float(np.median(_in_steps(mine, plain, drafting))),
        "target_s": step * float(np.median(_in_steps(mine, plain, target))),
        "round_s": step * overhead,
        "step_s": step,
    }


def speed_ratio(
    mine: Sequence[Run], other: Sequence[Run], plain: Sequence[Run], seed: int = 0
) -> dict[str, float]:
    """Speedup of one setting over that of another, resampled on the same prompts.

    Returns
    -------
    dict
        ``ratio`` with the ends ``ratio_low`` and ``ratio_high`` of its 90 % interval.
        [unitless]
    """
    value = speed_of(mine, plain)["speedup"] / speed_of(other, plain)["speedup"]
    samples = _resampled(mine, plain, seed) / _resampled(other, plain, seed)
    low, high = np.quantile(samples, [0.05, 0.95])
    return {"ratio": value, "ratio_low": float(low), "ratio_high": float(high)}


def _steps(plain: Sequence[Run]) -> np.ndarray:
    return np.array([r.seconds / len(r.tokens) for r in plain])


def _in_steps(mine: Sequence[Run], plain: Sequence[Run], seconds: Sequence[float]) -> np.ndarray:
    """Seconds of each decode per round, in autoregressive steps of the same prompt."""
    if len(mine) != len(plain) or not mine:
        raise ValueError(f"need equally many decodes, at least 1: {len(mine)} and {len(plain)}")
    return np.array(seconds) / [r.num_rounds for r in mine] / _steps(plain)


def _resampled(mine: Sequence[Run], plain: Sequence[Run], seed: int) -> np.ndarray:
    """Bootstrap draws of the speedup, decodes of a prompt drawn whole."""
    size = len(mine)
    picks = np.random.default_rng(seed).integers(0, size, size=(RESAMPLES, size))
    tokens, rounds = np.array([[len(r.tokens), r.num_rounds] for r in mine]).T
    tau = tokens[picks].sum(axis=1) / rounds[picks].sum(axis=1)
    overheads = _in_steps(mine, plain, [r.seconds for r in mine])
    return tau / np.median(overheads[picks], axis=1)
