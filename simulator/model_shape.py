"""Which sizes of a transformer decide its traffic and its arithmetic?

A frozen description of a decoder: layers, heads, widths, experts, vocabulary.
``model_config`` reads it from a Hugging Face configuration, ``known_models``
holds those of common pairs, ``roofline`` turns it into bytes and FLOP. Knows
nothing about hardware or numbers per weight.
"""

from dataclasses import dataclass

from simulator.checks import one_count
from simulator.latent_attention import LatentAttention

_AT_LEAST_ONE = ("num_layers", "hidden_size", "num_heads", "num_kv_heads", "head_dim", "vocab_size")
_AT_LEAST_ZERO = (
    "dense_layers", "intermediate_size", "num_experts", "experts_per_token", "expert_size",
    "shared_expert_size", "expert_vectors", "vector_parameters", "position_embeddings",
    "windowed_layers", "window",
)  # fmt: skip


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a decoder-only transformer.

    Attributes
    ----------
    num_layers, hidden_size, vocab_size : int, >= 1
    num_heads, num_kv_heads, head_dim : int, >= 1
        Query heads, key/value heads (fewer with grouped queries), width of a head.
    dense_layers : int, >= 0
        Layers whose feed-forward part is dense; the others hold experts.
    intermediate_size : int, >= 0
        Inner width of a dense feed-forward part.
    gated : bool
        Three feed-forward matrices (up, gate, down) instead of two.
    tied_embeddings : bool
        The output head is the embedding table.
    num_experts, experts_per_token, expert_size : int, >= 0
        Routed experts of a layer, those a token visits, their inner width.
    shared_expert_size : int, >= 0
        Inner width of the experts that every token visits, added up.
    expert_vectors : int, >= 0
        Biases of one routed expert.
    vector_parameters : int, >= 0
        Norms, biases and other vectors of the whole model but those of routed
        experts: read in every forward, multiplied by no matrix.
    position_embeddings : int, >= 0
        Learned positions (GPT-2); 0 for rotary ones.
    windowed_layers, window : int, >= 0
        Layers that attend to the last ``window`` tokens only, the token itself
        among them. [tokens]
    latent : LatentAttention, optional
        Of models whose heads share a cached latent (DeepSeek); it then rules
        attention and cache, whatever num_kv_heads and head_dim.

    Raises
    ------
    ValueError
        If a size leaves its bound or the sizes contradict each other.

    Examples
    --------
    >>> tiny = ModelShape(num_layers=2, hidden_size=8, num_heads=2, num_kv_heads=1, head_dim=4,
    ...                   dense_layers=2, intermediate_size=16, vocab_size=10)
    >>> tiny.num_parameters
    1232
    """

    num_layers: int
    hidden_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    dense_layers: int
    intermediate_size: int
    vocab_size: int
    gated: bool = True
    tied_embeddings: bool = True
    num_experts: int = 0
    experts_per_token: int = 0
    expert_size: int = 0
    shared_expert_size: int = 0
    expert_vectors: int = 0
    vector_parameters: int = 0
    position_embeddings: int = 0
    windowed_layers: int = 0
    window: int = 0
    latent: LatentAttention | None = None

    def __post_init__(self) -> None:
        for name in _AT_LEAST_ONE:
            one_count(name, getattr(self, name), 1)
        for name in _AT_LEAST_ZERO:
            one_count(name, getattr(self, name), 0)
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads must be a multiple of num_kv_heads {self.num_kv_heads},"
                f" not {self.num_heads}"
            )
        for name in ("dense_layers", "windowed_layers"):
            if getattr(self, name) > self.num_layers:
                raise ValueError(f"{name} must be <= {self.num_layers}, not {getattr(self, name)}")
        if self.expert_layers and not 1 <= self.experts_per_token <= self.num_experts:
            raise ValueError(
                f"experts_per_token must be in [1, num_experts {self.num_experts}],"
                f" not {self.experts_per_token}"
            )

    @property
    def expert_layers(self) -> int:
        """Layers whose feed-forward part is a mixture of experts."""
        return self.num_layers - self.dense_layers

    @property
    def query_width(self) -> int:
        """Width of all query heads together."""
        return self.num_heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Numbers a token leaves in the cache of one layer: keys and values, or a latent."""
        if self.latent:
            return self.latent.cache_width
        return 2 * self.num_kv_heads * self.head_dim

    @property
    def pair_width(self) -> int:
        """Multiplications of one layer's attention for one query and one key, all heads."""
        return self.num_heads * self.latent.pair_width if self.latent else 2 * self.query_width

    @property
    def projection_values(self) -> int:
        """Values that go into and come out of one layer's projections, per token."""
        if self.latent:
            return self.latent.projection_values(self.hidden_size, self.num_heads)
        return 2 * self.hidden_size + 2 * self.query_width + self.kv_width

    @property
    def feed_forward_matrices(self) -> int:
        """Matrices of a feed-forward part: 3 when gated, else 2."""
        return 3 if self.gated else 2

    @property
    def attention_parameters(self) -> int:
        """Query, key, value and output projections of one layer."""
        if self.latent:
            return self.latent.parameters(self.hidden_size, self.num_heads)
        return self.hidden_size * (2 * self.query_width + self.kv_width)

    @property
    def num_parameters(self) -> int:
        """All weights of the model, embeddings included."""
        return self._parameters(self.num_experts)

    @property
    def num_active_parameters(self) -> int:
        """Weights that take part in one token's forward, embeddings included."""
        return self._parameters(self.experts_per_token)

    @property
    def kv_values_per_token(self) -> int:
        """Numbers the cache keeps per token, all layers."""
        return self.num_layers * self.kv_width

    def _parameters(self, experts: int) -> int:
        inner = self.dense_layers * self.intermediate_size
        inner += self.expert_layers * (experts * self.expert_size + self.shared_expert_size)
        router = self.expert_layers * self.hidden_size * self.num_experts
        tables = self.vocab_size * (1 if self.tied_embeddings else 2) + self.position_embeddings
        return (
            self.num_layers * self.attention_parameters
            + self.feed_forward_matrices * self.hidden_size * inner
            + router
            + self.expert_layers * experts * self.expert_vectors
            + self.hidden_size * tables
            + self.vector_parameters
        )
