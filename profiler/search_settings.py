"""Which settings may a search try, and how does a trial of Optuna name one?"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from engine.errors import InputError
from profiler.search_ranking import Setting, Value

Space = Mapping[str, Mapping[str, Sequence[Value]]]
"""Method to the values each of its parameters may take; a range stays ordered."""


def check_space(space: Space) -> None:
    """Refuse a space without methods or values."""
    if not space:
        raise InputError("a space needs >= 1 method, not 0")
    for method, parameters in space.items():
        for name, values in parameters.items():
            if len(values) == 0:
                raise InputError(f"{method} needs >= 1 value of {name}, not 0")


def settings_of(space: Space) -> Iterator[Setting]:
    """Every setting of a space.

    Examples
    --------
    >>> [s.label for s in settings_of({"chain": {"num_draft_tokens": (1, 2)}, "lookup": {}})]
    ['chain num_draft_tokens 1', 'chain num_draft_tokens 2', 'lookup']
    """
    for method, parameters in space.items():
        for values in product(*parameters.values()):
            yield Setting(method, tuple(zip(parameters, values, strict=True)))


def trial_parameters(setting: Setting) -> dict[str, Value]:
    """What a trial of this setting has for parameters."""
    named = {f"{setting.method}.{name}": value for name, value in setting.parameters}
    return {"method": setting.method, **named}


def suggest(trial: Any, space: Space) -> Setting:
    """Let a trial's sampler choose one method, then each of its own parameters."""
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
