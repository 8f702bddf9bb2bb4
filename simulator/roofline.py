"""How many bytes and operations does a forward take, operator by operator?

Closed forms from the sizes of a model: the roofline picture before any clock
is looked at. Every function is vectorised over tokens, context and batch.
Knows nothing about time; ``stage_time`` divides by rates.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, above, at_least, counts, one_count
from simulator.model_shape import ModelShape

Some = FloatArray | float


@dataclass(frozen=True)
class Precision:
    """Bytes per stored number; 0.5 for 4-bit weights (scales left out). [bytes]

    Attributes
    ----------
    weight, kv, activation : float, > 0
        [bytes]
    """

    weight: float = 2.0
    kv: float = 2.0
    activation: float = 2.0

    def __post_init__(self) -> None:
        for name in ("weight", "kv", "activation"):
            above(name, getattr(self, name), 0)


HALF = Precision()
"""16-bit weights, cache and activations."""


@dataclass(frozen=True, eq=False)
class OperatorCost:
    """Arithmetic and traffic of an operator, or of several added up.

    Attributes
    ----------
    flop : float or array
        A multiplication and an addition are two. [FLOP]
    weight_bytes, kv_bytes, activation_bytes : float or array
        Traffic to and from memory. [bytes]
    """

    flop: FloatArray
    weight_bytes: FloatArray
    kv_bytes: FloatArray
    activation_bytes: FloatArray

    @property
    def bytes(self) -> FloatArray:
        """All traffic. [bytes]"""
        return self.weight_bytes + self.kv_bytes + self.activation_bytes

    @property
    def intensity(self) -> FloatArray:
        """Arithmetic intensity, equation (M8.1). [FLOP/byte]"""
        return self.flop / self.bytes

    def __add__(self, other: "OperatorCost") -> "OperatorCost":
        return OperatorCost(
            self.flop + other.flop,
            self.weight_bytes + other.weight_bytes,
            self.kv_bytes + other.kv_bytes,
            self.activation_bytes + other.activation_bytes,
        )

    def times(self, calls: ArrayLike) -> "OperatorCost":
        """The cost of so many calls."""
        n = np.asarray(calls, dtype=np.float64)
        return OperatorCost(
            self.flop * n, self.weight_bytes * n, self.kv_bytes * n, self.activation_bytes * n
        )


def operator_costs(
    shape: ModelShape,
    num_tokens: ArrayLike,
    context: ArrayLike,
    batch: ArrayLike = 1,
    *,
    precision: Precision = HALF,
    logit_tokens: ArrayLike | None = None,
    tensor_parallel: int = 1,
) -> dict[str, OperatorCost]:
    """Arithmetic and traffic of one forward, by operator.

    Parameters
    ----------
    shape : ModelShape
    num_tokens : int or array, >= 1
        New tokens per sequence. [tokens]
    context : float or array, >= 0
        Tokens of a sequence that are cached already; the mean over the batch
        where sequences differ. [tokens]
    batch : float or array, >= 1
        Sequences.
    precision : Precision
    logit_tokens : int or array, >= 1, optional
        Tokens per sequence whose logits are computed, all by default; 1 for
        prefill. [tokens]
    tensor_parallel : int, >= 1, dividing num_heads
        Devices that every layer is split over: costs are then of each of them.

    Returns
    -------
    dict of OperatorCost, each of the broadcast shape of the inputs
        Keys: ``projections``, ``attention``, ``kv_write``, ``feed_forward``,
        ``experts``, ``logits``, ``vectors``.

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equations (M7.2) to (M7.5) in docs/model.md. Every matrix is read once per
    forward; an expert if any token visits it (``expected_distinct_experts``).
    Attention computes all num_tokens x (context + num_tokens) scores, as
    kernels with a mask do; a causal kernel skips up to half of a prefill's.
    Scores stay on the chip. Latent attention is counted in its absorbed form
    (``LatentAttention``). Left out: FLOP of norms, rotations, softmax and
    activation functions (below 2 % for the models of the table), and intermediate
    results that kernels fuse. On several devices matrices divide, and so do heads and
    their cache while there is one for each; a shared latent and ``vectors`` do not. Whole
    inputs that every device reads are counted once. What devices tell each other is no
    traffic of a memory: ``communication_seconds``.

    Examples
    --------
    >>> from simulator.known_models import known_shape
    >>> cost = total_cost(operator_costs(known_shape("Llama-3.1-8B"), 1, 0))
    >>> round(float(cost.flop) / 1e9, 1), round(float(cost.bytes) / 1e9, 1)
    (15.0, 15.0)
    """
    new = counts("num_tokens", num_tokens, 1).astype(np.float64)
    cached, rows = at_least("context", context, 0), at_least("batch", batch, 1)
    read_out = new if logit_tokens is None else counts("logit_tokens", logit_tokens, 1)
    new, cached, rows, read_out = np.broadcast_arrays(new, cached, rows, read_out)
    share, cache_share = _shares(shape, tensor_parallel)
    tokens, hidden, layers = new * rows, shape.hidden_size, shape.num_layers
    # keys a token sees, added over layers; a window, the token in it, caps the cached ones
    keys = layers * (cached + new)
    keys = keys - shape.windowed_layers * np.maximum(cached - (shape.window - 1), 0.0)

    def cost(
        flop: Some = 0.0, weights: Some = 0.0, kv: Some = 0.0, moved: Some = 0.0
    ) -> OperatorCost:
        zero = np.zeros(tokens.shape)
        return OperatorCost(
            (zero + flop / share)[()],
            (zero + weights / share * precision.weight)[()],
            (zero + kv / cache_share * precision.kv)[()],
            (zero + moved / share * precision.activation)[()],
        )

    matrices, inner = shape.feed_forward_matrices, shape.dense_layers * shape.intermediate_size
    projections = layers * shape.attention_parameters
    through = layers * shape.projection_values
    return {
        "projections": cost(2 * tokens * projections, projections, moved=tokens * through),
        "attention": cost(
            2 * tokens * shape.pair_width * keys,
            kv=rows * keys * shape.kv_width,
            moved=tokens * shape.pair_width * layers,
        ),
        "kv_write": cost(kv=tokens * shape.kv_values_per_token),
        "feed_forward": cost(
            2 * tokens * matrices * hidden * inner,
            matrices * hidden * inner,
            moved=tokens * matrices * (hidden * shape.dense_layers + inner),
        ),
        "experts": cost(*_experts(shape, tokens)),
        "logits": cost(
            2 * rows * read_out * hidden * shape.vocab_size,
            hidden * shape.vocab_size,
            moved=rows * read_out * (hidden + shape.vocab_size),
        ),
        "vectors": cost(weights=share * (shape.vector_parameters + tokens * hidden)),
    }


def _shares(shape: ModelShape, tensor_parallel: int) -> tuple[int, int]:
    """Devices among which matrices are divided, and those among which the cache is."""
    degree = one_count("tensor_parallel", tensor_parallel, 1)
    if shape.num_heads % degree:
        raise ValueError(f"tensor_parallel must divide the {shape.num_heads} heads, not {degree}")
    return degree, 1 if shape.latent else min(degree, shape.num_kv_heads)


def _experts(shape: ModelShape, tokens: FloatArray) -> tuple[Some, Some, Some, Some]:
    """FLOP, weights read, no cache, values moved: router, routed and shared experts."""
    if not shape.expert_layers:
        return 0.0, 0.0, 0.0, 0.0
    layers, hidden = shape.expert_layers, shape.hidden_size
    router, matrices = hidden * shape.num_experts, shape.feed_forward_matrices
    per_width = matrices * hidden
    visited = shape.experts_per_token * shape.expert_size + shape.shared_expert_size
    distinct = expected_distinct_experts(shape.num_experts, shape.experts_per_token, tokens)
    loaded = distinct * shape.expert_size + shape.shared_expert_size
    visits = shape.experts_per_token + (shape.shared_expert_size > 0)
    return (
        2 * tokens * layers * (router + per_width * visited),
        layers * (router + per_width * loaded + distinct * shape.expert_vectors),
        0.0,
        tokens * layers * matrices * (visits * hidden + visited),
    )


def total_cost(costs: Mapping[str, OperatorCost]) -> OperatorCost:
    """All operators added up.

    Raises ValueError if there is none.
    """
    if not costs:
        raise ValueError("a total needs at least 1 operator, not 0")
    first, *others = costs.values()
    return sum(others, start=first)


def expected_distinct_experts(
    num_experts: ArrayLike, experts_per_token: ArrayLike, num_tokens: ArrayLike
) -> FloatArray:
    """Mean number of experts that at least one of some tokens visits.

    Parameters
    ----------
    num_experts : int or array, >= 1
    experts_per_token : int or array, in [1, num_experts]
        Different experts each token visits.
    num_tokens : float or array, >= 0
        Over all sequences of a batch. [tokens]

    Returns
    -------
    float or array, broadcast shape of the inputs
        [experts]

    Raises
    ------
    ValueError
        If an argument leaves its bounds.

    Notes
    -----
    Equation (M7.5) in docs/model.md; section 3 of [1]_. Assumes that tokens
    choose independently and that no expert is preferred. Real routers prefer
    some experts, and neighbouring tokens choose alike, so the number is an
    upper bound in practice; placing experts on several devices is left out.

    References
    ----------
    .. [1] Z. Huang et al., "MoESD: Unveil Speculative Decoding's Potential for
       Accelerating Sparse MoE", arXiv:2505.19645.

    Examples
    --------
    >>> expected_distinct_experts(256, 8, [1, 2, 4, 8]).round(1)
    array([ 8. , 15.8, 30.5, 57.4])
    """
    experts = counts("num_experts", num_experts, 1)
    visited = counts("experts_per_token", experts_per_token, 1)
    tokens = at_least("num_tokens", num_tokens, 0)
    if (visited > experts).any():
        raise ValueError(
            f"experts_per_token must be <= num_experts {int(experts.flat[0])},"
            f" not {int(visited.max())}"
        )
    return (experts * (1.0 - (1.0 - visited / experts) ** tokens))[()]
