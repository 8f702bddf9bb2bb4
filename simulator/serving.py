"""When does speculation still pay as the batch or the context grows?

Chain drafting for a synchronous batch: all sequences of a batch draft together
and are verified in one forward. Times come from rooflines of target and draft
(``stage_time``), tokens per round from whatever law the caller has.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, at_least, counts, one_count, rates
from simulator.stage_time import StageTime


@dataclass(frozen=True, eq=False)
class Server:
    """A target, its draft and the host, on one machine.

    Attributes
    ----------
    target, draft : StageTime
    host_seconds : float, >= 0
        Per round or step: scheduling, choosing, verifying, committing. [s]
    draft_window : int, optional
        Tokens the draft keeps in its cache, all by default. With the target
        itself as the draft this is sparse self-speculation. [tokens]

    Raises
    ------
    ValueError
        If a number leaves its bound.
    """

    target: StageTime
    draft: StageTime
    host_seconds: float = 0.0
    draft_window: int | None = None

    def __post_init__(self) -> None:
        at_least("host_seconds", self.host_seconds, 0)
        if self.draft_window is not None:
            one_count("draft_window", self.draft_window, 1)

    def step_seconds(self, context: ArrayLike, batch: ArrayLike) -> FloatArray:
        """Time of an autoregressive step of the whole batch. [s]"""
        return self.target.seconds(1, context, batch) + self.host_seconds

    def round_seconds(
        self, num_draft_tokens: ArrayLike, context: ArrayLike, batch: ArrayLike
    ) -> FloatArray:
        """Time of a round of the whole batch, equation (M11.1). [s]

        A round without drafts is an autoregressive step. Raises ValueError if
        an argument leaves its bounds.
        """
        gamma = counts("num_draft_tokens", num_draft_tokens, 0)
        cached = at_least("context", context, 0)
        seen = cached + np.maximum(gamma - 1, 0) / 2.0
        if self.draft_window is not None:
            seen = np.minimum(seen, self.draft_window)
        drafting = gamma * self.draft.seconds(1, seen, batch)
        return drafting + self.target.seconds(gamma + 1, cached, batch) + self.host_seconds


def serving_speedup(
    server: Server,
    num_draft_tokens: ArrayLike,
    mean_emitted: ArrayLike,
    context: ArrayLike,
    batch: ArrayLike = 1,
) -> FloatArray:
    """Tokens per second of a batch that speculates over one that does not.

    Parameters
    ----------
    server : Server
    num_draft_tokens : int or array, >= 0
        [tokens]
    mean_emitted : float or array, >= 1
        Of each sequence. [tokens/round]
    context : float or array, >= 0
        Mean over the batch. [tokens]
    batch : float or array, >= 1
        Sequences.

    Returns
    -------
    float or array, broadcast shape of the inputs
        [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M11.2) in docs/model.md; the form of [1]_, section 3. Sequences
    accept independently and each moves on by its own tokens; what they share
    is the time of the round. An engine that moves all sequences on by the
    shortest emits ``mean_emitted_lockstep`` instead. Left out: waiting for
    arrivals (``load``), padding to fixed shapes.

    References
    ----------
    .. [1] J. Chen et al., "MagicDec: Breaking the Latency-Throughput Tradeoff
       for Long Context Generation with Speculative Decoding", arXiv:2408.11049.

    Examples
    --------
    >>> from simulator.hardware import known_hardware
    >>> from simulator.known_models import known_shape
    >>> from simulator.stage_time import assumed_stage_time
    >>> card = known_hardware("H100-SXM")
    >>> server = Server(assumed_stage_time(known_shape("Llama-3.1-8B"), card, "bfloat16"),
    ...                 assumed_stage_time(known_shape("Llama-3.2-1B"), card, "bfloat16"))
    >>> serving_speedup(server, 4, 3.36, 1000, [1, 32, 256]).round(2)
    array([2.02, 1.77, 1.17])
    """
    tau = at_least("mean_emitted", mean_emitted, 1)
    step = server.step_seconds(context, batch)
    return np.asarray(tau * step / server.round_seconds(num_draft_tokens, context, batch))[()]


def mean_emitted_lockstep(hazards: ArrayLike, batch: ArrayLike) -> FloatArray:
    """Mean tokens of a round in which all sequences move on by the shortest.

    Parameters
    ----------
    hazards : array [num_draft_tokens], in [0, 1]
        Acceptance by draft position, given that it is reached. [unitless]
    batch : int or array, >= 1
        Sequences.

    Returns
    -------
    float or array, shape of batch
        [tokens/round]

    Raises
    ------
    ValueError
        If a hazard is outside [0, 1] or batch is below 1.

    Notes
    -----
    Equation (M11.3) in docs/model.md: all sequences keep j drafts with
    probability G_j to the power of the batch, if they accept independently.

    Examples
    --------
    >>> mean_emitted_lockstep([0.8] * 4, [1, 8, 64]).round(2)
    array([3.36, 1.2 , 1.  ])
    """
    rows = counts("batch", batch, 1)
    each = rates("hazards", hazards)
    if each.ndim != 1:
        raise ValueError(f"hazards must have one dimension, not {each.ndim}")
    survival = np.cumprod(np.append(1.0, each))
    return (survival ** rows[..., None]).sum(axis=-1)[()]
