"""What does multi-head latent attention multiply, and what does it keep?

Keys and values of all heads are one projection of a short latent vector, and
the latent alone is cached (DeepSeek-V2). Counted in the absorbed form of
decoding kernels: the projection from the latent is applied to the queries and
to the attended latents, never to the cache. Knows nothing about layers,
experts or bytes.
"""

from dataclasses import dataclass, fields

from simulator.checks import one_count


@dataclass(frozen=True)
class LatentAttention:
    """Sizes of multi-head latent attention.

    Attributes
    ----------
    query_rank : int, >= 0
        Width of the compressed query (``q_lora_rank``); 0 where queries are
        projected directly.
    latent_size : int, >= 1
        Width of the latent that stands for keys and values (``kv_lora_rank``).
    rotary_size : int, >= 1
        Width of the one rotary key all heads share, and of the rotary part of
        a query head (``qk_rope_head_dim``).
    plain_size, value_size : int, >= 1
        Width of a query or key head without its rotary part
        (``qk_nope_head_dim``), and of a value head (``v_head_dim``).

    Raises
    ------
    ValueError
        If a size leaves its bound.

    Notes
    -----
    Equation (M7.9) in docs/model.md; section 2.1 of [1]_. Per query and key the absorbed form takes
    2 latent_size + rotary_size multiplications a head, the expanded one
    plain_size + rotary_size + value_size: decoding reads the short cache and
    multiplies more. Kernels expand for a long prefill, whose attention this
    overstates by that ratio (3.4 for DeepSeek's sizes).

    References
    ----------
    .. [1] DeepSeek-AI, "DeepSeek-V2: A Strong, Economical, and Efficient
       Mixture-of-Experts Language Model", arXiv:2405.04434.

    Examples
    --------
    >>> v3 = LatentAttention(1536, latent_size=512, rotary_size=64, plain_size=128, value_size=128)
    >>> v3.cache_width, v3.parameters(hidden_size=7168, num_heads=128)
    (576, 187105280)
    """

    query_rank: int
    latent_size: int
    rotary_size: int
    plain_size: int
    value_size: int

    def __post_init__(self) -> None:
        for field in fields(self):
            one_count(field.name, getattr(self, field.name), 0 if field.name == "query_rank" else 1)

    @property
    def query_size(self) -> int:
        """Width of a query head."""
        return self.plain_size + self.rotary_size

    @property
    def cache_width(self) -> int:
        """Numbers the cache keeps per token and layer."""
        return self.latent_size + self.rotary_size

    @property
    def pair_width(self) -> int:
        """Multiplications per head for one query and one key, values included."""
        return 2 * self.latent_size + self.rotary_size

    def parameters(self, hidden_size: int, num_heads: int) -> int:
        """Weights of all projections of one layer, norms aside."""
        queries = num_heads * self.query_size
        rank = self.query_rank
        query = rank * (hidden_size + queries) if rank else hidden_size * queries
        latent = hidden_size * self.cache_width
        expand = self.latent_size * num_heads * (self.plain_size + self.value_size)
        return query + latent + expand + num_heads * self.value_size * hidden_size

    def projection_values(self, hidden_size: int, num_heads: int) -> int:
        """Values that go into and come out of one layer's projections, per token."""
        heads = self.query_size + self.plain_size + 2 * self.latent_size + 2 * self.value_size
        return 2 * hidden_size + 2 * self.query_rank + self.cache_width + num_heads * heads
