"""What does a server's round take and yield, for every batch it may meet?

The times of ``serving`` on a grid and the law of emitted tokens, for one
schedule of draft lengths, so that ``load`` only looks up.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from simulator.acceptance import emitted_tokens_pmf
from simulator.checks import FloatArray, IntArray, at_least, counts, rates
from simulator.serving import Server


@dataclass(frozen=True, eq=False)
class RoundTable:
    """Rounds of a server by batch and context.

    Attributes
    ----------
    num_draft_tokens : array [max_batch], >= 0
        Schedule: entry b - 1 holds while b sequences run; 0 drafts none. [tokens]
    contexts : array [num_contexts], >= 0, ascending
        [tokens]
    seconds : array [max_batch, num_contexts], >= 0
        [s]
    hazards : array [>= largest number of drafts], in [0, 1]
        Acceptance by draft position, given that it is reached. [unitless]

    Raises
    ------
    ValueError
        If a value leaves its bound or shapes contradict each other.
    """

    num_draft_tokens: IntArray
    contexts: FloatArray
    seconds: FloatArray
    hazards: FloatArray
    emitted_cdf: tuple[FloatArray, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        schedule = counts("num_draft_tokens", self.num_draft_tokens, 0)
        contexts = at_least("contexts", self.contexts, 0)
        seconds, hazards = at_least("seconds", self.seconds, 0), rates("hazards", self.hazards)
        if schedule.size == 0 or seconds.shape != (schedule.size, contexts.size):
            raise ValueError(
                f"seconds must have shape ({schedule.size}, {contexts.size}), max_batch >= 1,"
                f" not {seconds.shape}"
            )
        if contexts.size == 0 or (np.diff(contexts) <= 0).any():
            raise ValueError(f"contexts must ascend and hold >= 1 number, not {contexts.tolist()}")
        if schedule.max() > hazards.size:
            raise ValueError(f"hazards must hold >= {schedule.max()} numbers, not {hazards.size}")
        laws = [emitted_tokens_pmf(hazards[:g]) for g in range(int(schedule.max()) + 1)]
        object.__setattr__(self, "emitted_cdf", tuple(np.cumsum(laws[g]) for g in schedule))

    @property
    def max_batch(self) -> int:
        """Most sequences that run at once."""
        return self.num_draft_tokens.size


def tabulate_rounds(
    server: Server, num_draft_tokens: ArrayLike, hazards: ArrayLike, contexts: ArrayLike
) -> RoundTable:
    """Rounds of a server under a schedule of draft lengths.

    Parameters
    ----------
    server : Server
    num_draft_tokens : array [max_batch], >= 0
        Drafts while 1, 2, ... sequences run (``best_schedule`` finds them;
        zeros are autoregressive decoding). [tokens]
    hazards : array, in [0, 1]
        Acceptance by draft position. [unitless]
    contexts : array [num_contexts], >= 0, ascending
        Between them times are interpolated. [tokens]

    Returns
    -------
    RoundTable

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M11.1) in docs/model.md at every batch of the schedule.
    """
    schedule = counts("num_draft_tokens", num_draft_tokens, 0)
    places = np.atleast_1d(at_least("contexts", contexts, 0))
    batch = np.arange(1, schedule.size + 1)[:, None]
    seconds = server.round_seconds(schedule[:, None], places, batch)
    return RoundTable(schedule, places, seconds, np.asarray(hazards, dtype=np.float64))


def prefill_seconds(server: Server, prompt_tokens: ArrayLike, *, drafting: bool) -> FloatArray:
    """Time to read a prompt, by the draft too if the server drafts.

    Parameters
    ----------
    server : Server
    prompt_tokens : int or array, >= 1
        [tokens]
    drafting : bool

    Returns
    -------
    float or array
        [s]

    Raises
    ------
    ValueError
        If prompt_tokens is below 1.

    Notes
    -----
    Equation (M7.6) in docs/model.md: one forward over the prompt, alone, logits
    of its last token only.
    """
    seconds = server.target.seconds(prompt_tokens, 0, logit_tokens=1) + server.host_seconds
    if drafting:
        seconds = seconds + server.draft.seconds(prompt_tokens, 0, logit_tokens=1)
    return np.asarray(seconds)[()]
