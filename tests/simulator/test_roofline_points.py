"""Do forwards stay under the roof, and are free tokens free?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import KNOWN_MODELS, StageTime, known_hardware, known_shape, operator_costs
from simulator.roofline import total_cost
from simulator.roofline_points import free_tokens, roof, roofline_point
from simulator.stage_time import assumed_stage_time

CARD = known_hardware("H100-SXM")
SHAPES = st.sampled_from(KNOWN_MODELS).map(known_shape)
TIMES = st.builds(
    StageTime,
    SHAPES,
    st.floats(1e9, 1e13),
    st.floats(1e10, 1e16),
    st.floats(0, 1e-3),
    sharpness=st.floats(1, 50),
)


@given(TIMES, st.integers(1, 512), st.integers(0, 10_000), st.integers(1, 64))
def test_no_forward_rises_above_the_roof(time, num_tokens, context, batch):
    point = roofline_point(time, num_tokens, context, batch)
    limit = roof(point.intensity, time.bandwidth, time.flop_per_second)
    assert point.flop_per_second <= limit * (1 + 1e-12)
    assert point.flop_per_second * point.seconds / point.intensity == pytest.approx(
        float(total_cost(operator_costs(time.shape, num_tokens, context, batch)).bytes)
    ), "FLOP over intensity are the bytes"


@given(SHAPES, st.floats(1e9, 1e13), st.floats(1e10, 1e16), st.integers(1, 300))
def test_a_hard_maximum_meets_one_of_its_two_limits_or_lies_between(shape, bandwidth, rate, n):
    """Operators on one side of the ridge: the point lies on the roof; on both: below it."""
    time = StageTime(shape, bandwidth, rate, sharpness=1e6)
    costs = [c for c in operator_costs(shape, n, 0).values() if float(c.bytes) > 0]
    sides = {float(c.intensity) < rate / bandwidth for c in costs}
    point = roofline_point(time, n, 0)
    limit = float(roof(point.intensity, bandwidth, rate))
    if len(sides) == 1:
        assert point.flop_per_second == pytest.approx(limit, rel=1e-5)  # 2^(1/sharpness)
        assert point.bound == ("memory" if sides.pop() else "arithmetic")
    else:
        assert point.flop_per_second < limit


def test_the_roof_bends_at_the_ridge_point():
    ridge = CARD.ridge_point("bfloat16")
    peak = CARD.peak("bfloat16")
    assert float(roof(ridge, CARD.bandwidth, peak)) == pytest.approx(peak)
    assert float(roof(ridge / 2, CARD.bandwidth, peak)) == pytest.approx(peak / 2)
    assert float(roof(ridge * 2, CARD.bandwidth, peak)) == peak


@given(TIMES, st.integers(0, 4000), st.integers(1, 32), st.floats(0, 0.5))
def test_free_tokens_are_those_within_the_tolerance_and_no_more(time, context, batch, tolerance):
    free = free_tokens(time, context, batch, tolerance=tolerance, max_tokens=128)
    seconds = [float(time.seconds(n, context, batch)) for n in range(1, 129)]
    assert np.all(np.diff(seconds) >= -1e-12 * seconds[0]), "time grows with the tokens"
    assert seconds[free - 1] <= seconds[0] * (1 + tolerance)
    if free < 128:
        assert seconds[free] > seconds[0] * (1 + tolerance)


def test_without_arithmetic_limit_only_traffic_counts_and_without_tolerance_one_is_free():
    time = StageTime(known_shape("Llama-3.1-8B"), 1e12, 1e30)
    assert free_tokens(time, 0, tolerance=0.1) > 100
    assert free_tokens(time, 0, tolerance=0.0) == 1


def test_a_large_batch_leaves_fewer_tokens_free():
    time = assumed_stage_time(known_shape("Llama-3.1-8B"), CARD, "bfloat16")
    free = [free_tokens(time, 500, batch) for batch in (1, 8, 64, 256)]
    assert free == sorted(free, reverse=True) and free[0] > free[-1]


def test_decoding_at_batch_one_in_16_bit_has_intensity_one():
    """The rule of thumb of docs/model.md M8; a verification of n tokens has about n."""
    time = assumed_stage_time(known_shape("Llama-3.1-8B"), CARD, "bfloat16")
    assert roofline_point(time, 1, 0).intensity == pytest.approx(1, rel=0.01)
    assert roofline_point(time, 5, 0).intensity == pytest.approx(5, rel=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: free_tokens(t, -1), "context"),
        (lambda t: free_tokens(t, 0, tolerance=-0.1), "tolerance"),
        (lambda t: free_tokens(t, 0, max_tokens=0), "max_tokens"),
        (lambda t: roofline_point(t, 0, 0), "num_tokens"),
        (lambda t: roof(1.0, 0.0, 1.0), "bandwidth"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    time = assumed_stage_time(known_shape("Llama-3.1-8B"), CARD, "bfloat16")
    with pytest.raises(ValueError, match=message):
        call(time)
