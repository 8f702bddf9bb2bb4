"""How far has a decode come that runs beside the page? The engine, in a thread of its own.

The thread never touches Streamlit: it publishes a ``Progress`` after every
round, and ends after the round in which somebody asked it to stop. Engine and
profiler are imported here, inside the functions, because only the page that
decodes needs them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from engine.clock import StageClock
    from engine.decode import Request
    from engine.events import Round
    from engine.model import Model
    from profiler.methods import Method

State = Literal["waiting", "running", "finished", "stopped", "failed"]
_PAGE = "page"
SPLIT_EVERY = 0.2  # the stage times are added up that often, not after every round [s]


@dataclass(frozen=True)
class ShownRound:
    """One round as text.

    Attributes
    ----------
    tokens, provenance : tuple of str
        What it emitted, and which level produced each token.
    rejected : tuple of str
        Drafts that were not kept.
    branches : bool
        Whether the drafts were a tree, so that ``rejected`` is no text.
    """

    tokens: tuple[str, ...]
    provenance: tuple[str, ...]
    rejected: tuple[str, ...]
    branches: bool


@dataclass(frozen=True)
class Progress:
    """What is known so far; never changed, only replaced.

    Attributes
    ----------
    state : str
    rounds : tuple of ShownRound
    proposed, accepted : int
        Drafts. [tokens]
    seconds_by_stage : mapping
        Decode time since the prompt was read. [s]
    note : str
        Why it waits, or why it failed.
    """

    state: State = "waiting"
    rounds: tuple[ShownRound, ...] = ()
    proposed: int = 0
    accepted: int = 0
    seconds_by_stage: Mapping[str, float] = field(default_factory=dict)
    timed_tokens: int = 0
    note: str = ""

    @property
    def num_tokens(self) -> int:
        """[tokens]"""
        return sum(len(one.tokens) for one in self.rounds)

    @property
    def tau(self) -> float | None:
        """Tokens per round so far; None before the first round. [tokens/round]"""
        return self.num_tokens / len(self.rounds) if self.rounds else None

    @property
    def tokens_per_s(self) -> float | None:
        """None before the first stage times. [tokens/s]"""
        seconds = sum(self.seconds_by_stage.values())
        return self.timed_tokens / seconds if seconds > 0 else None

    @property
    def makers(self) -> Counter[str]:
        """Tokens by the level that produced them. [tokens]"""
        return Counter(source for one in self.rounds for source in one.provenance)


class Watched:
    """A decode that runs in a thread until it is served or asked to stop.

    Parameters
    ----------
    target : Model
    method : Method
    request : Request
    pause_seconds : float
        Wait after every round, so that it can be seen; no part of the times. [s]
    """

    def __init__(
        self, target: Model, method: Method, request: Request, pause_seconds: float = 0.0
    ) -> None:
        self.method, self.request, self.pause_seconds = method, request, pause_seconds
        self.progress = Progress()  # replaced by the thread, only ever read elsewhere
        self._target = target
        self._stop = threading.Event()
        self._clock: StageClock | None = None
        self._split_at = 0.0
        self._thread = threading.Thread(target=self._run, name="speculens-watch", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present round; a decode that waits for the device never begins."""
        self._stop.set()

    def join(self, seconds: float) -> bool:
        """Wait for the end at most so long; whether it has ended. [s]"""
        self._thread.join(seconds)
        return not self.alive

    @property
    def alive(self) -> bool:
        """Whether anything may still change."""
        return self._thread.is_alive() and not self._given_up

    @property
    def _given_up(self) -> bool:
        return self._stop.is_set() and self.progress.state == "waiting"

    def _run(self) -> None:
        from engine.clock import StageClock
        from engine.errors import InputError
        from profiler.lock import device_lock

        try:
            with device_lock(self._target.device, self._waits):
                if not self._stop.is_set():
                    self._publish(state="running", note="")
                    self._clock = StageClock(self._target.device)
                    self.method.decode(self._target, self.request, self._clock, self._on_round)
                    self._split()
            self._publish(state="stopped" if self._stop.is_set() else "finished")
        except InputError as error:
            self._publish(state="failed", note=str(error))
        except Exception as error:  # a thread that dies silently would be polled for ever
            self._publish(state="failed", note=f"{type(error).__name__}: {error}")
            raise

    def _waits(self, message: str) -> None:
        self._publish(note=message)

    def _publish(self, **changes: object) -> None:
        self.progress = replace(self.progress, **changes)  # type: ignore[arg-type]

    def _on_round(self, done: Round) -> bool:
        """Publish a round; False once it should end."""
        tokenizer = self._target.tokenizer
        assert tokenizer is not None
        shape = self.method.shape
        tokens, rejected = (
            tuple(tokenizer.decode([token]) for token in ids)
            for ids in (done.tokens, done.rejected)
        )
        branches = shape is not None and shape.size > shape.depth
        before = self.progress
        self._publish(
            rounds=(*before.rounds, ShownRound(tokens, done.provenance, rejected, branches)),
            proposed=before.proposed + done.num_draft_tokens,
            accepted=before.accepted + done.num_accepted,
        )
        if time.monotonic() - self._split_at > SPLIT_EVERY:
            self._split()
        self._stop.wait(self.pause_seconds)
        assert self._clock is not None
        self._clock.lap(_PAGE, 0)  # what the page takes, and the pause, is not the decode's time
        return not self._stop.is_set()

    def _split(self) -> None:
        assert self._clock is not None
        seconds: dict[str, float] = {}
        for lap in self._clock.laps():
            if lap.stage == _PAGE:
                continue
            seconds[lap.stage] = seconds.get(lap.stage, 0.0) + lap.seconds
        self._publish(seconds_by_stage=seconds, timed_tokens=self.progress.num_tokens)
        self._split_at = time.monotonic()
