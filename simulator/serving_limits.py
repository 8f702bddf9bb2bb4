"""How far does speculation pay: up to which batch, from which context, with how many drafts?

Searches over ``serving.serving_speedup``, and what memory allows. Every
candidate is looked at, because the speedup rises and falls more than once.
"""

import numpy as np
from numpy.typing import ArrayLike

from simulator.acceptance import expected_emitted_from_hazards
from simulator.checks import IntArray, at_least, one_count, rates
from simulator.hardware import Hardware
from simulator.model_shape import ModelShape
from simulator.roofline import HALF, Precision
from simulator.serving import Server, serving_speedup


def best_schedule(
    server: Server,
    hazards: ArrayLike,
    context: float,
    max_batch: int,
) -> IntArray:
    """Number of draft tokens with the highest throughput, for every batch.

    Parameters
    ----------
    server : Server
    hazards : array [max_draft_tokens], in [0, 1]
        Acceptance by draft position; its length is the largest number tried.
        [unitless]
    context : float, >= 0
        [tokens]
    max_batch : int, >= 1
        Sequences.

    Returns
    -------
    array [max_batch]
        Entry b - 1 holds for b sequences; 0 where speculation loses. [tokens]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Maximises (M11.2) in docs/model.md.

    Examples
    --------
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> from simulator.stage_time import assumed_stage_time
    >>> card = known_hardware("H100-SXM")
    >>> server = Server(assumed_stage_time(known_shape("Llama-3.1-8B"), card, "bfloat16"),
    ...                 assumed_stage_time(known_shape("Llama-3.2-1B"), card, "bfloat16"))
    >>> best_schedule(server, [0.7] * 6, 500, 256)[[0, 15, 63, 255]]
    array([3, 3, 2, 1])
    """
    each = rates("hazards", hazards)
    gammas = np.arange(each.size + 1)
    tau = np.array([expected_emitted_from_hazards(each[:g]) for g in gammas])
    batch = np.arange(1, one_count("max_batch", max_batch, 1) + 1)
    gains = serving_speedup(server, gammas[:, None], tau[:, None], context, batch)
    return np.argmax(gains, axis=0).astype(np.int64)


def break_even_batch(
    server: Server,
    num_draft_tokens: int,
    mean_emitted: float,
    context: float,
    *,
    max_batch: int = 4096,
) -> int | None:
    """Smallest batch at which speculation no longer pays.

    Parameters
    ----------
    server, num_draft_tokens, mean_emitted, context
        As in ``serving_speedup``.
    max_batch : int, >= 1
        Largest batch looked at; memory may end long before (``fitting_batch``).

    Returns
    -------
    int or None
        None if speculation pays up to max_batch. [sequences]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Where (M11.2) in docs/model.md first falls below 1. Every batch is looked
    at, because the speedup need not fall steadily: with a long context it
    rises again.
    """
    batches = np.arange(1, one_count("max_batch", max_batch, 1) + 1)
    gains = serving_speedup(server, num_draft_tokens, mean_emitted, context, batches)
    lost = np.flatnonzero(gains < 1.0)
    return int(batches[lost[0]]) if lost.size else None


def break_even_context(
    server: Server,
    num_draft_tokens: int,
    mean_emitted: float,
    batch: float,
    *,
    max_context: int = 131_072,
) -> int | None:
    """Context from which on speculation pays at a batch.

    Parameters
    ----------
    server, num_draft_tokens, mean_emitted, batch
        As in ``serving_speedup``.
    max_context : int, >= 0
        Longest context looked at. [tokens]

    Returns
    -------
    int or None
        0 if it pays at any context, None if it does not at max_context. [tokens]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    The last context at which (M11.2) in docs/model.md lies below 1, plus one:
    beyond it reading the cache outweighs the arithmetic of verification, which
    [1]_ calls the inflection.

    References
    ----------
    .. [1] J. Chen et al., arXiv:2408.11049, section 3.
    """
    contexts = np.arange(one_count("max_context", max_context, 0) + 1)
    gains = serving_speedup(server, num_draft_tokens, mean_emitted, contexts, batch)
    lost = np.flatnonzero(gains < 1.0)
    if lost.size and lost[-1] == max_context:
        return None
    return int(lost[-1]) + 1 if lost.size else 0


def fitting_batch(
    hardware: Hardware, shapes: list[ModelShape], context: float, precision: Precision = HALF
) -> int:
    """Largest batch whose weights and caches fit into memory.

    Parameters
    ----------
    hardware : Hardware
    shapes : list of ModelShape
        All models that are resident; one for plain decoding.
    context : float, >= 0
        Tokens kept per sequence at its longest. [tokens]
    precision : Precision

    Returns
    -------
    int
        0 if the weights alone do not fit. [sequences]

    Raises
    ------
    ValueError
        If context is negative.

    Notes
    -----
    Equation (M11.4) in docs/model.md. Leaves out workspace and fragmentation.

    Examples
    --------
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> card, target = known_hardware("H100-SXM"), known_shape("Llama-3.1-8B")
    >>> fitting_batch(card, [target], 8000), fitting_batch(card, [target], 128_000)
    (66, 4)
    """
    kept = float(at_least("context", context, 0))
    free = hardware.memory - precision.weight * sum(s.num_parameters for s in shapes)
    per_row = precision.kv * max(kept, 1.0) * sum(s.kv_values_per_token for s in shapes)
    return max(int(free // per_row), 0)
