"""What the command line shows: progress on standard error, results on standard output."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

ShowStep = Callable[[str, int, int], None]
"""Receives what is being worked on, units done, units in all."""


def output() -> Console:
    """Console on standard output; wide enough for tables when piped."""
    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def notice(message: str) -> None:
    """One line on standard error."""
    print(message, file=sys.stderr)


def print_json(value: Any) -> None:
    """One JSON document on standard output, nothing else."""
    print(json.dumps(value, indent=1, allow_nan=False))


def table(title: str, headings: list[str], rows: list[list[str]]) -> Table:
    """A right-aligned table of numbers whose first column is text; units in [] are no markup."""
    made = Table(title=escape(title), title_justify="left", title_style="bold", header_style="bold")
    for index, heading in enumerate(headings):
        made.add_column(escape(heading), justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        made.add_row(*map(escape, row))
    return made


@contextmanager
def progress_bar() -> Iterator[ShowStep]:
    """A bar with a remaining-time estimate on standard error.

    On a terminal the bar is live; elsewhere a line is printed for every tenth.
    """
    if not sys.stderr.isatty():
        yield _tenths()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield show


@contextmanager
def resumable() -> Iterator[None]:
    """Ctrl-C ends the command with exit code 130 and says that nothing measured is lost."""
    try:
        yield
    except KeyboardInterrupt:
        notice("speculens: interrupted; what was done is kept, the same command resumes")
        sys.exit(130)


@contextmanager
def ends_like_ctrl_c() -> Iterator[None]:
    """A polite kill ends the command as Ctrl-C does, so that it ends its own processes first.

    Ctrl-C itself too: a shell starts background commands with it ignored.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _tenths() -> ShowStep:
    shown = [-1]

    def show(what: str, done: int, total: int) -> None:
        tenth = 10 * done // max(1, total)
        if tenth != shown[0]:
            shown[0] = tenth
            notice(f"{10 * tenth:3d} %  {what}")

    return show
