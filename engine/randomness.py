"""Where random decisions come from.

The engine decides at random in two ways only: it draws a token from a
distribution, or it accepts with some probability. Both go through an object
that is passed in, so that tests can play out every outcome with its exact
probability instead of sampling (tests/oracles.py).
"""

from functools import lru_cache
from typing import Protocol

import numpy as np
import torch

from engine.sampling import draw, draw_distinct

CHUNK = 1024  # uniforms fetched at once


class Randomness(Protocol):
    """Draws and acceptances, one per row."""

    def draw(self, probs: torch.Tensor) -> torch.Tensor:
        """One token [n] per row of probs [n, vocab]; rows need not be normalised."""
        ...

    def draw_distinct(self, probs: torch.Tensor, width: int) -> torch.Tensor:
        """Tokens [n, width] of each row, one after the other without replacement."""
        ...

    def accept(self, chances: torch.Tensor) -> torch.Tensor:
        """True [n] with probability chances [n]; 1 and above always, 0 never."""
        ...

    def accept_one(self, chance: float) -> bool:
        """``accept`` of a single chance that the host knows."""
        ...


class Uniforms:
    """Randomness from seeded uniforms; the same seed gives the same decisions.

    Uniforms come from the host in chunks, one transfer each.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._rng = np.random.default_rng(seed)
        self._device = device
        self._chunk = torch.empty(0, dtype=torch.float64)
        self._used = 0

    def draw(self, probs: torch.Tensor) -> torch.Tensor:
        """Tokens by inverting the cumulative distribution; see ``engine.sampling.draw``."""
        return draw(probs, self.take(probs.shape[0]))

    def draw_distinct(self, probs: torch.Tensor, width: int) -> torch.Tensor:
        """At once where the uniforms are at hand, else in turn."""
        if width == 1 or probs.device.type != "cpu":
            return draw_in_turn(self, probs, width)
        rows = probs.shape[0]
        return draw_distinct(probs, self.take(rows * width).reshape(width, rows).T)

    def accept(self, chances: torch.Tensor) -> torch.Tensor:
        """Uniform below chance."""
        return self.take(chances.shape[0]) < chances

    def accept_one(self, chance: float) -> bool:
        """Uniform below chance."""
        return float(self.take(1)) < chance

    def take(self, count: int) -> torch.Tensor:
        """The next uniforms [count], float64."""
        if self._used + count > len(self._chunk):
            size = max(CHUNK, count)
            self._chunk = torch.from_numpy(self._rng.random(size)).to(self._device)
            self._used = 0
        self._used += count
        return self._chunk[self._used - count : self._used]


def draw_in_turn(randomness: Randomness, probs: torch.Tensor, width: int) -> torch.Tensor:
    """Tokens [n, width] without replacement: draw, take away what was drawn, draw again."""
    drawn: list[torch.Tensor] = []
    for rank in range(width):
        if rank > 0:
            probs = probs.scatter(1, drawn[-1][:, None], 0.0)
        drawn.append(randomness.draw(probs))
    return torch.stack(drawn, dim=1)


class Noise:
    """One Gumbel vector per position of the text, the same for every model that asks.

    argmax(log p + gumbel) is a draw from p. When target and draft use the same
    vector at the same position they mostly agree, and what the target chooses
    depends on the seed and the position alone, never on the draft.

    Attributes
    ----------
    vocab_size : int
        [tokens]
    """

    def __init__(self, seed: int, vocab_size: int, device: torch.device) -> None:
        self.vocab_size = vocab_size
        self._seed, self._device = seed, device
        self.at = lru_cache(maxsize=512)(self._at)

    def _at(self, position: int) -> torch.Tensor:
        """Gumbel noise [vocab], float64, of the token generated at this position."""
        rng = np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, 0, position]))
        # -log of an exponential is Gumbel; in float32 the tail would lower the temperature
        noise = -np.log(rng.standard_exponential(self.vocab_size))
        return torch.from_numpy(noise).to(self._device)
