"""How many tokens does a round emit, if easy and hard stretches of text alternate?

Between the closed form and replay: acceptance follows a hidden two-state
Markov chain along the text, fixed by three numbers of a trace. Keeps what the
independent formula loses: rounds start behind rejections, where text is hard.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, one_count, prompt_lengths, rates
from simulator.hazards import remaining_tokens


@dataclass(frozen=True)
class TwoStateText:
    """Text whose positions are easy or hard to draft.

    Attributes
    ----------
    mean : float, in [0, 1]
        Mean acceptance over positions. [unitless]
    variance : float, in [0, mean * (1 - mean)]
        Of the local acceptance rate between positions. [unitless]
    correlation : float, in [0, 1)
        Of the local rate at neighbouring positions; falls by this factor with
        every token of distance. [unitless]

    Raises
    ------
    ValueError
        If a number leaves its bounds.

    Notes
    -----
    Equation (M2.6) in docs/model.md. Three numbers leave one free, the share
    of easy text: it is one half where the two rates then lie in [0, 1], and
    otherwise the nearest share for which they do.

    Examples
    --------
    >>> text = TwoStateText(0.7, 0.04, 0.8)
    >>> text.rates.round(3), round(text.easy_share, 3)
    (array([0.9, 0.5]), 0.5)
    """

    mean: float
    variance: float
    correlation: float

    def __post_init__(self) -> None:
        rates("mean", self.mean)
        largest = self.mean * (1 - self.mean)
        if not 0 <= self.variance <= largest:
            raise ValueError(f"variance must be in [0, {largest:g}], not {self.variance:g}")
        if not 0 <= self.correlation < 1:
            raise ValueError(f"correlation must be in [0, 1), not {self.correlation:g}")

    @property
    def easy_share(self) -> float:
        """Share of positions in the easy state. [unitless]"""
        deviation = float(np.sqrt(self.variance))
        if self.mean + deviation > 1:  # the easy rate would exceed 1: hold it there
            return self.variance / (self.variance + (1 - self.mean) ** 2)
        if self.mean - deviation < 0:  # the hard rate would be negative: hold it at 0
            return self.mean**2 / (self.variance + self.mean**2)
        return 0.5

    @property
    def rates(self) -> FloatArray:
        """Acceptance in the easy and in the hard state [2]. [unitless]"""
        deviation = float(np.sqrt(self.variance))
        easy, hard = self.mean + deviation, self.mean - deviation
        if easy > 1:
            easy, hard = 1.0, self.mean - self.variance / (1 - self.mean)
        elif hard < 0:
            easy, hard = self.mean + self.variance / self.mean, 0.0
        return np.clip([easy, hard], 0.0, 1.0)  # rounding may leave them an ulp outside

    @property
    def transitions(self) -> FloatArray:
        """P(next state | state) [2, 2], rows and columns easy, hard. [unitless]"""
        shares = np.array([self.easy_share, 1 - self.easy_share])
        return self.correlation * np.eye(2) + (1 - self.correlation) * shares


def two_state_emitted_tokens(text: TwoStateText, num_draft_tokens: int) -> float:
    """Mean number of tokens a round of chain drafting emits along such a text.

    Parameters
    ----------
    text : TwoStateText
    num_draft_tokens : int, >= 0
        [tokens]

    Returns
    -------
    float
        [tokens/round]

    Raises
    ------
    ValueError
        If num_draft_tokens is negative or fractional.

    Notes
    -----
    Equation (M2.7) in docs/model.md. The state in which rounds start is itself
    a two-state Markov chain, with the round in place of the token; its
    stationary law is put into the sum over survivals. Long texts: no ends.

    Examples
    --------
    >>> round(two_state_emitted_tokens(TwoStateText(0.8, 0.0, 0.5), 4), 4)
    3.3616
    >>> round(two_state_emitted_tokens(TwoStateText(0.8, 0.1, 0.9), 4), 4)
    2.9549
    """
    gamma = one_count("num_draft_tokens", num_draft_tokens, 0)
    move, keep = text.transitions, np.diag(text.rates)
    survivals = [np.eye(2)]
    for _ in range(gamma):
        survivals.append(survivals[-1] @ keep @ move)
    refused = (np.eye(2) - keep) @ move
    by_round = sum(survivals[:-1], np.zeros((2, 2))) @ refused + survivals[-1] @ move
    leave, enter = by_round[0, 1], by_round[1, 0]
    # where no round changes the state, rounds start like positions
    total = leave + enter
    shares = [enter / total, leave / total] if total > 0 else [text.easy_share, 1 - text.easy_share]
    return float((np.array(shares) @ sum(survivals)).sum())


def fit_two_state(
    accept_prob: ArrayLike, lengths: ArrayLike, *, max_distance: int = 16
) -> TwoStateText:
    """The two-state text with a trace's mean, variance of the local rate and correlation.

    Parameters
    ----------
    accept_prob : array [num_positions], in [0, 1]
        As in ``replay_chain``. [unitless]
    lengths : array [num_prompts], >= 1
        [tokens]
    max_distance : int, >= 2
        Largest distance at which two positions are compared. [tokens]

    Returns
    -------
    TwoStateText

    Raises
    ------
    ValueError
        If accept_prob leaves [0, 1], the lengths do not fit, or fewer than two
        distances have a pair of positions.

    Notes
    -----
    Equation (M2.8) in docs/model.md: variance * correlation^k is fitted to the
    covariance of acceptance k tokens apart, k = 1 ... max_distance, weighted by
    pairs. Distance 0 is left out: there acceptance also varies by the token
    that happened to be drawn, which is not the local rate. Differences between
    prompts count as correlation.

    Examples
    --------
    >>> text = fit_two_state([1, 1, 1, 1, 0, 0, 0, 0] * 8, [64], max_distance=2)
    >>> text.mean, text.rates
    (0.5, array([1., 0.]))
    """
    from scipy.optimize import minimize_scalar  # slow to import, seldom used

    probabilities = rates("accept_prob", accept_prob)
    tokens = prompt_lengths(lengths, probabilities.size)
    left = remaining_tokens(tokens)
    mean = float(probabilities.mean())
    apart = probabilities - mean
    distances = np.arange(1, one_count("max_distance", max_distance, 2) + 1)
    pairs = np.array([np.count_nonzero(left > k) for k in distances])
    if (pairs > 0).sum() < 2:
        raise ValueError(f"prompts must have at least 3 tokens, not {left.max()}")
    distances, pairs = distances[pairs > 0], pairs[pairs > 0]
    covariance = np.array([apart[:-k][left[:-k] > k] @ apart[k:][left[:-k] > k] for k in distances])
    covariance /= pairs

    def best_variance(correlation: float) -> float:
        powers = correlation**distances
        unbounded = float((pairs * covariance) @ powers / ((pairs * powers) @ powers))
        return min(max(unbounded, 0.0), mean * (1 - mean))

    def misfit(correlation: float) -> float:
        error = covariance - best_variance(correlation) * correlation**distances
        return float(pairs @ error**2)

    correlation = float(minimize_scalar(misfit, bounds=(0.01, 0.9999), method="bounded").x)
    return TwoStateText(mean, best_variance(correlation), correlation)
