"""A log of measurements that says what they are of: JSON lines, the first of which is the identity.

What cannot be read back whole is measured again, so a line cut short by a crash is dropped.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.errors import InputError


def open_log(
    path: Path, identity: Mapping[str, Any], what: str, keep: Callable[[dict[str, Any]], None]
) -> None:
    """Begin a log, or read back what an interrupted run left in it.

    Parameters
    ----------
    path : Path
        Created with its folder; an existing one is continued.
    identity : mapping
        What is measured, JSON-ready.
    what : str
        Names the measurements in messages.
    keep : callable
        Receives every line that was written whole.

    Raises
    ------
    InputError
        If the file is of something else (names the first field that differs), or is no such log.
    """
    wanted = json.loads(json.dumps(identity))
    if not path.exists() or path.stat().st_size == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        append(path, {"identity": wanted})
        return
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    try:
        first, *lines = [json.loads(line) for line in whole.splitlines()]
        has = first["identity"]
        for line in lines:
            keep(line)
    except (ValueError, KeyError, TypeError):
        raise InputError(f"'{path}' is not a log of {what}; name another file") from None
    differs = [k for k in {**wanted, **has} if wanted.get(k) != has.get(k)]
    if differs:
        raise InputError(
            f"'{path}' holds {what} with another {differs[0]}; name another file or remove it"
        )
    if len(whole) < len(text):
        path.write_text(whole, encoding="utf-8")


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Write one line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")
