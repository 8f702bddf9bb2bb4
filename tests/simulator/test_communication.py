"""Does talking cost what a ring played step by step costs, and a split forward what is left?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.communication import (
    Layout,
    all_reduce_seconds,
    communication_seconds,
    gather_seconds,
)
from simulator.hardware import known_hardware
from simulator.known_models import known_shape
from simulator.links import Link, known_link
from simulator.roofline import operator_costs
from simulator.stage_time import StageTime, assumed_stage_time

CARD = known_hardware("A100-SXM-80GB")
MODEL = known_shape("Llama-3.1-8B")
FREE = Link("free", 1e30)
degrees = st.sampled_from([1, 2, 4, 8, 16, 32])


def played_ring(link: Link, devices: int, values: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """An all-reduce, message by message: what everybody ends with, and when. 8 bytes a value."""
    held = [np.split(v.copy(), devices) for v in values]
    now = 0.0
    for turn in range(2 * (devices - 1)):
        # whom each device sends which part: first sums go round, then finished parts
        finished = turn >= devices - 1
        sent = [((d - turn + finished) % devices if not finished else (d + 1 - (turn - devices + 1))
                 % devices) for d in range(devices)]  # fmt: skip
        parts = [held[d][sent[d]].copy() for d in range(devices)]
        now += link.step_seconds + parts[0].size * 8 / link.bandwidth
        for d in range(devices):
            to = (d + 1) % devices
            held[to][sent[d]] = parts[d] if finished else held[to][sent[d]] + parts[d]
    ends = [np.concatenate(h) for h in held]
    assert all(np.allclose(end, ends[0]) for end in ends)
    return ends[0], now


@pytest.mark.parametrize("devices", [2, 3, 4, 8])
def test_an_all_reduce_takes_as_long_as_one_played_message_by_message(devices: int) -> None:
    link, rng = Link("slow", 1e3, 0.25), np.random.default_rng(devices)
    values = [rng.random(24) for _ in range(devices)]
    total, seconds = played_ring(link, devices, values)
    assert np.allclose(total, np.sum(values, axis=0))
    assert all_reduce_seconds(link, devices, 24 * 8) == pytest.approx(seconds)
    assert gather_seconds(link, devices, 24 * 8) == pytest.approx(seconds / 2)


@given(p=degrees, size=st.floats(0, 1e9))
def test_an_all_reduce_is_free_alone_and_never_moves_twice_its_bytes(p: int, size: float) -> None:
    link = known_link("PCIe-4")
    seconds = all_reduce_seconds(link, p, size)
    assert (seconds == 0) == (p == 1)
    ring = seconds - (link.call_seconds + 2 * (p - 1) * link.step_seconds) * (p > 1)
    assert -1e-12 <= ring <= 2 * size / link.bandwidth * (1 + 1e-9) + 1e-12


def test_a_forward_says_two_sums_a_layer_one_of_embeddings_and_its_logits() -> None:
    link = Link("latency alone", 1e30, 1.0, 100.0)
    said = communication_seconds(MODEL, Layout(4, 1, link), 5)
    reduces = 2 * MODEL.num_layers + 1
    assert said == pytest.approx(reduces * (2 * 3 * 1.0 + 100.0) + 3 * 1.0 + 100.0)
    wire = Link("bandwidth alone", 1e9)
    moved = communication_seconds(MODEL, Layout(4, 1, wire), 5, 3, logit_tokens=1) * 1e9
    sums, logits = 15 * MODEL.hidden_size * 2, 3 * MODEL.vocab_size * 2
    assert moved == pytest.approx(2 * 3 / 4 * reduces * sums + 3 / 4 * logits)


def test_groups_hand_on_and_make_no_round_shorter() -> None:
    link = Link("wire", 1e9, 1e-6)
    alone = assumed_stage_time(MODEL, CARD, "bfloat16")
    piped = assumed_stage_time(MODEL, CARD, "bfloat16", layout=Layout(1, 4, link))
    handed = 3 * (1e-6 + 7 * 2 * MODEL.hidden_size * 2 / 1e9)
    assert piped.seconds(7, 100, 2) - alone.seconds(7, 100, 2) == pytest.approx(handed)


@given(p=st.sampled_from([1, 2, 4, 8]), tokens=st.integers(1, 64), rows=st.integers(1, 64))
def test_free_links_leave_what_several_devices_do_but_for_vectors(
    p: int, tokens: int, rows: int
) -> None:
    split = assumed_stage_time(MODEL, CARD, "bfloat16", layout=Layout(p, 1, FREE))
    faster = assumed_stage_time(MODEL, CARD.devices(p), "bfloat16")
    vectors = operator_costs(MODEL, tokens, 0, rows)["vectors"].bytes / split.bandwidth
    undivided = vectors * (1 - 1 / p)
    expected = faster.seconds(tokens, 500, rows) + undivided
    assert split.seconds(tokens, 500, rows) == pytest.approx(float(expected))


def test_a_cache_divides_among_its_heads_alone_and_a_latent_not_at_all() -> None:
    one = operator_costs(MODEL, 1, 1000)["attention"].kv_bytes
    shares = [one / operator_costs(MODEL, 1, 1000, tensor_parallel=p)["attention"].kv_bytes
              for p in (2, 8, 16)]  # fmt: skip
    assert shares == [2, MODEL.num_kv_heads, MODEL.num_kv_heads]
    latent = known_shape("DeepSeek-V3")
    whole, part = (operator_costs(latent, 1, 1000, tensor_parallel=p)["attention"] for p in (1, 8))
    assert part.kv_bytes == whole.kv_bytes
    assert part.flop == whole.flop / 8


def test_one_device_is_as_before_and_slow_links_undo_a_split() -> None:
    alone = assumed_stage_time(MODEL, CARD, "bfloat16", overhead_seconds=1e-3)
    assert alone.layout.num_devices == 1
    assert alone.communication_seconds(5) == 0
    times = {
        name: StageTime(MODEL, CARD.bandwidth, CARD.peak("bfloat16"),
                        layout=Layout(8, 1, known_link(name))).seconds(1, 100)
        for name in ("NVLink-3", "PCIe-4", "Ethernet-25G")
    }  # fmt: skip
    assert times["NVLink-3"] < times["PCIe-4"] < times["Ethernet-25G"]
    two = Layout(8, 1, known_link("Ethernet-25G"))
    small = known_shape("Llama-3.2-1B")
    assert assumed_stage_time(small, CARD, "bfloat16", layout=two).seconds(
        1, 100
    ) > assumed_stage_time(small, CARD, "bfloat16").seconds(1, 100)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="4 devices need a link between them"):
        Layout(2, 2)
    with pytest.raises(ValueError, match="tensor_parallel must be finite and >= 1, not 0"):
        Layout(0)
    with pytest.raises(ValueError, match="must divide the 32 heads, not 3"):
        operator_costs(MODEL, 1, 0, tensor_parallel=3)
    with pytest.raises(ValueError, match="num_bytes must be finite and >= 0, not -1"):
        all_reduce_seconds(FREE, 2, -1)
