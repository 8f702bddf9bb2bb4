"""speculens bench --app: how long does the dashboard take to answer?

The first load is that of a real, headless server, over the socket a browser
uses. A rerun is that of the page's script on the server, with Streamlit's own
test driver in place of the browser, after a control has been moved to a value
it has not had yet. What the browser takes to draw is no part of either.
"""

from __future__ import annotations

import logging
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from app.terminal import output, print_json, progress_bar, table

APP = Path(__file__).parents[1] / "dashboard.py"
TRACE_ROWS, TREE_NODES = 200_000, 500
BOUNDS = {"rerun": 0.3, "first_load": 3.0, "large": 1.0}
"""Wanted at most. [s]"""
PATIENCE = 120.0  # until a server or a page counts as broken [s]


@dataclass(frozen=True)
class Page:
    """A page and the control that is moved on it: kind, name, values never shown before.

    Without a control the page is run again as it is. A value that is a whole
    number and a control of choices: the option of that number.
    """

    name: str
    kind: str = ""
    control: str = ""
    values: tuple[float | int | bool, ...] = (0,) * 6
    address: tuple[tuple[str, str], ...] = ()


PAGES = (
    Page("overview"),
    Page("whatif", "slider", "gamma", (5, 6, 7, 8, 9, 10)),
    Page("whatif", "slider", "c", (0.2, 0.21, 0.22, 0.23, 0.24, 0.25), (("text", "trace"),)),
    Page(
        "whatif",
        "slider",
        "tree_depth",
        (5, 6, 7, 8, 9, 10),
        (("drafting", "tree"), ("costs", "hardware")),
    ),
    Page("compare", "toggle", "all", (True, False) * 3),
    Page("optimize", "slider", "verify_most", (4, 5, 6, 7, 8, 9)),
    Page("tree", "slider", "nodes", (20, 22, 24, 26, 28, 30)),
    Page("roofline", "slider", "batch", (2, 3, 4, 5, 6, 7)),
    Page("staging", "slider", "gamma", (5, 6, 7, 8, 9, 10)),
    Page("staging", "selectbox", "stack", (1, 2, 3, 4, 5, 6), (("numbers", "record"),)),
    Page("validation", "selectbox", "setting", (1, 2, 3, 4, 5, 6)),
    Page("data", "selectbox", "inspect", (1, 2, 3, 1, 2, 3)),
)


def run(data: Path | None, as_json: bool) -> None:
    """Measure, then print a table or JSON; data is the folder of records, None the embedded."""
    from measurements import DATA

    # the test driver runs pages outside a server, which Streamlit warns of every time
    logging.disable(logging.WARNING)
    root = data or DATA
    with progress_bar() as show:
        total = len(PAGES) + 3
        show("first load", 0, total)
        seconds: dict[str, Any] = {"app_first_load": first_load(root)}
        reruns: dict[str, float | None] = {}
        for number, page in enumerate(PAGES, start=1):
            show(page.name, number, total)
            reruns[_title(page)] = rerun(root, page)
        show(f"trace of {TRACE_ROWS:,} rows", total - 2, total)
        seconds |= large_trace(root)
        show(f"tree of {TREE_NODES} nodes", total - 1, total)
        seconds["app_tree_500"] = large_tree()
        seconds["app_tree_500_rerun"] = rerun(root, large_tree_page())
    known = [value for value in reruns.values() if value is not None]
    seconds |= {"app_rerun": reruns, "app_rerun_median": statistics.median(known)}
    if as_json:
        print_json({"seconds": seconds, "wanted": BOUNDS})
    else:
        _show(seconds)


def _title(page: Page) -> str:
    state = "".join(f", {name} {value}" for name, value in page.address)
    return f"{page.name}{state}"


def first_load(data: Path) -> float:
    """From a visitor's first request to a server just started until the page is sent. [s]"""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    with _served(data) as port:
        started = time.perf_counter()
        address = f"ws://localhost:{port}/_stcore/stream"
        protocols = [Subprotocol("streamlit")]
        with connect(address, subprotocols=protocols, max_size=None) as visitor:
            request = BackMsg()
            request.rerun_script.query_string = ""
            visitor.send(request.SerializeToString())
            while True:
                answer = visitor.recv(timeout=PATIENCE)
                assert isinstance(answer, bytes)
                if ForwardMsg.FromString(answer).WhichOneof("type") == "script_finished":
                    return time.perf_counter() - started


