"""Where do the rounds start? The exact answer, from one trace of the target.

A trace holds, for every position of a text the target itself wrote, the
probability that the token there came from an accepted draft. That is enough
to predict the rounds of every num_draft_tokens without decoding again. Knows
nothing about costs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg.lapack import dtbtrs

from simulator.checks import FloatArray, IntArray, one_count, prompt_lengths, rates
from simulator.hazards import remaining_tokens, survival_products


@dataclass(frozen=True, eq=False)
class Replay:
    """The law of round starts along a text.

    Attributes
    ----------
    num_draft_tokens : int
        Wanted per round. [tokens]
    lengths : array [num_prompts]
        [tokens]
    start_prob : array [num_positions]
        P(a round starts here). [unitless]
    after_full_prob : array [num_positions]
        P(a round starts here, and the round before it was fully accepted):
        the draft then has two tokens to read first. [unitless]
    num_drafted : array [num_positions]
        Tokens a round drafts if it starts here: num_draft_tokens, but never
        more than the tokens still wanted, less one. [tokens]
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
    Equations (M1.3) and (M1.4) in docs/model.md. Every position lies in
    exactly one round, so with S(s, j) the probability that the first j drafts
    of a round started at s are accepted, sum over j = 0..gamma of
    start_prob[t-j] S(t-j, j) = 1: a unit lower triangular band, solved at
    once. Exact for accept_prob in {0, 1}: only whole numbers occur, and the
    rounds equal the engine's count. At temperature > 0 the result is the
    expectation given the text; another run writes another text.

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
    probabilities = rates("accept_prob", accept_prob)
    tokens = prompt_lengths(lengths, probabilities.size)
    gamma = one_count("num_draft_tokens", num_draft_tokens, 0)
    left = remaining_tokens(tokens)
    band = survival_products(probabilities, tokens, gamma)
    # a window that ends at the prompt's last token leads to the next prompt: no link
    for j in range(1, gamma + 1):
        band[j, left == j] = 0.0
    start, info = dtbtrs(band, np.ones((probabilities.size, 1)), uplo="L", diag="U")
    if info != 0:
        raise ArithmeticError(f"LAPACK dtbtrs answered {info}")
    start = np.clip(start[:, 0], 0.0, 1.0)

    after_full = np.zeros_like(start)
    if gamma + 1 < start.size:
        full = np.where(left > gamma + 1, start * band[gamma], 0.0)
        after_full[gamma + 1 :] = full[: -gamma - 1]
    return Replay(gamma, tokens, start, after_full, np.minimum(gamma, left - 1))


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
