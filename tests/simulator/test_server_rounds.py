"""Do a server's rounds follow from a trace, and its times from two numbers of drafts?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import (
    chain_windows,
    fit_round_line,
    lookup_windows,
    replay_chain,
    served_rounds,
    steady_rounds,
    wave_seconds,
    weighted_median,
)


def walked(accepted: np.ndarray, num_draft_tokens: int, wanted: int) -> tuple[int, list[int]]:
    """Steps, and drafts kept by position, counted round by round like an engine."""
    at, steps, kept = 0, 0, [0] * num_draft_tokens
    while at < wanted:
        keeps = 0
        while keeps < num_draft_tokens and accepted[at + keeps]:
            kept[keeps] += 1
            keeps += 1
        at += keeps + 1
        steps += 1
    return steps, kept


@settings(deadline=None, max_examples=40)
@given(st.data(), st.integers(1, 6), st.integers(1, 20), st.integers(1, 3))
def test_rounds_are_those_of_an_engine_that_runs_over_the_end(data, drafts, wanted, texts) -> None:
    length = wanted + drafts
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=length, max_size=texts * length)))
    texts = flags.size // length
    flags = flags[: texts * length].reshape(texts, length)
    served = served_rounds(
        chain_windows(flags.ravel().astype(float), [length] * texts, drafts), drafts, wanted
    )
    each = [walked(np.append(row, False), drafts, wanted) for row in flags]
    assert served.steps.tolist() == [steps for steps, _ in each]
    assert served.accepted.tolist() == np.sum([kept for _, kept in each], axis=0).tolist()
    assert served.drafts == sum(steps for steps, _ in each)
    assert served.drafted_per_step == drafts
    assert served.tau == pytest.approx(1 + served.survival.sum())


def test_far_from_the_end_the_counting_is_replays() -> None:
    accept = np.random.default_rng(3).uniform(0.3, 1.0, 4000)
    served = served_rounds(chain_windows(accept, [4000], 4), 4, 3900)
    # the texts end differently, by less than one round in a thousand
    assert served.tau == pytest.approx(replay_chain(accept, [4000], 4).tau, rel=2e-3)


def test_a_step_without_a_match_is_no_draft() -> None:
    windows = lookup_windows([0, 2, 0, 0, 0, 0, 0, 0], [0, 2, 2, 2, 2, 2, 2, 2], [8])
    served = served_rounds(windows, 2, 5)
    # starts at 0 (no match), 1 (keeps 2) and 4 (keeps none)
    assert served.steps.tolist() == [3.0]
    assert (served.drafts, served.drafted) == (2.0, 4.0)
    assert served.accepted.tolist() == [1.0, 1.0]
    assert served.tau == 2.0


def test_a_text_too_short_for_its_last_round_is_refused() -> None:
    with pytest.raises(ValueError, match="go on for 8 tokens behind their first, not 7"):
        served_rounds(chain_windows(np.ones(7), [7], 3), 3, 5)


@given(
    st.floats(1e-4, 1.0), st.floats(0.0, 0.1), st.floats(1e-4, 1.0), st.floats(0.0, 0.1),
    st.integers(0, 12),
)  # fmt: skip
def test_a_line_comes_back(fixed, slope, fixed_two, slope_two, drafted) -> None:
    active, drafts = np.array([1, 1, 2, 2]), np.array([2, 5, 2, 5])
    seconds = np.where(active == 1, fixed + slope * drafts, fixed_two + slope_two * drafts)
    line = fit_round_line(active, drafts, seconds)
    assert line.seconds(drafted, 2) == pytest.approx(
        [fixed + slope * drafted, fixed_two + slope_two * drafted], rel=1e-6, abs=1e-9
    )


def test_between_numbers_of_sequences_the_line_is_interpolated() -> None:
    line = fit_round_line([1, 1, 4, 4], [0, 2, 0, 2], [1.0, 2.0, 4.0, 8.0])
    assert line.seconds(2, 4) == pytest.approx([2.0, 4.0, 6.0, 8.0])
    with pytest.raises(ValueError, match="with 1 to 4 sequences, not with 1 to 5"):
        line.seconds(2, 5)


def test_one_number_of_drafts_makes_no_line() -> None:
    with pytest.raises(ValueError, match="two numbers of drafts"):
        fit_round_line([1, 1, 2], [3, 3, 4], [1.0, 1.1, 1.2])
    with pytest.raises(ValueError, match="shapes differ"):
        fit_round_line([1], [3, 4], [1.0, 1.1])


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=6),
    st.lists(st.floats(0.1, 2.0), min_size=6, max_size=6),
)
def test_a_wave_is_its_steps_one_by_one(steps, times) -> None:
    ended, now = [0.0] * len(steps), 0.0
    for step in range(max(steps)):
        running = [i for i, wanted in enumerate(steps) if wanted > step]
        now += times[len(running) - 1]
        for i in running:
            ended[i] = now
    assert wave_seconds(steps, times[: len(steps)]) == pytest.approx(ended)


def test_stretches_of_a_simulated_wave_are_its_steps() -> None:
    times, steps, started = [1.0, 1.5, 1.7], [3, 7, 9], [0.0, 0.0, 0.4]
    arrivals, now = [[t] for t in started], max(started)
    for step in range(max(steps)):
        running = [i for i, wanted in enumerate(steps) if wanted > step]
        now += times[len(running) - 1]
        for place, i in enumerate(running):
            arrivals[i].append(now + 1e-3 * place)
    active, rounds, seconds = steady_rounds(arrivals)
    assert active.tolist() == [3, 2, 1]
    assert rounds.tolist() == [3, 4, 2]
    # pieces of a step come up to 2 ms apart
    assert seconds / rounds == pytest.approx(times[::-1], abs=2e-3)


def test_a_piece_of_the_step_in_which_the_last_began_is_no_round() -> None:
    active, rounds, seconds = steady_rounds([[0.0, 1.001, 2.0, 3.0], [1.0, 2.0, 3.0]])
    assert (active.tolist(), rounds.tolist()) == ([2], [2])
    assert seconds == pytest.approx([2.0])


def test_an_answer_of_one_piece_has_no_rounds() -> None:
    assert [part.size for part in steady_rounds([[1.0]])] == [0, 0, 0]


def test_pieces_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="must not fall"):
        steady_rounds([[0.0, 2.0, 1.0]])


def test_a_median_ignores_what_was_held_up() -> None:
    assert weighted_median([1.0, 1.1, 900.0], [5, 5, 5]) == 1.1
    assert weighted_median([2.0, 1.0], [1, 3]) == 1.0
