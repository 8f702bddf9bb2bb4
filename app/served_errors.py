"""How far off were predictions of a server? No drawing, no printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from measurements import ServedSetting


@dataclass(frozen=True)
class ServedErrors:
    """Errors over the settings of a sweep, relative, without their signs. [unitless]

    Attributes
    ----------
    settings : int
        Those with a plain server beside them: a speedup takes one.
    speedup_median, speedup_worst : float
    profiled : int
        Those between the fewest and the most drafts that were profiled.
    profiled_worst : float
        Worst speedup of these; 0 where there is none.
    tau_worst : float
        Of all settings.
    """

    settings: int
    speedup_median: float
    speedup_worst: float
    profiled: int
    profiled_worst: float
    tau_worst: float


def served_errors(settings: Sequence[ServedSetting]) -> ServedErrors | None:
    """Errors of the foretold settings of a sweep; None where no speedup was measured."""
    known = [(abs(s.speedup.error), s.extrapolated) for s in settings if s.speedup is not None]
    if not known:
        return None
    errors = [error for error, _ in known]
    profiled = [error for error, extrapolated in known if not extrapolated]
    return ServedErrors(
        len(errors), median(errors), max(errors), len(profiled), max(profiled, default=0.0),
        max(abs(s.tau.error) for s in settings),
    )  # fmt: skip
