"""Stage curves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.costs import ORIGINS, StageCurve

TIMES = st.floats(1e-4, 1e-1)
GRID = {(n, c): n * 1e-3 + c * 1e-6 for n in (1, 2, 5, 9) for c in (16, 128, 300)}


def grid_curve(noise=0.0, rng=None):
    points = [(n, c, t) for (n, c), t in GRID.items() for _ in range(5)]
    tokens, context, seconds = (
        np.array(column, dtype=float) for column in zip(*points, strict=True)
    )
    if rng is not None:
        seconds = seconds * rng.lognormal(0, noise, seconds.size)
    return StageCurve.from_samples(tokens, context, seconds)


def test_measured_points_are_reproduced():
    curve = grid_curve()
    for (tokens, context), seconds in GRID.items():
        assert curve.seconds(tokens, context) == seconds
        assert curve.provenance(tokens, context) == "measured"


def test_a_bilinear_law_is_exact_inside_and_beyond():
    curve = grid_curve()
    for tokens, context, origin in (
        (1, 64, "measured"),
        (3, 64, "interpolated"),
        (9, 301, "extrapolated"),
        (20, 500, "extrapolated"),
    ):
        expected = tokens * 1e-3 + context * 1e-6
        assert curve.seconds(tokens, context) == pytest.approx(expected, rel=1e-12)
        assert curve.provenance(tokens, context) == origin


def test_below_the_measured_range_the_first_value_is_held():
    assert grid_curve().seconds(0, 0) == GRID[1, 16]
    assert grid_curve().provenance(0, 16) == "extrapolated"


@given(st.lists(TIMES, min_size=2, max_size=6), st.floats(1, 40))
def test_between_neighbours_the_curve_is_monotone_and_between_them(times, query):
    levels = 1 + 3 * np.arange(len(times))
    curve = StageCurve.from_samples(levels, np.zeros(len(times)), times)
    value = float(curve.seconds(query, 0))
    if query <= levels[-1]:
        low = int((query - 1) // 3)
        pair = times[low], times[min(low + 1, len(times) - 1)]
        assert min(pair) * (1 - 1e-12) <= value <= max(pair) * (1 + 1e-12)


@given(st.lists(TIMES, min_size=1, max_size=6), st.floats(0, 1e4), st.floats(0, 1e4))
def test_extrapolation_never_falls_below_the_last_point(times, beyond, context):
    levels = 1.0 + np.arange(len(times))
    curve = StageCurve.from_samples(levels, np.zeros(len(times)), times)
    assert curve.seconds(levels[-1] + beyond, context) >= times[-1] * (1 - 1e-9)


def test_values_are_linear_in_the_medians():
    curve = grid_curve()
    at = curve.locate(np.array([1, 3, 30]), np.array([16, 70, 600]))
    assert at.coefficients.sum(axis=1) == pytest.approx(np.ones(3))
    direct = (curve.medians[at.cells] * at.coefficients).sum(axis=1)
    assert (direct == curve.seconds([1, 3, 30], [16, 70, 600])).all()


def test_one_point_is_a_constant():
    curve = StageCurve.from_samples([4], [100], [0.5])
    assert (curve.seconds([0, 4, 50], 100) == 0.5).all()
    assert [curve.provenance(n, 100) for n in (0, 4, 50)] == [ORIGINS[2], ORIGINS[0], ORIGINS[2]]


def test_scattered_contexts_are_pooled_but_clusters_stay_together():
    rng = np.random.default_rng(0)
    context = np.concatenate([rng.integers(c, c + 30, 15) for c in (64, 256, 512)])
    curve = StageCurve.from_samples(np.ones(45), context, context * 1e-3)
    assert curve.medians.size == 3
    assert all(len(cell) == 15 for cell in curve.samples)
    assert curve.seconds(1, 270) == pytest.approx(0.27, rel=0.05)
    assert curve.provenance(1, 512 + 5) == "measured"


def test_thin_spans_join_a_neighbour():
    context = np.array([0, 1, 2, 3, 4, 5, 1000])
    curve = StageCurve.from_samples(np.ones(7), context, np.ones(7))
    assert [len(cell) for cell in curve.samples] == [7]


def test_assumed_lines_say_so():
    line = StageCurve.line(2.0, 0.25)
    assert line.seconds(8, 999) == 4.0
    assert line.provenance(8, 999) == "assumed"


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_bootstrap_medians_follow_the_law_of_resampling(size, seed):
    """Second implementation: medians of real resamples of the same cell.

    n = 6000 each; means differ by at most 6 standard errors (2e-9 per side).
    """
    rng = np.random.default_rng(seed)
    cell = rng.lognormal(size=size)
    curve = StageCurve.from_samples(np.ones(size), np.zeros(size), cell)
    exact = curve.resample_medians(rng, 6000)[:, 0]
    naive = np.median(rng.choice(cell, size=(6000, size)), axis=1)
    for power in (1, 2):
        one, two = exact**power, naive**power
        error = np.sqrt((one.var() + two.var()) / 6000)
        assert abs(one.mean() - two.mean()) <= 6 * error + 1e-12


def test_bootstrap_medians_of_four_have_the_enumerated_support():
    """All 256 resamples of four values: same values and, within 5 errors, same frequency."""
    cell = np.array([1.0, 2.0, 4.0, 8.0])
    enumerated = np.median(cell[np.indices((4, 4, 4, 4)).reshape(4, -1)], axis=0)
    values, counts = np.unique(enumerated, return_counts=True)
    expected = counts / 256
    curve = StageCurve.from_samples(np.ones(4), np.zeros(4), cell)
    drawn = curve.resample_medians(np.random.default_rng(3), 20_000)[:, 0]
    assert set(np.unique(drawn)) <= set(values)
    frequency = np.array([(drawn == v).mean() for v in values])
    assert (abs(frequency - expected) <= 5 * np.sqrt(expected * (1 - expected) / 20_000)).all()


def test_bad_curves_are_refused():
    with pytest.raises(ValueError, match="needs at least 1 cell, not 0"):
        StageCurve.from_samples([], [], [])
    with pytest.raises(
        ValueError, match="every cell of a stage curve needs >= 1 sample, all finite"
    ):
        StageCurve.from_samples([1], [0], [np.nan])
    with pytest.raises(ValueError, match="samples differ in shape"):
        StageCurve.from_samples([1, 2], [0], [0.1])
    with pytest.raises(ValueError, match="strict order"):
        zero = np.zeros(2)
        StageCurve(np.array([2, 1]), zero, (np.ones(1), np.ones(1)), zero, zero)
    with pytest.raises(ValueError, match="num_tokens must be finite and >= 0, not -1"):
        grid_curve().seconds(-1, 0)
    with pytest.raises(ValueError, match="seconds_per_token must be finite and >= 0, not -1"):
        StageCurve.line(1.0, -1.0)
