"""Find the fastest setting by measuring, prompt by prompt, giving up early on slow ones.

An Optuna study in a journal file: any number of processes, on any number of
machines that see the file, may search together, and a search that was cut
short goes on where it stopped. Knows nothing about what a setting does: the
objective times one setting on one prompt beside autoregressive decoding.
"""

import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import InputError
from profiler.progress import Report, Step, silent
from profiler.search_ranking import MIN_PROMPTS, Setting, Standing, Value, rank_settings

Space = Mapping[str, Mapping[str, Sequence[Value]]]
"""Method to the values each of its parameters may take; a range stays ordered."""

Measure = Callable[[Setting, int], tuple[float, float]]
"""Seconds of a setting on a prompt, and of autoregressive decoding right beside it. [s]"""

GIVE_UP_BELOW = 0.02
"""One-sided p of the paired signed-rank test below which a setting is clearly slower."""


def search(
    space: Space,
    measure: Measure,
    num_prompts: int,
    journal: Path,
    *,
    num_trials: int,
    seed: int | None = None,
    report: Report = silent,
) -> tuple[Standing, ...]:
    """Measure settings until the study holds a number of trials; rank what was measured.

    Parameters
    ----------
    space : Space
        Same for all processes on one journal.
    measure : callable
        Same prompts, in the same order, for all processes on one journal.
    num_prompts : int
        Most prompts a setting is measured on.
    journal : Path
        File of the study; made if missing.
    num_trials : int
        Of all processes together, earlier runs included; every further process may
        add one. A setting tried twice is measured twice, and its times are averaged.
    seed : int, optional
        Of this process's suggestions; processes with the same seed repeat each other.
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
        If Optuna is missing, the space or a number is out of bounds, or the journal
        cannot be read or belongs to another search.

    Notes
    -----
    Trials that raise are kept as failed and not counted; the exception is passed on.
    """
    if num_prompts < 1 or num_trials < 1:
        raise InputError(f"need >= 1 prompt and trial, not {num_prompts} and {num_trials}")
    optuna = _optuna()
    study = _study(optuna, journal, _checked(space), num_prompts, seed)

    def objective(trial: Any) -> float:
        setting = _suggest(trial, space)
        times: list[tuple[int, float, float]] = []
        for place, prompt in enumerate(
            np.random.default_rng(trial.number).permutation(num_prompts).tolist()
        ):
            seconds, plain = measure(setting, prompt)
            times.append((prompt, seconds, plain))
            trial.report(float(np.log(plain / seconds)), prompt)
            report(Step(f"trial {trial.number}, {setting.label}", place + 1, num_prompts))
            if trial.should_prune():
                break
        trial.set_user_attr("times", times)
        if len(times) < num_prompts:
            raise optuna.TrialPruned
        totals = np.array(times)[:, 1:].sum(axis=0)
        return float(np.log(totals[1] / totals[0]))

    finished = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    if len(study.get_trials(deepcopy=False, states=finished)) < num_trials:
        enough = optuna.study.MaxTrialsCallback(num_trials, states=finished)
        study.optimize(objective, callbacks=[enough])
    return _rank(study, space)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("searching needs Optuna: pip install 'speculens[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _checked(space: Space) -> Space:
    if not space:
        raise InputError("a space needs >= 1 method, not 0")
    for method, parameters in space.items():
        for name, values in parameters.items():
            if len(values) == 0:
                raise InputError(f"{method} needs >= 1 value of {name}, not 0")
    return space


def _study(optuna: Any, journal: Path, space: Space, num_prompts: int, seed: int | None) -> Any:
    """The journal's study, made if it has none; refused if it is another search's."""
    journal = journal.resolve()  # the lock is a link, which a relative path would break
    journal.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruner = optuna.pruners.WilcoxonPruner(
            p_threshold=GIVE_UP_BELOW, n_startup_steps=MIN_PROMPTS
        )
    storages = optuna.storages
    try:
        storage = storages.JournalStorage(storages.journal.JournalFileBackend(str(journal)))
        study = optuna.create_study(
            storage=storage,
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=pruner,
            study_name="search",
            direction="maximize",
            load_if_exists=True,
        )
    except (ValueError, KeyError, TypeError) as error:  # what a foreign file brings about
        raise InputError(f"{journal} is no journal of a search: {error}") from None
    listed = {m: {name: list(v) for name, v in of.items()} for m, of in space.items()}
    mine = json.dumps({"space": listed, "num_prompts": num_prompts}, sort_keys=True)
    if study.user_attrs.setdefault("search", mine) != mine:
        raise InputError(f"{journal} belongs to a search of another space or number of prompts")
    study.set_user_attr("search", mine)
    return study


def _suggest(trial: Any, space: Space) -> Setting:
    """One method, then each of its own parameters."""
    method = trial.suggest_categorical("method", sorted(space))
    parameters: list[tuple[str, Value]] = []
    for name, values in space[method].items():
        key = f"{method}.{name}"
        if isinstance(values, range):
            value = trial.suggest_int(key, values[0], values[-1], step=values.step)
        else:
            value = trial.suggest_categorical(key, list(values))
        parameters.append((name, value))
    return Setting(method, tuple(parameters))


def _rank(study: Any, space: Space) -> tuple[Standing, ...]:
    times: dict[Setting, dict[int, list[tuple[float, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for trial in study.get_trials(deepcopy=False):
        method = trial.params.get("method", "")
        for prompt, seconds, plain in trial.user_attrs.get("times", ()):
            names = space[method]
            setting = Setting(method, tuple((n, trial.params[f"{method}.{n}"]) for n in names))
            times[setting][prompt].append((seconds, plain))
    return rank_settings(times)
