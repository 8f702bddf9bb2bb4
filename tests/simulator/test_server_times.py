"""Do a server's times come back from waves of two sizes and two numbers of drafts?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import DRAFTS_EXPONENT, fit_round_line, fit_step_seconds, wave_seconds


@given(
    st.floats(1e-4, 1.0), st.floats(0.0, 0.1), st.floats(1e-4, 1.0), st.floats(0.0, 0.1),
    st.integers(0, 12),
)  # fmt: skip
def test_a_line_comes_back(fixed, slope, fixed_two, slope_two, drafted) -> None:
    active, drafts = np.array([1, 1, 2, 2]), np.array([2, 5, 2, 5])
    seconds = np.where(active == 1, fixed + slope * drafts, fixed_two + slope_two * drafts)
    line = fit_round_line(active, drafts, seconds, exponent=1.0)
    assert line.seconds(drafted, 2) == pytest.approx(
        [fixed + slope * drafted, fixed_two + slope_two * drafted], rel=1e-6, abs=1e-9
    )


@pytest.mark.parametrize("exponent", [0.5, 0.75, 1.0])
def test_three_numbers_of_drafts_tell_how_a_round_grows(exponent: float) -> None:
    drafts = np.array([1, 3, 5, 8.0])
    line = fit_round_line([1] * 4, drafts, 6 + 0.9 * drafts**exponent)
    assert line.exponent == exponent
    assert line.seconds(10, 1) == pytest.approx([6 + 0.9 * 10**exponent])


def test_two_numbers_of_drafts_take_the_exponent_of_others() -> None:
    line = fit_round_line([1, 1], [4, 10], [10.0, 15.0])
    assert line.exponent == DRAFTS_EXPONENT
    # between a straight line's and that of a curve through the plain step
    assert 6.7 - 1e-9 < line.seconds(1, 1)[0] < 7.5


def test_between_numbers_of_sequences_the_line_is_interpolated() -> None:
    line = fit_round_line([1, 1, 4, 4], [0, 2, 0, 2], [1.0, 2.0, 4.0, 8.0], exponent=1.0)
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
    assert wave_seconds(steps, times[: len(steps)]) == pytest.approx(sum(ended))


@given(
    st.lists(st.lists(st.integers(1, 30), min_size=3, max_size=3), min_size=1, max_size=5),
    st.lists(st.floats(0.1, 2.0), min_size=2, max_size=2),
)
def test_times_of_steps_come_back_from_waves(rounds, times) -> None:
    one, three = times
    step_seconds = [one, (one + three) / 2, three]  # linear between the sizes of the waves
    waves = [*([r[0]] for r in rounds), *rounds]
    seconds = [wave_seconds(wave, step_seconds[: len(wave)]) for wave in waves]
    active, found = fit_step_seconds(waves, seconds)
    assert active.tolist() == [1, 3]
    assert found == pytest.approx(times)


def test_waves_without_times_are_refused() -> None:
    with pytest.raises(ValueError, match="2 waves have 1 times"):
        fit_step_seconds([[1], [2]], [1.0])
    with pytest.raises(ValueError, match="0 waves"):
        fit_step_seconds([], [])
