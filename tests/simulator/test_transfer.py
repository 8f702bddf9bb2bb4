"""Predictions of what was held out."""

import numpy as np
import pytest

from simulator.hardware import known_hardware
from simulator.known_models import known_shape
from simulator.stage_time import assumed_stage_time
from simulator.transfer import (
    StagePoints,
    predict_held_out,
    ratio_standard_error,
    summarise_errors,
)

CARD = known_hardware("L4")
SIZES = [known_shape(name) for name in ("Qwen2.5-0.5B", "Qwen2.5-1.5B", "Qwen2.5-7B")]
TOKENS, CONTEXT = np.tile([1, 2, 4, 8, 64, 256], 2), np.repeat([100, 2000], 6)


def points(noise=0.0):
    first = assumed_stage_time(SIZES[0], CARD, "bfloat16", overhead_seconds=2e-3)
    shapes = tuple(shape for shape in SIZES for _ in TOKENS)
    seconds = np.concatenate([first.of_shape(shape).seconds(TOKENS, CONTEXT) for shape in SIZES])
    seconds *= np.random.default_rng(1).lognormal(0, noise, seconds.size)
    ones = np.ones(seconds.size, dtype=np.int64)
    return StagePoints(shapes, np.tile(TOKENS, 3), np.tile(CONTEXT, 3), ones, seconds)


def held_out(held, **settings):
    return predict_held_out(
        points(), held, CARD, "bfloat16", rng=np.random.default_rng(0), bootstrap=1, **settings
    )


@pytest.mark.parametrize("out", range(3))
def test_a_size_left_out_is_predicted_when_the_law_holds(out):
    mask = np.repeat(np.arange(3) == out, TOKENS.size)
    told = held_out(mask)
    assert set(told.points.shapes) == {SIZES[out]}
    assert summarise_errors(told.predicted, told.points.seconds).max_abs_error < 2e-3
    assert set(told.origins) == {"modelled" if out == 1 else "extrapolated"}


def test_the_fit_does_not_see_what_is_held_out():
    """Held-out times replaced by nonsense leave the prediction as it was."""
    mask = points().context == 2000
    honest = held_out(mask)
    other = points()
    other.seconds[mask] *= 7.0
    told = predict_held_out(
        other, mask, CARD, "bfloat16", rng=np.random.default_rng(0), bootstrap=1
    )
    assert told.predicted.tolist() == honest.predicted.tolist()
    error = summarise_errors(told.predicted, told.points.seconds)
    assert error.median_abs_error == pytest.approx(6 / 7, abs=0.01)
    assert error.bias == pytest.approx(-6 / 7, abs=0.01)


def test_the_standard_error_is_the_spread_of_repeated_samples():
    """2000 sets of 40 prompts: spread of log ratios against the mean formula, within 5 %.

    The standard deviation of 2000 draws is itself known to 1 / sqrt(4000) = 1.6 %.
    """
    rng = np.random.default_rng(2)
    rounds = rng.integers(10, 60, size=(2000, 40))
    tokens = rounds * rng.uniform(1.0, 3.0, size=rounds.shape)
    spread = np.log(tokens.sum(axis=1) / rounds.sum(axis=1)).std()
    formula = np.mean([ratio_standard_error(t, r) for t, r in zip(tokens, rounds, strict=True)])
    assert formula == pytest.approx(spread, rel=0.05)
    assert ratio_standard_error([6, 9], [2, 3]) == pytest.approx(0, abs=1e-12)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="at least 1 point must be held out, not 0"):
        held_out(np.zeros(36, dtype=bool))
    with pytest.raises(ValueError, match="needs >= 5 different settings, not 0"):
        held_out(np.ones(36, dtype=bool))
    with pytest.raises(ValueError, match="points differ in length"):
        StagePoints((SIZES[0],), TOKENS, CONTEXT, CONTEXT, TOKENS * 1.0)
    with pytest.raises(ValueError, match="as many predictions as points"):
        summarise_errors([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="need >= 2 units"):
        ratio_standard_error([1.0], [1.0])
    with pytest.raises(ValueError, match="counts must be finite and > 0, not 0"):
        ratio_standard_error([1.0, 1.0], [1.0, 0.0])
