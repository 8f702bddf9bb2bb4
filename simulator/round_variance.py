"""How far do the rounds of one decode lie from their expectation?

Above temperature 0 a text may be cut into rounds in many ways. The spread of
their number is what a measured tokens per round owes to its coins alone.
"""

import numpy as np
from scipy.linalg.lapack import dtbtrs

from simulator.checks import FloatArray
from simulator.hazards import remaining_tokens
from simulator.replay import replay_windows
from simulator.windows import Windows


def rounds_variance(windows: Windows) -> FloatArray:
    """Variance of the number of rounds along each text.

    Parameters
    ----------
    windows : Windows

    Returns
    -------
    array [num_prompts]
        0 where survival is 0 or 1 throughout. [rounds²]

    Notes
    -----
    Equation (M10.4) in docs/model.md, a renewal identity: of two starts, the
    later one is reached from the earlier.

    Examples
    --------
    One draft, kept with probability 1/2, and two tokens: one round or two.

    >>> rounds_variance(Windows(np.array([[1, 0.5], [1, 0]]), np.array([1, 0]), np.array([2])))
    array([0.25])
    """
    start = replay_windows(windows)
    first = np.cumsum(windows.lengths) - windows.lengths
    squares = np.add.reduceat(start.start_prob * (2.0 * rounds_left(windows) - 1.0), first)
    return np.maximum(squares - start.rounds_per_prompt**2, 0.0)


def rounds_left(windows: Windows) -> FloatArray:
    """Expected rounds from a start at each position to the end of its prompt [num_positions].

    Examples
    --------
    >>> rounds_left(Windows.from_kept([2, 0, 0, 0], [2, 2, 2, 0], [4]))
    array([2., 3., 2., 1.])
    """
    kept_exactly = -np.diff(windows.survival, axis=1, append=0.0)
    left = remaining_tokens(windows.lengths)
    width = windows.horizon + 1
    band = np.zeros((width + 1, windows.num_positions))
    for emitted in range(1, min(width, windows.num_positions - 1) + 1):
        following = np.where(left > emitted, kept_exactly[:, emitted - 1], 0.0)
        band[width - emitted, emitted:] = -following[:-emitted]
    rounds, info = dtbtrs(band, np.ones((windows.num_positions, 1)), uplo="U", diag="U")
    if info != 0:
        raise ArithmeticError(f"LAPACK dtbtrs answered {info}")
    return rounds[:, 0]
