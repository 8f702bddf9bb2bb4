"""The spread of a ratio of paired times."""

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000


def ratio_spread(
    numerator: Sequence[float], denominator: Sequence[float], seed: int = 0
) -> dict[str, float]:
    """Ratio of total times with a 90 % interval over the paired units.

    Parameters
    ----------
    numerator, denominator : sequence of float, equally long
        Times of the same prompts, measured interleaved. [s]
    seed : int

    Returns
    -------
    dict
        ``median``, ``low``, ``high``: median, 5th and 95th percentile of the
        ratio of sums over bootstrap resamples of the units. [unitless]

    Raises
    ------
    ValueError
        If there is no pair, or the lengths differ.

    Examples
    --------
    >>> ratio_spread([2.0, 4.0], [1.0, 2.0])
    {'median': 2.0, 'low': 2.0, 'high': 2.0}
    """
    top, bottom = np.asarray(numerator, float), np.asarray(denominator, float)
    if len(top) == 0 or len(top) != len(bottom):
        raise ValueError(f"need equally many times, at least 1: {len(top)} and {len(bottom)}")
    picks = np.random.default_rng(seed).integers(0, len(top), size=(RESAMPLES, len(top)))
    ratios = top[picks].sum(axis=1) / bottom[picks].sum(axis=1)
    low, middle, high = np.quantile(ratios, [0.05, 0.5, 0.95])
    return {"median": float(middle), "low": float(low), "high": float(high)}
