"""Which setting is fastest, and which cannot be told from it? From paired times of prompts.

Settings need not have been measured on the same prompts: two are compared on
those they share. Knows nothing about how settings were chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.ratios import RESAMPLES

MIN_PROMPTS = 6
"""Fewest shared prompts that tell two settings apart: all six one way has odds of 2 in 64."""

Value = int | float | str
Times = Mapping[int, Sequence[tuple[float, float]]]
"""Prompt to its measurements: (seconds, seconds of autoregressive decoding beside it)."""


@dataclass(frozen=True)
class Setting:
    """A method's name and its parameters, in a fixed order.

    Examples
    --------
    >>> Setting("chain", (("num_draft_tokens", 4),)).label
    'chain num_draft_tokens 4'
    """

    method: str
    parameters: tuple[tuple[str, Value], ...] = ()

    @property
    def label(self) -> str:
        """Short text for tables."""
        values = ", ".join(f"{name} {value}" for name, value in self.parameters)
        return f"{self.method} {values}".strip()


@dataclass(frozen=True)
class Standing:
    """Where a setting stands.

    Attributes
    ----------
    setting : Setting
    speedup, low, high : float
        Over autoregressive decoding of the same prompts: ratio of totals, with its
        90 % interval. [unitless]
    num_prompts : int
        Fewer than all if the setting was given up early.
    relative, relative_low, relative_high : float
        Speedup over the best setting's, on the prompts both were measured on. [unitless]
    close_to_best : bool
        Whether it cannot be told from the best one; true of the best itself.
    """

    setting: Setting
    speedup: float
    low: float
    high: float
    num_prompts: int
    relative: float
    relative_low: float
    relative_high: float
    close_to_best: bool


def rank_settings(times: Mapping[Setting, Times], seed: int = 0) -> tuple[Standing, ...]:
    """Settings by their speed relative to the best, fastest first.

    Parameters
    ----------
    times : mapping of Setting to Times
        Repeats of a prompt are averaged.
    seed : int
        Of the bootstrap over prompts.

    Returns
    -------
    tuple of Standing
        The best is the fastest of those measured on the most prompts. Not corrected
        for choosing the best of many, which flatters it.

    Raises
    ------
    ValueError
        If there is no setting, or one without times.

    Examples
    --------
    >>> slow = {prompt: [(1.0, 1.0)] for prompt in range(8)}
    >>> fast = {prompt: [(0.5, 1.0)] for prompt in range(8)}
    >>> best, other = rank_settings({Setting("slow"): slow, Setting("fast"): fast})
    >>> best.setting.label, best.speedup, other.relative, other.close_to_best
    ('fast', 2.0, 0.5, False)
    """
    if not times or not all(times.values()):
        raise ValueError("a ranking needs at least 1 setting, each with at least 1 time")
    means = {
        setting: {prompt: np.mean(repeats, axis=0) for prompt, repeats in of.items()}
        for setting, of in times.items()
    }
    longest = max(len(of) for of in means.values())
    complete = [setting for setting, of in means.items() if len(of) == longest]
    best = max(complete, key=lambda setting: _log_speedup(np.array(list(means[setting].values()))))
    standings = [_standing(s, means[s], means[best], seed, s == best) for s in means]
    return tuple(sorted(standings, key=lambda s: (s.setting != best, -s.relative)))


def _standing(
    setting: Setting,
    mine: dict[int, np.ndarray],
    best: dict[int, np.ndarray],
    seed: int,
    is_best: bool,
) -> Standing:
    own = np.array(list(mine.values()))  # [prompts, 2]
    low, high = _interval(_log_speedup(own[_picks(len(own), seed)]))
    shared = sorted(mine.keys() & best.keys())
    relative, bounds = 1.0, (1.0, 1.0)
    if shared and not is_best:
        here, there = (np.array([times[p] for p in shared]) for times in (mine, best))
        picks = _picks(len(shared), seed)
        relative = float(np.exp(_log_speedup(here) - _log_speedup(there)))
        bounds = _interval(_log_speedup(here[picks]) - _log_speedup(there[picks]))
    told = len(shared) >= MIN_PROMPTS and not bounds[0] <= 1.0 <= bounds[1]
    return Standing(
        setting, float(np.exp(_log_speedup(own))), low, high, len(own), relative, *bounds, not told
    )


def _log_speedup(times: np.ndarray) -> np.ndarray:
    """Log ratio of totals over prompts [..., prompts, 2]."""
    totals = times.sum(axis=-2)
    return np.log(totals[..., 1] / totals[..., 0])


def _picks(number: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, number, size=(RESAMPLES, number))


def _interval(logs: np.ndarray) -> tuple[float, float]:
    low, high = np.exp(np.quantile(logs, [0.05, 0.95]))
    return float(low), float(high)
