"""Time and size of a draft for a wish."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.acceptance import expected_emitted_tokens
from simulator.hardware import known_hardware
from simulator.known_models import known_shape
from simulator.required_draft import (
    largest_draft,
    readable_parameters,
    required_draft_seconds,
    with_layers,
)
from simulator.serving import Server, serving_speedup
from simulator.stage_time import assumed_stage_time

CARD = known_hardware("H100-SXM")
TARGET = assumed_stage_time(known_shape("Llama-3.1-8B"), CARD, "bfloat16")
DRAFT = assumed_stage_time(known_shape("Llama-3.2-1B"), CARD, "bfloat16")
GAMMAS = np.arange(1, 9)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.4, 0.95), st.floats(0.5, 1.0), st.integers(1, 16), st.floats(0, 1e-3))
def test_a_call_of_the_allowed_length_gives_the_wanted_speedup(alpha, share, batch, host):
    tau = expected_emitted_tokens(alpha, GAMMAS)
    step = TARGET.seconds(1, 800, batch) + host
    verify = TARGET.seconds(GAMMAS + 1, 800, batch) + host
    wanted = max(float((tau * step / verify).max()) * share, 0.1)
    found = required_draft_seconds(
        TARGET, alpha, wanted, GAMMAS, context=800, batch=batch, host_seconds=host
    )
    gains = tau * step / (verify + GAMMAS * found.value)
    assert gains.max() == pytest.approx(wanted, rel=1e-9)
    assert (tau * step / (verify + GAMMAS * (found.value + 1e-5))).max() < wanted


def test_the_draft_at_hand_is_allowed_its_own_time():
    """Round trip through ``serving_speedup``; no cache, so its time is the same for every call."""
    window = Server(TARGET, DRAFT, draft_window=1)
    tau = expected_emitted_tokens(0.8, GAMMAS)
    wanted = float(serving_speedup(window, GAMMAS, tau, 800, 1).max())
    found = required_draft_seconds(TARGET, 0.8, wanted, GAMMAS, context=800)
    seen = np.minimum(800, 1)
    assert found.value == pytest.approx(float(DRAFT.seconds(1, seen, 1)), rel=1e-9)


def test_out_of_reach_is_what_a_free_draft_gives():
    found = required_draft_seconds(TARGET, 0.5, 3.0, [4], context=800)
    free = float(expected_emitted_tokens(0.5, 4) * TARGET.seconds(1, 800) / TARGET.seconds(5, 800))
    assert (found.reachable, found.value) == (False, 0.0)
    assert found.speedup == pytest.approx(free)


@pytest.mark.parametrize("wanted", [1.5, 2.0, 2.5])
def test_one_layer_more_would_be_too_slow(wanted):
    """Brute force over all depths."""
    server = Server(TARGET, DRAFT)
    tau = expected_emitted_tokens(0.8, GAMMAS)
    found = largest_draft(server, 0.8, wanted, GAMMAS, context=800)
    enough = []
    for layers in range(1, TARGET.shape.num_layers + 1):
        mine = replace(server, draft=replace(DRAFT, shape=with_layers(DRAFT.shape, layers)))
        if float(serving_speedup(mine, GAMMAS, tau, 800, 1).max()) >= wanted:
            enough.append(with_layers(DRAFT.shape, layers).num_parameters)
    assert found.reachable
    assert found.value == max(enough)


def test_no_draft_of_the_allowed_time_reads_more_than_the_bound():
    """Law: traffic alone takes as long as the bound says."""
    found = largest_draft(Server(TARGET, DRAFT), 0.8, 2.0, GAMMAS, context=0)
    seconds = required_draft_seconds(TARGET, 0.8, 2.0, GAMMAS).value
    assert found.value <= readable_parameters(seconds, DRAFT.bandwidth)
    assert readable_parameters(1e-3, 1e12, overhead_seconds=2e-3) == 0.0


def test_even_one_layer_may_be_too_slow():
    found = largest_draft(Server(TARGET, DRAFT), 0.8, 4.5, [4])
    assert not found.reachable
    assert found.value == with_layers(DRAFT.shape, 1).num_parameters


def test_a_family_keeps_its_own_member():
    for name in ("Llama-3.2-1B", "Qwen3-0.6B", "Mixtral-8x7B-v0.1"):
        shape = known_shape(name)
        assert with_layers(shape, shape.num_layers) == shape
        assert with_layers(shape, 1).expert_layers == (1 if shape.expert_layers else 0)
    with pytest.raises(ValueError, match="num_layers must be finite and >= 1, not 0"):
        with_layers(DRAFT.shape, 0)
