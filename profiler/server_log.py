"""Where is a sweep over servers kept while it goes on, so that it survives its servers?

One line of JSON per unit, a unit being the same prompts sent to every server in turn: a unit cut
short is measured again whole, because its members belong to the same minutes. The first line
says what the units are of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from profiler.completions import Answer, Counted
from profiler.identified_log import append, open_log

UnitKey = tuple[tuple[str, ...], int, int]
"""(labels of the servers, batch, number of the wave)."""


@dataclass(frozen=True)
class Wave:
    """A batch of prompts sent to one server at once.

    Attributes
    ----------
    num_draft_tokens : int
        As the server drafts; 0 without speculation. [tokens]
    batch : int
        Prompts sent at once. [sequences]
    prompts : tuple of int
        Which.
    answers : tuple of Answer
        In the order of the prompts.
    counted : Counted
        What the server's counters grew by meanwhile.
    """

    num_draft_tokens: int
    batch: int
    prompts: tuple[int, ...]
    answers: tuple[Answer, ...]
    counted: Counted


@dataclass(frozen=True)
class Unit:
    """The same wave on every server of a session, one right behind the other."""

    servers: tuple[str, ...]
    version: str | None
    waves: tuple[Wave, ...]


class SweepLog:
    """Units on disk as they are measured.

    Parameters
    ----------
    path : Path
        Created with its folder; an existing one is continued.
    identity : mapping
        What the units are of, JSON-ready.

    Raises
    ------
    InputError
        If the file is of something else (names the first field that differs), or is no such log.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.units: dict[UnitKey, Unit] = {}
        open_log(path, identity, "a sweep", self._keep)

    def __contains__(self, key: UnitKey) -> bool:
        return key in self.units

    def add(self, number: int, unit: Unit) -> None:
        """Keep a unit, the ``number``-th of its batch."""
        batch = unit.waves[0].batch
        append(self.path, {"number": number, "batch": batch, **asdict(unit)})
        self.units[unit.servers, batch, number] = unit

    def _keep(self, line: dict[str, Any]) -> None:
        unit = Unit(tuple(line["servers"]), line["version"], tuple(map(_wave, line["waves"])))
        self.units[unit.servers, line["batch"], line["number"]] = unit


def _wave(fields: Mapping[str, Any]) -> Wave:
    counted = fields["counted"]
    return Wave(
        fields["num_draft_tokens"],
        fields["batch"],
        tuple(fields["prompts"]),
        tuple(_answer(answer) for answer in fields["answers"]),
        Counted(**{**counted, "accepted": tuple(counted["accepted"])}),
    )


def _answer(fields: Mapping[str, Any]) -> Answer:
    def listed(name: str) -> Sequence[Any]:
        return tuple(fields[name])

    return Answer(
        fields["sent"], listed("arrivals"), listed("sizes"), listed("tokens"),  # type: ignore[arg-type]
        fields["prompt_tokens"],
    )  # fmt: skip
