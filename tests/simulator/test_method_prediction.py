"""Predictions of any method from windows and timed rounds."""

# ruff: noqa: SIM300 (L0, L1, L2 are fields, not constants)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.chains import chain_windows
from simulator.method_costs import AUTOREGRESSIVE, read_method_costs
from simulator.method_prediction import (
    MethodProfile,
    MethodTrace,
    read_method_traces,
    textbook_tau,
)
from simulator.scenario import Scenario, predict
from simulator.windows import Windows

CHAIN = ("chain", '{"num_draft_tokens":3}')


def timed_rounds(levels: dict[tuple[str, str], list[int]], noise: float = 0.0, seed: int = 0):
    """Target 1 s, 0.1 s a draft, 0.02 s to verify; a step takes 0.02 s to sample."""
    rng = np.random.default_rng(seed)
    rows: list[tuple] = []
    for (method, parameters), sizes in levels.items():
        for block in range(4):
            for number, n in enumerate(sizes):
                stages = {"target": 1.0, "sampling": 0.02} if n == 0 else {
                    "target": 1.0, "draft": 0.1 * n, "verification": 0.02,
                }  # fmt: skip
                stages["round"] = sum(stages.values())  # nothing is left unexplained
                for stage, seconds in stages.items():
                    spread = 1 + noise * rng.standard_normal()
                    rows.append(
                        (
                            method,
                            parameters,
                            "greedy",
                            block,
                            number,
                            50,
                            n,
                            stage,
                            seconds * spread,
                        )
                    )
    names = (
        "method", "parameters", "mode", "block", "round", "context", "num_drafted", "stage",
        "seconds",
    )  # fmt: skip
    return {
        name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


def trace_of(windows: Windows) -> MethodTrace:
    size = windows.num_positions
    return MethodTrace(windows, np.full(size, 51.0), True, np.full(size, np.nan))


def profile_of(windows: Windows, sizes: list[int], noise: float = 0.0) -> MethodProfile:
    costs = read_method_costs(timed_rounds({AUTOREGRESSIVE: [0, 0], CHAIN: sizes}, noise), "greedy")
    return MethodProfile({CHAIN: trace_of(windows)}, costs)


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 1), st.integers(1, 6))
def test_a_chain_is_predicted_as_its_scenario_predicts_it(rate: float, gamma: int) -> None:
    """Two routes: stage curves composed into rounds, and rounds timed whole."""
    scenario = Scenario.from_rates(rate, gamma, 0.1, host_share=0.02 / 1.02, new_tokens=60)
    expected = predict(scenario)
    profile = profile_of(chain_windows(np.full(60, rate), [60], gamma), list(range(1, gamma + 1)))
    got = profile.predict(CHAIN, bootstrap=0)
    assert got.tau.L2 == pytest.approx(expected.tau.L2, rel=1e-9)
    assert got.speedup.L2 == pytest.approx(expected.speedup.L2, rel=1e-9)
    assert sum(got.round_seconds_by_stage.values()) == pytest.approx(got.round_seconds)
    assert got.tau.L0 == pytest.approx(1 + sum(
        (rate * 59 / 59) ** j for j in range(1, gamma + 1)
    ), rel=0.05)  # fmt: skip
    assert sum(got.provenance.values()) == pytest.approx(1)


def test_rounds_without_drafts_cost_a_step_and_misses_are_counted() -> None:
    windows = Windows.from_kept([2, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0], [6])
    got = profile_of(windows, [3]).predict(CHAIN, bootstrap=0)
    assert got.rounds == 4  # one keeps two drafts, three are plain steps
    assert got.round_seconds * 4 == pytest.approx(1.0 + 0.3 + 0.02 + 3 * 1.02)
    assert got.speedup.L2 == pytest.approx(6 * 1.02 / (1.32 + 3 * 1.02))


@given(st.lists(st.integers(0, 4), min_size=2, max_size=40))
def test_the_textbook_stays_within_the_depth(kept: list[int]) -> None:
    drafted = [min(4, len(kept) - 1 - at) for at in range(len(kept))]
    windows = Windows.from_kept(kept, drafted, [len(kept)])
    assert 1 <= textbook_tau(windows) <= 1 + windows.horizon


def test_nothing_kept_is_one_token_a_round() -> None:
    windows = Windows.from_kept([0] * 5, [2] * 4 + [0], [5])
    got = profile_of(windows, [2]).predict(CHAIN, bootstrap=0)
    assert (got.tau.L0, got.tau.L1, got.tau.L2) == (1, 1, 1)
    assert got.speedup.L2 < 1 and got.draft_efficiency == 0


def test_intervals_cover_and_shrink_with_quieter_times() -> None:
    windows = chain_windows(np.random.default_rng(1).uniform(0, 1, 400), [40] * 10, 3)
    noisy = profile_of(windows, [3], 0.2).predict(CHAIN)
    quiet = profile_of(windows, [3], 0.0).predict(CHAIN)
    for got in (noisy, quiet):
        assert got.speedup_low < got.speedup.L2 < got.speedup_high
    assert noisy.speedup_high - noisy.speedup_low > quiet.speedup_high - quiet.speedup_low


