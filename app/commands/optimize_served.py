"""speculens optimize --from: the best drafts at each batch, from an engine's own counters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.served_decision import Decision, as_document, compared, decide
from app.terminal import notice, output, print_json, table
from measurements import RecordError
from measurements.engines import EngineReport, read_reports
from simulator.served_schedule import BatchChoice


def run(
    files: Sequence[Path],
    format_name: str | None,
    definition: str | None,
    measured: Path | None,
    as_json: bool,
) -> None:
    """Read, choose, and set what the choice did beside what was predicted of it."""
    decision = decided(files, read_reports(files, format_name, definition))
    after = None
    if measured is not None:
        try:
            after = compared(decision, read_reports([measured], format_name, definition))
        except ValueError as error:
            raise RecordError(measured, str(error)) from None
    document = {**as_document(decision), "measured": after}
    if as_json:
        print_json(document)
        return
    _show(decision)
    output().print(document["verdict"], soft_wrap=True)
    if after is not None:
        _show_measured(after)


def decided(files: Sequence[Path], reports: Sequence[EngineReport]) -> Decision:
    """The decision.

    Raises
    ------
    RecordError
        If the reports support none.
    """
    try:
        return decide(reports)
    except ValueError as error:
        raise RecordError(files[0], str(error)) from None


def _show(decision: Decision) -> None:
    measured = {round(r.batch) for r in decision.reports if r.batch is not None}
    rows = [
        cells for choice in decision.choices if choice.batch in measured for cells in _rows(choice)
    ]
    headings = ["batch", "K", "τ", "ms/tok", "speedup", "90 %", "time", ""]
    output().print(table("Predicted from the engine's counters", headings, rows))
    if any(s.may_be_best is None for c in decision.choices for s in c.settings):
        notice("note: no load was repeated, so no interval is known: read one more page per batch")


def _rows(choice: BatchChoice) -> list[list[str]]:
    rows = [[str(choice.batch), "plain", "1.000", _ms(choice.plain_seconds_per_token), *4 * [""]]]
    for s in choice.settings:
        mark = "like the best" if s.may_be_best else ""
        rows.append(
            [
                str(choice.batch),
                str(s.num_draft_tokens),
                f"{s.tau:.3f}",
                _ms(s.seconds_per_token),
                f"{s.speedup:.2f}×",
                "–" if s.low is None else f"{s.low:.2f}–{s.high:.2f}",
                s.source,
                "best" if s is choice.best else mark,
            ]
        )
    return rows


def _show_measured(rows: Sequence[dict[str, Any]]) -> None:
    shown = []
    for row in rows:
        time, speed = row["seconds_per_token"], row["speedup"]
        own = speed["measured"]
        shown.append(
            [
                str(row["batch"]),
                str(row["num_draft_tokens"]),
                f"{row['tau']['measured']:.3f}",
                f"{row['tau']['predicted']:.3f}",
                _ms(time["measured"]),
                _ms(time["predicted"]),
                f"{100 * time['error']:+.1f} %",
                "–"
                if own is None
                else f"{own:.2f}×{_span(speed, 'measured_low', 'measured_high')}",
                f"{speed['predicted']:.2f}×{_span(speed, 'low', 'high')}",
                "–" if own is None else f"{100 * speed['error']:+.1f} %",
            ]
        )
    headings = [
        "batch",
        "K",
        "τ meas",
        "pred",
        "ms meas",
        "pred",
        "error",
        "S meas",
        "pred",
        "error",
    ]
    output().print(table("Measured, beside what was predicted", headings, shown))
    if all(row["speedup"]["measured"] is None for row in rows):
        notice("note: no plain server beside it, so no speedup: times of another hour drift")


def _span(speed: dict[str, Any], low: str, high: str) -> str:
    return "" if speed[low] is None else f" ({speed[low]:.2f}–{speed[high]:.2f})"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f}"
