"""Who measures which setting? Claims in a storage that has neither locks nor heartbeats for all.

Optuna beats and retries for databases only, not for journals, so what is needed
stands in attributes of trials, which every storage keeps: a claim is the setting's
label, a pulse is a counter. A process writes its claim, then reads all others':
of two that want one setting the later writer sees the earlier one, so never do
both go on; both may step back, and draw again.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

CLAIM, PULSE, TIMES = "claim", "pulse", "times"
"""Names of the attributes of a trial."""

GUIDED = 4
"""Suggestions in a row that may be taken already, before a free setting is drawn by lot."""

Suggest = Callable[[Any], str]
"""Sets a trial's parameters and says the label of their setting."""


def claim(
    study: Any,
    free_parameters: dict[str, dict[str, Any]],
    num_wanted: int,
    suggest: Suggest,
    rng: np.random.Generator,
) -> Any | None:
    """A running trial whose setting nobody else measures or has measured.

    Parameters
    ----------
    study : optuna.Study
    free_parameters : dict
        Label of every setting of the space to its trial parameters.
    num_wanted : int
        Settings to be measured in all, by all processes.
    suggest : callable
    rng : numpy.random.Generator
        Of the lot.

    Returns
    -------
    optuna.Trial or None
        None if so many are measured or being measured.
    """
    from optuna.trial import TrialState

    attempt = 0
    while True:
        taken = _claims(study)
        if len(taken) >= num_wanted:
            return None
        free = sorted(free_parameters.keys() - taken.keys())
        if attempt >= GUIDED:
            study.enqueue_trial(free_parameters[free[int(rng.integers(len(free)))]])
        attempt += 1
        trial = study.ask()
        label = suggest(trial)
        if label not in taken:
            trial.set_user_attr(CLAIM, label)
            if _claims(study)[label] == {trial.number}:
                return trial
        study.tell(trial, state=TrialState.FAIL)


def _claims(study: Any) -> dict[str, set[int]]:
    """Labels that trials under way or finished have claimed, each with their numbers."""
    from optuna.trial import TrialState

    states = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
    found: dict[str, set[int]] = {}
    for trial in study.get_trials(deepcopy=False, states=states):
        if CLAIM in trial.user_attrs:
            found.setdefault(trial.user_attrs[CLAIM], set()).add(trial.number)
    return found


def left_behind(study: Any, label: str) -> list[tuple[int, float, float]]:
    """Times that an earlier process measured of a setting before it gave up or was killed."""
    from optuna.trial import TrialState

    failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    lists = [t.user_attrs.get(TIMES, []) for t in failed if t.user_attrs.get(CLAIM) == label]
    return [(int(p), float(s), float(plain)) for p, s, plain in max(lists, key=len, default=[])]


@contextmanager
def beating(trial: Any, every_s: float) -> Iterator[None]:
    """Show life on a trial from a thread of this process, which dies with it.

    Parameters
    ----------
    trial : optuna.Trial
    every_s : float
        Between two beats; one takes about a millisecond. [s]
    """
    from optuna.exceptions import UpdateFinishedTrialError

    stop = threading.Event()

    def beat() -> None:
        pulse = 0
        while not stop.wait(every_s):
            pulse += 1
            try:
                trial.set_user_attr(PULSE, pulse)
            except UpdateFinishedTrialError:  # taken over; the measuring thread learns it too
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Watch:
    """Frees the settings of processes that stopped showing life.

    Compares no clocks of different machines: a trial is given up when nothing about it
    changed over so much time that this process spent watching. Between two looks at most
    one beat counts, so a watcher that was paused or busy does not blame the others. A
    process that was paused for longer finds its trial finished and drops it.

    Parameters
    ----------
    beat_s, grace_s : float
        Between signs of life; silence after which a process counts as dead. [s]
    clock : callable
        Seconds since any fixed moment. [s]
    """

    def __init__(
        self, beat_s: float, grace_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._beat_s, self._grace_s, self._clock = beat_s, grace_s, clock
        self._looked = clock()
        self._silence: dict[int, tuple[tuple[Any, ...], float]] = {}

    def free_silent(self, study: Any) -> list[int]:
        """Fail trials under way that were silent for too long.

        Returns
        -------
        list of int
            Their numbers.
        """
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        silent = self._silent(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
        freed = []
        for number in silent:
            try:
                study.tell(number, state=TrialState.FAIL)
            except (UpdateFinishedTrialError, ValueError):  # ended or freed meanwhile
                continue
            freed.append(number)
        return freed

    def _silent(self, running: Sequence[Any]) -> list[int]:
        now = self._clock()
        passed, self._looked = min(now - self._looked, self._beat_s), now
        silence = {}
        for trial in running:
            attrs = trial.user_attrs
            life = (attrs.get(CLAIM), attrs.get(PULSE), len(attrs.get(TIMES, ())))
            before, so_far = self._silence.get(trial.number, (None, 0.0))
            silence[trial.number] = (life, so_far + passed if life == before else 0.0)
        self._silence = silence
        return [number for number, (_, spent) in silence.items() if spent >= self._grace_s]
