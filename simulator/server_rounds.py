"""What do a serving engine's rounds take, seen from outside, and what would other drafts take?

A server tells when every piece of every answer came and, in its counters, what was drafted and
kept. Two numbers of drafts give the time of a round as a line in the drafts; a trace gives the
rounds of any number of drafts. Together they foretell the server's speed at drafts it was never
started with. Knows nothing about how times are taken, nor about any engine but how it counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, above, at_least, counts, one_count
from simulator.replay import replay_windows
from simulator.windows import Windows

STALL = 3.0
"""A piece that took so many times the median waited for something else."""


@dataclass(frozen=True, eq=False)
class ServedRounds:
    """What an engine counts while it decodes texts of a given length.

    Attributes
    ----------
    steps : array [num_prompts]
        Steps of each text behind the prefill, those without drafts counted. [rounds]
    drafts : float
        Steps that verified drafts, of all texts. [rounds]
    drafted : float
        [tokens]
    accepted : array [num_draft_tokens]
        Drafts kept at each position of a round. [tokens]
    """

    steps: FloatArray
    drafts: float
    drafted: float
    accepted: FloatArray

    @property
    def tau(self) -> float:
        """Tokens per round as vLLM says it, over steps that drafted. [tokens/round]"""
        return 1.0 + float(self.accepted.sum()) / self.drafts if self.drafts else 1.0

    @property
    def survival(self) -> FloatArray:
        """Drafts kept at each position, per step that drafted. [unitless]"""
        return self.accepted / self.drafts if self.drafts else np.zeros_like(self.accepted)

    @property
    def drafted_per_step(self) -> float:
        """Over all steps. [tokens/round]"""
        return self.drafted / float(self.steps.sum())


def served_rounds(windows: Windows, num_draft_tokens: int, wanted: int) -> ServedRounds:
    """The rounds of an engine that stops when a text is long enough, wherever its round ends.

    Parameters
    ----------
    windows : Windows
        Along the texts behind their first token, which the prefill emits; longer than wanted.
    num_draft_tokens : int, >= 1
        As the engine drafts. [tokens]
    wanted : int, >= 1
        Tokens behind the first that each text is to have. [tokens]

    Returns
    -------
    ServedRounds

    Raises
    ------
    ValueError
        If a text is too short for a last round that runs over its end.

    Notes
    -----
    Equation (M13.1) in docs/model.md. vLLM drafts as much in its last round as in any other and
    counts what is kept beyond the text's end, where ``replay`` cuts both. Exact at temperature
    0, an expectation above.

    Examples
    --------
    >>> from simulator.chains import chain_windows
    >>> served = served_rounds(chain_windows([1, 1, 0, 1, 1, 1, 1, 1], [8], 2), 2, 5)
    >>> served.steps, served.accepted, served.tau
    (array([2.]), array([2., 2.]), 3.0)
    """
    most, end = one_count("num_draft_tokens", num_draft_tokens, 1), one_count("wanted", wanted, 1)
    lengths = windows.lengths
    if int(lengths.min()) < end + most:
        raise ValueError(
            f"texts must go on for {end + most} tokens behind their first,"
            f" not {int(lengths.min())}: {end} wanted and a round of {most} drafts over the end"
        )
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    inside = np.arange(windows.num_positions) - first < end
    start = replay_windows(windows).start_prob * inside
    drafting = windows.num_drafted > 0
    accepted = np.zeros(most)
    kept = start @ windows.survival[:, 1 : most + 1]
    accepted[: kept.size] = kept
    return ServedRounds(
        np.add.reduceat(start, np.cumsum(lengths) - lengths),
        float(start @ drafting),
        float(start @ windows.num_drafted),
        accepted,
    )


def steady_gaps(arrivals: Sequence[ArrayLike]) -> tuple[IntArray, FloatArray]:
    """Times of rounds, and how many sequences were in each.

    Parameters
    ----------
    arrivals : sequence of array
        When each piece of each answer came, answers that were asked for at once; the first
        piece is the prefill's. On one clock. [s]

    Returns
    -------
    active : array [num_gaps]
        Answers under way during a gap. [sequences]
    seconds : array [num_gaps]
        Between two pieces of one answer, every answer having begun. [s]

    Raises
    ------
    ValueError
        If a piece came before the one in front of it.

    Examples
    --------
    >>> steady_gaps([[0.0, 1.0, 2.0, 4.0], [1.0, 2.0]])
    (array([2, 1, 2]), array([1., 2., 1.]))
    """
    pieces = [np.asarray(a, dtype=np.float64) for a in arrivals]
    for times in pieces:
        if (np.diff(times) < 0).any():
            raise ValueError("arrivals of an answer must not fall")
    begun = max(times[0] for times in pieces)
    ends = np.array([times[-1] for times in pieces])
    active, seconds = [], []
    for times in pieces:
        later = times[times >= begun]
        middle = (later[1:] + later[:-1]) / 2  # pieces of one step come a little apart
        active.append((ends[None, :] > middle[:, None]).sum(axis=1))
        seconds.append(np.diff(later))
    return np.concatenate(active).astype(np.int64), np.concatenate(seconds)


def seconds_without_stalls(seconds: ArrayLike) -> float:
    """Mean of times that belong together, those left out that waited for something else.

    Parameters
    ----------
    seconds : array [num_gaps], > 0
        [s]

    Returns
    -------
    float
        Of what is at most ``STALL`` medians. A mean, because rounds with and without a match of
        prompt lookup differ in kind and the total is what counts. [s]

    Examples
    --------
    >>> seconds_without_stalls([1.0, 2.0, 3.0, 60.0])
    2.0
    """
    times = above("seconds", seconds, 0)
    return float(times[times <= STALL * np.median(times)].mean())


@dataclass(frozen=True, eq=False)
class RoundLine:
    """Time of a round as a line in its drafts, by the number of sequences in it.

    Attributes
    ----------
    active : array [num_active]
        Ascending. [sequences]
    fixed_seconds : array [num_active]
        Of a round without a draft. [s]
    draft_seconds : array [num_active]
        Of each draft: drafting it and verifying it. [s]
    """

    active: IntArray
    fixed_seconds: FloatArray
    draft_seconds: FloatArray

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
        line = self.fixed_seconds + self.draft_seconds * float(at_least("drafted", drafted, 0))
        return np.interp(np.arange(1, most + 1), self.active, line)


def fit_round_line(active: ArrayLike, drafted: ArrayLike, seconds: ArrayLike) -> RoundLine:
    """The lines through measured rounds of different numbers of drafts.

    Parameters
    ----------
    active : array [num_points], >= 1
        Sequences in the round. [sequences]
    drafted : array [num_points], >= 0
        Per sequence. [tokens]
    seconds : array [num_points], > 0
        [s]

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
    Equation (M13.2) in docs/model.md, least squares. Valid while verification is linear in the
    tokens: a step that a roofline bends within the range, or an engine that pads drafts to
    buckets, is not. Rounds alone cannot tell drafting from verifying; (M13.3) can.

    Examples
    --------
    >>> line = fit_round_line([1, 1, 2, 2], [2, 4, 2, 4], [7.0, 9.0, 8.0, 11.0])
    >>> line.fixed_seconds, line.draft_seconds, line.seconds(8, 2)
    (array([5., 5.]), array([1. , 1.5]), array([13., 17.]))
    """
    sequences, drafts = counts("active", active, 1), at_least("drafted", drafted, 0)
    times = above("seconds", seconds, 0)
    if not sequences.shape == drafts.shape == times.shape:
        raise ValueError(f"shapes differ: {sequences.shape}, {drafts.shape}, {times.shape}")
    found = []
    for number in np.unique(sequences):
        x, y = drafts[sequences == number], times[sequences == number]
        if np.unique(x).size >= 2:
            slope, fixed = np.polyfit(x, y, 1)
            found.append((int(number), float(fixed), float(slope)))
    if not found:
        raise ValueError("no number of sequences was measured with two numbers of drafts")
    numbers, fixed_seconds, slopes = (np.array(column) for column in zip(*found, strict=True))
    return RoundLine(numbers.astype(np.int64), fixed_seconds, slopes)


def wave_seconds(steps: ArrayLike, step_seconds: ArrayLike) -> FloatArray:
    """When each of the sequences that begin together has ended.

    Parameters
    ----------
    steps : array [num_sequences], >= 0
        Steps each of them takes; whole at temperature 0. [rounds]
    step_seconds : array [num_sequences], > 0
        Of a step with 1, 2, ... of them under way. [s]

    Returns
    -------
    array [num_sequences]
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
    array([3., 6.])
    """
    wanted, times = at_least("steps", steps, 0), above("step_seconds", step_seconds, 0)
    if wanted.shape != times.shape or wanted.ndim != 1:
        raise ValueError(f"steps have shape {wanted.shape}, step_seconds {times.shape}")
    order = np.argsort(wanted, kind="stable")
    more = np.diff(wanted[order], prepend=0.0)
    ended = np.empty_like(wanted)
    ended[order] = np.cumsum(more * times[::-1])
    return ended
