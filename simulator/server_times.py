"""What do a serving engine's steps take, seen from outside, and what would other drafts take?

A server tells how long its answers took to decode. Waves of several sizes give the time of a step
by the number of sequences in it, and two numbers of drafts how that grows with the drafts.
Together with the rounds of a trace they foretell the server's speed at drafts it was never
started with. Knows nothing about how times are taken, nor about any engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, above, at_least, counts, one_count

DRAFTS_EXPONENT = 0.85
"""How a round's time grows with its drafts where two numbers of drafts cannot tell: between what
seven of them say of vLLM on two CPU cores (0.75, docs/experiments.md) and a line. [unitless]"""
_EXPONENTS = [float(power) for power in np.arange(50, 105, 5) / 100]


def rounds_by_active(steps: ArrayLike) -> FloatArray:
    """How many rounds sequences that begin together spend with 1, 2, ... of them under way.

    Parameters
    ----------
    steps : array [num_sequences], >= 0
        Steps each of them takes; whole at temperature 0. [rounds]

    Returns
    -------
    array [num_sequences]
        [rounds]

    Examples
    --------
    >>> rounds_by_active([2, 5, 4])
    array([1., 2., 2.])
    """
    ordered = np.sort(at_least("steps", steps, 0))
    return np.diff(ordered, prepend=0.0)[::-1]


def wave_seconds(steps: ArrayLike, step_seconds: ArrayLike) -> float:
    """Decode time of sequences that begin together, added up over them.

    Parameters
    ----------
    steps : array [num_sequences], >= 0
        Steps each of them takes; whole at temperature 0. [rounds]
    step_seconds : array [num_sequences], > 0
        Of a step with 1, 2, ... of them under way. [s]

    Returns
    -------
    float
        Behind the prefill. [s]

    Raises
    ------
    ValueError
        If the shapes differ or a number leaves its bound.

    Notes
    -----
    Equation (M13.4) in docs/model.md. Steps are common to all that still run; who ends leaves
    the others a cheaper step.

    Examples
    --------
    >>> wave_seconds([2, 5], [1.0, 1.5])
    9.0
    """
    times = above("step_seconds", step_seconds, 0)
    rounds = rounds_by_active(steps)
    if rounds.shape != times.shape:
        raise ValueError(f"steps have shape {rounds.shape}, step_seconds {times.shape}")
    return float(np.arange(1, times.size + 1) * rounds @ times)


def fit_step_seconds(steps: Sequence[ArrayLike], seconds: ArrayLike) -> tuple[IntArray, FloatArray]:
    """Time of a step by the number of sequences in it, from whole waves.

    Parameters
    ----------
    steps : sequence of array [num_sequences], >= 0
        Steps of each sequence, wave by wave. [rounds]
    seconds : array [num_waves], > 0
        Decode time of each wave, added up over its sequences. [s]

    Returns
    -------
    active : array [num_sizes]
        Sizes of the waves, ascending. [sequences]
    seconds : array [num_sizes]
        Of a step with so many under way, linear between. [s]

    Raises
    ------
    ValueError
        If there is no wave, or their numbers differ.

    Notes
    -----
    Equation (M13.4) in docs/model.md solved from the smallest size on: what a wave took beyond
    its tail, whose steps smaller waves have told, is that of its fuller rounds, all waves of a
    size together.

    Examples
    --------
    >>> fit_step_seconds([[4], [2, 5]], [4.0, 9.0])
    (array([1, 2]), array([1. , 1.5]))
    """
    times = above("seconds", seconds, 0)
    if times.size != len(steps) or not len(steps):
        raise ValueError(f"{len(steps)} waves have {times.size} times")
    rounds = [rounds_by_active(of_wave) for of_wave in steps]
    active: list[int] = []
    found: list[float] = []
    for size in sorted({part.size for part in rounds}):
        under_way = np.arange(1, size + 1)
        new = np.interp(under_way, [*active, size], [0.0] * len(active) + [1.0])
        known = np.interp(under_way, active, found) * (1 - new) if active else 0 * new
        mine = [place for place, part in enumerate(rounds) if part.size == size]
        weights = under_way * np.sum([rounds[place] for place in mine], axis=0)
        found.append(float((times[mine].sum() - weights @ known) / (weights @ new)))
        active.append(size)
    return np.array(active), np.array(found)


@dataclass(frozen=True, eq=False)
class RoundLine:
    """Time of a round as a line in a power of its drafts, by the number of sequences in it.

    Attributes
    ----------
    active : array [num_active]
        Ascending. [sequences]
    fixed_seconds : array [num_active]
        Of a round without a draft. [s]
    draft_seconds : array [num_active]
        Of the first draft: drafting it and verifying it; each further one takes a little less.
        [s]
    exponent : float, > 0
        Of the drafts. [unitless]
    """

    active: IntArray
    fixed_seconds: FloatArray
    draft_seconds: FloatArray
    exponent: float = 1.0

    def seconds(self, drafted: float, num_sequences: int) -> FloatArray:
        """Time of a round with 1, 2, ... num_sequences in it, (M13.2).

        Parameters
        ----------
        drafted : float, >= 0
            Per sequence. [tokens]
        num_sequences : int, >= 1
            [sequences]

        Returns
        -------
        array [num_sequences]
            Linear between measured numbers of sequences. [s]

        Raises
        ------
        ValueError
            If more sequences are asked for than were measured together.
        """
        most = one_count("num_sequences", num_sequences, 1)
        if most > self.active[-1] or self.active[0] > 1:
            raise ValueError(
                f"rounds were measured with {self.active[0]} to {self.active[-1]} sequences,"
                f" not with 1 to {most}"
            )
        grown = float(at_least("drafted", drafted, 0)) ** self.exponent
        line = self.fixed_seconds + self.draft_seconds * grown
        return np.interp(np.arange(1, most + 1), self.active, line)


def fit_round_line(
    active: ArrayLike, drafted: ArrayLike, seconds: ArrayLike, exponent: float | None = None
) -> RoundLine:
    """The lines through measured rounds of different numbers of drafts.

    Parameters
    ----------
    active : array [num_points], >= 1
        Sequences in the round. [sequences]
    drafted : array [num_points], >= 0
        Per sequence. [tokens]
    seconds : array [num_points], > 0
        [s]
    exponent : float, > 0, optional
        Of the drafts; by default fitted where some number of sequences was measured with three
        numbers of drafts, else ``DRAFTS_EXPONENT``. [unitless]

    Returns
    -------
    RoundLine
        For every number of sequences that was measured with two numbers of drafts or more.

    Raises
    ------
    ValueError
        If there is none, or shapes differ.

    Notes
    -----
    Equation (M13.2) in docs/model.md, least squares of relative errors. An engine that pads
    drafts to buckets, or a step that leaves its roofline's flat part within the range, is no
    such line. Rounds alone cannot tell drafting from verifying; (M13.3) can.

    Examples
    --------
    >>> line = fit_round_line([1, 1, 2, 2], [2, 4, 2, 4], [7.0, 9.0, 8.0, 11.0], exponent=1.0)
    >>> line.fixed_seconds, line.draft_seconds, line.seconds(8, 2)
    (array([5., 5.]), array([1. , 1.5]), array([13., 17.]))
    """
    sequences, drafts = counts("active", active, 1), at_least("drafted", drafted, 0)
    times = above("seconds", seconds, 0)
    if not sequences.shape == drafts.shape == times.shape:
        raise ValueError(f"shapes differ: {sequences.shape}, {drafts.shape}, {times.shape}")
    each = [(number, drafts[sequences == number]) for number in np.unique(sequences).tolist()]
    kept = [(number, x, times[sequences == number]) for number, x in each if np.unique(x).size >= 2]
    if not kept:
        raise ValueError("no number of sequences was measured with two numbers of drafts")
    if exponent is not None:
        power = float(above("exponent", exponent, 0))
    elif max(np.unique(x).size for _, x, _ in kept) >= 3:
        power = min(_EXPONENTS, key=lambda p: sum(_line(x, y, p)[2] for _, x, y in kept))
    else:
        power = DRAFTS_EXPONENT
    fixed, slopes, _ = zip(*(_line(x, y, power) for _, x, y in kept), strict=True)
    numbers = np.array([number for number, _, _ in kept])
    return RoundLine(numbers, np.array(fixed), np.array(slopes), power)


def _line(drafted: FloatArray, seconds: FloatArray, exponent: float) -> tuple[float, float, float]:
    """Fixed time, time of a draft, and the sum of squared relative errors."""
    weights = 1 / seconds
    columns = np.stack([weights, weights * drafted**exponent], axis=1)
    (fixed, slope), *_ = np.linalg.lstsq(columns, np.ones_like(seconds))
    errors = columns @ np.array([fixed, slope]) - 1
    return float(fixed), float(slope), float(errors @ errors)
