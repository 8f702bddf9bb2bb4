"""What must a quantity become for a wanted speedup, or is that out of reach?

The answer every inverse question gives, and the one-dimensional search behind
those that have no closed form.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from simulator.checks import FloatArray, IntArray, above, one_count

SpeedupOf = Callable[[float], FloatArray]
"""Speedup of every candidate [num_candidates] at a value of the quantity. [unitless]"""


@dataclass(frozen=True)
class Requirement:
    """Value of one quantity that just reaches a wanted speedup.

    Attributes
    ----------
    quantity : str
        Name of what was solved for; its unit is that of the function asked.
    wanted_speedup : float
        1 is break-even with autoregressive decoding. [unitless]
    reachable : bool
        False if no value of the quantity is enough.
    value : float
        The least demanding value that is enough; where none is, the best one.
    num_draft_tokens : int
        Drafts per round that go with the value. [tokens]
    speedup : float
        At the value: the wanted one, more where the least demanding value
        already gives more, less where it is out of reach. [unitless]
    """

    quantity: str
    wanted_speedup: float
    reachable: bool
    value: float
    num_draft_tokens: int
    speedup: float

    @property
    def verdict(self) -> str:
        """One sentence."""
        drafts = f"γ = {self.num_draft_tokens}"
        if self.reachable:
            return f"{self.wanted_speedup:g}x needs {self.quantity} {self.value:.4g} ({drafts})"
        return (
            f"{self.wanted_speedup:g}x is unreachable: even {self.quantity} {self.value:.4g}"
            f" gives at most {self.speedup:.4g}x ({drafts})"
        )


def require(
    quantity: str,
    wanted_speedup: float,
    speedup_of: SpeedupOf,
    candidates: IntArray,
    *,
    worst: float,
    best: float,
) -> Requirement:
    """Search for the value at which the best candidate reaches a wanted speedup.

    Parameters
    ----------
    quantity : str
    wanted_speedup : float, > 0
        [unitless]
    speedup_of : callable
        Continuous, and no candidate slower as the value moves from worst to best.
    candidates : array [num_candidates]
        Drafts per round, in the order of speedup_of. [tokens]
    worst, best : float
        Ends of the range of the quantity, in either order.

    Returns
    -------
    Requirement

    Raises
    ------
    ValueError
        If wanted_speedup is not above 0.

    Notes
    -----
    Equation (M12.1) in docs/model.md, by Brent's method on the upper envelope
    of the candidates.

    Examples
    --------
    >>> law = lambda alpha: np.array([(1 + alpha) / 1.1])
    >>> require("acceptance_rate", 1.5, law, np.array([1]), worst=0, best=1).verdict
    '1.5x needs acceptance_rate 0.65 (γ = 1)'
    """
    from scipy.optimize import brentq  # slow to import, seldom used

    wanted = float(above("wanted_speedup", wanted_speedup, 0))

    def answer(value: float, reachable: bool) -> Requirement:
        speedups = speedup_of(value)
        chosen = int(np.argmax(speedups))
        return Requirement(
            quantity, wanted, reachable, value, int(candidates[chosen]), float(speedups[chosen])
        )

    at_best, at_worst = answer(float(best), True), answer(float(worst), True)
    if at_best.speedup < wanted:
        return answer(float(best), False)
    if at_worst.speedup >= wanted:
        return at_worst
    value = brentq(lambda at: float(speedup_of(at).max()) - wanted, worst, best, xtol=1e-14)
    return answer(float(value), True)


def draft_candidates(candidates: Iterable[int]) -> IntArray:
    """Numbers of draft tokens to try [num_candidates], refused if empty or below 1."""
    array = np.array([one_count("candidates", c, 1) for c in candidates], dtype=np.int64)
    if array.size == 0:
        raise ValueError("candidates must hold >= 1 number of draft tokens, not 0")
    return array
