"""speculens profile --server: measure vLLM servers, with and without drafts, from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.commands.predict_devices import show_devices
from app.devices import alike, of_degrees
from app.pair import PairOptions
from app.served import summary
from app.servers import ServerOptions, measure, with_embedded_pair
from app.terminal import notice, output, print_json, progress_bar, resumable, table
from app.words import span, times
from measurements import ServerRecord, save_record


def run(
    pair: PairOptions,
    options: ServerOptions,
    out: Path,
    as_json: bool,
    degrees: Sequence[int] = (1,),
) -> None:
    """Sweep on each number of devices, save, summarise; what several numbers of them say."""
    if not options.urls:
        pair = with_embedded_pair(pair)
    documents = []
    for degree in degrees:
        record, path = _measured(pair, replace(options, tensor_parallel=degree), out)
        found = summary(record)
        documents.append({"record": str(path), "id": record.id, **found})
        if not as_json:
            show_servers(found, degree)
            _show_fit(found)
        notice(f"saved {path}")
    devices = of_degrees(alike(out, record))
    if as_json:
        more = {"records": documents} if len(documents) > 1 else {}
        print_json({**documents[-1], **more, "devices": devices})
    elif devices is not None:
        show_devices(devices)


def _measured(pair: PairOptions, options: ServerOptions, out: Path) -> tuple[ServerRecord, Path]:
    with resumable(), progress_bar() as show:
        swept = measure(pair, options, out, show)
    record = swept.record()
    path = save_record(out, record)
    swept.log.unlink()  # the record holds all of it
    return record, path


def show_servers(found: dict[str, Any], degree: int = 1) -> None:
    """A row per server and batch."""
    rows = [
        [
            str(row["num_draft_tokens"] or "plain"),
            str(row["batch"]),
            f"{row['tokens_per_s']:.1f}",
            f"{1e3 * row['seconds_per_token']:.2f}",
            f"{1e3 * row['seconds_to_first_token']:.1f}",
            "–" if row["tau"] is None else f"{row['tau']:.3f}",
            kept(row["survival"]),
            speedup(row["speedup"]),
        ]
        for row in found["servers"]
    ]
    headings = ["K", "batch", "tok/s", "ms/tok", "first ms", "τ", "kept by position", "S, 90 %"]
    title = "Servers" if degree == 1 else f"Servers on {degree} devices"
    output().print(table(title, headings, rows))
    unequal = [r for r in found["servers"] if r["rounds_seen"] < r["rounds_counted"]]
    for row in unequal:
        notice(
            f"note: K {row['num_draft_tokens']}, batch {row['batch']}: {row['rounds_seen']} rounds "
            f"were seen of {row['rounds_counted']} counted: pieces arrived together"
        )


def kept(survival: list[float], most: int = 4) -> str:
    """Drafts kept by position, the first few."""
    shown = " ".join(f"{s:.2f}" for s in survival[:most])
    return f"{shown} …" if len(survival) > most else shown or "–"


def speedup(spread: dict[str, float] | None) -> str:
    """With its 90 % interval."""
    if spread is None:
        return "–"
    return f"{times(spread['median'])} {span(spread['low'], spread['high'])}"


def _show_fit(found: dict[str, Any]) -> None:
    if found["fit"] is None:
        notice("no times of a round by drafts: that takes two servers with different drafts")
        return
    rows = [
        [
            str(row["sequences"]),
            f"{1e3 * row['fixed_seconds']:.2f}",
            f"{1e3 * row['draft_token_seconds']:.3f}",
            _milliseconds(row["plain_step_seconds"]),
            _milliseconds(row["speculating_seconds"]),
        ]
        for row in found["fit"]
    ]
    headings = ["sequences", "round without drafts", "first draft", "plain step", "difference"]
    exponent = found["fit"][0]["exponent"]
    output().print(table(f"Time of a round [ms], growing with K^{exponent:g}", headings, rows))


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1e3 * seconds:.2f}"
