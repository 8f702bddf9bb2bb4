"""SGLang's Prometheus page: what did a server accept between two readings?

Names of ``srt/observability/metrics_collector.py`` (SGLang 0.5.23, read
2026-11). Acceptance itself is exposed as gauges of the last logging interval
only; what can be differenced are tokens, requests and verification calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from measurements.engines.prometheus import Metrics, between, read_metrics
from measurements.engines.reading import choose, make_report
from measurements.engines.report import EngineReport
from measurements.files import RecordError

_CALLS = "sglang:spec_verify_calls_total"
_TOKENS = "sglang:generation_tokens_total"
_REQUESTS = "sglang:num_requests_total"
_LATENCY = "sglang:inter_token_latency_seconds"
_LENGTH, _RATE = "sglang:spec_accept_length", "sglang:spec_accept_rate"
COUNTED = (
    "(generated tokens - requests) / verification calls: the bonus token counts, the first token"
    " of a request, which prefill yields, does not"
)
GAUGE = "spec_accept_length: accepted drafts + 1 per verification, of the last logging interval"
ONE_READING = {
    "since-start": "counters since the server started, warm-up included",
    "latest-interval": "the gauges of the last logging interval",
}


def read(paths: Sequence[Path], definition: str | None) -> tuple[EngineReport, ...]:
    """One report from two readings (before, after), or from one as asked for.

    Raises
    ------
    RecordError
        If a file is no such page, or a counter is missing or fell.
    """
    if len(paths) > 2:
        raise RecordError(paths[-1], f"metrics are read from 1 or 2 files, not {len(paths)}")
    if len(paths) == 2:
        before, after = (read_metrics(path, "sglang:") for path in paths)
        counted = between(before, after, (_CALLS, _TOKENS, _REQUESTS, _LATENCY))
        return (_counted(counted, f"since {paths[0].name}"),)
    why = "is one reading, and a rate needs two (before and after the load)"
    if choose(paths[0], definition, ONE_READING, why) == "since-start":
        metrics = read_metrics(paths[0], "sglang:")
        return (_counted(metrics, "since the server started"),)
    return (_gauges(read_metrics(paths[0], "sglang:")),)


def _counted(metrics: Metrics, span: str) -> EngineReport:
    calls, tokens = metrics.needed(_CALLS), metrics.needed(_TOKENS)
    requests = metrics.needed(_REQUESTS)
    if calls < 1:
        raise RecordError(metrics.path, f"'{_CALLS}' counted 0 {span}, needs >= 1")
    return make_report(
        metrics.path,
        format="sglang-metrics",
        definition=COUNTED,
        tau=(tokens - requests) / calls,
        rounds=int(calls),
        tokens=int(tokens),
        num_requests=int(requests),
        seconds_per_output_token=metrics.mean(_LATENCY),
        engine="SGLang",
        model=metrics.model(),
        notes=(
            f"counted {span}; requests that were running at a reading blur the quotient",
            "acceptance by position and the draft length are not on this page",
        ),
    )


def _gauges(metrics: Metrics) -> EngineReport:
    length = metrics.by_label(_LENGTH, "tp_rank") or {"": metrics.needed(_LENGTH)}
    if len(set(length.values())) > 1:
        raise RecordError(metrics.path, f"'{_LENGTH}' differs between ranks: keep one rank's lines")
    tau, rate = next(iter(length.values())), metrics.total(_RATE)
    drafted = (tau - 1.0) / rate if rate else 0.0  # accepted / (accepted / drafted)
    gamma = round(drafted) if drafted and abs(drafted - round(drafted)) < 0.05 else None
    return make_report(
        metrics.path,
        format="sglang-metrics",
        definition=GAUGE,
        tau=tau,
        averaged="latest interval",
        num_draft_tokens=gamma,
        engine="SGLang",
        model=metrics.model(),
        notes=("seconds of traffic: too little to choose by",),
    )
