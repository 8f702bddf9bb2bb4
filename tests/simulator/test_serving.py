"""Speedup of a synchronous batch."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.acceptance import expected_emitted_from_hazards, expected_emitted_tokens
from simulator.communication import Layout
from simulator.hardware import known_hardware
from simulator.known_models import known_shape
from simulator.links import known_link
from simulator.model_config import shape_from_config
from simulator.rounds import simulate_emitted_tokens
from simulator.serving import Server, mean_emitted_lockstep, serving_speedup
from simulator.stage_fit import fit_stage_time
from simulator.stage_time import assumed_stage_time
from tests.simulator.published_times import MAGICDEC

CARD = known_hardware("H100-SXM")
TARGET = assumed_stage_time(known_shape("Llama-3.1-8B"), CARD, "bfloat16")
DRAFT = assumed_stage_time(known_shape("Llama-3.2-1B"), CARD, "bfloat16")
SERVER = Server(TARGET, DRAFT)
GAMMA, CONTEXT, BATCH = st.integers(1, 8), st.integers(0, 50_000), st.integers(1, 512)
HAZARDS = st.lists(st.floats(0, 1), max_size=4)


@given(CONTEXT, BATCH, st.floats(0, 0.1))
def test_no_drafts_are_autoregressive_decoding(context, batch, host):
    assert serving_speedup(replace(SERVER, host_seconds=host), 0, 1, context, batch) == 1.0


@given(GAMMA, CONTEXT, BATCH)
def test_speedup_never_exceeds_the_tokens_of_a_full_round(gamma, context, batch):
    assert serving_speedup(SERVER, gamma, gamma + 1, context, batch) < gamma + 1


@given(GAMMA, CONTEXT, BATCH, st.floats(0, 1))
def test_a_host_that_takes_all_the_time_leaves_the_tokens_per_round(gamma, context, batch, alpha):
    """Limit: the speedup goes to tau, whatever the models cost."""
    tau = float(expected_emitted_tokens(alpha, gamma))
    slow = replace(SERVER, host_seconds=1e6)
    assert serving_speedup(slow, gamma, tau, context, batch) == pytest.approx(tau, rel=1e-4)


def test_batching_kills_it_at_short_context_and_long_context_brings_it_back():
    """The two messages of arXiv:2408.11049, self-speculation with 512 cached tokens, gamma 2."""
    target = assumed_stage_time(known_shape("Llama-3.1-8B"), CARD.devices(8), "bfloat16")
    self_speculation = Server(target, target, draft_window=512)
    batch = np.array([1, 8, 64, 512])
    short = serving_speedup(SERVER, 4, 3.36, 200, batch * 8)
    assert (np.diff(short) < 0).all()
    assert short[0] > 1 > short[-1]
    long = serving_speedup(self_speculation, 2, 2.5, 32_000, batch)
    assert (np.diff(long) > 0).all()
    assert long[-1] > 2


def test_experts_put_the_best_batch_in_the_middle():
    """arXiv:2505.19645 (MoESD): Qwen2-57B-A14B gains most at a batch of about 12 to 32.

    At batch 1 verification loads experts that one token would not, at large batches arithmetic
    decides. The place is nearly reproduced (28 to 39 here), not the height: 2.18 published for
    gamma 4 with 0.91 of 5 tokens, 4.1 here, as rejection, host and grouped kernels cost nothing.
    """
    shape = shape_from_config(
        {"model_type": "qwen2_moe", "num_hidden_layers": 28, "hidden_size": 3584,
         "num_attention_heads": 28, "num_key_value_heads": 4, "moe_intermediate_size": 2560,
         "shared_expert_intermediate_size": 20480, "num_experts": 64, "num_experts_per_tok": 8,
         "vocab_size": 151936}
    )  # fmt: skip
    assert shape.num_parameters / 1e9 == pytest.approx(57.41, abs=0.01)
    batch = np.arange(1, 513)
    for name in ("A100-SXM-80GB", "H100-SXM"):
        pair = known_hardware(name).devices(2)
        server = Server(
            assumed_stage_time(shape, pair, "bfloat16"),
            assumed_stage_time(known_shape("Qwen2.5-0.5B"), pair, "bfloat16"),
        )
        for gamma, share in ((2, 0.94), (3, 0.93), (4, 0.91)):
            gains = serving_speedup(server, gamma, share * (gamma + 1), 500, batch)
            assert 12 <= batch[np.argmax(gains)] <= 40
            assert gains.max() > 1.4 * gains[0]
            assert gains.max() > 1.4 * gains[-1]
    dense = serving_speedup(SERVER, 4, 4.55, 500, batch)
    assert np.argmax(dense) == 0


def test_published_identity_of_magicdec():
    """arXiv:2408.11049, section 3: T_SD = (gamma T_D + T_V)/Omega, with its own measured times.

    The identity gives 4.3 % less than these rows measure (at most 7 %): 1.4 ms of host per round.
    """
    _, _, draft, verify, tokens, step, measured, speedup = MAGICDEC.T
    assert speedup == pytest.approx(step / measured, abs=0.012)
    ratio = (draft + verify) / tokens / measured
    assert 0.93 < ratio.min() < ratio.mean() < 0.96
    assert ratio.max() < 1.0
    host = tokens * measured - draft - verify
    assert host.mean() == pytest.approx(1.4, abs=0.05)


def test_speedups_of_magicdec_from_three_fitted_numbers():
    """Roofline fitted to target times alone; draft from its layers; no speedup was seen.

    Launches and all-reduces are paid per layer, so the draft's constant is the target's times
    22/32. Speedups of Table 3 come out 6.9 % too high on average (all of them, at most by 17.5 %),
    4.3 of which is the identity's own share.
    """
    context, batch, draft_ms, verify, tokens, step, _, speedup = MAGICDEC.T
    target = known_shape("Llama-2-7b-hf")
    fitted = fit_stage_time(
        target,
        known_hardware("A100-SXM-80GB").devices(8),
        "bfloat16",
        np.repeat([1, 3], len(MAGICDEC)),
        np.tile(context, 2),
        np.tile(batch, 2),
        np.append(step, verify) * 1e-3,
        rng=np.random.default_rng(0),
        bootstrap=1,
    ).time
    draft = replace(
        fitted,
        shape=known_shape("TinyLlama-1.1B-Chat-v1.0"),
        overhead_seconds=fitted.overhead_seconds * 22 / 32,
    )
    server = Server(fitted, draft, draft_window=512)
    calls = 2e3 * draft.seconds(1, 512, batch)
    assert calls[batch < 64] == pytest.approx(draft_ms[batch < 64], rel=0.11)
    error = serving_speedup(server, 2, tokens, context, batch) / speedup - 1
    assert abs(error.mean()) < 0.075
    assert np.abs(error).max() < 0.18


def test_links_between_devices_are_not_in_the_roofline():
    """Negative control: without a fitted constant the same speedups are 52 % high on average."""
    context, batch, _, _, tokens, _, _, speedup = MAGICDEC.T
    machine = known_hardware("A100-SXM-80GB").devices(8)
    target, draft = (
        assumed_stage_time(known_shape(name), machine, "bfloat16")
        for name in ("Llama-2-7b-hf", "TinyLlama-1.1B-Chat-v1.0")
    )
    server = Server(target, draft, draft_window=512)
    error = serving_speedup(server, 2, tokens, context, batch) / speedup - 1
    assert error.mean() == pytest.approx(0.52, abs=0.02)


def test_links_between_devices_take_a_third_off_that_error():
    """The same with (M7.12) over NVLink 3: 33 % high; launches are still left out."""
    context, batch, _, _, tokens, _, _, speedup = MAGICDEC.T
    card, layout = known_hardware("A100-SXM-80GB"), Layout(8, 1, known_link("NVLink-3"))
    target, draft = (
        assumed_stage_time(known_shape(name), card, "bfloat16", layout=layout)
        for name in ("Llama-2-7b-hf", "TinyLlama-1.1B-Chat-v1.0")
    )
    server = Server(target, draft, draft_window=512)
    error = serving_speedup(server, 2, tokens, context, batch) / speedup - 1
    assert error.mean() == pytest.approx(0.33, abs=0.02)
    assert 1e3 * float(target.communication_seconds(1, 64)) == pytest.approx(1.2, abs=0.05)


def test_lockstep_is_the_mean_of_the_minimum_by_enumeration():
    """Brute force: both rows of a batch of two, every number of kept drafts."""
    hazards = np.array([0.9, 0.5, 0.7])
    survival = np.cumprod(np.append(1.0, hazards))
    law = np.append(survival[:-1] - survival[1:], survival[-1])
    expected = sum(law[a] * law[b] * (1 + min(a, b)) for a, b in product(range(4), repeat=2))
    assert mean_emitted_lockstep(hazards, 2) == pytest.approx(expected, rel=1e-12)


@given(HAZARDS, st.integers(1, 50))
def test_lockstep_falls_with_the_batch_from_the_mean_of_one(hazards, batch):
    alone = mean_emitted_lockstep(hazards, 1)
    assert alone == pytest.approx(float(expected_emitted_from_hazards(hazards)))
    assert 1 <= mean_emitted_lockstep(hazards, batch + 1) <= mean_emitted_lockstep(hazards, batch)


@settings(deadline=None, max_examples=10)
@given(st.lists(st.floats(0.2, 0.95), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_lockstep_follows_drawn_rounds(hazards, seed):
    """Monte Carlo: 4000 batches of 3; the mean within 6 standard errors (2e-9)."""
    rng = np.random.default_rng(seed)
    drawn = simulate_emitted_tokens(hazards, 12_000, rng=rng).reshape(-1, 3).min(axis=1)
    error = drawn.std() / np.sqrt(drawn.size)
    assert abs(drawn.mean() - mean_emitted_lockstep(hazards, 3)) <= 6 * error + 1e-9


def test_bad_queries_are_refused():
    with pytest.raises(ValueError, match=r"mean_emitted must be finite and >= 1, not 0\.9"):
        serving_speedup(SERVER, 4, 0.9, 0)
    with pytest.raises(ValueError, match="num_draft_tokens must be finite and >= 0, not -1"):
        serving_speedup(SERVER, -1, 1, 0)
    with pytest.raises(ValueError, match="host_seconds must be finite and >= 0, not -1"):
        replace(SERVER, host_seconds=-1)
    with pytest.raises(ValueError, match="draft_window must be finite and >= 1, not 0"):
        replace(SERVER, draft_window=0)
    with pytest.raises(ValueError, match="hazards must have one dimension, not 2"):
        mean_emitted_lockstep([[0.5]], 1)
