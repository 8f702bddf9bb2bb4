"""What is known of every number of drafts at a batch, and which should run at which?

Knows nothing about where the speedups come from (``served_choice``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simulator.choice import Advice

Source = Literal["measured", "interpolated", "extrapolated"]


@dataclass(frozen=True)
class ServedPrediction:
    """One number of drafts at one batch.

    Attributes
    ----------
    num_draft_tokens, batch : int
        [tokens], [sequences]
    tau : float
        Over all steps. [tokens/round]
    seconds_per_token : float
        [s]
    speedup : float
        Over the plain server at the same batch. [unitless]
    low, high : float or None
        Of the speedup; None where no load was repeated. [unitless]
    source : "measured", "interpolated" or "extrapolated"
        Where the time of a round comes from.
    may_be_best : bool or None
        Whether it cannot be told from the fastest; None where no load was repeated.
    """

    num_draft_tokens: int
    batch: int
    tau: float
    seconds_per_token: float
    speedup: float
    low: float | None
    high: float | None
    source: Source
    may_be_best: bool | None


@dataclass(frozen=True)
class BatchChoice:
    """The settings of one batch, by number of drafts.

    Attributes
    ----------
    batch : int
        [sequences]
    plain_seconds_per_token : float
        [s]
    settings : tuple of ServedPrediction
    """

    batch: int
    plain_seconds_per_token: float
    settings: tuple[ServedPrediction, ...]

    @property
    def best(self) -> ServedPrediction:
        """The fastest that speculates, whether or not it pays; never an extrapolated one."""
        timed = [s for s in self.settings if s.source != "extrapolated"]
        return max(timed, key=lambda s: s.speedup)

    @property
    def advice(self) -> Advice:
        """Whether to speculate at this batch."""
        if self.best.speedup <= 1:
            return "do not speculate"
        return "speculate" if self.best.low is not None and self.best.low > 1 else "cannot tell"

    @property
    def indistinguishable(self) -> tuple[int, ...] | None:
        """Other numbers of drafts that may be as fast; None where no load was repeated."""
        if self.best.may_be_best is None:
            return None
        others = (s for s in self.settings if s is not self.best and s.may_be_best)
        return tuple(s.num_draft_tokens for s in others)


def steady_schedule(choices: Sequence[BatchChoice]) -> list[int]:
    """Drafts for every batch of the choices, changed as rarely as the measurements allow.

    Parameters
    ----------
    choices : sequence of BatchChoice
        Ascending.

    Returns
    -------
    list of int
        0 where speculation does not pay. [tokens]

    Notes
    -----
    A stretch of batches goes on while some number of drafts may be best at all of them, and gets
    the one with the highest mean log speedup: a change of drafts has a cost that no run shows.

    Examples
    --------
    >>> def setting(drafts, speedup, may_be_best):
    ...     return ServedPrediction(
    ...         drafts, 1, 2.0, 1.0, speedup, 1.1, 2.0, "measured", may_be_best
    ...     )
    >>> near = BatchChoice(1, 1.0, (setting(2, 1.6, True), setting(4, 1.7, True)))
    >>> far = BatchChoice(2, 1.0, (setting(2, 1.4, True), setting(4, 1.2, True)))
    >>> steady_schedule([near, far]), steady_schedule([near])
    ([2, 2], [4])
    """
    schedule: list[int] = []
    stretch: list[BatchChoice] = []
    shared: set[int] = set()
    for choice in choices:
        here = _may_be_best(choice)
        if stretch and not shared & here:
            schedule += [_highest(stretch, shared)] * len(stretch)
            stretch = []
        shared = shared & here if stretch else here
        stretch.append(choice)
    return schedule + ([_highest(stretch, shared)] * len(stretch) if stretch else [])


def _may_be_best(choice: BatchChoice) -> set[int]:
    if choice.advice == "do not speculate":
        return {0}
    near = {s.num_draft_tokens for s in choice.settings if s.may_be_best and s.speedup > 1}
    guessed = {s.num_draft_tokens for s in choice.settings if s.source == "extrapolated"}
    return near - guessed | {choice.best.num_draft_tokens}


def _highest(stretch: Sequence[BatchChoice], drafts: set[int]) -> int:
    def worth(number: int) -> float:
        each = (s for choice in stretch for s in choice.settings if s.num_draft_tokens == number)
        return sum(float(np.log(s.speedup)) for s in each)

    return max(sorted(drafts), key=worth)
