"""Folders of vLLM's Prometheus pages: what did servers count under one load after another?

One folder per server, one page before the first load and one behind each; the folders may lie in
one folder. A page's name says the batch of the load in front of it (``batch-4.2.prom``: batch 4,
second time); where it does not, the batch is what the counters say. Pages of equal names in
several folders are of loads that were run in turn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from measurements.engines import vllm_metrics
from measurements.engines.prometheus import Metrics, between, parse_metrics
from measurements.engines.reading import read_text
from measurements.engines.report import EngineReport
from measurements.files import RecordError

SUFFIXES = (".prom", ".txt")
_BATCH = re.compile(r"batch-?(\d+)")
_BORN = re.compile(r"^vllm:generation_tokens_created\{.*\}\s+(\S+)", re.MULTILINE)


def holds_pages(folder: Path) -> bool:
    """Whether a folder is one server's pages, or holds such folders."""
    return bool(_pages(folder)) or any(_pages(inner) for inner in _inner(folder))


def read(paths: Sequence[Path], definition: str | None) -> tuple[EngineReport, ...]:
    """One report per load, in the order of the folders and of each server's life.

    Raises
    ------
    RecordError
        If a folder holds fewer than two pages, pages of two lives of a server, or a load that
        finished no request; or a name states a batch that the counters exclude.
    """
    if definition is not None:
        raise RecordError(paths[0], "is read by differences of pages: leave out --definition")
    return tuple(
        report for path in paths for folder in _servers(path) for report in _server(folder)
    )


def _pages(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_file() and p.suffix in SUFFIXES)


def _inner(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir())


def _servers(path: Path) -> list[Path]:
    if not path.is_dir():
        raise RecordError(path, "is no folder: one folder per server, with its metrics pages")
    found = [path] if _pages(path) else [inner for inner in _inner(path) if _pages(inner)]
    if not found:
        raise RecordError(path, f"holds no metrics page (a file ending in {' or '.join(SUFFIXES)})")
    return found


def _server(folder: Path) -> list[EngineReport]:
    texts = {path: read_text(path) for path in _pages(folder)}
    if len(texts) < 2:
        raise RecordError(folder, "holds 1 page, and a load needs one before and one behind it")
    lives = {born[1] for text in texts.values() if (born := _BORN.search(text))}
    if len(lives) > 1:
        raise RecordError(
            folder, f"holds pages of {len(lives)} lives of a server: one folder for each"
        )
    pages = [parse_metrics(text, path, "vllm:") for path, text in texts.items()]
    pages.sort(key=lambda page: (page.needed("vllm:generation_tokens"), page.path.name))
    return [_load(before, after) for before, after in pairwise(pages)]


def _load(before: Metrics, after: Metrics) -> EngineReport:
    span = f"since {before.path.name}"
    grown = between(before, after, vllm_metrics.COUNTERS)
    if not grown.mean(vllm_metrics.LATENCY):
        raise RecordError(after.path, f"counts no finished request of 2 tokens or more {span}")
    speculates = vllm_metrics.has_speculation(after)
    make = vllm_metrics.counted_report if speculates else vllm_metrics.plain_report
    return make(
        grown,
        span,
        format="vllm-snapshots",
        source=f"{after.path.parent.name}/{after.path.name}",
        batch=_batch(grown),
        turn=after.path.name,
    )


def _batch(grown: Metrics) -> float:
    """As the page's name says, if the counters allow it; else as they say. [sequences]"""
    counted, named = vllm_metrics.sequences_per_step(grown), _BATCH.search(grown.path.stem)
    if named is None:
        if counted is None:
            raise RecordError(
                grown.path, "says no batch: name it like batch-4.1.prom; its counters do not tell"
            )
        return float(max(1, round(counted)))
    batch = int(named[1])
    # sequences that end leave the last steps of a load to fewer
    if batch < 1 or (counted is not None and not 0.3 * batch <= counted <= 1.02 * batch):
        found = "" if counted is None else f": its counters say {counted:.2f} sequences a step"
        raise RecordError(grown.path, f"is named batch {batch}{found}")
    return float(batch)
