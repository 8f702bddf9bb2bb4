"""A served dashboard and a browser to look at it, for tests and screenshots."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "overview": "",
    "whatif": "whatif",
    "compare": "compare",
    "optimize": "optimize",
    "tree": "tree",
    "roofline": "roofline",
    "staging": "staging",
    "watch": "watch",
    "validation": "validation",
    "data": "data",
}
CHARTS = {"roofline": 1, "tree": 1, "data": 0, "watch": 0}
"""Fewest charts of a page, where that is not two."""
TOUR_BUTTON = ".st-key-tour_done button"
_DRAWN = """() => {
  const holders = [...document.querySelectorAll('[data-testid="stPlotlyChart"]')];
  return !document.querySelector('[data-testid="stSkeleton"]')
    && holders.every((holder) => holder.querySelector('.main-svg'));
}"""
_SMALL_TEXT = """() => [...document.querySelectorAll('.js-plotly-plot text')].some(
  (one) => one.textContent.trim() && parseFloat(getComputedStyle(one).fontSize) < 11.9)"""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """Path of the system's Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def dashboard(data: Path) -> Iterator[str]:
    """Serve the dashboard on a free port; yields its address."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "dashboard.py"),
        "--server.port", str(port), "--server.address", "localhost",
        "--server.headless", "true", "--server.fileWatcherType", "none",
        "--browser.gatherUsageStats", "false",
    ]  # fmt: skip
    environment = {**os.environ, "SPECULENS_DATA": str(data)}
    server = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://localhost:{port}"
    try:
        _wait_until_served(server, address)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield opened
        finally:
            opened.close()


def settle(page: Any) -> None:
    """Wait until the page has been computed and its charts are drawn."""
    page.wait_for_selector("h1", timeout=60_000)
    page.wait_for_selector(
        '[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=60_000
    )
    page.wait_for_function(_DRAWN, timeout=60_000)
    page.wait_for_timeout(300)


def faults(page: Any, name: str, width: int) -> list[str]:
    """What is wrong with a page as it loaded: error boxes, charts that lack, sideways scrolling."""
    main = "document.querySelector('[data-testid=\"stMain\"]')"
    found = {
        "an exception": page.locator('[data-testid="stException"]').count() > 0,
        "a message": page.locator('[data-testid="stAlert"]').count() > 0,
        "a chart lacks": page.locator(".js-plotly-plot").count() < CHARTS.get(name, 2),
        "it scrolls sideways": page.evaluate("document.documentElement.scrollWidth") > width
        or not page.evaluate(f"{main}.scrollWidth <= {main}.clientWidth"),
        "chart text below 12 px": page.evaluate(_SMALL_TEXT),
    }
    return [fault for fault, there in found.items() if there]


def _wait_until_served(server: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"streamlit ended with code {server.returncode}")
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("streamlit did not answer within 60 s")
