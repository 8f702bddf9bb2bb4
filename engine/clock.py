"""Stage times inside a decode, without a device synchronisation.

The loop calls ``clock.lap(stage, num_tokens)`` after each stage; when no clock
is passed it calls nothing. On CUDA a lap records an event on the stream, and
the times are read once, after the decode.
"""

import time
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Lap:
    """One timed stretch of a decode.

    Attributes
    ----------
    stage : str
        ``target``, ``draft``, ``draft_sampling``, ``sampling``, ``verification``,
        ``commit``, or ``rest`` for what stands between stages.
    num_tokens : int
        Tokens the stage processed. [tokens]
    round : int
        Index of the round it belongs to.
    seconds : float
        [s]
    """

    stage: str
    num_tokens: int
    round: int
    seconds: float


class StageClock:
    """Splits a decode into laps; each lap ends where the next begins."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._marks: list[tuple[str, int, int]] = []
        self._stamps: list[Any] = []
        self._round = -1

    def start_round(self) -> None:
        """Begin a round; the stretch since the last lap is counted as ``rest``."""
        self._round += 1
        self.lap("rest", 0)

    def lap(self, stage: str, num_tokens: int) -> None:
        """End a stretch and name it."""
        self._marks.append((stage, num_tokens, self._round))
        if self._cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._stamps.append(event)
        else:
            self._stamps.append(time.perf_counter())

    def laps(self) -> list[Lap]:
        """All laps so far; the first mark only starts the clock."""
        if self._cuda:
            torch.cuda.synchronize()
        result = []
        for i in range(1, len(self._marks)):
            before, after = self._stamps[i - 1], self._stamps[i]
            seconds = before.elapsed_time(after) / 1e3 if self._cuda else after - before
            stage, num_tokens, index = self._marks[i]
            result.append(Lap(stage, num_tokens, index, seconds))
        return result
