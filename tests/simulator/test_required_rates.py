"""Acceptance and cost a draft needs, in the closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.required_rates import (
    iso_speedup_line,
    mean_emitted,
    required_acceptance_rate,
    required_cost_ratio,
    toward_certainty,
)
from simulator.sensitivity import break_even_acceptance_rate, break_even_cost_ratio
from simulator.speedup import speedup_from_rates, textbook_speedup

GAMMAS = range(1, 13)
EXTRAS = st.fixed_dictionaries({"verify_slope": st.floats(0, 0.1), "host_share": st.floats(0, 0.5)})
LAW = settings(deadline=None, max_examples=40)


def best_speedup(alpha, cost, **extras):
    return speedup_from_rates(alpha, np.array(GAMMAS), cost, **extras).max()


@LAW
@given(st.floats(0, 0.9), st.floats(0, 0.5), st.floats(0.05, 1), EXTRAS)
def test_needed_acceptance_gives_the_wanted_speedup_and_no_less_does(low, cost, way, extras):
    floor, top = best_speedup(low, cost, **extras), best_speedup(1.0, cost, **extras)
    wanted = floor + way * (top - floor)
    found = required_acceptance_rate(cost, min(wanted, top), GAMMAS, **extras)
    assert found.reachable
    assert found.speedup == pytest.approx(wanted, rel=1e-9)
    assert best_speedup(found.value, cost, **extras) == pytest.approx(wanted, rel=1e-9)
    assert best_speedup(max(found.value - 1e-3, 0.0), cost, **extras) < wanted


@LAW
@given(st.floats(0.05, 1), st.floats(0, 1), EXTRAS)
def test_allowed_cost_gives_the_wanted_speedup_and_no_more_does(alpha, cost, extras):
    wanted = best_speedup(alpha, cost, **extras)
    found = required_cost_ratio(alpha, wanted * (1 - 1e-12), GAMMAS, **extras)
    assert found.value == pytest.approx(cost, abs=1e-9)
    assert found.speedup == pytest.approx(wanted, rel=1e-9)
    assert best_speedup(alpha, cost + 1e-3, **extras) < wanted


@LAW
@given(st.floats(0.02, 0.9), st.floats(1.01, 3.0), st.floats(1.01, 2.0))
def test_a_higher_wish_asks_for_more(cost, wanted, more):
    one = required_acceptance_rate(cost, wanted)
    two = required_acceptance_rate(cost, wanted * more)
    assert two.value >= one.value
    assert required_cost_ratio(0.8, wanted * more).value <= required_cost_ratio(0.8, wanted).value


def test_free_choice_of_drafts_is_the_envelope_of_fixed_ones():
    """Second implementation: bisection for every number of drafts alone."""
    alone = break_even_acceptance_rate(np.array(GAMMAS), 0.08, 1.5)
    found = required_acceptance_rate(0.08, 1.5, GAMMAS)
    assert found.value == pytest.approx(alone.min(), abs=1e-12)
    assert found.num_draft_tokens == GAMMAS[int(alone.argmin())]
    costs = break_even_cost_ratio(0.8, np.array(GAMMAS), 1.5)
    allowed = required_cost_ratio(0.8, 1.5, GAMMAS)
    assert allowed.value == pytest.approx(costs.max(), abs=1e-12)
    assert allowed.num_draft_tokens == GAMMAS[int(costs.argmax())]


def test_speculation_pays_if_and_only_if_acceptance_exceeds_cost():
    """arXiv:2211.17192, corollary 3.9, and its lower bound (1 + alpha)/(1 + c)."""
    for value in (0.05, 0.3, 0.7, 0.95):
        assert required_acceptance_rate(value).value == pytest.approx(value, abs=1e-9)
        assert required_cost_ratio(value).value == pytest.approx(value, abs=1e-12)
        bound = (1 + value) / (1 + 0.5 * value)
        assert required_cost_ratio(value, bound).value >= 0.5 * value - 1e-12


def test_table_4_of_leviathan_read_backwards():
    """From EXP 2.5 at c = 0.11, gamma = 7 and 2.3 at c = 0.02: alpha 0.82 and 0.62.

    Printed with two digits, so half a last digit of EXP decides the tolerance.
    """
    for alpha, gamma, cost, published in ((0.82, 7, 0.11, 2.5), (0.62, 7, 0.02, 2.3)):
        low = required_acceptance_rate(cost, published - 0.05, [gamma]).value
        high = required_acceptance_rate(cost, published + 0.05, [gamma]).value
        assert low - 0.005 <= alpha <= high + 0.005


def test_equal_hazards_are_a_constant_rate():
    flat = required_acceptance_rate(0.1, 1.7, GAMMAS, hazards=[0.6] * 12)
    assert flat.value == pytest.approx(required_acceptance_rate(0.1, 1.7, GAMMAS).value, abs=1e-9)
    by_rate, by_hazard = required_cost_ratio(0.6, 1.4), required_cost_ratio([0.6] * 16, 1.4)
    assert by_hazard.value == pytest.approx(by_rate.value, abs=1e-12)
    assert by_hazard.num_draft_tokens == by_rate.num_draft_tokens


@LAW
@given(st.lists(st.floats(0.05, 0.95), min_size=6, max_size=6), st.floats(1.0, 1.6))
def test_moved_hazards_give_the_wanted_speedup(hazards, wanted):
    """Round trip: the way is recovered from the first draft's acceptance."""
    found = required_acceptance_rate(0.1, wanted, range(1, 7), hazards=hazards)
    first, before = found.value, hazards[0]
    way = (first - before) / (1 - before) if first > before else first / before - 1
    moved = toward_certainty(hazards, max(way, -1.0))
    gammas = np.arange(1, 7)
    reached = (mean_emitted(moved, gammas) / (1 + 0.1 * gammas)).max()
    assert reached == pytest.approx(wanted, rel=1e-6)


