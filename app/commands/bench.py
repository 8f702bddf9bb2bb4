"""speculens bench: ratios against Transformers, and how fast the model computes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from app.pair import PairOptions
from app.terminal import output, print_json, progress_bar, table

L0_SCENARIOS = 1_000_000
REPLAY_POSITIONS = 100_000
REPLAY_GAMMAS = range(1, 17)


def run(pair: PairOptions, as_json: bool) -> None:
    """Measure, then print a table or JSON."""
    from profiler.bench import bench
    from profiler.run import encode_checked

    target, draft = pair.load_pair()
    encoded = encode_checked(target, draft, pair.load_prompts(), pair.new_tokens)
    with progress_bar() as show:
        result = bench(
            target, draft, encoded, pair.new_tokens, lambda s: show(s.what, s.done, s.total)
        )
    result["rates"] = {"L0_scenarios_per_s": L0_SCENARIOS / _seconds(_price_scenarios)}
    result["seconds"] = {"L2_replay_100k_x16": _seconds(_replay)}
    if as_json:
        print_json(result)
    else:
        _show(result)


def _price_scenarios() -> None:
    from simulator.speedup import textbook_speedup

    rng = np.random.default_rng(0)
    textbook_speedup(
        rng.uniform(0, 1, L0_SCENARIOS),
        rng.integers(1, 17, L0_SCENARIOS),
        rng.uniform(0, 0.5, L0_SCENARIOS),
    )


def _replay() -> None:
    from simulator.replay import replay_chain

    accept = np.random.default_rng(0).uniform(0, 1, REPLAY_POSITIONS)
    lengths = np.full(REPLAY_POSITIONS // 125, 125)
    for gamma in REPLAY_GAMMAS:
        assert replay_chain(accept, lengths, gamma).expected_rounds > 0


def _seconds(work: Callable[[], None]) -> float:
    """Median of five runs after one warm-up. [s]"""
    work()
    times = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _show(result: dict[str, Any]) -> None:
    rows = [
        [name, f"{r['median']:.2f}×", f"{r['low']:.2f}–{r['high']:.2f}"]
        for name, r in result["ratios"].items()
    ]
    console = output()
    console.print(table("End-to-end time ratios, interleaved", ["ratio", "median", "90 %"], rows))
    best, host = result["best"], result["shares"]["host_by_method"]
    most = max(host, key=lambda label: host[label])
    console.print(
        f"best draft length: ours γ = {best['chain']}, assisted generation γ = {best['assisted']}; "
        f"host share of our best chain {result['shares']['host']:.1%}"
    )
    console.print(
        f"best method: {best['method']}; best staged: {best.get('staged', 'none')}; "
        f"largest host share at temperature 0: {host[most]:.1%} ({most})"
    )
    console.print(
        f"L0: {result['rates']['L0_scenarios_per_s'] / 1e6:.1f} million scenarios/s; "
        f"L2: 100,000 positions × 16 γ in {result['seconds']['L2_replay_100k_x16']:.2f} s"
    )
