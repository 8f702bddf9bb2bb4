"""What does the simulator know about the texts? Acceptance along each of them.

One autoregressive trace of the target, the drafter's probabilities logged
beside it, cut into prompts. Knows nothing about costs or rounds.
"""

from dataclasses import dataclass

import numpy as np

from simulator.checks import FloatArray, IntArray, at_least, one_count, prompt_lengths, rates


@dataclass(frozen=True, eq=False)
class AcceptanceTrace:
    """Acceptance at every position of a set of texts.

    Attributes
    ----------
    accept_prob : array [num_positions], in [0, 1]
        min(1, q(x)/p(x)) of the emitted token x. [unitless]
    overlap : array [num_positions], in [0, 1]
        Sum of min(p, q) over the vocabulary: acceptance before x is known. [unitless]
    context : array [num_positions], >= 1
        Tokens before this one, the prompt's included. [tokens]
    lengths : array [num_prompts], >= 1
        Tokens of each prompt; they add up to num_positions. [tokens]

    Raises
    ------
    ValueError
        If the arrays differ in size or leave their bounds.
    """

    accept_prob: FloatArray
    overlap: FloatArray
    context: FloatArray
    lengths: IntArray

    def __post_init__(self) -> None:
        accept_prob = rates("accept_prob", self.accept_prob)
        overlap = rates("overlap", self.overlap)
        context = at_least("context", self.context, 1)
        if not accept_prob.shape == overlap.shape == context.shape or accept_prob.ndim != 1:
            raise ValueError(
                f"accept_prob, overlap and context differ in shape: "
                f"{accept_prob.shape}, {overlap.shape}, {context.shape}"
            )
        lengths = prompt_lengths(self.lengths, accept_prob.size)
        for name, value in (
            ("accept_prob", accept_prob),
            ("overlap", overlap),
            ("context", context),
            ("lengths", lengths),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def constant(
        cls, acceptance_rate: float, new_tokens: int, *, prompt_tokens: int = 1
    ) -> "AcceptanceTrace":
        """One text with the same acceptance everywhere: the closed form's world.

        Parameters
        ----------
        acceptance_rate : float, in [0, 1]
            [unitless]
        new_tokens, prompt_tokens : int, >= 1
            [tokens]

        Examples
        --------
        >>> AcceptanceTrace.constant(0.8, 3).context
        array([1., 2., 3.])
        """
        length = one_count("new_tokens", new_tokens, 1)
        start = one_count("prompt_tokens", prompt_tokens, 1)
        same = np.full(length, float(rates("acceptance_rate", acceptance_rate)))
        return cls(same, same, start + np.arange(length, dtype=np.float64), np.array([length]))

    @property
    def acceptance_rate(self) -> float:
        """Mean overlap over positions: alpha of the closed form. [unitless]"""
        return float(self.overlap.mean())

    @property
    def cached(self) -> FloatArray:
        """Tokens in the cache when a round starts at a position: all but the pending. [tokens]"""
        return self.context - 1.0

    @property
    def prompt_of_position(self) -> IntArray:
        """Index of the prompt each position belongs to."""
        return np.repeat(np.arange(self.lengths.size), self.lengths)

    @property
    def num_tokens(self) -> int:
        """Tokens over all prompts. [tokens]"""
        return int(self.lengths.sum())
