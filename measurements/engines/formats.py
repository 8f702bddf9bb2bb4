"""Which engine wrote these files, and what do they say?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from measurements.engines import (
    answers,
    emitted_trace,
    llama_cpp,
    model_optimizer,
    sglang_bench,
    sglang_metrics,
    sglang_requests,
    vllm_bench,
    vllm_forward,
    vllm_metrics,
    vllm_requests,
    vllm_snapshots,
)
from measurements.engines.reading import read_lines, read_text
from measurements.engines.report import EngineReport
from measurements.files import RecordError

Reader = Callable[[Sequence[Path], str | None], tuple[EngineReport, ...]]
FORMATS: dict[str, Reader] = {
    "vllm-metrics": vllm_metrics.read,
    "vllm-snapshots": vllm_snapshots.read,
    "vllm-bench": vllm_bench.read,
    "vllm-requests": vllm_requests.read,
    "sglang-metrics": sglang_metrics.read,
    "sglang-requests": sglang_requests.read,
    "sglang-bench": sglang_bench.read,
    "model-optimizer": model_optimizer.read,
    "answers": answers.read,
    "llama.cpp": llama_cpp.read,
    "emitted-trace": emitted_trace.read,
}
"""Reader of every format, by the name that ``--format`` takes."""


def read_reports(
    paths: Sequence[Path], format_name: str | None = None, definition: str | None = None
) -> tuple[EngineReport, ...]:
    """What engines' files say, normalised.

    Parameters
    ----------
    paths : sequence of Path
        Files of one format; two readings of a metrics page, the earlier first.
        Folders for ``model-optimizer`` and ``vllm-snapshots``.
    format_name : str, optional
        Of ``FORMATS``; recognised from the first file by default.
    definition : str, optional
        What the numbers mean, where the format leaves it open.

    Returns
    -------
    tuple of EngineReport
        One per run.

    Raises
    ------
    RecordError
        If a file is missing, broken, of another format, or contradicts itself.
    """
    if not paths:
        raise RecordError(Path(), "is no file: name at least one")
    found = [recognise(path) for path in paths] if format_name is None else [format_name]
    if found[0] not in FORMATS:
        raise RecordError(
            paths[0], f"--format must be one of {', '.join(FORMATS)}, not '{found[0]}'"
        )
    for path, name in zip(paths, found, strict=False):
        if name != found[0]:
            raise RecordError(
                path, f"looks like {name}, {paths[0].name} like {found[0]}: import them apart"
            )
    return FORMATS[found[0]](paths, definition)


def recognise(path: Path) -> str:
    """The format of a file by what only its writer writes.

    Raises
    ------
    RecordError
        If nothing known is found.
    """
    if path.is_dir():
        named = any((path / name).exists() for name in model_optimizer.NAMES)
        pages = not named and vllm_snapshots.holds_pages(path)
        return "vllm-snapshots" if pages else "model-optimizer"
    text = read_text(path)
    if "vllm:" in text and "\nvllm:" in "\n" + text:
        return "vllm-metrics"
    if "\nsglang:" in "\n" + text:
        return "sglang-metrics"
    if "draft acceptance" in text and "accepted /" in text:
        return "llama.cpp"
    return _by_keys(path, _first(text))


def _first(text: str) -> object:
    """The first object of a JSON or JSONL file; None if there is none."""
    for part in (text, next((line for line in text.splitlines() if line.strip()), "")):
        try:
            value = json.loads(part)
        except json.JSONDecodeError:
            continue
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return value[0]
        return value
    return None


def _by_keys(path: Path, row: object) -> str:
    if isinstance(row, list):
        return "emitted-trace"
    if row is None and path.suffix in (".json", ".jsonl"):
        read_lines(path)  # says where it is broken
    keys = row.keys() if isinstance(row, dict) else set()
    metrics = row.get("metrics") if isinstance(row, dict) else None
    if "num_spec_steps" in keys or (
        isinstance(metrics, dict) and "speculative_decoding" in metrics
    ):
        return "vllm-requests"
    if {"acc_length", "step_time"} <= keys:
        return "sglang-bench"
    if model_optimizer.HISTOGRAM in keys:
        return "model-optimizer"
    if "output_throughput" in keys and "total_output_tokens" in keys:
        return "vllm-bench"
    text = json.dumps(row)
    if '"spec_verify_ct"' in text or '"meta_info"' in text:
        return "sglang-requests"
    if '"new_tokens"' in text and "choices" in keys:
        return "answers"
    if "emitted" in keys:
        return "emitted-trace"
    if vllm_forward.is_forward(row):
        raise RecordError(
            path, "has times of vllm bench forward, no acceptance: give it as --forward beside some"
        )
    raise RecordError(
        path, f"is of no format known by its content: say --format, one of {', '.join(FORMATS)}"
    )
