"""Where do the processes of a search meet? A journal file, or a database."""

import json
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import InputError
from profiler.search_ranking import MIN_PROMPTS

GIVE_UP_BELOW = 0.02
"""One-sided p of the paired signed-rank test below which a setting is clearly slower."""

RETRY_AFTER_S = (0.2, 0.5, 1.0)


def open_study(place: Path | str, search: Mapping[str, Any], seed: int | None) -> Any:
    """The study of a search, made if there is none.

    Parameters
    ----------
    place : Path or str
        Journal file on a disk that all processes see, or a database as SQLAlchemy names
        it, such as ``postgresql://user@host/name``.
    search : mapping
        What all processes must agree on, JSON-ready.
    seed : int or None
        Of this process's suggestions.

    Returns
    -------
    optuna.Study

    Raises
    ------
    InputError
        If Optuna is missing, or the place cannot be read or belongs to another search;
        names the first field that differs.
    """
    optuna = _optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruner = optuna.pruners.WilcoxonPruner(
            p_threshold=GIVE_UP_BELOW, n_startup_steps=MIN_PROMPTS
        )
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    try:
        study = optuna.create_study(
            storage=_database(optuna, place) if "://" in str(place) else _journal(optuna, place),
            sampler=sampler,
            pruner=pruner,
            study_name="search",
            direction="maximize",
            load_if_exists=True,
        )
    except InputError:
        raise
    except (ValueError, KeyError, TypeError) as error:  # what a foreign file brings about
        raise InputError(f"{place} is no journal of a search: {error}") from None
    _check_same(study, place, json.loads(json.dumps(search)))
    return study


def _check_same(study: Any, place: Path | str, mine: dict[str, Any]) -> None:
    known = study.user_attrs.get("search", mine)
    if differs := [key for key in sorted({*known, *mine}) if known.get(key) != mine.get(key)]:
        raise InputError(f"{place} belongs to a search with another {differs[0]}")
    study.set_user_attr("search", mine)


def _journal(optuna: Any, place: Path | str) -> Any:
    journal = Path(place).resolve()  # the lock is a link, which a relative path would break
    journal.parent.mkdir(parents=True, exist_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    return optuna.storages.JournalStorage(backend)


def _database(optuna: Any, place: Path | str) -> Any:
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    for wait_s in RETRY_AFTER_S:  # of processes that start together, one makes the tables
        try:
            return optuna.storages.RDBStorage(str(place))
        except DBAPIError:
            time.sleep(wait_s)
        except (ImportError, SQLAlchemyError):
            break
    try:
        return optuna.storages.RDBStorage(str(place))
    except (ImportError, SQLAlchemyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{place} cannot be opened as a database: {reason}") from None


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("searching needs Optuna: pip install 'speculens[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
