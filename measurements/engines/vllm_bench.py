"""``vllm bench serve``: acceptance and timing of a benchmark's result file.

Keys of ``vllm/benchmarks/serve.py`` (vLLM 0.33.0, read 2026-11). The
acceptance rate is in percent, the rates by position are shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from measurements.engines.reading import Row, agree, count, make_report, number, read_lines, shares
from measurements.engines.report import EngineReport, hazards_from_survival
from measurements.files import RecordError

DEFINITION = (
    "1 + accepted tokens / drafts, over all drafts of the benchmark: the bonus token counts;"
    " acceptance rate in percent of drafted tokens; per position: accepted there / all drafts"
)
WITHOUT = "no speculation reported: one token per step"
_PREFIX = "spec_decode_"


def read(paths: Sequence[Path], definition: str | None) -> tuple[EngineReport, ...]:
    """One report per benchmark run in the files; runs without drafts have tau 1.

    Raises
    ------
    RecordError
        If a key is missing or a stated number is not what its counts say.
    """
    if definition is not None:
        raise RecordError(paths[0], "states its definition: leave out --definition")
    return tuple(_report(path, where, row) for path in paths for where, row in read_lines(path))


def _report(path: Path, where: str, row: Row) -> EngineReport:
    number(path, row, "output_throughput", where)  # what every such file has
    common = {
        "source": f"{path.name} {where}",
        "format": "vllm-bench",
        "num_requests": count(path, row, "completed", where, 1),
        "tokens": count(path, row, "total_output_tokens", where, 1),
        "tokens_per_second": number(path, row, "output_throughput", where),
        "seconds_per_output_token": _milliseconds(path, row, "mean_tpot_ms", where),
        "batch": None if row.get("max_concurrency") is None
        else number(path, row, "max_concurrency", where, 1),
        "engine": "vLLM",
        "model": row.get("model_id"),
    }  # fmt: skip
    if not any(key.startswith(_PREFIX) for key in row):
        return make_report(path, **common, definition=WITHOUT, tau=1.0, num_draft_tokens=0)
    drafts = count(path, row, _PREFIX + "num_drafts", where, 1)
    drafted = count(path, row, _PREFIX + "draft_tokens", where, 1)
    accepted = count(path, row, _PREFIX + "accepted_tokens", where)
    tau = 1.0 + accepted / drafts
    stated = {
        _PREFIX + "acceptance_length": tau,
        _PREFIX + "acceptance_rate": 100.0 * accepted / drafted,
    }
    for key, computed in stated.items():
        agree(path, where, key, number(path, row, key, where), computed)
    key = _PREFIX + "per_position_acceptance_rates"
    rates = shares(path, row, key, where) if row.get(key) else []
    gamma = len(rates) or (drafted // drafts if drafted % drafts == 0 else None)
    try:
        hazards = hazards_from_survival(rates) if rates else None
    except ValueError as error:
        raise RecordError(path, f"{where}: '{key}': {error}") from None
    vary = gamma is not None and drafted < drafts * gamma
    short = "some rounds drafted fewer tokens: a position not drafted counts as rejected"
    return make_report(
        path,
        **common,
        definition=DEFINITION,
        tau=tau,
        num_draft_tokens=gamma,
        hazards=hazards,
        rounds=drafts,
        drafted_tokens=drafted,
        accepted_tokens=accepted,
        lengths_vary=vary,
        notes=(short,) if vary else (),
    )


def _milliseconds(path: Path, row: Row, key: str, where: str) -> float | None:
    """A time in seconds; None where the file lacks it or nothing was timed."""
    seconds = 1e-3 * number(path, row, key, where) if row.get(key) is not None else 0.0
    return seconds or None
