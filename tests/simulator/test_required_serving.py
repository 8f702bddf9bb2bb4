"""Batch and context at which a wish is reached."""

import numpy as np
import pytest

from simulator.acceptance import expected_emitted_tokens
from simulator.hardware import known_hardware
from simulator.known_models import known_shape
from simulator.required_serving import largest_batch, shortest_context
from simulator.serving import Server, serving_speedup
from simulator.serving_limits import break_even_batch, break_even_context
from simulator.stage_time import assumed_stage_time

CARD = known_hardware("H100-SXM")
SERVER = Server(
    assumed_stage_time(known_shape("Llama-3.1-8B"), CARD, "bfloat16"),
    assumed_stage_time(known_shape("Llama-3.2-1B"), CARD, "bfloat16"),
)
HAZARDS = [0.7, 0.65, 0.6, 0.6]


def best(context, batch):
    gains = []
    for gamma in range(1, 5):
        tau = 1 + np.cumprod(HAZARDS)[:gamma].sum()
        gains.append(float(serving_speedup(SERVER, gamma, tau, context, batch)))
    return max(gains)


@pytest.mark.parametrize("wanted", [1.1, 1.2, 1.5])
def test_the_wish_is_reached_up_to_the_batch_and_not_beyond(wanted):
    """Brute force at the edge."""
    found = largest_batch(SERVER, HAZARDS, 500, wanted)
    assert found.reachable
    assert found.speedup == pytest.approx(best(500, found.value)) and found.speedup >= wanted
    assert best(500, found.value + 1) < wanted
    assert all(best(500, b) >= wanted for b in (1, found.value // 2))


def test_a_fixed_number_of_drafts_breaks_even_earlier_or_there():
    """Second implementation: the search with fixed drafts."""
    tau = float(expected_emitted_tokens(0.7, 4))
    fixed = break_even_batch(SERVER, 4, tau, 100)
    assert largest_batch(SERVER, [0.7] * 4, 100).value >= fixed - 1
    alone = float(expected_emitted_tokens(0.7, 1))
    assert largest_batch(SERVER, [0.7], 100).value == break_even_batch(SERVER, 1, alone, 100) - 1
    context = break_even_context(SERVER, 1, alone, 512, max_context=8000)
    assert shortest_context(SERVER, [0.7], 512, max_context=8000).value == context


def test_a_longer_context_brings_the_wish_back():
    found = shortest_context(SERVER, HAZARDS, 512, 1.2, max_context=8000)
    assert found.reachable and found.value > 0
    assert best(found.value - 1, 512) < 1.2 <= best(found.value, 512)
    assert shortest_context(SERVER, HAZARDS, 1, 1.2, max_context=100).value == 0


def test_out_of_reach_says_where_it_is_nearest():
    never = largest_batch(SERVER, HAZARDS, 500, 4.0, max_batch=64)
    assert not never.reachable
    assert never.speedup == pytest.approx(max(best(500, b) for b in range(1, 65)))
    short = shortest_context(SERVER, HAZARDS, 512, 3.0, max_context=500)
    assert not short.reachable
    assert short.speedup == pytest.approx(best(short.value, 512))


def test_arguments_are_bounded():
    with pytest.raises(ValueError, match="wanted_speedup must be finite and > 0"):
        largest_batch(SERVER, HAZARDS, 500, 0.0)
    with pytest.raises(ValueError, match="number of hazards must be finite and >= 1, not 0"):
        largest_batch(SERVER, [], 500)
