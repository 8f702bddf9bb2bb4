"""NVIDIA Model-Optimizer's ``specdec_bench``: a result folder.

``acceptance_rate.json`` (or ``mtbench.json``, ``specbench.json``) and
``timing.json``, as examples/specdec_bench/specdec_bench/metrics writes them
(read 2026-11). Both files are lists to which every run appends.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from measurements.engines.reading import Row, agree, as_row, count, make_report, number, read_json
from measurements.engines.report import EngineReport, hazards_from_counts
from measurements.files import RecordError

NAMES = ("acceptance_rate.json", "mtbench.json", "specbench.json")
HISTOGRAM = "Acceptance_Length_Histogram"
DEFINITION = (
    "Average_AL: tokens emitted per step, bonus token included, averaged per request and then over"
    " requests; Conditional and Joint_Acceptance_Rate by emitted tokens, 1 always 1; tau here is"
    " over steps, from the histogram"
)


def read(paths: Sequence[Path], definition: str | None) -> tuple[EngineReport, ...]:
    """One report per run of every folder (or acceptance file).

    Raises
    ------
    RecordError
        If a file is missing, runs and timings differ in number, or rates contradict counts.
    """
    if definition is not None:
        raise RecordError(paths[0], "states its definition: leave out --definition")
    return tuple(report for path in paths for report in _folder(path))


def _folder(path: Path) -> list[EngineReport]:
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        there = [folder / name for name in NAMES if (folder / name).exists()]
        if len(there) != 1:
            raise RecordError(path, f"must hold one of {', '.join(NAMES)}, not {len(there)}")
        path = there[0]
    runs = _runs(path)
    timing = folder / "timing.json"
    times: list[Row | None] = [None] * len(runs)
    if timing.exists():
        times = list(_runs(timing))
        if len(times) != len(runs):
            raise RecordError(timing, f"holds {len(times)} runs, {path.name} {len(runs)}")
    return [
        _report(path, f"run {n}", run, timing, time)
        for n, (run, time) in enumerate(zip(runs, times, strict=True), 1)
    ]


def _runs(path: Path) -> list[Row]:
    whole = read_json(path)
    rows = whole if isinstance(whole, list) else [whole]
    if not rows:
        raise RecordError(path, "holds no run")
    return [as_row(path, row, f"run {n}") for n, row in enumerate(rows, 1)]


def _report(path: Path, where: str, run: Row, timing: Path, time: Row | None) -> EngineReport:
    lengths = as_row(path, run.get(HISTOGRAM), f"{where}: '{HISTOGRAM}'")
    if not lengths or not all(k.isdigit() and int(k) >= 1 for k in lengths):
        raise RecordError(
            path, f"{where}: '{HISTOGRAM}' must map emitted tokens >= 1 to steps, not {[*lengths]}"
        )
    steps = {int(key): count(path, lengths, key, where) for key in lengths}
    kept = [steps.get(n + 1, 0) for n in range(max(steps))]
    rounds = sum(kept)
    if not rounds:
        raise RecordError(path, f"{where}: '{HISTOGRAM}' counts 0 steps, needs >= 1")
    _check_rates(path, where, run, kept)
    mean = number(path, run, "Average_AL", where, 1)
    requests = as_row(path, run.get("Request_AL", {}), f"{where}: 'Request_AL'")
    return make_report(
        path,
        source=f"{path.parent.name}/{path.name} {where}",
        format="model-optimizer",
        definition=DEFINITION,
        tau=sum((n + 1) * v for n, v in enumerate(kept)) / rounds,
        num_draft_tokens=len(kept) - 1,
        hazards=hazards_from_counts(kept),
        rounds=rounds,
        accepted_tokens=sum(n * v for n, v in enumerate(kept)),
        num_requests=len(requests) or None,
        mean_of_requests=mean,
        tokens_per_second=None
        if time is None
        else number(timing, time, "Output TPS", where),
        seconds_per_output_token=None if time is None else _per_token(timing, where, time),
        round_seconds=None
        if time is None
        else _mean(timing, where, time, "Request Generation Step Time"),
        notes=(
            "num_draft_tokens is the longest round seen, less one; the run may have drafted more",
            "last steps of requests, and first ones that prefill yields, count as rounds in"
            " files of versions that do not trim them",
        ),
    )  # fmt: skip


def _check_rates(path: Path, where: str, run: Row, kept: list[int]) -> None:
    rounds = sum(kept)
    joint = as_row(path, run.get("Joint_Acceptance_Rate", {}), f"{where}: 'Joint_Acceptance_Rate'")
    for key in joint:
        if not key.isdigit() or not 1 <= int(key) <= len(kept):
            raise RecordError(
                path,
                f"{where}: 'Joint_Acceptance_Rate' must be by 1 to {len(kept)} tokens, not '{key}'",
            )
        stated = number(path, joint, key, where)
        name = f"Joint_Acceptance_Rate[{key}]"
        agree(path, where, name, stated, sum(kept[int(key) - 1 :]) / rounds)


def _per_token(path: Path, where: str, time: Row) -> float | None:
    speed = _mean(path, where, time, "Request Generation Tokens Per Second")
    return 1.0 / speed if speed else None


def _mean(path: Path, where: str, time: Row, key: str) -> float | None:
    """Mean of a block of statistics, which are written as text."""
    if key not in time:
        return None
    block = as_row(path, time[key], f"{where}: '{key}'")
    try:
        return float(block["mean"])
    except (KeyError, TypeError, ValueError):
        raise RecordError(path, f"{where}: '{key}' has no number under 'mean'") from None
