"""Which engine is faster on the same prompts, the engines taking turns?

A unit is one group of prompts decoded together by every contestant, in rotating order, so that
drift of a shared machine falls on all alike. Whoever waits is asleep: an idle server's threads
would take their share of the processor. Times are end to end, prompt included.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from engine.errors import InputError
from profiler.contest_log import ContestLog
from profiler.progress import Report, Step, silent
from profiler.ratios import ratio_spread

WARM_UP_TOKENS = 8
"""Decoded by every contestant before it is timed: it finds the caches cold. [tokens]"""

Decode = Callable[[Sequence[list[int]], int], list[list[int]]]
"""Texts of so many tokens behind prompts decoded together."""


@dataclass(frozen=True)
class Contestant:
    """One setting of one engine.

    Attributes
    ----------
    engine : str
    method : str
        As ``profiler.methods.Method.name``.
    setting : str
        What tells it from others of the same engine.
    decode : callable
    awake : callable
        Gives the context in which it can decode; outside it sleeps.
    """

    engine: str
    method: str
    setting: str
    decode: Decode
    awake: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def label(self) -> str:
        """Unique among contestants."""
        return f"{self.engine}: {self.setting}"


@dataclass(frozen=True)
class Unit:
    """What the contestants took for one group of prompts, and what they wrote.

    Attributes
    ----------
    batch, number : int
        Prompts decoded together, and which group of so many it is.
    seconds : dict
        By label. [s]
    texts : dict
        By label, tokens of every prompt.
    """

    batch: int
    number: int
    seconds: dict[str, float]
    texts: dict[str, list[list[int]]]


def group_numbers(num_prompts: int, batches: Sequence[int]) -> list[tuple[int, int]]:
    """(batch, number) of every group, so ordered that each batch sees all of the time it takes.

    Prompts that fill no whole group are left out.

    Raises
    ------
    InputError
        If a batch is below 1 or above the number of prompts.

    Examples
    --------
    >>> group_numbers(4, (1, 2))
    [(1, 0), (2, 0), (1, 1), (1, 2), (2, 1), (1, 3)]
    """
    for batch in batches:
        if not 1 <= batch <= num_prompts:
            raise InputError(f"batch must be in 1 to the {num_prompts} prompts, not {batch}")
    each = [(b, n) for b in dict.fromkeys(batches) for n in range(num_prompts // b)]
    return sorted(each, key=lambda unit: (unit[0] * unit[1], unit[0]))


def turns(contestants: Sequence[Contestant], number: int) -> list[Contestant]:
    """The contestants in the order of a group: each is first in its turn."""
    first = number % len(contestants)
    return [*contestants[first:], *contestants[:first]]


def hold(
    contestants: Mapping[int, Sequence[Contestant]],
    encoded: Sequence[list[int]],
    new_tokens: int,
    log: ContestLog,
    report: Report = silent,
) -> list[Unit]:
    """Let every group of prompts be decoded by every contestant of its batch.

    Parameters
    ----------
    contestants : mapping
        By batch.
    encoded : sequence of list of int
        Prompts as token ids.
    new_tokens : int
        Of every text. [tokens]
    log : ContestLog
        Groups it holds are not decoded again; every new one is added to it.
    report : callable
    """
    groups = group_numbers(len(encoded), tuple(contestants))
    total = sum(len(contestants[batch]) for batch, _ in groups)
    units: list[Unit] = []
    done = 0
    warm: set[int] = set()
    for batch, number in groups:
        those = contestants[batch]
        if (batch, number) in log:
            units.append(Unit(batch, number, *log.unit(batch, number)))
            done += len(those)
            continue
        prompts = list(encoded[number * batch : (number + 1) * batch])
        if batch not in warm:  # shapes that are new to an engine are compiled or tuned
            warm.add(batch)
            for one in those:
                report(Step(f"warming up, batch {batch}, {one.label}", done, total))
                with one.awake():
                    one.decode(prompts, new_tokens)
        seconds, texts = {}, {}
        for one in turns(those, number):
            report(Step(f"batch {batch}, {one.label}", done, total))
            seconds[one.label], texts[one.label] = _timed(one, prompts, new_tokens)
            done += 1
        units.append(Unit(batch, number, seconds, texts))
        log.add(batch, number, seconds, texts)
    report(Step("done", total, total))
    return units


def _timed(
    one: Contestant, prompts: list[list[int]], new_tokens: int
) -> tuple[float, list[list[int]]]:
    with one.awake():
        one.decode(prompts, min(WARM_UP_TOKENS, new_tokens))
        started = time.perf_counter()
        texts = one.decode(prompts, new_tokens)
        seconds = time.perf_counter() - started
    for text in texts:
        if len(text) != new_tokens:
            raise InputError(f"{one.label} wrote {len(text)} tokens, not {new_tokens}")
    return seconds, texts


def contest_rows(contestants: Sequence[Contestant], units: Sequence[Unit]) -> list[dict[str, Any]]:
    """Every contestant of one batch: speed, gain over its engine's own plain decoding, texts.

    Parameters
    ----------
    contestants : sequence of Contestant
        One of each engine decodes autoregressively.
    units : sequence of Unit
        Of one batch.

    Returns
    -------
    list of dict
        ``engine``, ``method``, ``setting``, ``batch``; ``tokens_per_s`` of all texts together;
        ``speedup`` (median, low, high) [unitless]; ``identical`` of ``texts`` equal to the
        first contestant's.
    """
    rows = []
    for one in contestants:
        plain = _plain(contestants, one.engine)
        mine = _seconds(units, one)
        texts = [text for u in units for text in u.texts[one.label]]
        alone = [text for u in units for text in u.texts[contestants[0].label]]
        rows.append(
            {
                "engine": one.engine,
                "method": one.method,
                "setting": one.setting,
                "batch": units[0].batch,
                "tokens_per_s": sum(map(len, texts)) / sum(mine),
                "speedup": ratio_spread(_seconds(units, plain), mine),
                "identical": sum(a == b for a, b in zip(texts, alone, strict=True)),
                "texts": len(texts),
            }
        )
    return rows


def contest_ratios(
    contestants: Sequence[Contestant], units: Sequence[Unit], ours: str, theirs: str
) -> dict[str, dict[str, Any]]:
    """Their time over ours at one batch: plain decoding, and the best setting of each.

    Parameters
    ----------
    contestants : sequence of Contestant
    units : sequence of Unit
        Of one batch.
    ours, theirs : str
        Names of the two engines. The best of each is chosen on these very units.

    Returns
    -------
    dict
        ``autoregressive`` and ``best``, each with ``median``, ``low``, ``high`` and the settings
        ``ours`` and ``theirs``. Above 1 ours is faster. [unitless]
    """

    def fastest(engine: str) -> Contestant:
        mine = [one for one in contestants if one.engine == engine]
        return min(mine, key=lambda one: sum(_seconds(units, one)))

    pairs = {
        "autoregressive": (_plain(contestants, ours), _plain(contestants, theirs)),
        "best": (fastest(ours), fastest(theirs)),
    }
    return {
        name: {
            **ratio_spread(_seconds(units, their), _seconds(units, our)),
            "ours": our.setting,
            "theirs": their.setting,
        }
        for name, (our, their) in pairs.items()
    }


def _plain(contestants: Sequence[Contestant], engine: str) -> Contestant:
    return next(
        one for one in contestants if (one.engine, one.method) == (engine, "autoregressive")
    )


def _seconds(units: Sequence[Unit], one: Contestant) -> list[float]:
    return [unit.seconds[one.label] for unit in units]
