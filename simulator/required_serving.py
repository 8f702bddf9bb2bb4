"""Up to which batch, and from which context on, does speculation reach a wanted speedup?

The searches of ``serving_limits`` with the number of draft tokens free, for any
wish, and with an answer where there is none.
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, IntArray, above, one_count, rates
from simulator.required_rates import mean_emitted
from simulator.requirement import Requirement
from simulator.serving import Server, serving_speedup


def largest_batch(
    server: Server,
    hazards: ArrayLike,
    context: float,
    wanted_speedup: float = 1.0,
    *,
    max_batch: int = 1024,
) -> Requirement:
    """Batch up to which the best number of drafts reaches a wanted speedup.

    Parameters
    ----------
    server : Server
    hazards : array [max_draft_tokens], in [0, 1]
        Acceptance by draft position; its length is the largest number tried.
        [unitless]
    context : float, >= 0
        [tokens]
    wanted_speedup : float, > 0
        [unitless]
    max_batch : int, >= 1
        Largest batch looked at; memory may end long before (``fitting_batch``).

    Returns
    -------
    Requirement
        Of ``batch``: the end of the first run of batches that reach the wish;
        where none does, the batch of the highest speedup. [sequences]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M12.9) in docs/model.md. Every batch is looked at, because the
    speedup need not fall steadily.

    Examples
    --------
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> from simulator.stage_time import assumed_stage_time
    >>> card = known_hardware("H100-SXM")
    >>> server = Server(assumed_stage_time(known_shape("Llama-3.1-8B"), card, "bfloat16"),
    ...                 assumed_stage_time(known_shape("Llama-3.2-1B"), card, "bfloat16"))
    >>> largest_batch(server, [0.7] * 6, 500, 3.0).reachable
    False
    """
    wanted = float(above("wanted_speedup", wanted_speedup, 0))
    batches = np.arange(1, one_count("max_batch", max_batch, 1) + 1)
    gains, drafts = _best(server, hazards, context, batches)
    enough = np.flatnonzero(gains >= wanted)
    if enough.size == 0:
        return _answer("batch", wanted, batches, gains, drafts, int(np.argmax(gains)))
    short = np.flatnonzero(gains[enough[0] :] < wanted)
    end = int(enough[0] + short[0]) - 1 if short.size else batches.size - 1
    return _answer("batch", wanted, batches, gains, drafts, end)


def shortest_context(
    server: Server,
    hazards: ArrayLike,
    batch: float,
    wanted_speedup: float = 1.0,
    *,
    max_context: int = 32_768,
) -> Requirement:
    """Context from which on the best number of drafts reaches a wanted speedup.

    Parameters
    ----------
    server, hazards, wanted_speedup
        As in ``largest_batch``.
    batch : float, >= 1
        Sequences.
    max_context : int, >= 0
        Longest context looked at. [tokens]

    Returns
    -------
    Requirement
        Of ``context``: 0 if it is reached at any context; where it is not at
        max_context, the context of the highest speedup. [tokens]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M12.9) in docs/model.md: one more than the last context that
    falls short.
    """
    wanted = float(above("wanted_speedup", wanted_speedup, 0))
    contexts = np.arange(one_count("max_context", max_context, 0) + 1)
    gains, drafts = _best(server, hazards, contexts, batch)
    short = np.flatnonzero(gains < wanted)
    at = int(short[-1]) + 1 if short.size else 0
    if at == contexts.size:
        beyond = np.where(gains < wanted, gains, -np.inf)  # a run that ended is no answer
        return _answer("context", wanted, contexts, gains, drafts, int(np.argmax(beyond)))
    return _answer("context", wanted, contexts, gains, drafts, at)


def _best(
    server: Server, hazards: ArrayLike, context: ArrayLike, batch: ArrayLike
) -> tuple[FloatArray, IntArray]:
    """Highest speedup over 1 ... len(hazards) drafts, and the number that gives it."""
    each = np.atleast_1d(rates("hazards", hazards))
    gammas = np.arange(1, one_count("number of hazards", each.size, 1) + 1)
    # one number of drafts at a time: long ranges of contexts would not fit into memory together
    gains = np.array(
        [
            serving_speedup(server, int(gamma), tau, context, batch)
            for gamma, tau in zip(gammas, mean_emitted(each, gammas), strict=True)
        ]
    )
    return gains.max(axis=0), gammas[np.argmax(gains, axis=0)]


def _answer(
    quantity: str, wanted: float, values: IntArray, gains: FloatArray, drafts: IntArray, at: int
) -> Requirement:
    return Requirement(
        quantity,
        wanted,
        bool(gains[at] >= wanted),
        float(values[at]),
        int(drafts[at]),
        float(gains[at]),
    )