@contextmanager
def _served(data: Path) -> Iterator[int]:
    """A headless dashboard on a free port."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = int(probe.getsockname()[1])
    command = [
        sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port),
        "--server.address", "localhost", "--server.headless", "true",
        "--server.fileWatcherType", "none", "--browser.gatherUsageStats", "false",
    ]  # fmt: skip
    server = subprocess.Popen(
        command, cwd=APP.parents[1], env={**os.environ, "SPECULENS_DATA": str(data)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=2).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the dashboard's server did not start") from None
                time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)


def rerun(data: Path, page: Page) -> float | None:
    """Median time of a rerun after a move; None where the records lack what the page shows. [s]"""
    app = _opened(data, page)
    times = []
    for value in page.values:
        if page.control:
            found = [w for w in app.get(page.kind) if w.key == f"control_{page.control}"]
            if not found:
                return None
            if page.kind != "selectbox":
                found[0].set_value(value)
            elif len(found[0].options) > 1:
                found[0].select_index(int(value) % len(found[0].options))
            else:
                return None
        started = time.perf_counter()
        app.run()
        times.append(time.perf_counter() - started)
        if app.exception:
            raise RuntimeError(f"page {page.name} failed: {app.exception[0].message}")
    return statistics.median(times)


def _opened(data: Path, page: Page) -> Any:
    from streamlit.testing.v1 import AppTest

    os.environ["SPECULENS_DATA"] = str(data)
    app = AppTest.from_file(str(APP), default_timeout=PATIENCE)
    if page.name != "overview":
        app.switch_page(f"views/{page.name}.py")
    for name, value in page.address:
        app.query_params[name] = value
    return app.run()


def large_trace(data: Path) -> dict[str, float]:
    """First load and rerun of What if, and rerun of Overview, with ``TRACE_ROWS`` rows. [s]"""
    from app.records import newest_profile
    from measurements import save_profile

    profile = newest_profile(data)
    info = profile.record.traces[0]
    trace = repeated(profile.traces[info.sampling.label], TRACE_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        header = profile.record.header.model_copy(update={"drafter_bytes": {}})
        save_profile(Path(folder), header, profile.stages, {info.sampling: trace})
        page = Page("whatif", "slider", "c", (0.2, 0.21, 0.22, 0.23, 0.24, 0.25),
                    (("text", "trace"),))  # fmt: skip
        started = time.perf_counter()
        _opened(Path(folder), page)
        first = time.perf_counter() - started
        moved, seen = rerun(Path(folder), page), rerun(Path(folder), Page("overview"))
    assert moved is not None and seen is not None
    return {
        "app_trace_200k_first_load": first,
        "app_trace_200k_rerun": moved,
        "app_trace_200k_overview_rerun": seen,
    }


def repeated(trace: pd.DataFrame, rows: int) -> pd.DataFrame:
    """A trace as often as it takes to have so many rows, each copy with prompts of its own."""
    prompts = int(trace["prompt"].max()) + 1
    copies = -(-rows // len(trace))
    parts = [trace.assign(prompt=trace["prompt"] + copy * prompts) for copy in range(copies)]
    whole = pd.concat(parts, ignore_index=True).iloc[:rows]
    return whole.astype(trace.dtypes.to_dict())


def large_tree_page() -> Page:
    """The Tree designer with a tree of ``TREE_NODES`` nodes, two children each."""
    parents = ",".join(str((node - 1) // 2 if node else -1) for node in range(TREE_NODES))
    return Page("tree", address=(("tree", parents),))


def large_tree() -> float:
    """Drawing of a random tree of ``TREE_NODES`` nodes, as JSON for the browser. [s]"""
    from app.figures import token_tree
    from simulator import path_probabilities

    rng = np.random.default_rng(0)
    parents = tuple(int(rng.integers(max(-1, node - 20), node)) for node in range(TREE_NODES))
    widest = max(np.bincount(np.array(parents) + 1))
    shares = np.full(widest, 1.0 / widest)
    times = []
    for _ in range(6):
        started = time.perf_counter()
        token_tree(parents, path_probabilities(shares, parents), 0).to_json()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def _show(seconds: dict[str, Any]) -> None:
    rows = [("first load after start", seconds["app_first_load"], BOUNDS["first_load"])]
    rows += [(f"move on {page}", value, BOUNDS["rerun"])
             for page, value in seconds["app_rerun"].items()]  # fmt: skip
    rows += [
        (f"first load, trace of {TRACE_ROWS:,} rows", seconds["app_trace_200k_first_load"],
         BOUNDS["first_load"]),
        (f"move, trace of {TRACE_ROWS:,} rows", seconds["app_trace_200k_rerun"], BOUNDS["large"]),
        (f"Overview again, trace of {TRACE_ROWS:,} rows",
         seconds["app_trace_200k_overview_rerun"], BOUNDS["large"]),
        (f"drawing a tree of {TREE_NODES} nodes", seconds["app_tree_500"], BOUNDS["large"]),
        (f"Tree designer again, {TREE_NODES} nodes", seconds["app_tree_500_rerun"],
         BOUNDS["large"]),
    ]  # fmt: skip
    headings = ["dashboard", "seconds", "wanted below", ""]
    output().print(table("Time until the server has answered", headings, _rows(rows)))


def _rows(rows: Sequence[tuple[str, float | None, float]]) -> list[list[str]]:
    return [
        [name, "–", f"{bound:g}", "not in these records"] if value is None
        else [name, f"{value:.3f}", f"{bound:g}", "" if value <= bound else "above"]
        for name, value, bound in rows
    ]  # fmt: skip
