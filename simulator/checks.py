"""Is this argument admissible? One-line refusals shared by the public functions.

Every message names the argument, the offending value and the bound.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def rates(name: str, value: ArrayLike) -> FloatArray:
    """Probabilities or shares: the value as floats, refused outside [0, 1]."""
    array = np.asarray(value, dtype=np.float64)
    bad = ~((array >= 0) & (array <= 1))  # also true for NaN
    if bad.any():
        raise ValueError(f"{name} must be in [0, 1], not {array[bad].flat[0]:g}")
    return array


def at_least(name: str, value: ArrayLike, bound: float) -> FloatArray:
    """Finite floats, refused below the bound."""
    array = np.asarray(value, dtype=np.float64)
    bad = ~(np.isfinite(array) & (array >= bound))
    if bad.any():
        raise ValueError(f"{name} must be finite and >= {bound:g}, not {array[bad].flat[0]:g}")
    return array


def above(name: str, value: ArrayLike, bound: float) -> FloatArray:
    """Finite floats, refused at or below the bound."""
    array = np.asarray(value, dtype=np.float64)
    bad = ~(np.isfinite(array) & (array > bound))
    if bad.any():
        raise ValueError(f"{name} must be finite and > {bound:g}, not {array[bad].flat[0]:g}")
    return array


def counts(name: str, value: ArrayLike, bound: int) -> IntArray:
    """Whole numbers, refused below the bound or when fractional."""
    array = at_least(name, value, bound)
    whole = np.floor(array)
    if (whole != array).any():
        raise ValueError(f"{name} must be whole, not {array[whole != array].flat[0]:g}")
    return whole.astype(np.int64)


def one_count(name: str, value: ArrayLike, bound: int) -> int:
    """A single whole number, refused below the bound."""
    array = counts(name, value, bound)
    if array.ndim:
        raise ValueError(f"{name} must be one number, not {array.size} numbers")
    return int(array)


def prompt_lengths(lengths: ArrayLike, num_positions: int) -> IntArray:
    """Tokens per prompt [num_prompts], refused unless they add up to num_positions."""
    array = counts("lengths", lengths, 1)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"lengths must be a non-empty list, not of shape {array.shape}")
    if int(array.sum()) != num_positions:
        raise ValueError(
            f"lengths add up to {int(array.sum())} tokens, but there are {num_positions} positions"
        )
    return array
