"""How many prompts must be measured to tell two settings apart?

From the spread of a pilot's per-prompt differences of log speed, both settings
having decoded the same prompts. Knows nothing about how they were measured.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import nctdtr, stdtrit

from simulator.checks import above, one_count, rates

_MOST = 2**31  # prompts; nobody measures more


def log_speed_spread(seconds: ArrayLike, other_seconds: ArrayLike) -> float:
    """Standard deviation of the per-prompt difference of log speed of two settings.

    Parameters
    ----------
    seconds, other_seconds : array [num_prompts], > 0
        Of the same prompts and numbers of tokens. [s]

    Returns
    -------
    float
        About the relative spread of their ratio. [unitless]

    Raises
    ------
    ValueError
        If there are fewer than 2 prompts, or the two differ in shape.

    Examples
    --------
    >>> round(log_speed_spread([1.0, 2.0, 4.0], [1.1, 1.8, 4.0]), 3)
    0.1
    """
    one, other = above("seconds", seconds, 0), above("other_seconds", other_seconds, 0)
    if one.shape != other.shape or one.ndim != 1 or one.size < 2:
        raise ValueError(
            f"need the same prompts twice, at least 2: shapes {one.shape} and {other.shape}"
        )
    return float(np.std(np.log(other / one), ddof=1))


def power_to_tell_apart(
    num_prompts: int, difference: float, spread: float, *, confidence: float = 0.9
) -> float:
    """Probability that measuring so many prompts tells two settings apart.

    Parameters
    ----------
    num_prompts : int, >= 2
    difference : float, > 0
        True mean difference of log speed; 0.05 is about 5 %. [unitless]
    spread : float, > 0
        Standard deviation of the difference between prompts, e.g.
        ``log_speed_spread`` of a pilot. [unitless]
    confidence : float, in (0, 1)
        Of the interval that must exclude 0. [unitless]

    Returns
    -------
    float
        [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M12.12) in docs/model.md: the paired t-test, two-sided. Assumes
    independent prompts and nearly normal differences; a pilot's spread is
    itself uncertain (by a quarter with 8 prompts), and tells-apart by
    bootstrap (M10.3) is somewhat bolder with few prompts.

    Examples
    --------
    >>> round(power_to_tell_apart(34, 0.5, 1.0, confidence=0.95), 3)
    0.808
    """
    n = one_count("num_prompts", num_prompts, 2)
    shift = float(above("difference", difference, 0) / above("spread", spread, 0)) * np.sqrt(n)
    edge = stdtrit(n - 1, (1.0 + _inside("confidence", confidence)) / 2.0)
    # the far tail is below P(a normal < -shift), and scipy's series for it fails when it is tiny
    far = nctdtr(n - 1, shift, -edge) if shift < 7 else 0.0
    return float(1.0 - nctdtr(n - 1, shift, edge) + far)


def prompts_to_tell_apart(
    difference: float, spread: float, *, power: float = 0.8, confidence: float = 0.9
) -> int:
    """Fewest prompts that tell two settings apart with a given power.

    Parameters
    ----------
    difference, spread, confidence
        As in ``power_to_tell_apart``.
    power : float, in (0, 1)
        [unitless]

    Returns
    -------
    int
        At least 2.

    Raises
    ------
    ValueError
        If an argument leaves its bounds, or more than two thousand million
        prompts were needed.

    Notes
    -----
    Inverse of (M12.12) in docs/model.md.

    Examples
    --------
    >>> prompts_to_tell_apart(0.02, 0.08), prompts_to_tell_apart(0.04, 0.08)
    (101, 27)
    """
    wanted = _inside("power", power)
    low, high = 1, 2
    while power_to_tell_apart(high, difference, spread, confidence=confidence) < wanted:
        if high >= _MOST:
            raise ValueError(
                f"difference must be large enough for {_MOST} prompts, not {difference:g}"
            )
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        found = power_to_tell_apart(middle, difference, spread, confidence=confidence)
        low, high = (low, middle) if found >= wanted else (middle, high)
    return high


def difference_told_apart(
    num_prompts: int, spread: float, *, power: float = 0.8, confidence: float = 0.9
) -> float:
    """Smallest difference of log speed that so many prompts tell with a given power.

    Parameters
    ----------
    num_prompts, spread, confidence
        As in ``power_to_tell_apart``.
    power : float, in (1 - confidence, 1)
        [unitless]

    Returns
    -------
    float
        [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds; a power not above 1 - confidence is
        reached by chance.

    Notes
    -----
    Inverse of (M12.12) in docs/model.md.

    Examples
    --------
    >>> round(difference_told_apart(27, 0.08), 3)
    0.039
    """
    from scipy.optimize import brentq  # slow to import, seldom used

    wanted = _inside("power", power)
    chance = 1.0 - _inside("confidence", confidence)
    if wanted <= chance:
        raise ValueError(f"power must be > {chance:g}, 1 - confidence, not {wanted:g}")
    sd = float(above("spread", spread, 0))

    def lacking(difference: float) -> float:
        power_here = power_to_tell_apart(num_prompts, difference, sd, confidence=confidence)
        return power_here - wanted

    high = sd
    while lacking(high) < 0:
        high *= 2.0
    return float(brentq(lacking, 1e-12 * sd, high, xtol=1e-12 * sd))


def _inside(name: str, value: float) -> float:
    share = float(rates(name, value))
    if share in (0.0, 1.0):
        raise ValueError(f"{name} must lie inside (0, 1), not {share:g}")
    return share
