"""What law does a draft sample from, if only its best candidates may be drafted?

The filter comes before verification, so decoding stays lossless: the filtered
law is the q of every formula.
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, one_count, rates


def filter_candidates(draft_law: ArrayLike, num_candidates: int) -> FloatArray:
    """The draft's law on its most probable tokens, renormalised.

    Parameters
    ----------
    draft_law : array [..., vocab], in [0, 1]
        q; rows sum to 1. [unitless]
    num_candidates : int, >= 1
        Tokens that stay; of equals, those of lower index. [tokens]

    Returns
    -------
    array [..., vocab]
        [unitless]

    Raises
    ------
    ValueError
        If a row does not sum to 1 or num_candidates is below 1.

    Notes
    -----
    Equation (M1.6) in docs/model.md. Acceptance may rise or fall: the mass
    moved onto the best candidates helps where the draft is less sure than the
    target, and hurts where it is too sure already. One candidate is greedy
    drafting, whose token is kept with probability p(token).

    Examples
    --------
    >>> filter_candidates([0.5, 0.3, 0.2], 2)
    array([0.625, 0.375, 0.   ])
    """
    law = rates("draft_law", draft_law)
    number = one_count("num_candidates", num_candidates, 1)
    total = law.sum(axis=-1)
    if (abs(total - 1) > 1e-6).any():
        worst = np.atleast_1d(total).flat[int(np.argmax(abs(total - 1)))]
        raise ValueError(f"draft_law must sum to 1, not {worst:g}")
    order = np.argsort(-law, axis=-1, kind="stable")
    kept = law.copy()
    np.put_along_axis(kept, order[..., number:], 0.0, axis=-1)
    return kept / kept.sum(axis=-1, keepdims=True)
