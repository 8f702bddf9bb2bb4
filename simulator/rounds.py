"""What do single rounds look like? Decoding played out with random numbers.

A second account of ``acceptance`` and ``replay`` that shares no formula with
them: it draws whether each draft is accepted and walks along the text. Use it
to check them, or where the spread between runs is wanted and not the mean.
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, one_count, prompt_lengths, rates


def simulate_emitted_tokens(
    hazards: ArrayLike, repeats: int, *, rng: np.random.Generator
) -> IntArray:
    """Tokens emitted by independent rounds with acceptance by draft position.

    Parameters
    ----------
    hazards : array [num_draft_tokens], in [0, 1]
        [unitless]
    repeats : int, >= 1
        Number of rounds.
    rng : numpy.random.Generator

    Returns
    -------
    array [repeats]
        1 ... num_draft_tokens + 1. [tokens]

    Raises
    ------
    ValueError
        If a hazard is outside [0, 1] or repeats is below 1.

    Examples
    --------
    >>> simulate_emitted_tokens([1.0, 0.0], 3, rng=np.random.default_rng(0))
    array([2, 2, 2])
    """
    probabilities: FloatArray = rates("hazards", hazards)
    number = one_count("repeats", repeats, 1)
    refused = rng.random((number, probabilities.size)) >= probabilities
    never = np.full((number, 1), True)  # behind the last draft the round ends anyway
    return np.argmax(np.hstack([refused, never]), axis=1) + 1


def simulate_chain(
    accept_prob: ArrayLike,
    lengths: ArrayLike,
    num_draft_tokens: int,
    *,
    rng: np.random.Generator,
    repeats: int = 1,
) -> IntArray:
    """Rounds that decodes along given texts take, one random decode per repeat.

    Parameters
    ----------
    accept_prob : array [num_positions], in [0, 1]
        As in ``replay_chain``. [unitless]
    lengths : array [num_prompts], >= 1
        [tokens]
    num_draft_tokens : int, >= 0
        [tokens]
    rng : numpy.random.Generator
    repeats : int, >= 1
        Decodes of every prompt.

    Returns
    -------
    array [repeats, num_prompts]
        [rounds]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    The process of (M1.2) in docs/model.md, whose mean ``replay_chain`` gives
    in closed form. The text is held fixed: the spread is that of the
    acceptance draws alone, not that between texts.

    Examples
    --------
    >>> simulate_chain([1, 1, 0, 1], [4], 2, rng=np.random.default_rng(0))
    array([[2]])
    """
    probabilities = rates("accept_prob", accept_prob)
    tokens = prompt_lengths(lengths, probabilities.size)
    gamma = one_count("num_draft_tokens", num_draft_tokens, 0)
    number = one_count("repeats", repeats, 1)
    end = np.broadcast_to(np.cumsum(tokens), (number, tokens.size))
    position = end - tokens
    rounds = np.zeros((number, tokens.size), dtype=np.int64)
    while (running := position < end).any():
        rounds += running
        position = position + running * _emitted(probabilities, position, end, gamma, rng)
    return rounds


def _emitted(
    accept_prob: FloatArray,
    position: IntArray,
    end: IntArray,
    gamma: int,
    rng: np.random.Generator,
) -> IntArray:
    """Tokens of one round started at each position [repeats, num_prompts]."""
    kept = np.zeros_like(position)
    going = np.full(position.shape, True)
    for j in range(gamma):
        drafted = position + j < end - 1  # at least one token is left for the target
        uniform = rng.random(position.shape)
        here = np.minimum(position + j, accept_prob.size - 1)
        going &= drafted & (uniform < accept_prob[here])
        kept += going
    return kept + 1
