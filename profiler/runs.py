"""What is kept of one decode?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.clock import Lap
from engine.events import Round
from engine.sampling import Sampling
from profiler.methods import Method

HOST_STAGES = ("draft_sampling", "sampling", "verification", "commit")
"""What a round does beside running models; the time no stage accounts for belongs to it too."""


class Calls(NamedTuple):
    """Equal calls of one stage in a decode.

    ``context`` is the mean over them of the tokens cached when their round began.
    """

    stage: str
    num_tokens: int
    number: int
    context: float


@dataclass(frozen=True)
class Run:
    """One decode of one prompt.

    Attributes
    ----------
    prompt, repeat : int
    sampling : Sampling
    method : Method
    tokens : tuple of int
    provenance : tuple of str
        One entry per token; see ``engine.events``.
    num_rounds : int
    num_accepted : int
        Over all rounds. [tokens]
    num_drafted : int
        Over all rounds. [tokens]
    seconds, prefill_seconds : float
        Decoding proper and prompt. [s]
    stage_seconds : dict
        Per stage, summed over rounds; what they leave of ``seconds`` is unexplained. [s]
    calls : tuple of Calls
        Of the target and of every level that drafts, by tokens they read or proposed.
    """

    prompt: int
    repeat: int
    sampling: Sampling
    method: Method
    tokens: tuple[int, ...]
    provenance: tuple[str, ...]
    num_rounds: int
    num_accepted: int
    num_drafted: int
    seconds: float
    prefill_seconds: float
    stage_seconds: dict[str, float]
    calls: tuple[Calls, ...] = ()


def count_calls(
    laps: Iterable[Lap], rounds: Sequence[Round], prompt_tokens: int
) -> tuple[Calls, ...]:
    """How often every model ran in a decode, and over how many tokens.

    Parameters
    ----------
    laps : iterable of Lap
    rounds : sequence of Round
        Of the same decode.
    prompt_tokens : int
        [tokens]

    Examples
    --------
    >>> laps = [Lap("target", 1, 0, 0.1), Lap("commit", 1, 0, 0.1), Lap("target", 1, 1, 0.1)]
    >>> count_calls(laps, [Round(0, 0, 0, (7,)), Round(1, 0, 0, (8,))], 10)
    (Calls(stage='target', num_tokens=1, number=2, context=9.5),)
    """
    contexts: dict[tuple[str, int], list[int]] = {}
    for lap in laps:
        if lap.stage not in (*HOST_STAGES, "rest"):
            cached = prompt_tokens - 1 + rounds[lap.round].start
            contexts.setdefault((lap.stage, lap.num_tokens), []).append(cached)
    return tuple(
        Calls(stage, num_tokens, len(cached), sum(cached) / len(cached))
        for (stage, num_tokens), cached in contexts.items()
    )
