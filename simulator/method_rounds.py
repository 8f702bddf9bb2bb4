"""What do single rounds of every method look like? Played out with random numbers.

The counterpart of ``rounds`` for windows, trees, drafts under drafts and
alternating text: second accounts of the closed forms that share no formula
with them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, one_count, prompt_lengths, rates
from simulator.token_trees import checked_tree, child_table
from simulator.two_state import TwoStateText
from simulator.windows import Windows


def simulate_windows(windows: Windows, *, rng: np.random.Generator) -> IntArray:
    """Round starts of one random decode along given texts, for any method.

    Parameters
    ----------
    windows : Windows
    rng : numpy.random.Generator

    Returns
    -------
    array [num_positions] of 0 and 1
        Whether a round started at each position.

    Notes
    -----
    The process whose mean ``replay_windows`` gives in closed form.

    Examples
    --------
    >>> windows = Windows.from_kept([2, 0, 0, 0], [2, 2, 2, 0], [4])
    >>> simulate_windows(windows, rng=np.random.default_rng(0))
    array([1, 0, 0, 1])
    """
    started = np.zeros(windows.num_positions, dtype=np.int64)
    end = 0
    for length in windows.lengths.tolist():
        position, end = end, end + length
        while position < end:
            started[position] = 1
            kept = int((windows.survival[position, 1:] > rng.random()).sum())
            position += kept + 1
    return started


def simulate_tree(
    accept_by_rank: ArrayLike,
    lengths: ArrayLike,
    parents: Sequence[int],
    *,
    rng: np.random.Generator,
) -> IntArray:
    """Rounds of one random decode with a token tree, children judged node by node.

    Parameters
    ----------
    accept_by_rank : array [num_positions, width], in [0, 1]
        As in ``rejection_tree_windows``; a row of 0 and 1 is a known rank.
        [unitless]
    lengths : array [num_prompts], >= 1
        [tokens]
    parents : sequence of int
    rng : numpy.random.Generator

    Returns
    -------
    array [num_prompts]
        [rounds]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Examples
    --------
    >>> simulate_tree(np.eye(2)[[1, 0, 0]], [3], (-1, -1, 1), rng=np.random.default_rng(0))
    array([1])
    """
    chances = rates("accept_by_rank", accept_by_rank)
    tokens = prompt_lengths(lengths, len(chances))
    below = child_table(checked_tree(parents))
    rounds = np.zeros(tokens.size, dtype=np.int64)
    end = 0
    for prompt, length in enumerate(tokens.tolist()):
        position, end = end, end + length
        while position < end:
            rounds[prompt] += 1
            row = 0
            while position < end - 1:
                rank = int(np.searchsorted(np.cumsum(chances[position]), rng.random(), "right"))
                child = below[row, min(rank, below.shape[1] - 1)] if rank < chances.shape[1] else -1
                if child < 0:
                    break
                row, position = child + 1, position + 1
            position += 1
    return rounds


def simulate_staged_calls(
    hazards: Sequence[ArrayLike], num_draft_tokens: int, *, rng: np.random.Generator
) -> IntArray:
    """Calls of every level to draft one chain, the lowest drafter's proposals last.

    Parameters
    ----------
    hazards : sequence of arrays, each [lower_draft_tokens], in [0, 1]
        As in ``staged_draft_calls``. [unitless]
    num_draft_tokens : int, >= 0
        [tokens]
    rng : numpy.random.Generator

    Returns
    -------
    array [num_levels + 1]
        [calls]

    Raises
    ------
    ValueError
        If a hazard is outside [0, 1].

    Examples
    --------
    >>> simulate_staged_calls([[1.0, 1.0]], 6, rng=np.random.default_rng(0))
    array([2, 2])
    """
    levels: list[FloatArray] = [rates("hazards", level) for level in hazards]
    calls = np.zeros(len(levels) + 1, dtype=np.int64)

    def draft(level: int, wanted: int) -> None:
        if level == len(levels):
            calls[level] += wanted > 0
            return
        while wanted > 0:
            proposed = min(levels[level].size, wanted - 1)
            draft(level + 1, proposed)
            kept = 0
            while kept < proposed and rng.random() < levels[level][kept]:
                kept += 1
            calls[level] += 1
            wanted -= kept + 1

    draft(0, one_count("num_draft_tokens", num_draft_tokens, 0))
    return calls


def simulate_two_state_text(
    text: TwoStateText, num_positions: int, *, rng: np.random.Generator
) -> FloatArray:
    """Acceptance along one random text of easy and hard stretches.

    Parameters
    ----------
    text : TwoStateText
    num_positions : int, >= 1
        [tokens]
    rng : numpy.random.Generator

    Returns
    -------
    array [num_positions], 0 or 1
        Whether the draft agrees at each position. [unitless]

    Raises
    ------
    ValueError
        If num_positions is below 1.

    Examples
    --------
    >>> text = TwoStateText(0.5, 0.25, 0.5)
    >>> simulate_two_state_text(text, 6, rng=np.random.default_rng(0))
    array([0., 0., 0., 0., 0., 1.])
    """
    number = one_count("num_positions", num_positions, 1)
    renewed = rng.random(number) >= text.correlation  # else the state of the token before
    renewed[0] = True
    drawn = rng.random(number) >= text.easy_share  # 1 is hard
    state = drawn[np.maximum.accumulate(np.where(renewed, np.arange(number), 0))]
    return (rng.random(number) < text.rates[state.astype(np.int64)]).astype(np.float64)
