"""What does a drafter keep that sometimes has nothing to propose?

Prompt lookup and other drafters that answer only when they find a match. The
hit rate stays apart from acceptance: they are improved by different means, and
a miss costs a plain step and no verification.
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, at_least, counts, prompt_lengths, rates
from simulator.hazards import remaining_tokens
from simulator.replay import Replay
from simulator.windows import Windows


def lookup_windows(kept: ArrayLike, proposed: ArrayLike, lengths: ArrayLike) -> Windows:
    """Windows of proposals of varying length, none where there is no match.

    Parameters
    ----------
    kept : array [num_positions], >= 0
        How far the text agrees with what is proposed to a round that starts
        here; at most what is proposed. [tokens]
    proposed : array [num_positions], >= 0
        Length of the proposal; 0 on a miss. [tokens]
    lengths : array [num_prompts], >= 1
        [tokens]

    Returns
    -------
    Windows

    Raises
    ------
    ValueError
        If more is kept than proposed, or a count is negative or fractional.

    Notes
    -----
    docs/model.md, M1. A proposal is a fixed guess, kept exactly when it is the
    emitted token: deterministic given the text, at every temperature. Exact,
    since the proposal depends on the text before the start only.

    Examples
    --------
    >>> lookup_windows([2, 0, 0, 0], [2, 0, 0, 3], [4]).num_drafted
    array([2, 0, 0, 0])
    """
    agreed, guessed = counts("kept", kept, 0), counts("proposed", proposed, 0)
    if agreed.shape != guessed.shape:
        raise ValueError(f"kept has shape {agreed.shape}, proposed {guessed.shape}")
    if (agreed > guessed).any():
        position = int(np.argmax(agreed > guessed))
        raise ValueError(
            f"kept must be at most proposed, not {agreed[position]} of {guessed[position]}"
        )
    tokens = prompt_lengths(lengths, agreed.size)
    room = remaining_tokens(tokens) - 1
    full = (agreed == guessed) & (guessed > 0)
    return Windows.from_kept(agreed, np.minimum(guessed, room), tokens, full)


def hit_rate(replay: Replay) -> float:
    """Share of rounds that verify a proposal, of those with room for one.

    Parameters
    ----------
    replay : Replay

    Returns
    -------
    float
        In [0, 1]; 0 where no round has room. [unitless]

    Notes
    -----
    Over round starts, unlike the share of positions with a match: lookup finds
    most matches inside copied stretches, where few rounds start.

    Examples
    --------
    >>> from simulator.replay import replay_windows
    >>> hit_rate(replay_windows(lookup_windows([1, 0, 0, 0], [1, 0, 0, 0], [4])))
    0.5
    """
    has_room = replay.start_prob * (remaining_tokens(replay.lengths) > 1)
    hits = float(has_room @ (replay.num_drafted > 0))
    return hits / float(has_room.sum()) if has_room.any() else 0.0


def expected_emitted_with_misses(hit_rate: ArrayLike, tau_on_hit: ArrayLike) -> FloatArray:
    """Mean tokens per round of a drafter that proposes in some rounds only.

    Parameters
    ----------
    hit_rate : float or array, in [0, 1]
        Share of rounds with a proposal. [unitless]
    tau_on_hit : float or array, >= 1
        Mean emitted tokens of these. [tokens/round]

    Returns
    -------
    float or array, broadcast shape of the inputs
        [tokens/round]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M2.9) in docs/model.md: a miss emits one token. An identity for
    rounds; that either number is the same everywhere is the assumption.

    Examples
    --------
    >>> round(float(expected_emitted_with_misses(0.25, 3.0)), 2)
    1.5
    """
    share, tau = rates("hit_rate", hit_rate), at_least("tau_on_hit", tau_on_hit, 1)
    return (1.0 + share * (tau - 1.0))[()]
