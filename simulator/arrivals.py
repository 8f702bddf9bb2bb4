"""Which requests come when, and how long are they?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, above, at_least, counts, one_count


@dataclass(frozen=True, eq=False)
class Requests:
    """Requests in the order of their arrival.

    Attributes
    ----------
    arrival_seconds : array [num_requests], >= 0, ascending
        [s]
    prompt_tokens : array [num_requests], >= 1
        [tokens]
    output_tokens : array [num_requests], >= 1
        Tokens each will be given, the one that prefill yields included. [tokens]

    Raises
    ------
    ValueError
        If a value leaves its bound, arrivals do not ascend, arrays differ in
        length or are empty.
    """

    arrival_seconds: FloatArray
    prompt_tokens: IntArray
    output_tokens: IntArray

    def __post_init__(self) -> None:
        arrival = at_least("arrival_seconds", self.arrival_seconds, 0)
        prompt = counts("prompt_tokens", self.prompt_tokens, 1)
        output = counts("output_tokens", self.output_tokens, 1)
        if not arrival.shape == prompt.shape == output.shape or arrival.ndim != 1:
            raise ValueError(
                f"requests differ in shape: {arrival.shape}, {prompt.shape}, {output.shape}"
            )
        if arrival.size == 0:
            raise ValueError("there must be at least 1 request, not 0")
        if (np.diff(arrival) < 0).any():
            raise ValueError("arrival_seconds must ascend")
        for name, array in (
            ("arrival_seconds", arrival),
            ("prompt_tokens", prompt),
            ("output_tokens", output),
        ):
            object.__setattr__(self, name, array)

    @property
    def number(self) -> int:
        """How many there are. [requests]"""
        return self.arrival_seconds.size


def poisson_requests(
    rate: float,
    number: int,
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    *,
    rng: np.random.Generator,
) -> Requests:
    """Requests that arrive independently of each other at a constant rate.

    Parameters
    ----------
    rate : float, > 0
        [requests/s]
    number : int, >= 1
        [requests]
    prompt_tokens, output_tokens : int or array, >= 1
        One length for all, or lengths to draw pairs from (a recorded workload:
        prompt and output of a request stay together). [tokens]
    rng : numpy.random.Generator

    Returns
    -------
    Requests

    Raises
    ------
    ValueError
        If a number leaves its bound or the lengths differ in shape.

    Examples
    --------
    >>> requests = poisson_requests(2.0, 1000, 100, 50, rng=np.random.default_rng(0))
    >>> round(requests.number / float(requests.arrival_seconds[-1]), 1)
    2.0
    """
    size = one_count("number", number, 1)
    gaps = rng.exponential(1.0 / float(above("rate", rate, 0)), size)
    prompts = np.atleast_1d(counts("prompt_tokens", prompt_tokens, 1))
    outputs = np.atleast_1d(counts("output_tokens", output_tokens, 1))
    if prompts.shape != outputs.shape:
        raise ValueError(f"lengths differ in shape: {prompts.shape} and {outputs.shape}")
    drawn = rng.integers(prompts.size, size=size)
    return Requests(np.cumsum(gaps), prompts[drawn], outputs[drawn])
