"""How many drafts does a round keep that starts here? The interface of every method.

Methods of drafting differ only in this law. Whoever can state it for each
position of a text, by formula or from a log, gets everything else from
``replay``. Knows nothing about costs, nor how a method drafts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, counts, prompt_lengths
from simulator.hazards import remaining_tokens


@dataclass(frozen=True, eq=False)
class Windows:
    """The law of kept drafts of a round, for a round start at every position.

    Attributes
    ----------
    survival : array [num_positions, horizon + 1], in [0, 1]
        survival[s, j] = P(the first j tokens from position s on come from kept
        drafts of a round that starts at s), given the text and that start.
        1 at j = 0, non-increasing in j, and 0 where j reaches the tokens left
        in the prompt: the last token of a text is never a draft. [unitless]
    num_drafted : array [num_positions], >= 0
        Tokens the target verifies in a round that starts here; 0 is a plain
        step. [tokens]
    lengths : array [num_prompts], >= 1
        Tokens of each prompt, one behind the other; they add up to
        num_positions. [tokens]
    full : array [num_positions, horizon + 1], in [0, 1], optional
        full[s, j] = P(exactly j drafts are kept, and the last of them is a
        leaf: the drafter proposed it and never read it). Left out, a round is
        full when it keeps as many drafts as the horizon. [unitless]

    Raises
    ------
    ValueError
        If the shapes disagree or survival is not such a law.

    Notes
    -----
    docs/model.md, M1. The law may depend on the text and on the start, not on
    how the start was reached: true wherever a draft depends on nothing but the
    kept tokens before it.

    Examples
    --------
    >>> windows = Windows(np.array([[1, 0.5], [1, 0.0]]), np.array([1, 0]), np.array([2]))
    >>> windows.horizon, windows.num_positions
    (1, 2)
    """

    survival: FloatArray
    num_drafted: IntArray
    lengths: IntArray
    full: FloatArray | None = None

    def __post_init__(self) -> None:
        survival = np.asarray(self.survival, dtype=np.float64)
        if survival.ndim != 2 or survival.shape[1] == 0:
            raise ValueError(
                f"survival must be [num_positions, horizon + 1], not of shape {survival.shape}"
            )
        num_drafted = counts("num_drafted", self.num_drafted, 0)
        if num_drafted.shape != survival.shape[:1]:
            raise ValueError(
                f"num_drafted has shape {num_drafted.shape}, but there are "
                f"{survival.shape[0]} positions"
            )
        lengths = prompt_lengths(self.lengths, survival.shape[0])
        _refuse_unlawful(survival, lengths)
        object.__setattr__(self, "survival", survival)
        object.__setattr__(self, "num_drafted", num_drafted)
        object.__setattr__(self, "lengths", lengths)
        if self.full is not None:
            object.__setattr__(self, "full", _checked_full(self.full, survival))

    @classmethod
    def from_kept(
        cls, kept: ArrayLike, num_drafted: ArrayLike, lengths: ArrayLike, full: ArrayLike = False
    ) -> "Windows":
        """The deterministic law: how many drafts are kept is known for every start.

        Temperature 0, coupled choices, or fixed guesses at any temperature (a
        guess is kept exactly when it is the emitted token).

        Parameters
        ----------
        kept : array [num_positions], >= 0
            Drafts kept if a round starts here; counts beyond the end of the
            text are cut. [tokens]
        num_drafted : array [num_positions], >= 0
            [tokens]
        lengths : array [num_prompts], >= 1
            [tokens]
        full : array [num_positions] of bool
            Whether the last kept draft is one the drafter never read. [unitless]

        Examples
        --------
        >>> Windows.from_kept([2, 0, 5, 0], [2, 2, 2, 0], [4]).survival
        array([[1., 1., 1.],
               [1., 0., 0.],
               [1., 1., 0.],
               [1., 0., 0.]])
        """
        wanted = counts("kept", kept, 0)
        lengths = prompt_lengths(lengths, wanted.size)
        possible = np.minimum(wanted, remaining_tokens(lengths) - 1)
        steps = np.arange(int(possible.max(initial=0)) + 1)
        survival = (possible[:, None] >= steps).astype(np.float64)
        leaf = np.broadcast_to(np.asarray(full, dtype=bool), wanted.shape)
        uncut = leaf & (possible == wanted)
        last = (possible[:, None] == steps) & uncut[:, None]
        return cls(survival, counts("num_drafted", num_drafted, 0), lengths, last.astype(float))

    @property
    def horizon(self) -> int:
        """Most drafts a round can keep. [tokens]"""
        return self.survival.shape[1] - 1

    @property
    def num_positions(self) -> int:
        """Tokens over all prompts. [tokens]"""
        return self.survival.shape[0]


def _refuse_unlawful(survival: FloatArray, lengths: IntArray) -> None:
    if not (survival[:, 0] == 1).all():
        raise ValueError(f"survival[:, 0] must be 1, not {survival[:, 0].min():g}")
    falls = survival[:, 1:] <= survival[:, :-1]  # false for NaN too
    if not falls.all():
        row, column = np.argwhere(~falls)[0]
        raise ValueError(
            f"survival[{row}] must not rise: {survival[row, column]:g} "
            f"to {survival[row, column + 1]:g} at j = {column + 1}"
        )
    if survival[:, -1].min() < 0:  # the least of each row, since rows fall
        raise ValueError(f"survival must be in [0, 1], not {survival[:, -1].min():g}")
    left = remaining_tokens(lengths)
    near_end = np.flatnonzero(left < survival.shape[1])
    beyond = survival[near_end, left[near_end]] > 0
    if beyond.any():
        row = near_end[beyond][0]
        raise ValueError(
            f"survival[{row}] must be 0 from j = {left[row]} on: "
            f"only {left[row]} tokens are left, and the last is never a draft"
        )


def _checked_full(full: ArrayLike, survival: FloatArray) -> FloatArray:
    array = np.asarray(full, dtype=np.float64)
    if array.shape != survival.shape:
        raise ValueError(f"full has shape {array.shape}, survival {survival.shape}")
    if not (array.min() >= 0 and (array <= survival).all()):
        raise ValueError("full[s, j] must lie between 0 and survival[s, j]")
    return array
