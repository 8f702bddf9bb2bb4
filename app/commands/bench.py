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
    result["seconds"] = {
        "L2_replay_100k_x16": _seconds(_replay),
        "L2_replay_1000_mixed": _seconds(_replay_mixed, repeats=1),
        "tree_256": _seconds(_best_tree),
        "optimize": _seconds(_optimize),
    }
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


def _replay_mixed() -> None:
    """1,000 settings on one trace: 400 chains, 200 trees of each rule, 200 staged chains."""
    from simulator.replay import replay_chain, replay_windows
    from simulator.staged import rollout_draft_calls
    from simulator.tree_windows import ranked_tree_windows, rejection_tree_windows
    from simulator.trees import best_first_trees

    rng = np.random.default_rng(0)
    accept = rng.uniform(0, 1, REPLAY_POSITIONS)
    ranks = rng.geometric(0.6, REPLAY_POSITIONS) - 1
    by_rank = np.array([0.6, 0.15, 0.06]) * rng.uniform(0.5, 1, (REPLAY_POSITIONS, 1))
    lengths = np.full(REPLAY_POSITIONS // 125, 125)
    grown = best_first_trees([0.6, 0.15, 0.06], 24)
    trees = [grown.parents(nodes) for nodes in range(5, 25)]
    for number in range(400):
        assert replay_chain(accept, lengths, 1 + number % 16).expected_rounds > 0
    for number in range(200):
        tree = trees[number % len(trees)]
        for windows in (
            ranked_tree_windows(ranks, lengths, tree),
            rejection_tree_windows(by_rank, lengths, tree),
        ):
            assert replay_windows(windows).expected_rounds > 0
    lower = rng.uniform(0, 1, (REPLAY_POSITIONS, 8))
    for proposed in (1, 2, 3, 4):
        calls = rollout_draft_calls(lower, proposed)  # of every length at once
        for number in range(50):
            replay = replay_chain(accept, lengths, 1 + number % 8)
            drafted = np.minimum(replay.num_drafted, lower.shape[1])
            paid = np.take_along_axis(calls, drafted[:, None], axis=1)[:, 0]
            assert float(replay.start_prob @ paid) > 0


def _best_tree() -> None:
    from simulator.trees import best_first_trees

    assert best_first_trees([0.6, 0.15, 0.06, 0.03], 256).tau[-1] > 1


def _optimize() -> None:
    """A full search on the recorded profile."""
    from app.records import newest_profile
    from app.search import search
    from measurements import DATA
    from simulator.choice import Constraints

    assert search(newest_profile(DATA), None, Constraints())


def _seconds(work: Callable[[], None], repeats: int = 5) -> float:
    """Median of some runs, after one warm-up if there are several. [s]"""
    if repeats > 1:
        work()
    times = []
    for _ in range(repeats):
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
        f"L2: 100,000 positions × 16 γ in {result['seconds']['L2_replay_100k_x16']:.2f} s, "
        f"× 1,000 mixed settings in {result['seconds']['L2_replay_1000_mixed']:.1f} s; "
        f"best tree of 256 nodes in {result['seconds']['tree_256'] * 1e3:.1f} ms; "
        f"optimize in {result['seconds']['optimize']:.1f} s"
    )
