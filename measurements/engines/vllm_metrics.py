"""vLLM's Prometheus page: what did a server accept between two readings?

Counters of ``vllm/v1/spec_decode/metrics.py`` (vLLM 0.33.0, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from measurements.engines.prometheus import Metrics, between, read_metrics
from measurements.engines.reading import choose, make_report
from measurements.engines.report import EngineReport, hazards_from_survival
from measurements.files import RecordError

_DRAFTS = "vllm:spec_decode_num_drafts"
_DRAFTED = "vllm:spec_decode_num_draft_tokens"
_ACCEPTED = "vllm:spec_decode_num_accepted_tokens"
_BY_POSITION = "vllm:spec_decode_num_accepted_tokens_per_pos"
_LATENCY = "vllm:request_time_per_output_token_seconds"
_COUNTERS = ("vllm:spec_decode_", _LATENCY)
DEFINITION = (
    "1 + accepted tokens / drafts, over all drafts: the bonus token counts, steps that scheduled"
    " no draft do not; per position: accepted there / all drafts, unconditional"
)
ONE_READING = {"since-start": "everything since the server started, warm-up included"}


def read(paths: Sequence[Path], definition: str | None) -> tuple[EngineReport, ...]:
    """One report from two readings (before, after), or from one if that was asked for.

    Raises
    ------
    RecordError
        If a file is no such page, lacks a counter, or counters contradict each other.
    """
    if len(paths) == 1:
        why = "is one reading, and a rate needs two (before and after the load)"
        choose(paths[0], definition, ONE_READING, why)
        return (_report(read_metrics(paths[0], "vllm:"), "since the server started"),)
    if len(paths) != 2:
        raise RecordError(paths[-1], f"metrics are read from 1 or 2 files, not {len(paths)}")
    before, after = (read_metrics(path, "vllm:") for path in paths)
    return (_report(between(before, after, _COUNTERS), f"since {paths[0].name}"),)


def _report(metrics: Metrics, span: str) -> EngineReport:
    drafts, drafted = metrics.needed(_DRAFTS), metrics.needed(_DRAFTED)
    accepted = metrics.needed(_ACCEPTED)
    if drafts < 1:
        raise RecordError(metrics.path, f"'{_DRAFTS}' counted 0 drafts {span}, needs >= 1")
    positions = {int(p): v for p, v in metrics.by_label(_BY_POSITION, "position").items()}
    if sorted(positions) != list(range(len(positions))):
        raise RecordError(
            metrics.path, f"'{_BY_POSITION}' lacks positions: has {sorted(positions)}"
        )
    if positions and sum(positions.values()) != accepted:
        raise RecordError(
            metrics.path,
            f"'{_BY_POSITION}' adds up to {sum(positions.values()):g}, not to the"
            f" {accepted:g} of '{_ACCEPTED}': truncated, or readings of two servers",
        )
    gamma = len(positions) or None
    vary = gamma is not None and drafted < drafts * gamma
    short = "some rounds drafted fewer tokens: a position not drafted counts as rejected"
    return make_report(
        metrics.path,
        format="vllm-metrics",
        definition=DEFINITION,
        tau=1.0 + accepted / drafts,
        num_draft_tokens=gamma,
        hazards=_hazards(metrics.path, positions, drafts),
        rounds=int(drafts),
        drafted_tokens=int(drafted),
        accepted_tokens=int(accepted),
        seconds_per_output_token=metrics.mean(_LATENCY),
        engine="vLLM",
        model=metrics.model(),
        lengths_vary=vary,
        notes=(f"counted {span}", *([short] if vary else [])),
    )


def _hazards(path: Path, positions: dict[int, float], drafts: float) -> tuple[float, ...] | None:
    if not positions:
        return None
    try:
        return hazards_from_survival([positions[p] / drafts for p in sorted(positions)])
    except ValueError as error:
        raise RecordError(path, f"'{_BY_POSITION}': {error}") from None
