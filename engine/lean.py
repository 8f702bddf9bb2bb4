"""The lean forward: what its model families share.

Fused projections in the layout the machine likes (engine/linear.py), one
preallocated cache, no framework between the operators: the same arithmetic as
Transformers' with a fraction of its overhead. A lean model is loaded from an
ordinary Transformers model; that model stays the oracle
(tests/engine/test_lean.py holds the two against each other) and runs through
engine/transformers_model.py where a family file does not support it.
"""

from typing import Protocol

import torch
from transformers import PreTrainedModel

from engine.attention import CachedAttention
from engine.batch_cache import BatchStep
from engine.cache import KVCache
from engine.linear import Linear
from engine.masks import Layout, causal_mask


class Attention(Protocol):
    """How a layer's new tokens see a cache."""

    dtype: torch.dtype

    def __call__(
        self, layer: int, q: torch.Tensor, kv: torch.Tensor, scale: float | None = None
    ) -> torch.Tensor:
        """Write kv [n, 2, kv_heads, dim], attend with q [n, heads, dim]: [n, heads * dim]."""
        ...


class Lean:
    """A decoder over a KVCache; families supply ``blocks`` and ``norm``.

    The Transformers model's weights must not change later: some are copied.

    Attributes
    ----------
    context : int
        Longest sequence the positions cover. [tokens]
    cache_dtype : torch.dtype
        Of the cache and of logits. On a CPU float32 whatever the weights:
        in bfloat16 attention takes 1.3 to 6 times as long there, and choosing
        the largest logit 4 times. Elsewhere that of the weights.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        head = model.get_output_embeddings()
        self.head = Linear(head.weight, head.bias)
        self.embedding = model.get_input_embeddings().weight.detach()
        self.context: int = model.config.max_position_embeddings
        on_cpu = self.embedding.device.type == "cpu"
        self.cache_dtype = torch.float32 if on_cpu else self.embedding.dtype

    def blocks(
        self, tokens: torch.Tensor, positions: slice | torch.Tensor, attention: Attention
    ) -> torch.Tensor:
        """Hidden states [num_tokens, width] of tokens [num_tokens], before the final norm.

        ``positions`` picks their rows from a table over all positions.
        """
        raise NotImplementedError

    def norm(self, x: torch.Tensor) -> torch.Tensor:
        """The final norm."""
        raise NotImplementedError

    def hidden(
        self, tokens: torch.Tensor, cache: KVCache, layout: Layout | None = None
    ) -> torch.Tensor:
        """Append tokens to the cache; hidden states in front of the final norm.

        Parameters
        ----------
        tokens : torch.Tensor [num_tokens], int64
        cache : KVCache
        layout : Layout, optional
            Positions and mask; by default each token sees all before it.

        Returns
        -------
        torch.Tensor [num_tokens, width]
        """
        n, past, dtype = tokens.shape[0], cache.length, cache.keys.dtype
        positions: slice | torch.Tensor
        if layout is None:
            positions = slice(past, past + n)
            mask = causal_mask(n, past, dtype, tokens.device) if n > 1 else None
        else:
            positions, mask = layout.positions, layout.mask.to(dtype)
        x = self.blocks(tokens, positions, CachedAttention(cache, n, mask))
        cache.advance(n)
        return x

    def forward(
        self,
        tokens: torch.Tensor,
        cache: KVCache,
        num_logits: int,
        layout: Layout | None = None,
        want_features: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Append tokens to the cache; see ``engine.model.Forward``."""
        x = self.hidden(tokens, cache, layout)
        first = x.shape[0] - num_logits
        if not want_features:
            return self.logits(self.norm(x[first:])), None
        features = self.norm(x)
        return self.logits(features[first:]), features

    def forward_batch(self, tokens: torch.Tensor, step: BatchStep) -> torch.Tensor:
        """Logits [rows, n, vocab] of tokens [rows, n]; see ``engine.model.Forward``."""
        # padding may stand behind the last position there is
        positions = step.positions.clamp(max=self.context - 1).flatten()
        x = self.blocks(tokens.flatten(), positions, step)
        return self.logits(self.norm(x)).view(*tokens.shape, -1)

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Logits [num_tokens, vocab], in the cache's dtype, of what is behind the final norm."""
        return self.head(features).to(self.cache_dtype)
