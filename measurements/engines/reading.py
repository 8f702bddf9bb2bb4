"""How is a foreign file read, with every fault named by file, line and key?"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measurements.engines.report import EngineReport
from measurements.files import RecordError

Row = Mapping[str, Any]


def read_text(path: Path) -> str:
    """A text file whole, refused with its name if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(path, f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise RecordError(path, f"is not UTF-8 text (byte {error.start})") from None


def read_json(path: Path) -> Any:
    """A JSON file; truncated or broken ones are refused with the place."""
    return _parse(path, read_text(path), 1)


def read_lines(path: Path) -> list[tuple[str, Row]]:
    """Objects of a JSON or JSONL file, each with where it stands; at least one."""
    text = read_text(path)
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise RecordError(path, "is empty")
    try:
        first = json.loads(lines[0][1])
    except json.JSONDecodeError:
        first = None
    if first is None or len(lines) == 1:  # one document, over one or many lines
        whole = read_json(path)
        rows = whole if isinstance(whole, list) else [whole]
        found = [(f"entry {n}", row) for n, row in enumerate(rows, 1)]
    else:
        found = [(f"line {n}", _parse(path, line, n)) for n, line in lines]
    return [(where, as_row(path, row, where)) for where, row in found]


def _parse(path: Path, text: str, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise RecordError(
            path, f"line {line} is truncated or no JSON: {error.msg} (column {error.colno})"
        ) from None


def as_row(path: Path, value: Any, where: str) -> Row:
    """A JSON object, else refused."""
    if not isinstance(value, dict):
        raise RecordError(path, f"{where} must be a JSON object, not {type(value).__name__}")
    return value


def number(path: Path, row: Row, key: str, where: str, bound: float = 0.0) -> float:
    """A finite number at or above the bound under a key of a row."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        kind = "missing" if key not in row else f"{value!r}"
        raise RecordError(path, f"{where}: '{key}' must be a number >= {bound:g}, not {kind}")
    if not math.isfinite(value) or value < bound:
        raise RecordError(path, f"{where}: '{key}' must be finite and >= {bound:g}, not {value:g}")
    return float(value)


def count(path: Path, row: Row, key: str, where: str, bound: int = 0) -> int:
    """A whole number at or above the bound under a key of a row."""
    value = number(path, row, key, where, bound)
    if value != int(value):
        raise RecordError(path, f"{where}: '{key}' must be whole, not {value:g}")
    return int(value)


def counts(path: Path, row: Row, key: str, where: str, bound: int = 0) -> list[int]:
    """A list of whole numbers at or above the bound under a key of a row."""
    return [int(v) for v in _numbers(path, row, key, where, bound, whole=True)]


def shares(path: Path, row: Row, key: str, where: str) -> list[float]:
    """A list of numbers in [0, 1] under a key of a row."""
    values = _numbers(path, row, key, where, 0, whole=False)
    if bad := [v for v in values if v > 1]:
        raise RecordError(path, f"{where}: '{key}' must hold shares in [0, 1], not {bad[0]:g}")
    return values


def _numbers(
    path: Path, row: Row, key: str, where: str, bound: float, *, whole: bool
) -> list[float]:
    values = row.get(key)
    if not isinstance(values, list):
        kind = "missing" if key not in row else type(values).__name__
        raise RecordError(path, f"{where}: '{key}' must be a list, not {kind}")
    each = {f"{key}[{n}]": value for n, value in enumerate(values)}
    read = count if whole else number
    return [read(path, each, name, where, int(bound)) for name in each]


def agree(path: Path, where: str, name: str, stated: float, computed: float) -> None:
    """Refuse a file whose stated number is not what its own counts say; whole numbers exactly."""
    whole = isinstance(stated, int) and isinstance(computed, int)
    if stated == computed if whole else math.isclose(stated, computed, rel_tol=5e-3, abs_tol=5e-3):
        return
    raise RecordError(
        path,
        f"{where}: '{name}' says {stated:g}, its own counts {computed:.4g}:"
        " truncated, or mixed definitions",
    )


def make_report(path: Path, **fields: Any) -> EngineReport:
    """A report, its contradictions refused with the file's name."""
    try:
        return EngineReport(**{"source": path.name, **fields})
    except ValueError as error:
        raise RecordError(path, str(error)) from None


def choose(path: Path, definition: str | None, known: Mapping[str, str], why: str) -> str:
    """The definition that was asked for; refused where none or an unknown one was."""
    options = "; ".join(f"{name} ({meaning})" for name, meaning in known.items())
    if definition is None:
        raise RecordError(path, f"{why}: say --definition, one of {options}")
    if definition not in known:
        raise RecordError(path, f"--definition must be one of {options}, not '{definition}'")
    return definition