def test_an_interval_for_other_prompts_covers_what_they_measure() -> None:
    """A world of unequal prompts; decodes of others fall inside as often as promised."""
    world = np.random.default_rng(3)
    number, length, gamma, tries = 12, 30, 4, 150
    inside = {None: 0, number: 0}
    for _ in range(tries):
        rates = np.repeat(world.beta(4, 2, size=2 * number), length)
        known = chain_windows(rates[: number * length], [length] * number, gamma)
        profile = profile_of(known, [gamma])
        measured = simulated_rounds(rates[number * length :], length, gamma, world)
        speedup = number * length * 1.02 / (measured * (1.0 + 0.1 * gamma + 0.02))
        for future in inside:
            got = profile.predict(CHAIN, bootstrap=120, future_prompts=future)
            assert got.speedup_low is not None and got.speedup_high is not None
            inside[future] += got.speedup_low <= speedup <= got.speedup_high
    share = {future: hits / tries for future, hits in inside.items()}
    # 90 % is promised; 12 prompts and 150 tries leave 5 points either way
    assert share[number] == pytest.approx(0.9, abs=0.07)
    assert share[None] < 0.83  # an interval for the mean alone promises too much


def simulated_rounds(rates: np.ndarray, length: int, gamma: int, rng: np.random.Generator) -> int:
    """Rounds of chain drafting along every text, coin by coin."""
    rounds = 0
    for text in rates.reshape(-1, length):
        at = 0
        while at < length:
            drafts = min(gamma, length - at - 1)
            coins = rng.uniform(size=drafts) < text[at : at + drafts]
            at += 1 + (drafts if coins.all() else int(np.argmin(coins)))
            rounds += 1
    return rounds


STAGED = ("staged", '{"num_draft_tokens":3}')


def test_a_staged_draft_pays_the_calls_of_its_own_text() -> None:
    """Timed where it took two or three calls of 0.1 s for three tokens, predicted where one."""
    rounds = timed_rounds({AUTOREGRESSIVE: [0], STAGED: [3, 3]})
    mine, drafting = rounds["method"] == "staged", rounds["stage"] == "draft"
    calls = np.where(mine, 2.0 + rounds["round"], np.nan)
    shorter = np.where(mine, 0.3 - 0.1 * calls, 0.0)  # what a round of fewer calls takes less
    changed = drafting | (mine & (rounds["stage"] == "round"))
    rounds["seconds"] = rounds["seconds"] - np.where(changed, shorter, 0.0)
    costs = read_method_costs({**rounds, "draft_calls": calls}, "greedy")
    windows = Windows.from_kept([0] * 5, [3, 3, 3, 3, 0], [5])
    once = MethodTrace(windows, np.full(5, 51.0), True, np.array([1.0] * 4 + [0.0]))
    got = MethodProfile({STAGED: once}, costs).predict(STAGED, bootstrap=0)
    assert got.round_seconds_by_stage["draft"] == pytest.approx(0.1 * 4 / 5)
    assert got.speedup.L2 == pytest.approx(5 * 1.02 / (4 * 1.12 + 1.02))
    with pytest.raises(ValueError, match="draft_calls must be known"):
        MethodProfile({STAGED: trace_of(windows)}, costs).predict(STAGED, bootstrap=0)
    blind = read_method_costs({**rounds, "draft_calls": np.full(calls.size, np.nan)}, "greedy")
    mean = MethodProfile({STAGED: once}, blind).predict(STAGED, bootstrap=0)
    assert mean.round_seconds_by_stage["draft"] == pytest.approx(0.25 * 4 / 5)


def test_other_prompts_are_at_least_one() -> None:
    profile = profile_of(Windows.from_kept([0] * 4, [1] * 3 + [0], [4]), [1])
    with pytest.raises(ValueError, match="future_prompts must be finite and >= 1, not 0"):
        profile.predict(CHAIN, future_prompts=0)


def test_tables_are_read_and_refused() -> None:
    table = {
        "method": ["chain"] * 3, "parameters": [CHAIN[1]] * 3, "sampling": ["T0"] * 3,
        "prompt": [0, 0, 1], "position": [0, 1, 0], "context": [5, 6, 9],
        "num_drafted": [1, 0, 0], "survival": [[1.0, 0.5], [1.0], [1.0]],
        "draft_calls": [1.0, 0.0, 0.0], "exact": [True] * 3,
    }  # fmt: skip
    (trace,) = read_method_traces(table, "T0").values()
    assert trace.windows.survival.tolist() == [[1, 0.5], [1, 0], [1, 0]]
    assert trace.windows.lengths.tolist() == [2, 1]
    with pytest.raises(ValueError, match="no rows at sampling 'T1'"):
        read_method_traces(table, "T1")
    with pytest.raises(ValueError, match="not sorted by position"):
        read_method_traces({**table, "position": [1, 0, 0]}, "T0")
    rounds = timed_rounds({CHAIN: [3]})
    with pytest.raises(ValueError, match="no autoregressive rounds"):
        read_method_costs(rounds, "greedy")
    with pytest.raises(ValueError, match="no rows with mode 'sampled'"):
        read_method_costs(rounds, "sampled")
    with pytest.raises(ValueError, match=r"tree \{\} is not among the profiled traces"):
        profile_of(Windows.from_kept([0], [0], [1]), [1]).predict(("tree", "{}"))
