"""What is kept of one decode?"""

from dataclasses import dataclass

from engine.sampling import Sampling
from profiler.methods import Method


@dataclass(frozen=True)
class Run:
    """One decode of one prompt.

    Attributes
    ----------
    prompt, repeat : int
    sampling : Sampling
    method : Method
    tokens : tuple of int
    provenance : tuple of str
        One entry per token; see ``engine.events``.
    num_rounds : int
    num_accepted : int
        Over all rounds. [tokens]
    num_drafted : int
        Over all rounds. [tokens]
    seconds, prefill_seconds : float
        Decoding proper and prompt. [s]
    stage_seconds : dict
        Per stage, summed over rounds; what they leave of ``seconds`` is unexplained. [s]
    """

    prompt: int
    repeat: int
    sampling: Sampling
    method: Method
    tokens: tuple[int, ...]
    provenance: tuple[str, ...]
    num_rounds: int
    num_accepted: int
    num_drafted: int
    seconds: float
    prefill_seconds: float
    stage_seconds: dict[str, float]
