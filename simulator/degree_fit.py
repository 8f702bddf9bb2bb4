"""Which part of a server's rounds divides among devices, which stays, and what does telling cost?

The same model served by 1, 2, ... tensor-parallel devices, its rounds timed from outside at
several numbers of sequences and drafts. Three terms for each stage that such rounds show: the
pass of the target, and each draft. They foretell a number of devices that nobody has started.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls

from simulator.checks import FloatArray, IntArray, above, at_least, counts, one_count

Term = Literal["divisible", "rest", "communication"]
TERMS: tuple[Term, ...] = ("divisible", "rest", "communication")
"""Of a stage's time on p devices: over p, as it is, times p - 1."""

STAGES = ("round", "draft")
"""The pass of the target with all that a round does once, and each draft with its verification."""


@dataclass(frozen=True, eq=False)
class DegreeFit:
    """Terms of a round's time.

    Attributes
    ----------
    seconds_by_term : array [3 terms, 2 stages, 2]
        Of a pass, and of each sequence in it; terms as in ``TERMS``, stages as in ``STAGES``;
        communication for every further device. 0 where it was left out. [s]
    residuals : array [num_points]
        Fitted over measured, less 1. [unitless]
    degrees : tuple of int
        Devices that were measured.
    shown : tuple of Term
        Terms that were fitted.
    active : tuple of int
        Numbers of sequences that were measured; of one alone, no other is foretold. [sequences]
    drafting : bool
        Whether the rounds drafted, or were plain steps.
    """

    seconds_by_term: FloatArray
    residuals: FloatArray
    degrees: tuple[int, ...]
    shown: tuple[Term, ...]
    active: tuple[int, ...]
    drafting: bool

    def term_seconds(self, term: Term, active: float = 1, drafted: float = 0) -> float:
        """One term of a round on one device, of a second device for communication. [s]"""
        each = self.stage_terms(active)[TERMS.index(term)]
        return float(each @ np.array([1.0, drafted]))

    def stage_terms(self, active: float = 1) -> FloatArray:
        """All terms with so many sequences, [3 terms, 2 stages]. [s]"""
        return np.asarray(self.seconds_by_term @ np.array([1.0, active]))

    def seconds(self, degree: int, active: int, drafted: float) -> float:
        """Time of a round, (M13.5).

        Parameters
        ----------
        degree : int, >= 1
            Tensor-parallel devices.
        active : int, >= 1
            [sequences]
        drafted : float, >= 0
            Per sequence. [tokens]

        Returns
        -------
        float
            [s]

        Raises
        ------
        ValueError
            If a number leaves its bound, or asks for what no point showed.
        """
        devices, rows = one_count("degree", degree, 1), one_count("active", active, 1)
        drafts = float(at_least("drafted", drafted, 0))
        if len(self.active) == 1 and rows != self.active[0]:
            raise ValueError(f"rounds were fitted with {self.active[0]} sequences, not with {rows}")
        if bool(drafts) != self.drafting:
            raise ValueError(
                f"rounds {'with' if self.drafting else 'without'} drafts were fitted,"
                f" not with {drafts:g}"
            )
        shares = (1.0 / devices, 1.0, devices - 1.0)
        return sum(
            share * self.term_seconds(term, rows, drafts)
            for share, term in zip(shares, TERMS, strict=True)
        )


def fit_degrees(
    degree: ArrayLike,
    active: ArrayLike,
    drafted: ArrayLike,
    seconds: ArrayLike,
    *,
    without: Term | None = None,
) -> DegreeFit:
    """Find the terms of a round's time from servers on several numbers of devices.

    Parameters
    ----------
    degree : array [num_points], >= 1
        Tensor-parallel devices.
    active : array [num_points], >= 1
        Sequences in the round. [sequences]
    drafted : array [num_points], >= 0
        Per sequence; all 0 (plain steps) or none. [tokens]
    seconds : array [num_points], > 0
        [s]
    without : Term, optional
        A term taken to be 0. Two degrees cannot tell three terms; with one left out, and then
        another, they give bounds.

    Returns
    -------
    DegreeFit

    Raises
    ------
    ValueError
        If the points are too few or too alike for the terms (the line says of what), shapes
        differ, or a number leaves its bound.

    Notes
    -----
    Equation (M13.5) in docs/model.md, least squares of relative errors under terms >= 0
    [1]_. What a ring moves grows with 1 - 1/p and cannot be told, by the degree, from the
    divisible part and the rest: only its latencies, and what every device sends to every other,
    are the term ``communication``. Rounds alone cannot tell drafting from verifying a token.

    References
    ----------
    .. [1] C. Lawson, R. Hanson, "Solving Least Squares Problems", SIAM (1995), chapter 23.

    Examples
    --------
    >>> p = [1, 2, 4]
    >>> fit = fit_degrees(p, [1, 1, 1], [0, 0, 0], [8 / n + 2 + 0.5 * (n - 1) for n in p])
    >>> [round(fit.term_seconds(term), 6) for term in TERMS]
    [8.0, 2.0, 0.5]
    >>> round(fit.seconds(8, 1, 0), 6)
    6.5
    """
    devices, rows = counts("degree", degree, 1), counts("active", active, 1)
    drafts, times = at_least("drafted", drafted, 0), above("seconds", seconds, 0)
    if not devices.shape == rows.shape == drafts.shape == times.shape or devices.ndim != 1:
        raise ValueError(
            f"shapes differ: {devices.shape}, {rows.shape}, {drafts.shape}, {times.shape}"
        )
    shown = tuple(term for term in TERMS if term != without)
    drafting = _check_points(devices, drafts, shown)
    several = np.unique(rows).size > 1
    columns = [
        (term, stage, per_sequence)
        for term in range(len(TERMS))
        if TERMS[term] in shown
        for stage in range(1 + drafting)
        for per_sequence in range(1 + several)
    ]
    shares = (1.0 / devices, np.ones_like(times), devices - 1.0)
    design = np.stack(
        [shares[t] * (drafts if s else 1.0) * (rows if n else 1.0) for t, s, n in columns], axis=1
    )
    if np.linalg.matrix_rank(design) < len(columns):
        raise ValueError(
            f"{len(columns)} terms need points of every degree at every number of sequences and"
            f" drafts; these {times.size} are too few or too alike"
        )
    found, _ = nnls(design / times[:, None], np.ones_like(times))
    terms = np.zeros((len(TERMS), len(STAGES), 2))
    for place, value in zip(columns, found, strict=True):
        terms[place] = value
    return DegreeFit(
        terms, design @ found / times - 1.0, tuple(np.unique(devices).tolist()), shown,
        tuple(np.unique(rows).tolist()), drafting,
    )  # fmt: skip


def _check_points(devices: IntArray, drafts: FloatArray, shown: Sequence[Term]) -> bool:
    """Whether rounds drafted; refuses too few degrees or drafts."""
    degrees = np.unique(devices).tolist()
    if len(degrees) < len(shown):
        raise ValueError(
            f"{len(shown)} terms ({', '.join(shown)}) need servers of {len(shown)} degrees,"
            f" not of {', '.join(map(str, degrees))}"
        )
    drafting = bool(drafts.any())
    if drafting and not drafts.all():
        raise ValueError("steps without drafts are another stage: fit them by themselves")
    if drafting and np.unique(drafts).size < 2:
        raise ValueError(
            f"telling a round from its drafts takes two numbers of drafts, not {drafts[0]:g} alone"
        )
    return drafting
