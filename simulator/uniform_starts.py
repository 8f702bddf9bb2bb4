"""What would rounds keep if they started anywhere? Fidelity L1 of every method.

From the same windows that replay solves, with round starts spread evenly over
the text. The distance to replay is what correlation along the text is worth.
"""

import numpy as np

from simulator.acceptance import expected_emitted_from_hazards
from simulator.checks import FloatArray
from simulator.hazards import pooled_emitted_tokens, remaining_tokens
from simulator.windows import Windows


def windows_hazards(windows: Windows) -> FloatArray:
    """Acceptance by number of drafts kept so far, by prompt.

    Parameters
    ----------
    windows : Windows

    Returns
    -------
    array [num_prompts, horizon]
        P(one more draft is kept | j were), over starts with room for it; 0
        where no start has. For a tree j is a depth. [unitless]

    Notes
    -----
    Equation (M2.4) in docs/model.md with any method's survival. A chain differs
    from ``hazards_from_trace`` by the last token of each text, which is no
    draft in a window.

    Examples
    --------
    >>> windows_hazards(Windows.from_kept([1, 0, 0, 0], [1, 1, 1, 0], [4])).round(3)
    array([[0.333]])
    """
    left = remaining_tokens(windows.lengths)
    room = left[:, None] > np.arange(1, windows.horizon + 1)
    first = np.cumsum(windows.lengths) - windows.lengths
    reached = np.add.reduceat(np.where(room, windows.survival[:, :-1], 0.0), first, axis=0)
    kept = np.add.reduceat(windows.survival[:, 1:], first, axis=0)
    ratio = np.divide(kept, reached, out=np.zeros_like(kept), where=reached > 0)
    return np.minimum(ratio, 1.0)  # rounding may leave it one ulp above


def uniform_emitted_tokens(windows: Windows) -> float:
    """Mean tokens per round of a set of prompts, each from its own hazards.

    Parameters
    ----------
    windows : Windows

    Returns
    -------
    float
        [tokens/round]

    Notes
    -----
    Equations (M2.3) and (M2.5) in docs/model.md: prompts differ, positions
    within a prompt do not. Real rounds start behind rejections; the result is
    biased upwards wherever hard tokens come in runs.

    Examples
    --------
    >>> uniform_emitted_tokens(Windows.from_kept([1, 1, 1, 0], [1, 1, 1, 0], [4]))
    2.0
    """
    tau = [float(expected_emitted_from_hazards(row)) for row in windows_hazards(windows)]
    return float(pooled_emitted_tokens(tau, windows.lengths))
