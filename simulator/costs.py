"""How long does a stage take for so many tokens behind so much context?

A curve through the medians of measured cells (number of tokens, context). Raw
samples are kept for intervals. Every value is a linear combination of cell
medians, so a bootstrap of a sum over thousands of rounds is one matrix
product. Knows nothing about what the stage does.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, at_least, counts, one_count
from simulator.interpolation import bracket, spans

Origin = Literal["measured", "interpolated", "extrapolated", "assumed", "modelled"]
ORIGINS: tuple[Origin, ...] = (
    "measured",
    "interpolated",
    "extrapolated",
    "assumed",
    "modelled",
)


@dataclass(frozen=True, eq=False)
class Located:
    """Queries expressed in cells: value = sum of coefficients * medians[cells].

    Attributes
    ----------
    cells : array [num_queries, 4]
    coefficients : array [num_queries, 4], sum 1 per query
    origin : array [num_queries]
        Index into ``ORIGINS``.
    """

    cells: IntArray
    coefficients: FloatArray
    origin: IntArray


@dataclass(frozen=True, eq=False)
class StageCurve:
    """Stage time as a function of the tokens it works on and the context.

    Attributes
    ----------
    num_tokens : array [num_cells], >= 0
        Tokens the stage works on; cells are ordered by it, then by context. [tokens]
    context : array [num_cells], >= 0
        Mean tokens cached before the round, per cell. [tokens]
    samples : tuple of num_cells arrays
        Raw times. [s]
    context_low, context_high : array [num_cells]
        Span of the contexts that were timed in the cell. [tokens]
    origin : Origin, optional
        Of every value of a curve that was written down or computed instead of
        measured; None when each value's own place among the cells decides.

    Raises
    ------
    ValueError
        If a cell is missing, empty, not finite or out of order.

    Notes
    -----
    Equation (M7.1) in docs/model.md. Piecewise linear through the cell medians
    in both directions, hence monotone between neighbouring measured numbers of
    tokens and equal to the measurement where there is one. Above the measured
    range the line from the first to the last point is continued (held if it
    falls), below it the first value is held; both are flagged as extrapolated.
    Leaves out any step between measured numbers of tokens (kernel switches).

    Examples
    --------
    >>> curve = StageCurve.from_samples([1, 1, 1, 5], [0, 0, 0, 0], [1.0, 2.0, 9.0, 4.0])
    >>> curve.seconds([1, 3], 0)
    array([2., 3.])
    >>> curve.provenance(3, 0)
    'interpolated'
    """

    num_tokens: IntArray
    context: FloatArray
    samples: tuple[FloatArray, ...]
    context_low: FloatArray
    context_high: FloatArray
    origin: Origin | None = None
    medians: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError("a stage curve needs at least 1 cell, not 0")
        for cell in self.samples:
            if cell.size == 0 or not np.isfinite(cell).all():
                raise ValueError("every cell of a stage curve needs >= 1 sample, all finite")
        steps = np.diff(self.num_tokens)
        if ((steps < 0) | ((steps == 0) & (np.diff(self.context) <= 0))).any():
            raise ValueError("cells must be in strict order of num_tokens, then context")
        object.__setattr__(self, "samples", tuple(np.sort(cell) for cell in self.samples))
        object.__setattr__(self, "medians", np.array([np.median(c) for c in self.samples]))

    @classmethod
    def from_samples(
        cls,
        num_tokens: ArrayLike,
        context: ArrayLike,
        seconds: ArrayLike,
        *,
        max_contexts: int = 4,
    ) -> "StageCurve":
        """Group raw times [num_samples] into cells.

        Contexts are cells of their own while a number of tokens was timed at no
        more than max_contexts of them; else they are pooled into that many
        equally wide spans, none with fewer than 3 samples. Raises ValueError if
        the arrays are empty, differ in shape or hold values out of bounds.
        """
        tokens = counts("num_tokens", num_tokens, 0)
        contexts = at_least("context", context, 0)
        times = np.asarray(seconds, dtype=np.float64)
        if not tokens.shape == contexts.shape == times.shape or tokens.ndim != 1:
            raise ValueError(
                f"samples differ in shape: {tokens.shape}, {contexts.shape}, {times.shape}"
            )
        cells = []
        for level in np.unique(tokens):
            at_level = tokens == level
            for members in spans(contexts[at_level], one_count("max_contexts", max_contexts, 1)):
                spot = contexts[at_level][members]
                cells.append((level, spot.mean(), times[at_level][members], spot.min(), spot.max()))
        level_of, mean_of, sample_of, low, high = zip(*cells, strict=True) if cells else [()] * 5
        return cls(
            np.array(level_of), np.array(mean_of), tuple(sample_of), np.array(low), np.array(high)
        )

    @classmethod
    def line(cls, seconds: float, seconds_per_token: float = 0.0) -> "StageCurve":
        """An assumed straight line in the number of tokens, whatever the context.

        Raises ValueError if seconds_per_token is negative.

        Examples
        --------
        >>> float(StageCurve.line(1.0, 0.5).seconds(4, 100))
        3.0
        """
        slope = float(at_least("seconds_per_token", seconds_per_token, 0))
        zero = np.zeros(2)
        samples = (np.array([seconds]), np.array([seconds + slope]))
        return cls(np.array([0, 1]), zero, samples, zero, zero, origin="assumed")

    def seconds(self, num_tokens: ArrayLike, context: ArrayLike) -> FloatArray:
        """Time of the stage, broadcast over both arguments. [s]

        Raises ValueError if num_tokens or context is negative or not finite.
        """
        tokens, contexts = np.broadcast_arrays(num_tokens, context)
        at = self.locate(tokens.ravel(), contexts.ravel())
        return (self.medians[at.cells] * at.coefficients).sum(axis=1).reshape(tokens.shape)[()]

    def provenance(self, num_tokens: float, context: float) -> Origin:
        """How the value for one query comes about.

        ``measured``: this number of tokens was timed, the context within the
        timed span; ``interpolated``: between timed numbers; ``extrapolated``:
        outside what was timed; ``assumed``: never timed; ``modelled``: from a
        roofline that was fitted to timed forwards.
        """
        return ORIGINS[int(self.locate(np.array([num_tokens]), np.array([context])).origin[0])]

    def locate(self, num_tokens: ArrayLike, context: ArrayLike) -> Located:
        """Cells and coefficients of queries [num_queries]; equation (M7.1)."""
        tokens = at_least("num_tokens", num_tokens, 0)
        contexts = at_least("context", context, 0)
        first, sizes, levels, level_medians = self._levels
        together = np.zeros(tokens.size, dtype=np.int64)
        across = bracket(levels, level_medians, tokens, together, np.array([first.size]))
        cells, coefficients, beyond = [], [], across.outside
        for level, weight in ((across.low, 1.0 - across.share), (across.high, across.share)):
            along = bracket(self.context, self.medians, contexts, level, sizes)
            cells += [along.low, along.high]
            coefficients += [weight * (1.0 - along.share), weight * along.share]
            away = contexts < self.context_low[first[level]]
            away |= contexts > self.context_high[(first + sizes - 1)[level]]
            beyond = beyond | (away & (weight != 0))
        between = (across.share != 0) & (across.share != 1)
        origin = np.where(beyond, 2, np.where(between, 1, 0))
        if self.origin is not None:
            held = beyond & (self.origin == "modelled")
            origin = np.where(held, 2, ORIGINS.index(self.origin))
        return Located(np.stack(cells, axis=1), np.stack(coefficients, axis=1), origin)

    @cached_property
    def _levels(self) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
        """Of every number of tokens: first cell, cells, the number, mean of its medians."""
        first = np.flatnonzero(np.diff(self.num_tokens, prepend=-1))
        sizes = np.diff(np.append(first, self.medians.size))
        levels = self.num_tokens[first].astype(np.float64)
        return first, sizes, levels, np.add.reduceat(self.medians, first) / sizes

    def resample_medians(self, rng: np.random.Generator, size: int) -> FloatArray:
        """Medians of ``size`` bootstrap resamples of every cell: [size, num_cells]. [s]

        From the exact law of the bootstrap median: the middle of n uniforms is
        Beta(m, n-m+1), its place in the sorted cell floor(n U); (M10.2).
        """
        n = np.array([cell.size for cell in self.samples])
        offset = np.cumsum(n) - n
        ordered = np.concatenate(self.samples)
        middle = (n + 1) // 2
        lower = rng.beta(middle, n - middle + 1, size=(size, n.size))
        # an even cell's median is the mean of two neighbours: draw the second given the first
        after = np.maximum(n - middle, 1)
        upper = lower + (1.0 - lower) * (1.0 - rng.random((size, n.size)) ** (1.0 / after))
        upper = np.where(n % 2 == 0, upper, lower)
        values = [ordered[offset + np.minimum((n * u).astype(int), n - 1)] for u in (lower, upper)]
        return 0.5 * (values[0] + values[1])
