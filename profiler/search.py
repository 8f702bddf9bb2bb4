"""Find the fastest setting by measuring, prompt by prompt, giving up early on slow ones.

An Optuna study in a journal file or a database: any number of processes, on any
number of machines that see it, search together. No setting is measured twice; what
a killed process leaves is taken up where it stopped. Every measured setting becomes
a record named by its content, so records of several machines merge. Knows nothing
about what a setting does: the objective times one on one prompt beside
autoregressive decoding.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import InputError
from measurements import SearchRun, save_search_run
from profiler.progress import Report, Step, silent
from profiler.search_claims import CLAIM, TIMES, Watch, beating, claim, left_behind
from profiler.search_ranking import Setting, Standing, rank_settings
from profiler.search_settings import (
    Space,
    check_space,
    settings_of,
    suggest,
    trial_parameters,
)
from profiler.search_study import open_study

Measure = Callable[[Setting, int], tuple[float, float]]
"""Seconds of a setting on a prompt, and of autoregressive decoding right beside it. [s]"""

Times = list[tuple[int, float, float]]
"""(prompt, seconds, seconds of autoregressive decoding)."""


@dataclass(frozen=True)
class Sharing:
    """How processes of one search notice each other.

    Attributes
    ----------
    beat_s : float
        Between two signs of life. [s]
    grace_s : float
        Silence after which a process counts as dead and its setting is free; more than
        what may pause a live one. [s]
    poll_s : float
        Between two looks, when all that is left is being measured by others. [s]
    """

    beat_s: float = 10.0
    grace_s: float = 60.0
    poll_s: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.beat_s < self.grace_s:
            raise InputError(f"need 0 < beat < grace, not {self.beat_s} and {self.grace_s} s")


def search(
    space: Space,
    measure: Measure,
    num_prompts: int,
    place: Path | str,
    *,
    num_trials: int,
    seed: int | None = None,
    identity: Mapping[str, Any] | None = None,
    records: Path | None = None,
    sharing: Sharing | None = None,
    report: Report = silent,
) -> tuple[Standing, ...]:
    """Measure settings until so many are measured by all processes; rank what was measured.

    Parameters
    ----------
    space : Space
        Same for all processes of one search.
    measure : callable
        Same prompts, in the same order, for all processes of one search.
    num_prompts : int
        Most prompts a setting is measured on.
    place : Path or str
        Journal file or database of the study; made if missing.
    num_trials : int
        Settings of all processes together, earlier runs included; as many as the space
        has, if that is fewer. Two processes that claim at the same time may add one.
    seed : int, optional
        Of this process's suggestions.
    identity : mapping, optional
        What else the processes must agree on, JSON-ready: models, prompts, sampling, machine.
    records : Path, optional
        Folder for a ``measurements.SearchRun`` of each setting this process finishes.
    sharing : Sharing, optional
    report : callable

    Returns
    -------
    tuple of Standing
        Fastest first. A setting is given up when, on at least ``MIN_PROMPTS`` prompts,
        it is slower than the best so far by a paired signed-rank test, and slower on
        its prompts than the best on all; the order of prompts is drawn for each trial.

    Raises
    ------
    InputError
        If Optuna is missing, the space or a number is out of bounds, or the place
        cannot be read or belongs to another search.

    Notes
    -----
    A process whose settings are all taken waits for the others, so that it can take up
    what one of them leaves. What a trial measured before it raised is kept; the exception
    is passed on.
    """
    if num_prompts < 1 or num_trials < 1:
        raise InputError(f"need >= 1 prompt and trial, not {num_prompts} and {num_trials}")
    check_space(space)
    sharing = sharing or Sharing()
    listed = {m: {name: list(v) for name, v in of.items()} for m, of in space.items()}
    common = {**(identity or {}), "number of prompts": num_prompts}
    study = open_study(place, {**common, "space": listed}, seed)
    by_label = {setting.label: setting for setting in settings_of(space)}
    parameters = {label: trial_parameters(setting) for label, setting in by_label.items()}
    wanted = min(num_trials, len(by_label))
    watch, rng = Watch(sharing.beat_s, sharing.grace_s), np.random.default_rng(seed)
    while _num_finished(study) < wanted:
        watch.free_silent(study)
        trial = claim(study, parameters, wanted, lambda t: suggest(t, space).label, rng)
        if trial is None:
            time.sleep(sharing.poll_s)
            continue
        setting = by_label[trial.user_attrs[CLAIM]]
        with beating(trial, sharing.beat_s):
            times = _run_trial(study, trial, setting, measure, num_prompts, report)
        if times is not None:
            if records is not None:
                save_search_run(records, as_record(setting, times, common))
            _tell(study, trial, times, num_prompts)
    return _rank(study, by_label)


def as_record(setting: Setting, times: Times, common: Mapping[str, Any]) -> SearchRun:
    """What is kept of a measured setting, whoever measured it and in whatever order."""
    return SearchRun(
        search=dict(common),
        method=setting.method,
        parameters=dict(setting.parameters),
        times=sorted(times),
    )


def rank_records(runs: Sequence[SearchRun]) -> tuple[Standing, ...]:
    """Settings of records, fastest first; one measured by two searches is averaged."""
    gathered = [(Setting(r.method, tuple(sorted(r.parameters.items()))), r.times) for r in runs]
    return rank_settings(_by_prompt(gathered))


def _run_trial(
    study: Any, trial: Any, setting: Setting, measure: Measure, num_prompts: int, report: Report
) -> Times | None:
    """Times of a setting up to where it was given up; None if another process took it over."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    times = left_behind(study, setting.label)
    measured = {prompt for prompt, _, _ in times}
    order = np.random.default_rng(trial.number).permutation(num_prompts).tolist()
    try:
        for prompt, seconds, plain in times:
            trial.report(float(np.log(plain / seconds)), prompt)
        for prompt in (p for p in order if p not in measured):
            if times and trial.should_prune():
                break
            seconds, plain = measure(setting, prompt)
            times.append((prompt, seconds, plain))
            trial.set_user_attr(TIMES, times)
            trial.report(float(np.log(plain / seconds)), prompt)
            report(Step(f"trial {trial.number}, {setting.label}", len(times), num_prompts))
        trial.set_user_attr(TIMES, times)
    except UpdateFinishedTrialError:
        return None
    except BaseException:
        study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        raise
    return times


def _tell(study: Any, trial: Any, times: Times, num_prompts: int) -> None:
    from optuna.trial import TrialState

    if len(times) < num_prompts:
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
        return
    totals = np.array(times)[:, 1:].sum(axis=0)
    study.tell(trial, float(np.log(totals[1] / totals[0])), skip_if_finished=True)


def _finished(study: Any) -> list[Any]:
    from optuna.trial import TrialState

    states = (TrialState.COMPLETE, TrialState.PRUNED)
    return study.get_trials(deepcopy=False, states=states)


def _num_finished(study: Any) -> int:
    return len(_finished(study))


def _rank(study: Any, by_label: Mapping[str, Setting]) -> tuple[Standing, ...]:
    finished = [t.user_attrs for t in _finished(study)]
    return rank_settings(_by_prompt([(by_label[a[CLAIM]], a[TIMES]) for a in finished]))


def _by_prompt(
    gathered: Sequence[tuple[Setting, Sequence[Sequence[float]]]],
) -> dict[Setting, dict[int, list[tuple[float, float]]]]:
    times: dict[Setting, dict[int, list[tuple[float, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for setting, rows in gathered:
        for prompt, seconds, plain in sorted(map(tuple, rows)):  # not by who came when
            times[setting][int(prompt)].append((seconds, plain))
    return times
