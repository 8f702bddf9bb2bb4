"""Where is a contest between engines kept while it goes on, so that it survives interruption?

One line of JSON per group of prompts that all contestants decoded; a group cut short is decoded
again whole. The first line says what the contest is of.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiler.identified_log import append, open_log

Outcome = tuple[dict[str, float], dict[str, list[list[int]]]]
"""Seconds and texts, by contestant."""


class ContestLog:
    """Groups on disk as they are decoded.

    Parameters
    ----------
    path : Path
        Created with its folder; an existing one is continued.
    identity : mapping
        What the contest is of, JSON-ready.

    Raises
    ------
    InputError
        If the file is of something else (names the first field that differs), or is no such log.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self._units: dict[tuple[int, int], Outcome] = {}
        open_log(path, identity, "a contest", self._keep)

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self._units

    def unit(self, batch: int, number: int) -> Outcome:
        """Seconds and texts of a group."""
        return self._units[batch, number]

    def add(
        self,
        batch: int,
        number: int,
        seconds: dict[str, float],
        texts: dict[str, list[list[int]]],
    ) -> None:
        """Keep a group."""
        append(self.path, {"batch": batch, "number": number, "seconds": seconds, "texts": texts})
        self._units[batch, number] = (seconds, texts)

    def _keep(self, line: dict[str, Any]) -> None:
        self._units[line["batch"], line["number"]] = (line["seconds"], line["texts"])
