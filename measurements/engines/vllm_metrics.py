"""vLLM's Prometheus page: what did a server accept between two readings?

Counters of ``vllm/v1/spec_decode/metrics.py`` (vLLM 0.33.0, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measurements.engines.prometheus import Metrics, between, read_metrics
from measurements.engines.reading import choose, make_report
from measurements.engines.report import EngineReport, hazards_from_survival
from measurements.files import RecordError

_DRAFTS = "vllm:spec_decode_num_drafts"
_DRAFTED = "vllm:spec_decode_num_draft_tokens"
_ACCEPTED = "vllm:spec_decode_num_accepted_tokens"
_BY_POSITION = "vllm:spec_decode_num_accepted_tokens_per_pos"
LATENCY = "vllm:request_time_per_output_token_seconds"
_REQUEST = "vllm:e2e_request_latency_seconds"
_STEP = "vllm:inter_token_latency_seconds"
_TOKENS = "vllm:generation_tokens"
COUNTERS = ("vllm:spec_decode_", "vllm:iteration_tokens_total", LATENCY, _REQUEST, _STEP, _TOKENS)
"""Starts of the names that count up and are read here."""
DEFINITION = (
    "1 + accepted tokens / drafts, over all drafts: the bonus token counts, steps that scheduled"
    " no draft do not; per position: accepted there / all drafts, unconditional"
)
PLAIN = "no speculation counted: one token per step"
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
        return (counted_report(read_metrics(paths[0], "vllm:"), "since the server started"),)
    if len(paths) != 2:
        raise RecordError(paths[-1], f"metrics are read from 1 or 2 files, not {len(paths)}")
    before, after = (read_metrics(path, "vllm:") for path in paths)
    return (counted_report(between(before, after, COUNTERS), f"since {paths[0].name}"),)


def plain_report(metrics: Metrics, span: str, **more: Any) -> EngineReport:
    """The report of a server that counts no speculation; ``more`` are its other fields."""
    return make_report(
        metrics.path,
        **{
            "format": "vllm-metrics", "definition": PLAIN, "tau": 1.0, "num_draft_tokens": 0,
            "notes": (f"counted {span}",), **_timing(metrics), "steps": steps(metrics), **more,
        },
    )  # fmt: skip


def counted_report(metrics: Metrics, span: str, **more: Any) -> EngineReport:
    """The report of what a speculating server counted; ``more`` are its other fields.

    Raises
    ------
    RecordError
        If it lacks a counter, drafted nothing, or counters contradict each other.
    """
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
        **{
            "format": "vllm-metrics",
            "definition": DEFINITION,
            "tau": 1.0 + accepted / drafts,
            "num_draft_tokens": gamma,
            "hazards": _hazards(metrics.path, positions, drafts),
            "rounds": int(drafts),
            "drafted_tokens": int(drafted),
            "accepted_tokens": int(accepted),
            "lengths_vary": vary,
            "notes": (f"counted {span}", *([short] if vary else [])),
            **_timing(metrics),
            "steps": steps(metrics),
            **more,
        },
    )


def has_speculation(metrics: Metrics) -> bool:
    """Whether the page is a speculating server's."""
    return metrics.total(_DRAFTS) is not None


def steps(metrics: Metrics) -> int | None:
    """Steps of all sequences behind their prefills, those without drafts too; None if not counted.

    vLLM 0.32 observes an inter-token latency for each step of each sequence. Versions that
    observe one for each token say nothing about steps.
    """
    observed, tokens = metrics.total(_STEP + "_count"), metrics.total(_TOKENS)
    requests = metrics.total(_REQUEST + "_count")
    if not observed or tokens is None or requests is None:
        return None
    per_token = has_speculation(metrics) and observed >= tokens - requests
    return None if per_token and metrics.total(_ACCEPTED) else int(observed)


def sequences_per_step(metrics: Metrics) -> float | None:
    """Mean number of sequences in a step of the engine; None if not counted. [sequences]"""
    engine_steps, mine = metrics.total("vllm:iteration_tokens_total_count"), steps(metrics)
    requests = metrics.total(_REQUEST + "_count")
    if not engine_steps or mine is None or requests is None:
        return None
    return (mine + requests) / engine_steps  # a prefill's step emits the first token


def _timing(metrics: Metrics) -> dict[str, Any]:
    requests, tokens = metrics.total(_REQUEST + "_count"), metrics.total(_TOKENS)
    return {
        "tokens": None if tokens is None else int(tokens),
        "num_requests": None if requests is None else int(requests),
        "seconds_per_output_token": metrics.mean(LATENCY),
        "request_seconds": metrics.mean(_REQUEST),
        "engine": "vLLM",
        "model": metrics.model(),
    }


def _hazards(path: Path, positions: dict[int, float], drafts: float) -> tuple[float, ...] | None:
    if not positions:
        return None
    try:
        return hazards_from_survival([positions[p] / drafts for p in sorted(positions)])
    except ValueError as error:
        raise RecordError(path, f"'{_BY_POSITION}': {error}") from None
