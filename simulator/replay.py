"""Where do the rounds start? The exact answer, from one trace of the target.

A trace holds, for every position of a text the target itself wrote, what a
round that starts there would keep of its drafts (``windows``). That is enough
to predict the rounds of every method and parameter without decoding again.
Knows nothing about costs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg.lapack import dtbtrs

from simulator.chains import chain_windows
from simulator.checks import FloatArray, IntArray, one_count, prompt_lengths, rates
from simulator.hazards import remaining_tokens
from simulator.windows import Windows


@dataclass(frozen=True, eq=False)
class Replay:
    """The law of round starts along a text.

    Attributes
    ----------
    num_draft_tokens : int
        Most drafts that a round anywhere in the text can keep; the wanted
        length of a chain. [tokens]
    lengths : array [num_prompts]
        [tokens]
    start_prob : array [num_positions]
        P(a round starts here). [unitless]
    after_full_prob : array [num_positions]
        P(a round starts here, and the round before it was fully accepted):
        the draft then has two tokens to read first. [unitless]
    num_drafted : array [num_positions]
        Tokens the target verifies in a round that starts here: no draft lies
        behind the last but one of the tokens still wanted. [tokens]
    """

    num_draft_tokens: int
    lengths: IntArray
    start_prob: FloatArray
    after_full_prob: FloatArray
    num_drafted: IntArray

    @property
    def rounds_per_prompt(self) -> FloatArray:
        """Expected rounds of each prompt. [rounds]"""
        return np.add.reduceat(self.start_prob, np.cumsum(self.lengths) - self.lengths)

    @property
    def expected_rounds(self) -> float:
        """Expected rounds over all prompts. [rounds]"""
        return float(self.rounds_per_prompt.sum())

    @property
    def tau(self) -> float:
        """Mean emitted tokens: all tokens / all rounds. [tokens/round]"""
        return float(self.lengths.sum()) / self.expected_rounds

    @property
    def draft_efficiency(self) -> float:
        """Accepted over proposed drafts; 0 when none is proposed. [unitless]"""
        proposed = float(self.start_prob @ self.num_drafted)
        accepted = float(self.lengths.sum()) - self.expected_rounds
        return accepted / proposed if proposed > 0 else 0.0


def replay_windows(windows: Windows) -> Replay:
    """Law of the rounds along measured texts, for any method of drafting.

    Parameters
    ----------
    windows : Windows
        What a round keeps that starts at each position.

    Returns
    -------
    Replay

    Notes
    -----
    Equations (M1.3) and (M1.4) in docs/model.md. Every position lies in
    exactly one round, so the sum over j of start_prob[t-j] survival[t-j, j]
    is 1: a unit lower triangular band, solved at once. Survival of 0 or 1
    leaves only whole numbers, and the rounds equal the engine's count.

    Examples
    --------
    >>> replay_windows(Windows.from_kept([2, 0, 0, 0], [2, 2, 2, 0], [4])).start_prob
    array([1., 0., 0., 1.])
    """
    start, info = dtbtrs(
        windows.survival.T, np.ones((windows.num_positions, 1)), uplo="L", diag="U"
    )
    if info != 0:
        raise ArithmeticError(f"LAPACK dtbtrs answered {info}")
    start = np.clip(start[:, 0], 0.0, 1.0)
    return Replay(
        windows.horizon, windows.lengths, start, _after_full(windows, start), windows.num_drafted
    )


def kept_survival(windows: Windows) -> FloatArray:
    """P(a round keeps at least 1, 2, ... drafts), at the starts that decoding has.

    Parameters
    ----------
    windows : Windows

    Returns
    -------
    array [horizon]
        Non-increasing; 1 plus its sum is the replay's tau. What engines call
        unconditional acceptance by position. [unitless]

    Notes
    -----
    Σ v_t S(t, j) / Σ v_t with (M1.3) in docs/model.md.

    Examples
    --------
    >>> kept_survival(Windows.from_kept([2, 0, 0, 0], [2, 2, 2, 0], [4]))
    array([0.5, 0.5])
    """
    start = replay_windows(windows).start_prob
    return (start @ windows.survival[:, 1:]) / start.sum()


def _after_full(windows: Windows, start: FloatArray) -> FloatArray:
    """P(a round starts here behind one whose last kept draft was a leaf)."""
    after = np.zeros_like(start)
    left = remaining_tokens(windows.lengths)
    if windows.full is None:
        leaves = {windows.horizon: windows.survival[:, -1]}
    else:
        leaves = dict(enumerate(windows.full.T))
    for kept, chance in leaves.items():
        step = kept + 1
        if step < start.size:
            # a round that ends with its prompt has none behind it
            after[step:] += np.where(left > step, start * chance, 0.0)[:-step]
    return after


def replay_chain(accept_prob: ArrayLike, lengths: ArrayLike, num_draft_tokens: int) -> Replay:
    """Law of the rounds of chain drafting along measured texts.

    Parameters
    ----------
    accept_prob : array [num_positions], in [0, 1]
        min(1, q(x)/p(x)) of the token x the target emitted at each position,
        prompts one behind the other; 0 or 1 at temperature 0. [unitless]
    lengths : array [num_prompts], >= 1
        Tokens of each prompt; they add up to num_positions. [tokens]
    num_draft_tokens : int, >= 0
        Tokens drafted per round; 0 is autoregressive decoding. [tokens]

    Returns
    -------
    Replay

    Raises
    ------
    ValueError
        If accept_prob leaves [0, 1], or the lengths do not fit.

    Notes
    -----
    ``replay_windows`` of ``chain_windows``. At temperature > 0 the result is
    the expectation given the text; another run writes another text.

    Assumes the standard acceptance rule, one draft chain per round, and a
    decode that stops at the end of each text.

    Examples
    --------
    >>> replay = replay_chain([1, 1, 0, 1, 1, 1], [6], num_draft_tokens=2)
    >>> replay.start_prob
    array([1., 0., 0., 1., 0., 0.])
    >>> replay.tau
    3.0
    """
    return replay_windows(chain_windows(accept_prob, lengths, num_draft_tokens))


def replay_chain_naive(accept_prob: ArrayLike, lengths: ArrayLike, num_draft_tokens: int) -> Replay:
    """The renewal process of (M1.2), one round start at a time: the oracle.

    Parameters and result as ``replay_chain``; slower by orders of magnitude.

    Examples
    --------
    >>> replay_chain_naive([1, 1, 0, 1, 1, 1], [6], num_draft_tokens=2).expected_rounds
    2.0
    """
    probabilities = rates("accept_prob", accept_prob)
    tokens = prompt_lengths(lengths, probabilities.size)
    gamma = one_count("num_draft_tokens", num_draft_tokens, 0)
    start = np.zeros(probabilities.size)
    after_full = np.zeros(probabilities.size)
    drafted = np.zeros(probabilities.size, dtype=np.int64)
    first = 0
    for length in tokens.tolist():
        end = first + length
        start[first] = 1.0
        for t in range(first, end):
            drafted[t] = min(gamma, end - t - 1)
            reached = start[t]
            for j in range(int(drafted[t])):
                start[t + j + 1] += reached * (1.0 - probabilities[t + j])
                reached *= probabilities[t + j]
            following = t + int(drafted[t]) + 1
            if following < end:
                start[following] += reached
                after_full[following] = reached
        first = end
    return Replay(gamma, tokens, start, after_full, drafted)