def test_out_of_reach_says_what_there_is():
    none = required_acceptance_rate(0.25, 4.0, [4])
    assert not none.reachable
    assert none.speedup == pytest.approx(5 / 2)
    assert none.value == 1.0
    free = required_cost_ratio(0.5, 3.0, [1, 2])
    assert not free.reachable
    assert (free.value, free.speedup) == (0.0, pytest.approx(1.75))


@pytest.mark.parametrize("speedup", [1.0, 1.5, 2.0, 3.0])
def test_the_line_parts_faster_from_slower_pairs(speedup):
    """Brute force: the best speedup on the line is the wanted one, beside it more or less."""
    line = iso_speedup_line(speedup, GAMMAS, num_points=41)
    gammas = np.array(GAMMAS)[:, None]
    on = textbook_speedup(line.acceptance_rate, gammas, line.cost_ratio).max(axis=0)
    assert on == pytest.approx(np.full(41, speedup), rel=1e-9)
    dearer = textbook_speedup(line.acceptance_rate, gammas, line.cost_ratio + 0.01).max(axis=0)
    assert (dearer < speedup).all()
    assert line.cost_ratio[0] == pytest.approx(0.0, abs=1e-12)
    assert (np.diff(line.cost_ratio) > 0).all()
    here = textbook_speedup(line.acceptance_rate, line.num_draft_tokens, line.cost_ratio)
    assert here == pytest.approx(on, rel=1e-9)


def test_break_even_is_the_diagonal():
    line = iso_speedup_line(1.0)
    assert line.cost_ratio == pytest.approx(line.acceptance_rate, abs=1e-12)


def test_an_impossible_line_is_empty():
    assert iso_speedup_line(20.0, GAMMAS).acceptance_rate.size == 0


def test_ways_end_at_never_and_always_and_arguments_are_bounded():
    assert toward_certainty([0.0, 0.4, 1.0], 1.0) == pytest.approx([1, 1, 1])
    assert toward_certainty([0.0, 0.4, 1.0], -1.0) == pytest.approx([0, 0, 0])
    assert toward_certainty([0.0, 0.4, 1.0], 0.0) == pytest.approx([0.0, 0.4, 1.0])
    with pytest.raises(ValueError, match=r"size of way must be in \[0, 1\], not 1.5"):
        toward_certainty(0.5, -1.5)
    with pytest.raises(ValueError, match="4 drafts need as many hazards, not shape"):
        required_cost_ratio([0.5, 0.5], 1.2, [4])
