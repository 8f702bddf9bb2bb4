"""What do the rounds of every method take in the minutes in which they are decoded?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from engine.model import Model
from engine.sampling import Sampling
from profiler.method_rounds import time_methods
from profiler.methods import AUTOREGRESSIVE, Method


@dataclass
class MethodTimer:
    """Blocks of rounds timed one at a time between other work, contexts in turn.

    Attributes
    ----------
    target : Model
    methods : sequence of Method
        Autoregressive steps are timed beside them.
    texts : list of list of int
        Prompt material; not what is decoded meanwhile, which shall be foretold.
    contexts : tuple of int
        [tokens]
    modes : sequence of Sampling
        Samplings that are timed; others are passed over.
    seed : int
    limit : int
        Longest text that all models take. [tokens]
    every : int
        One call in so many of each sampling is timed.
    calls : Counter of str
        Calls so far by sampling label; given when earlier ones are to be continued.
    """

    target: Model
    methods: Sequence[Method]
    texts: list[list[int]]
    contexts: tuple[int, ...]
    modes: Sequence[Sampling]
    seed: int
    limit: int
    every: int = 2
    calls: Counter[str] = field(default_factory=Counter)

    def time(self, prompt: list[int], sampling: Sampling) -> pd.DataFrame | None:
        """One block at this sampling if it is due; columns of ``measurements.ROUNDS_SCHEMA``."""
        if sampling not in self.modes:
            return None
        number = self.calls[sampling.label]
        self.calls[sampling.label] += 1
        block, waits = divmod(number, self.every)
        if waits:
            return None
        text = self.texts[block % len(self.texts)] + self.texts[(block + 1) % len(self.texts)]
        return time_methods(
            self.target, [AUTOREGRESSIVE, *self.methods], text,
            self.contexts[block % len(self.contexts)], block, sampling, self.seed, self.limit,
        )  # fmt: skip
