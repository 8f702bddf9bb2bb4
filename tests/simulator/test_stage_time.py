"""Stage times from first principles."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.hardware import Hardware, known_hardware
from simulator.known_models import known_shape
from simulator.roofline import operator_costs, total_cost
from simulator.stage_time import Covered, StageTime, assumed_stage_time, smooth_maximum
from tests.simulator.published_times import h100_step_seconds

SHAPE, CARD = known_shape("Llama-3.1-8B"), known_hardware("A100-SXM-80GB")
POSITIVE = st.floats(1e-12, 1e12)


@given(POSITIVE, POSITIVE, st.floats(1, 50))
def test_smooth_maximum_lies_between_maximum_and_sum(first, second, sharpness):
    value = smooth_maximum(first, second, sharpness)
    assert max(first, second) * (1 - 1e-12) <= value <= (first + second) * (1 + 1e-12)
    assert value == smooth_maximum(second, first, sharpness)


def test_smooth_maximum_reaches_its_limits():
    assert smooth_maximum(3.0, 4.0, 1.0) == 7.0
    assert smooth_maximum(3.0, 4.0, 2.0) == pytest.approx(5.0)
    assert smooth_maximum(3.0, 4.0, 200.0) == pytest.approx(4.0)


@given(st.integers(1, 64), st.integers(0, 10_000), st.integers(1, 200), st.floats(1, 8))
def test_time_lies_between_the_bound_of_the_roofline_and_the_sum(n, context, batch, sharpness):
    time = assumed_stage_time(SHAPE, CARD, "bfloat16", sharpness=sharpness, overhead_seconds=1e-3)
    cost = total_cost(operator_costs(SHAPE, n, context, batch))
    moving, computing = cost.bytes / time.bandwidth, cost.flop / time.flop_per_second
    seconds = time.seconds(n, context, batch) - 1e-3
    assert max(moving, computing) * (1 - 1e-9) <= seconds <= (moving + computing) * (1 + 1e-9)


@given(st.integers(1, 64), st.integers(0, 10_000), st.integers(1, 200))
def test_time_grows_with_tokens_context_and_batch(n, context, batch):
    time = assumed_stage_time(SHAPE, CARD, "bfloat16")
    here = time.seconds(n, context, batch)
    assert here < time.seconds(n + 1, context, batch)
    assert here < time.seconds(n, context + 1, batch)
    assert here < time.seconds(n, context, batch + 1)


def test_limits_without_arithmetic_and_without_traffic():
    cost = total_cost(operator_costs(SHAPE, 4, 100, 2))
    moves = StageTime(SHAPE, 1e12, 1e30, overhead_seconds=0.5).seconds(4, 100, 2)
    assert moves == pytest.approx(0.5 + cost.bytes / 1e12)
    computes = StageTime(SHAPE, 1e30, 1e14).seconds(4, 100, 2)
    assert computes == pytest.approx(cost.flop / 1e14)


def test_attention_that_waits_is_not_hidden_behind_projections_that_compute():
    """Negative control: one maximum over the whole forward would say so."""
    time = assumed_stage_time(SHAPE, CARD, "bfloat16", sharpness=100)
    short, long = time.seconds(4, 10, 256), time.seconds(4, 4000, 256)
    cost = total_cost(operator_costs(SHAPE, 4, 4000, 256))
    whole = max(cost.bytes / time.bandwidth, cost.flop / time.flop_per_second)
    assert long > 1.1 * whole
    assert long > short


def test_an_h100_is_predicted_within_a_fifth_by_assumed_efficiencies():
    """Published coefficients of arXiv:2601.11580; a sum instead of a maximum is within a tenth.

    The fit has no ridge: each token adds 21 us from the first on, 77 % of the FLOP peak, as if
    traffic and arithmetic never overlapped.
    """
    tokens, batch = np.array([1, 2, 4, 6])[:, None], np.array([1, 8, 16, 32, 64])
    published = h100_step_seconds(tokens, 1000, batch)
    hardware = known_hardware("H100-SXM")
    for sharpness, low, high in ((2.0, 0.79, 1.0), (1.0, 0.94, 1.11)):
        time = assumed_stage_time(SHAPE, hardware, "bfloat16", sharpness=sharpness)
        ratio = time.seconds(tokens, 1000, batch) / published
        assert low < ratio.min() <= ratio.max() < high


def test_verifying_128_tokens_costs_little_on_an_a100():
    """arXiv:2402.12374, tables 1 and 3: t(128)/t(1) = 1.03 to 1.10 implied for 7B at 24.2 ms.

    Host time makes up what the roofline lacks at one token. The smooth maximum of order 2 gives
    1.14, of order 4 1.07, the sum 1.34: there, traffic and arithmetic do overlap.
    """
    shape, card = known_shape("Llama-2-7b-hf"), known_hardware("A100-PCIe-80GB")
    for sharpness, low, high in ((2.0, 1.10, 1.15), (4.0, 1.03, 1.10)):
        time = assumed_stage_time(shape, card, "bfloat16", sharpness=sharpness)
        host = 24.2e-3 - float(time.seconds(1, 192))
        time = replace(time, overhead_seconds=host)
        assert low < time.seconds(128, 192) / time.seconds(1, 192) < high


def test_origin_is_that_of_the_weakest_query():
    time = assumed_stage_time(SHAPE, CARD, "bfloat16")
    assert time.origin(1, 0) == "assumed"
    fitted = replace(time, covered=Covered((1, 8), (0, 1000), (1, 4)))
    assert fitted.origin([1, 8], 1000, 4) == "modelled"
    assert fitted.origin([1, 9], 1000, 4) == "extrapolated"
    assert fitted.origin(1, [0, 1001]) == "extrapolated"
    assert fitted.origin(1, 0, 5) == "extrapolated"


def test_bad_rates_are_refused():
    with pytest.raises(ValueError, match="bandwidth must be finite and > 0, not 0"):
        StageTime(SHAPE, 0, 1)
    with pytest.raises(ValueError, match=r"sharpness must be finite and >= 1, not 0\.5"):
        StageTime(SHAPE, 1, 1, sharpness=0.5)
    with pytest.raises(ValueError, match="flop_efficiency must be finite and > 0, not 0"):
        assumed_stage_time(SHAPE, CARD, "bfloat16", flop_efficiency=0)
    with pytest.raises(ValueError, match="x has no figure for dtype 'float8'"):
        assumed_stage_time(SHAPE, Hardware("x", 1, 1, {"float32": 1}, "", ""), "float8")


def test_attention_at_the_matrices_rate_changes_nothing_and_a_slower_one_only_attention():
    time = assumed_stage_time(SHAPE, CARD, "bfloat16", sharpness=1.0)
    same = replace(time, attention_flop_per_second=time.flop_per_second)
    assert same.seconds(8, 4000, 2) == time.seconds(8, 4000, 2)
    half = replace(time, attention_flop_per_second=time.flop_per_second / 2)
    attention = operator_costs(SHAPE, 8, 4000, 2)["attention"].flop
    extra = half.seconds(8, 4000, 2) - time.seconds(8, 4000, 2)
    assert extra == pytest.approx(attention / time.flop_per_second)
    with pytest.raises(ValueError, match="attention_flop_per_second must be finite and > 0"):
        replace(time, attention_flop_per_second=0.0)


def test_another_size_is_extrapolated_unless_sizes_around_it_were_timed():
    fitted = assumed_stage_time(SHAPE, CARD, "bfloat16")
    size = SHAPE.num_parameters
    alone = replace(fitted, covered=Covered((1, 8), (0, 1000), (1, 4), (size, size)))
    assert alone.origin(4, 500, 2) == "modelled"
    assert alone.of_shape(known_shape("Llama-3.2-3B")).origin(4, 500, 2) == "extrapolated"
    both = replace(fitted, covered=Covered((1, 8), (0, 1000), (1, 4), (1e9, size)))
    assert both.of_shape(known_shape("Llama-3.2-3B")).origin(4, 500, 2) == "modelled"
    assert both.of_shape(known_shape("Llama-3.2-3B")).origin(9, 500, 2) == "extrapolated"
    assert fitted.of_shape(known_shape("Llama-3.2-3B")).origin(4, 500, 2) == "assumed"
