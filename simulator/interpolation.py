"""Where does a query lie among measured points?

Neighbours and shares for linear interpolation, many queries at once, each
inside its own stretch of points; and the grouping of scattered points into
spans. Knows nothing about stages.
"""

from dataclasses import dataclass

import numpy as np

from simulator.checks import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Bracket:
    """value = (1 - share) * values[low] + share * values[high].

    Attributes
    ----------
    low, high : array [num_queries]
        Indices of points.
    share : array [num_queries]
        Above 1 where a line is continued beyond the last point. [unitless]
    outside : array of bool [num_queries]
        The query lies before the first or behind the last point.
    """

    low: IntArray
    high: IntArray
    share: FloatArray
    outside: np.ndarray


def bracket(
    points: FloatArray,
    values: FloatArray,
    queries: FloatArray,
    stretch: IntArray,
    lengths: IntArray,
) -> Bracket:
    """Neighbours of each query among the points of its own stretch.

    Parameters
    ----------
    points : array [num_points], >= 0
        Ascending within each stretch; stretches lie one behind the other.
    values : array [num_points]
        Decide whether a line is continued above the last point: only if the
        last value is not below the first. Before the first point its value is
        held.
    queries : array [num_queries], >= 0
    stretch : array [num_queries]
        Index of the stretch each query belongs to.
    lengths : array [num_stretches], >= 1
        Points per stretch.

    Returns
    -------
    Bracket

    Notes
    -----
    Equation (M7.1) in docs/model.md.

    Examples
    --------
    >>> points, values = np.array([1.0, 5.0, 1.0]), np.array([0.0, 2.0, 7.0])
    >>> stretch, lengths = np.array([0, 0, 1]), np.array([2, 1])
    >>> bracket(points, values, np.array([2.0, 9.0, 3.0]), stretch, lengths).share
    array([0.25, 2.  , 0.  ])
    """
    # one search for all stretches: shift each behind the one before
    ends = np.cumsum(lengths)
    first, last = (ends - lengths)[stretch], ends[stretch] - 1
    stride = np.ceil(max(points.max(), queries.max(initial=0.0))) + 1.0
    ordered = points + stride * np.repeat(np.arange(lengths.size), lengths)
    place = np.searchsorted(ordered, queries + stride * stretch, side="right") - 1
    low = np.clip(place, first, np.maximum(last - 1, first))
    high = np.minimum(low + 1, last)
    above, below = queries > points[last], queries < points[first]
    low = np.where(above, first, low)
    width = points[high] - points[low]
    rising = values[last] >= values[first]
    share = np.divide(queries - points[low], width, out=np.zeros_like(queries), where=width > 0)
    share = np.where(above & (width > 0) & ~rising, 1.0, np.where(below, 0.0, share))
    return Bracket(low, high, share, above | below)


def spans(contexts: FloatArray, max_contexts: int) -> list[IntArray]:
    """Groups of near contexts, as indices, in ascending order.

    Examples
    --------
    >>> [group.tolist() for group in spans(np.array([9.0, 1.0, 9.0]), 4)]
    [[1], [0, 2]]
    """
    distinct, groups = np.unique(contexts, return_inverse=True)
    if distinct.size > max_contexts:
        # equal widths, so that contexts timed in clusters stay together
        edges = np.linspace(distinct[0], distinct[-1], max_contexts + 1)[1:-1]
        groups = _merge_thin(np.searchsorted(edges, contexts, side="right"))
    return [np.flatnonzero(groups == g) for g in np.unique(groups)]


def _merge_thin(groups: IntArray, min_samples: int = 3) -> IntArray:
    """Join groups of fewer samples with their lower neighbour (the first with its upper)."""
    while True:
        labels, sizes = np.unique(groups, return_counts=True)
        thin = np.flatnonzero(sizes < min_samples)
        if thin.size == 0 or labels.size == 1:
            return groups
        neighbour = labels[thin[0] - 1] if thin[0] else labels[1]
        groups = np.where(groups == labels[thin[0]], neighbour, groups)
