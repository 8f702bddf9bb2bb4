"""How is a study's table printed, with what was published beside it? No drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, log10

from measurements.schema import Cell

Row = Mapping[str, Cell]
Table = tuple[list[str], list[list[str]]]
"""Headings and cells."""

PAPER = "paper"


def cell(value: Cell) -> str:
    """A value as people read it.

    Examples
    --------
    >>> cell(0.12345), cell(1234.5), cell(None), cell("chain"), cell(True)
    ('0.123', '1234', '–', 'chain', 'yes')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"
    return str(value)


def decimals(values: Sequence[float]) -> int:
    """Of a column of numbers, so that the middle one has three digits.

    Examples
    --------
    >>> decimals([344.7, 505.9]), decimals([1.1, 0.869]), decimals([0.0, 0.012])
    (0, 2, 4)
    """
    sizes = sorted(abs(value) for value in values if value)
    middle = sizes[len(sizes) // 2] if sizes else 1.0
    return min(max(2 - floor(log10(middle)), 0), 6)


def plain(rows: Sequence[Row]) -> Table:
    """A table as it is: every column that any row has."""
    headings = list(dict.fromkeys(name for row in rows for name in row))
    return headings, [[cell(row.get(name)) for name in headings] for row in rows]


def beside(measured: Sequence[Row], published: Sequence[Row]) -> Table | None:
    """Measured rows with the published value behind each column that has one.

    Parameters
    ----------
    measured, published : sequence of row
        A published row belongs to the measured row whose text cells it repeats.

    Returns
    -------
    headings and cells, or None where a published row belongs to none or to several

    Examples
    --------
    >>> beside([{"text": "a", "speed": 2.0, "n": 3}], [{"text": "a", "speed": 4.0}])
    (['text', 'speed', 'paper', 'n'], [['a', '2', '4', '3']])
    """
    theirs: dict[int, Row] = {}
    for row in published:
        keys = {name: value for name, value in row.items() if isinstance(value, str)}
        found = [i for i, mine in enumerate(measured) if keys.items() <= mine.items()]
        if not keys or len(found) != 1 or found[0] in theirs:
            return None
        theirs[found[0]] = row
    doubled = {name for row in published for name, v in row.items() if not isinstance(v, str)}
    columns = list(dict.fromkeys(name for row in measured for name in row))
    headings = [h for name in columns for h in ((name, PAPER) if name in doubled else (name,))]
    cells = []
    for i, row in enumerate(measured):
        line = []
        for name in columns:
            line.append(cell(row.get(name)))
            if name in doubled:
                line.append(cell(theirs.get(i, {}).get(name)))
        cells.append(line)
    return headings, cells


def fitted(made: Table, width: int) -> Table:
    """The table, or rows and columns exchanged where only that keeps to a width.

    Parameters
    ----------
    made : headings and cells
    width : int
        Characters of a line.

    Examples
    --------
    >>> fitted((["text", "speed", "error"], [["a", "2", "1"]]), 16)
    (['text', 'a'], [['speed', '2'], ['error', '1']])
    """
    headings, rows = made
    columns = [list(column) for column in zip(headings, *rows, strict=True)]
    turned: Table = (columns[0], columns[1:])
    return turned if _width(made) > width >= _width(turned) else made


def _width(made: Table) -> int:
    """Characters of a printed line: a column's widest cell, two blanks, one rule."""
    headings, rows = made
    return 1 + sum(3 + max(map(len, column)) for column in zip(headings, *rows, strict=True))


def tables(
    measured: Mapping[str, Sequence[Row]], published: Mapping[str, Sequence[Row]]
) -> dict[str, Table]:
    """All tables of a study by title; what was published stands in the table of the same title.

    A published table that fits none row by row follows behind on its own.
    """
    shown: dict[str, Table] = {}
    for title, rows in measured.items():
        theirs = published.get(title, [])
        both = beside(rows, theirs) if theirs else None
        shown[title] = both or plain(rows)
        if theirs and both is None:
            shown[f"{title}: published"] = plain(theirs)
    alone = {
        f"{title}: published": plain(published[title])
        for title in published
        if title not in measured
    }
    return shown | alone
