"""Where is a contest between engines kept while it goes on, so that it survives interruption?

One line of JSON per group of prompts that all contestants decoded; a group cut short is decoded
again whole. The first line says what the contest is of.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import InputError

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
        wanted = json.loads(json.dumps(identity))
        if path.exists() and path.stat().st_size > 0:
            self._read(wanted)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._append({"identity": wanted})

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
        self._append({"batch": batch, "number": number, "seconds": seconds, "texts": texts})
        self._units[batch, number] = (seconds, texts)

    def _read(self, wanted: dict[str, Any]) -> None:
        text = self.path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # a line cut short is decoded again
        try:
            first, *lines = [json.loads(line) for line in whole.splitlines()]
            has = first["identity"]
            self._units = {
                (line["batch"], line["number"]): (line["seconds"], line["texts"]) for line in lines
            }
        except (ValueError, KeyError, TypeError):
            raise InputError(f"'{self.path}' is not a log of a contest; name another") from None
        differs = [k for k in {**wanted, **has} if wanted.get(k) != has.get(k)]
        if differs:
            raise InputError(
                f"'{self.path}' holds a contest with another {differs[0]}; name another or "
                "remove it"
            )
        if len(whole) < len(text):
            self.path.write_text(whole, encoding="utf-8")

    def _append(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
