"""speculens session: train a pair and measure all of it, in pieces that end when time is up."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from app.packing import LIMIT_BYTES, oversized, pack
from app.session import EXTENTS, PIECES, commands
from app.terminal import notice

TIME_RAN_OUT = 3
"""Exit code when a piece goes on next time."""
FAILED = 1
INTERRUPTED = 130

SAVING_SHARE, SAVING_S = 0.1, 30.0
"""Of the minutes, at most so many seconds are kept for writing what a cut piece has."""


@dataclass(frozen=True)
class SessionOptions:
    """Where a session runs and for how long.

    Attributes
    ----------
    minutes : float or None
        Of this call; None: until all is done. [min]
    pack : Path or None
        Folder for archives of the records.
    """

    preset: str
    device: str
    minutes: float | None
    out: Path
    state: Path
    pack: Path | None = None
    target: str | None = None
    draft: str | None = None


def run(pieces: Sequence[str], options: SessionOptions) -> int:
    """Do the pieces that are not done yet, in order; the exit code.

    A piece that fails is logged and the next one begins.

    Raises
    ------
    InputError
        For an unknown piece or preset, minutes that are not positive, or a state folder of
        another session.
    """
    importlib.import_module("torch")  # where it is missing, say so once and not in every piece
    every = _checked(pieces, options)
    wanted = [p for p in every if p in pieces] if pieces else list(every)
    deadline = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    log = _Log(options)
    code = 0
    for piece in wanted:
        if piece in log.done:
            notice(f"{piece} was finished {log.done[piece]}")
            continue
        left = None if deadline is None else deadline - time.monotonic()
        ended = _do(piece, every[piece], options, log, left)
        if ended in (TIME_RAN_OUT, INTERRUPTED):
            code = ended
            break
        code = max(code, ended)
    for path in oversized(options.out):
        log.say(f"{path.name} is larger than {LIMIT_BYTES / 1e6:.0f} MB: do not commit it whole")
    if options.pack is not None:
        parts = pack(options.out, options.pack)
        notice(f"packed into {len(parts)} parts, {parts[0].parent}; join them with cat")
    return code


def _checked(pieces: Sequence[str], options: SessionOptions) -> dict[str, list[str]]:
    from engine.errors import InputError

    if options.preset not in EXTENTS:
        known = ", ".join(EXTENTS)
        raise InputError(f"preset must be one of {known}, not '{options.preset}'")
    if options.minutes is not None and not options.minutes > 0:
        raise InputError(f"minutes must be above 0, not {options.minutes:g}")
    if (options.target is None) != (options.draft is None):
        raise InputError("--target and --draft go together: give both or neither")
    if unknown := [piece for piece in pieces if piece not in PIECES]:
        raise InputError(f"piece must be one of {', '.join(PIECES)}, not '{unknown[0]}'")
    made = commands(
        options.preset, options.device, options.out, options.state, options.target, options.draft
    )
    if useless := [piece for piece in pieces if piece not in made]:
        raise InputError(f"{useless[0]} has nothing to do where --target is given")
    return made


def _do(
    piece: str, arguments: list[str], options: SessionOptions, log: _Log, left: float | None
) -> int:
    """One piece: its exit code."""
    if left is not None:
        left -= min(SAVING_S, SAVING_SHARE * 60 * (options.minutes or 0))
        if left <= 0:
            log.say(f"{piece} not begun: time ran out; the same command begins it")
            return TIME_RAN_OUT
    log.say(f"{piece} begins: speculens {' '.join(arguments)}")
    started = time.monotonic()
    printed = io.StringIO()
    with _alarm(left) as rang, contextlib.redirect_stdout(printed):
        code = _call(arguments)
    took = f"{time.monotonic() - started:.0f} s"
    _forget_models()
    print(printed.getvalue(), end="", flush=True)
    if code == 0:
        log.finish(piece, took, printed.getvalue())
    elif code == INTERRUPTED and rang:
        log.say(f"{piece} stopped after {took}: time ran out; the same command goes on with it")
        return TIME_RAN_OUT
    else:
        log.say(f"{piece} {'interrupted' if code == INTERRUPTED else 'failed'} after {took}")
    return code


def _call(arguments: list[str]) -> int:
    """Run a command of ``speculens`` in this process, which has the libraries loaded already."""
    from app.cli import app, is_bad_input

    try:
        code = typer.main.get_command(app).main(arguments, "speculens", standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:
        if is_bad_input(error):
            notice(f"speculens: {error}")
        else:
            traceback.print_exc(file=sys.stderr)
        return FAILED
    return int(code or 0)


@contextlib.contextmanager
def _alarm(seconds: float | None) -> Iterator[list[bool]]:
    """Ctrl-C is pressed after so many seconds: every long command knows what to do then."""
    rang: list[bool] = []
    if seconds is None:
        yield rang
        return

    def ring(number: int, frame: object) -> None:
        rang.append(True)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield rang
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _forget_models() -> None:
    """Give the device's memory back before the next piece loads its models."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


class _Log:
    """What was done when, in words beside the records and by piece in the state folder."""

    def __init__(self, options: SessionOptions) -> None:
        from engine.errors import InputError

        options.out.mkdir(parents=True, exist_ok=True)
        options.state.mkdir(parents=True, exist_ok=True)
        self.out, self._known = options.out, options.state / "session.json"
        identity = {
            "preset": options.preset, "device": options.device,
            "target": options.target, "draft": options.draft,
        }  # fmt: skip
        self._state: dict[str, Any] = {"of": identity, "done": {}}
        if self._known.exists():
            self._state = json.loads(self._known.read_text(encoding="utf-8"))
        if self._state["of"] != identity:
            raise InputError(f"'{options.state}' holds another session; name another --state")

    @property
    def done(self) -> dict[str, str]:
        """Finished pieces, and when."""
        return self._state["done"]

    def say(self, line: str) -> None:
        """A line on standard error and in the log."""
        notice(line)
        with (self.out / "session.log").open("a", encoding="utf-8") as file:
            file.write(f"{_now()} {line}\n")

    def finish(self, piece: str, took: str, printed: str) -> None:
        """Keep what the piece printed, and that it is done."""
        # .json is for records: what is none would be listed as a broken one
        (self.out / f"{piece}.txt").write_text(printed, encoding="utf-8")
        self.done[piece] = _now()
        partial = self._known.with_suffix(".partial")
        partial.write_text(json.dumps(self._state, indent=1), encoding="utf-8")
        partial.replace(self._known)
        self.say(f"{piece} finished after {took}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
