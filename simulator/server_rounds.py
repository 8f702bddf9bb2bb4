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


def steady_rounds(arrivals: Sequence[ArrayLike]) -> tuple[IntArray, IntArray, FloatArray]:
    """Stretches of rounds with the same sequences in them, seen from outside.

    Parameters
    ----------
    arrivals : sequence of array
        When each piece of each answer came, answers that were asked for at once; the first
        piece is the prefill's. On one clock. [s]

    Returns
    -------
    active : array [num_stretches]
        Answers under way. [sequences]
    rounds : array [num_stretches], >= 1
        Pieces of the answer that ends the stretch. [rounds]
    seconds : array [num_stretches]
        Of all of them. [s]

    Raises
    ------
    ValueError
        If a piece came before the one in front of it.

    Notes
    -----
    A stretch begins when the last answer has begun, or an answer ends, and is ended by the next
    that does. Pieces of one step come a little apart, and single gaps say little; the ends of a
    stretch of many rounds do not care.

    Examples
    --------
    >>> steady_rounds([[0.0, 1.0, 2.0, 3.0, 3.5, 4.0], [1.0, 2.0, 3.0]])
    (array([2, 1]), array([2, 2]), array([2., 1.]))
    """
    pieces = [np.asarray(a, dtype=np.float64) for a in arrivals]
    gaps = np.concatenate([np.diff(times) for times in pieces])
    if (gaps < 0).any():
        raise ValueError("arrivals of an answer must not fall")
    begun = max(times[0] for times in pieces)
    # another answer's piece of the step that the last one began in may come behind it
    same_step = begun + (float(np.median(gaps)) / 2 if gaps.size else 0.0)
    rounds = [int((times > same_step).sum()) for times in pieces]
    found: list[tuple[int, int, float]] = []
    end, counted = begun, 0
    for place, i in enumerate(np.argsort([times[-1] for times in pieces], kind="stable")):
        if rounds[i] > counted:
            last = float(pieces[i][-1])
            found.append((len(pieces) - place, rounds[i] - counted, last - end))
            end, counted = last, rounds[i]
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]


def weighted_median(values: ArrayLike, weights: ArrayLike) -> float:
    """The value with half of the weight at or below it.

    Parameters
    ----------
    values : array [num_values]
    weights : array [num_values], > 0

    Returns
    -------
    float
        One of the values: a stretch that was held up does not move it.

    Examples
    --------
    >>> weighted_median([1.0, 5.0, 1.2], [3, 2, 4])
    1.2
    """
    each, heavy = np.asarray(values, dtype=np.float64), above("weights", weights, 0)
    order = np.argsort(each, kind="stable")
    below = np.cumsum(heavy[order])
    return float(each[order][np.searchsorted(below, below[-1] / 2)])


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
