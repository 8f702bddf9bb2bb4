"""speculens profile --server: measure vLLM servers, with and without drafts, from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.pair import PairOptions
from app.served import summary
from app.servers import ServerOptions, measure, with_embedded_pair
from app.terminal import notice, output, print_json, progress_bar, resumable, table
from app.words import span, times
from measurements import save_record


def run(pair: PairOptions, options: ServerOptions, out: Path, as_json: bool) -> None:
    """Sweep, save, summarise."""
    if not options.urls:
        pair = with_embedded_pair(pair)
    with resumable(), progress_bar() as show:
        swept = measure(pair, options, out, show)
    record = swept.record()
    path = save_record(out, record)
    swept.log.unlink()  # the record holds all of it
    found = summary(record)
    if as_json:
        print_json({"record": str(path), "id": record.id, **found})
    else:
        show_servers(found)
        _show_fit(found)
    notice(f"saved {path}")


def show_servers(found: dict[str, Any]) -> None:
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
    output().print(table("Servers", headings, rows))
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
