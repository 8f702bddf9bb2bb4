"""SGLang's ``bench_speculative.py``: one line per setting that was tried.

Keys of scripts/playground/bench_speculative.py (read 2026-11). The step time
is the 20th percentile of the server's steps; ``speed`` is of one sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from measurements.engines.reading import Row, agree, count, make_report, number, read_lines
from measurements.engines.report import EngineReport
from measurements.files import RecordError

DEFINITION = (
    "acc_length: mean of accepted drafts + 1 per verification, the bonus token counts; 1 without"
    " speculation"
)


def read(paths: Sequence[Path], definition: str | None) -> tuple[EngineReport, ...]:
    """One report per line; ``steps`` 0 is decoding without drafts.

    Raises
    ------
    RecordError
        If a key is missing or ``speed`` is not ``acc_length / step_time``.
    """
    if definition is not None:
        raise RecordError(paths[0], "states its definition: leave out --definition")
    return tuple(_report(path, where, row) for path in paths for where, row in read_lines(path))


def _report(path: Path, where: str, row: Row) -> EngineReport:
    batch, steps = count(path, row, "batch_size", where, 1), count(path, row, "steps", where)
    width = count(path, row, "topk", where)
    verified = count(path, row, "num_draft_tokens", where)
    tau = number(path, row, "acc_length", where, 1)
    step = number(path, row, "step_time", where)
    speed = number(path, row, "speed", where)
    if not step:
        raise RecordError(path, f"{where}: 'step_time' must be > 0 s, not 0")
    if abs(speed * step / tau - 1.0) > 0.05:  # the step time is printed with five decimals
        agree(path, where, "speed", speed, tau / step)
    tree = width > 1
    # a chain of SGLang verifies its drafts and the token before them: num_draft_tokens counts both
    gamma = steps if tree else min(steps, max(verified - 1, 0))
    return make_report(
        path,
        source=f"{path.name} {where}",
        format="sglang-bench",
        definition=DEFINITION,
        tau=tau,
        num_draft_tokens=gamma,
        tokens_per_second=batch * speed,
        seconds_per_output_token=1.0 / speed,
        round_seconds=step,
        batch=float(batch),
        tree=tree,
        engine="SGLang",
        notes=(f"a tree of {verified - 1} drafts, {width} wide, {steps} deep",) if tree else (),
    )
