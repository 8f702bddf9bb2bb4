"""How does acceptance depend on the draft's position, if rounds started anywhere?

Estimates for fidelity L1 from a trace, with round starts placed uniformly over
the text. Knows nothing about where rounds really start: that is ``replay``,
which shares the survival products computed here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, counts, one_count, prompt_lengths, rates


@dataclass(frozen=True, eq=False)
class Starts:
    """How many rounds, started everywhere, get how far; of use for every shorter draft.

    Attributes
    ----------
    reached, kept : array [num_draft_tokens, num_prompts]
        Expected starts that reach, and that keep, each draft position. [rounds]
    """

    reached: FloatArray
    kept: FloatArray

    @classmethod
    def from_trace(
        cls, accept_prob: ArrayLike, lengths: ArrayLike, num_draft_tokens: int
    ) -> "Starts":
        """Arguments and errors as of ``hazards_from_trace``."""
        probabilities = rates("accept_prob", accept_prob)
        tokens = prompt_lengths(lengths, probabilities.size)
        gamma = one_count("num_draft_tokens", num_draft_tokens, 0)
        survival = survival_products(probabilities, tokens, gamma)
        left = remaining_tokens(tokens)
        first = np.cumsum(tokens) - tokens
        reached = np.where(left > np.arange(gamma)[:, None], survival[:-1], 0.0)
        return cls(
            np.add.reduceat(reached, first, axis=1),
            np.add.reduceat(survival[1:], first, axis=1),
        )

    def hazards(self, num_draft_tokens: int) -> FloatArray:
        """Equation (M2.4) over all prompts, for the first positions. [unitless]"""
        kept, reached = self.kept[:num_draft_tokens], self.reached[:num_draft_tokens]
        return _ratio(kept.sum(axis=1), reached.sum(axis=1))

    def emitted_by_prompt(self, num_draft_tokens: int) -> FloatArray:
        """Equations (M2.3) and (M2.4), one prompt at a time. [tokens/round]"""
        kept, reached = self.kept[:num_draft_tokens], self.reached[:num_draft_tokens]
        return 1.0 + np.cumprod(_ratio(kept, reached), axis=0).sum(axis=0)


def hazards_from_trace(
    accept_prob: ArrayLike, lengths: ArrayLike, num_draft_tokens: int
) -> FloatArray:
    """Acceptance by draft position, pooled over rounds started at every position.

    Parameters
    ----------
    accept_prob : array [num_positions], in [0, 1]
        Probability that the token at this position, given the text, came from
        an accepted draft: min(1, q/p). Prompts one behind the other. [unitless]
    lengths : array [num_prompts], >= 1
        Tokens of each prompt; they add up to num_positions. [tokens]
    num_draft_tokens : int, >= 0
        [tokens]

    Returns
    -------
    array [num_draft_tokens]
        Hazard at each draft position. A position no round can reach (beyond
        the longest prompt, or behind certain rejections) has hazard 0.

    Raises
    ------
    ValueError
        If accept_prob leaves [0, 1] or the lengths do not fit.

    Notes
    -----
    Equation (M2.4) in docs/model.md. A start contributes to draft position j
    only if the text reaches that far (starts near the end are censored, as in
    a Kaplan-Meier estimate). Real rounds start behind rejections, not
    uniformly: the result is biased upwards; that is what L1 means.

    Examples
    --------
    >>> hazards_from_trace([1.0, 0.0, 1.0, 1.0], [4], 2)
    array([0.75, 0.5 ])
    """
    return Starts.from_trace(accept_prob, lengths, num_draft_tokens).hazards(num_draft_tokens)


def emitted_tokens_by_prompt(
    accept_prob: ArrayLike, lengths: ArrayLike, num_draft_tokens: int
) -> FloatArray:
    """Mean tokens per round of each prompt, from its own hazards.

    Parameters
    ----------
    accept_prob : array [num_positions], in [0, 1]
        As in ``hazards_from_trace``. [unitless]
    lengths : array [num_prompts], >= 1
        [tokens]
    num_draft_tokens : int, >= 0
        [tokens]

    Returns
    -------
    array [num_prompts]
        [tokens/round]

    Raises
    ------
    ValueError
        If accept_prob leaves [0, 1] or the lengths do not fit.

    Notes
    -----
    Equations (M2.3) and (M2.4), one prompt at a time.

    Examples
    --------
    >>> emitted_tokens_by_prompt([1.0, 1.0, 0.0, 0.0], [2, 2], 1)
    array([2., 1.])
    """
    starts = Starts.from_trace(accept_prob, lengths, num_draft_tokens)
    return starts.emitted_by_prompt(num_draft_tokens)


def pooled_emitted_tokens(tau_by_prompt: ArrayLike, lengths: ArrayLike) -> FloatArray:
    """Mean tokens per round over a set of prompts: all tokens / all rounds.

    Parameters
    ----------
    tau_by_prompt : array [num_prompts], >= 1
        [tokens/round]
    lengths : array [num_prompts], >= 1
        [tokens]

    Returns
    -------
    float
        [tokens/round]

    Raises
    ------
    ValueError
        If the two differ in shape or leave their bounds.

    Notes
    -----
    Equation (M2.5) in docs/model.md: a harmonic mean, so hard prompts weigh
    more than in the average of tau.

    Examples
    --------
    >>> round(float(pooled_emitted_tokens([1.0, 3.0], [30, 30])), 3)
    1.5
    """
    tau = np.asarray(tau_by_prompt, dtype=np.float64)
    tokens = counts("lengths", lengths, 1)
    if tau.shape != tokens.shape:
        raise ValueError(f"tau_by_prompt has shape {tau.shape}, lengths {tokens.shape}")
    if not (tau >= 1).all():
        raise ValueError(f"tau_by_prompt must be >= 1, not {tau.min():g}")
    return (tokens.sum() / (tokens / tau).sum())[()]


def survival_products(
    accept_prob: FloatArray, lengths: IntArray, num_draft_tokens: int
) -> FloatArray:
    """P(the first j drafts of a round started at s are accepted): [j, s], j = 0..gamma.

    Zero where the drafts would reach beyond the end of the prompt.
    """
    num_positions = accept_prob.size
    left = remaining_tokens(lengths)
    products = np.zeros((num_draft_tokens + 1, num_positions))
    products[0] = 1.0
    for j in range(1, num_draft_tokens + 1):
        inside = max(num_positions - j + 1, 0)
        np.multiply(products[j - 1, :inside], accept_prob[j - 1 :], out=products[j, :inside])
        products[j, left < j] = 0.0
    # [num_positions, gamma + 1] in memory, so that the transpose is LAPACK's band layout
    return np.ascontiguousarray(products.T).T


def remaining_tokens(lengths: IntArray) -> IntArray:
    """Tokens from each position to the end of its prompt, itself included."""
    return np.repeat(np.cumsum(lengths), lengths) - np.arange(int(lengths.sum()))


def _ratio(kept: FloatArray, reached: FloatArray) -> FloatArray:
    ratio = np.divide(kept, reached, out=np.zeros_like(kept), where=reached > 0)
    return np.minimum(ratio, 1.0)  # rounding may leave it one ulp above
