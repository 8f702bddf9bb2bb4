"""Neighbours among measured points."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.interpolation import bracket, spans

POINTS = st.lists(
    st.lists(st.integers(0, 500), min_size=1, max_size=5, unique=True).map(sorted),
    min_size=1,
    max_size=5,
)


@given(POINTS, st.lists(st.floats(0, 600), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_inside_its_stretch_a_query_is_interpolated_as_numpy_does(stretches, queries, seed):
    """Second implementation: numpy.interp, one stretch at a time."""
    points = np.concatenate(stretches).astype(float)
    values = np.random.default_rng(seed).random(points.size)
    lengths = np.array([len(s) for s in stretches])
    for index, own in enumerate(stretches):
        part = slice(lengths[:index].sum(), lengths[: index + 1].sum())
        at = bracket(points, values, np.array(queries), np.full(len(queries), index), lengths)
        got = (1 - at.share) * values[at.low] + at.share * values[at.high]
        query = np.array(queries)
        outside = (query < own[0]) | (query > own[-1])
        assert (at.outside == outside).all()
        expected = np.interp(query, own, values[part])
        assert got[~outside] == pytest.approx(expected[~outside], abs=1e-12)
        assert got[query < own[0]] == pytest.approx(values[part][0])
        # above: the line through the ends if it rises, else the last value
        if len(own) > 1 and values[part][-1] >= values[part][0]:
            slope = (values[part][-1] - values[part][0]) / (own[-1] - own[0])
            expected = values[part][-1] + slope * (query - own[-1])
        above = query > own[-1]
        assert got[above] == pytest.approx(np.broadcast_to(expected, query.shape)[above])


@given(st.lists(st.integers(0, 999), min_size=1, max_size=60), st.integers(1, 6))
def test_spans_are_a_partition_in_ascending_order(contexts, limit):
    array = np.array(contexts, dtype=float)
    groups = spans(array, limit)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(contexts)))
    assert len(groups) <= limit
    ends = [(array[g].min(), array[g].max()) for g in groups]
    assert all(a[1] < b[0] for a, b in pairwise(ends))
