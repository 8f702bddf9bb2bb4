"""How fast, and how small, must a draft model be for a wanted speedup?

From a target's stage time and an acceptance that is taken as given: seconds per
draft call, weights that can be read in them, and layers of a model family.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import above, at_least, one_count
from simulator.model_shape import ModelShape
from simulator.optimise import CANDIDATES
from simulator.required_rates import mean_emitted
from simulator.requirement import Requirement, draft_candidates
from simulator.serving import Server, serving_speedup
from simulator.stage_time import StageTime


def required_draft_seconds(
    target: StageTime,
    acceptance: ArrayLike,
    wanted_speedup: float = 1.0,
    candidates: Iterable[int] = CANDIDATES,
    *,
    context: float = 0.0,
    batch: float = 1.0,
    host_seconds: float = 0.0,
) -> Requirement:
    """Most that one draft call may take for a wanted speedup.

    Parameters
    ----------
    target : StageTime
    acceptance : float or array [>= max(candidates)], in [0, 1]
        Constant, or by draft position. [unitless]
    wanted_speedup : float, > 0
        [unitless]
    candidates : iterable of int, >= 1
        [tokens]
    context : float, >= 0
        [tokens]
    batch : float, >= 1
        Sequences.
    host_seconds : float, >= 0
        Per round or step. [s]

    Returns
    -------
    Requirement
        Of ``draft_seconds``; 0 where not even a free draft is enough. [s]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M12.10) in docs/model.md, (M11.2) solved for the draft's time.

    Examples
    --------
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> from simulator.stage_time import assumed_stage_time
    >>> card = known_hardware("H100-SXM")
    >>> target = assumed_stage_time(known_shape("Llama-3.1-8B"), card, "bfloat16")
    >>> required_draft_seconds(target, 0.8, 2.0).reachable
    True
    """
    wanted = float(above("wanted_speedup", wanted_speedup, 0))
    host = float(at_least("host_seconds", host_seconds, 0))
    gammas = draft_candidates(candidates)
    tau = mean_emitted(acceptance, gammas)
    step = target.seconds(1, context, batch) + host
    others = target.seconds(gammas + 1, context, batch) + host
    allowed = (tau * step / wanted - others) / gammas
    reachable = bool(allowed.max() >= 0)
    value = max(float(allowed.max()), 0.0)
    speedups = tau * step / (others + gammas * value)
    chosen = int(np.argmax(allowed if reachable else speedups))
    return Requirement(
        "draft_seconds", wanted, reachable, value, int(gammas[chosen]), float(speedups[chosen])
    )


def readable_parameters(
    seconds: float, bandwidth: float, bytes_per_weight: float = 2.0, overhead_seconds: float = 0.0
) -> float:
    """Weights that can be read in a time: no draft that reads more is that fast.

    Parameters
    ----------
    seconds : float, >= 0
        Of one forward. [s]
    bandwidth : float, > 0
        Reached, not the peak. [bytes/s]
    bytes_per_weight : float, > 0
        [bytes]
    overhead_seconds : float, >= 0
        What a forward takes beside traffic. [s]

    Returns
    -------
    float
        0 where the overhead alone takes longer. [weights]

    Raises
    ------
    ValueError
        If a number leaves its bound.

    Notes
    -----
    Equation (M12.11) in docs/model.md. A bound whatever the shape: cache,
    activations and arithmetic come on top.

    Examples
    --------
    >>> readable_parameters(0.001, 1e12, overhead_seconds=0.0005)
    250000000.0
    """
    left = float(at_least("seconds", seconds, 0))
    left -= float(at_least("overhead_seconds", overhead_seconds, 0))
    rate = float(above("bandwidth", bandwidth, 0))
    return max(left, 0.0) * rate / float(above("bytes_per_weight", bytes_per_weight, 0))


def largest_draft(
    server: Server,
    acceptance: ArrayLike,
    wanted_speedup: float = 1.0,
    candidates: Iterable[int] = CANDIDATES,
    *,
    context: float = 0.0,
    batch: float = 1.0,
) -> Requirement:
    """Largest draft of a family, by number of layers, that reaches a wanted speedup.

    Parameters
    ----------
    server : Server
        Its draft gives the family: every size but the number of layers, and
        what a forward reaches on the machine.
    acceptance, wanted_speedup, candidates, context, batch
        As in ``required_draft_seconds``.

    Returns
    -------
    Requirement
        Of ``draft_parameters``, embeddings included; one layer's where even
        that is too slow. Looks at up to as many layers as the target has.
        [weights]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M11.2) in docs/model.md for each number of layers. Acceptance is
    taken as given, whatever the size: read it as what the draft has to be
    trained to at that size.

    Examples
    --------
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> from simulator.stage_time import assumed_stage_time
    >>> card = known_hardware("H100-SXM")
    >>> server = Server(assumed_stage_time(known_shape("Llama-3.1-8B"), card, "bfloat16"),
    ...                 assumed_stage_time(known_shape("Llama-3.2-1B"), card, "bfloat16"))
    >>> largest_draft(server, 0.8, 4.0, context=500).reachable
    False
    """
    wanted = float(above("wanted_speedup", wanted_speedup, 0))
    gammas = draft_candidates(candidates)
    tau = mean_emitted(acceptance, gammas)

    def answer(layers: int) -> Requirement:
        shape = with_layers(server.draft.shape, layers)
        mine = replace(server, draft=replace(server.draft, shape=shape))
        gains = serving_speedup(mine, gammas, tau, context, batch)
        chosen = int(np.argmax(gains))
        return Requirement(
            "draft_parameters",
            wanted,
            bool(gains[chosen] >= wanted),
            float(shape.num_parameters),
            int(gammas[chosen]),
            float(gains[chosen]),
        )

    best = answer(1)
    for layers in range(2, server.target.shape.num_layers + 1):
        larger = answer(layers)
        if not larger.reachable:  # each layer adds time, so none beyond is fast enough
            break
        best = larger
    return best


def with_layers(shape: ModelShape, num_layers: int) -> ModelShape:
    """The same shape with another number of layers, parts of layers in proportion.

    Raises ValueError if num_layers is below 1.

    Examples
    --------
    >>> from simulator.known_models import known_shape
    >>> half = with_layers(known_shape("Llama-3.2-1B"), 8)
    >>> half.num_layers, round(half.num_parameters / 1e6)
    (8, 749)
    """
    wanted = one_count("num_layers", num_layers, 1)
    share = wanted / shape.num_layers
    return replace(
        shape,
        num_layers=wanted,
        dense_layers=round(shape.dense_layers * share),
        windowed_layers=round(shape.windowed_layers * share),
        vector_parameters=round(shape.vector_parameters * share),
    )
