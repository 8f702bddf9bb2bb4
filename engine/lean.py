"""A lean forward for the Llama family.

Fused projections, one preallocated cache, no framework between the operators:
the same arithmetic as Transformers' Llama with a fraction of its overhead.
It is loaded from an ordinary Transformers model; that model stays the oracle
(tests/engine/test_model.py holds the two against each other).

Leaves out: sliding windows, rope types that depend on the sequence length,
quantised weights. Such models run through engine/transformers_model.py.
"""

from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from engine.cache import KVCache
from engine.masks import Layout, causal_mask

_STATIC_ROPE = {"default", "linear", "llama3"}


def supports(model: PreTrainedModel) -> bool:
    """True when this file computes exactly what the Transformers model computes."""
    config = model.config
    if config.model_type != "llama" or config.hidden_act != "silu":
        return False
    rope = getattr(config, "rope_parameters", None) or {}
    return rope.get("rope_type", "default") in _STATIC_ROPE


class _Layer:
    """Weights of one block, projections fused."""

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        parts = (attention.q_proj, attention.k_proj, attention.v_proj)
        self.qkv = torch.cat([p.weight for p in parts]).contiguous()
        self.qkv_bias = None if parts[0].bias is None else torch.cat([p.bias for p in parts])
        self.out, self.out_bias = attention.o_proj.weight, attention.o_proj.bias
        self.gate_up = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]).contiguous()
        biases = (mlp.gate_proj.bias, mlp.up_proj.bias)
        self.gate_up_bias = None if biases[0] is None else torch.cat(biases)
        self.down, self.down_bias = mlp.down_proj.weight, mlp.down_proj.bias
        self.attention_norm = layer.input_layernorm.weight
        self.mlp_norm = layer.post_attention_layernorm.weight


class LeanLlama:
    """Llama forward over a KVCache, one sequence at a time.

    Attributes
    ----------
    context : int
        Longest sequence the position table covers. [tokens]
    """

    def __init__(self, model: PreTrainedModel) -> None:
        config = model.config
        self.heads = config.num_attention_heads
        self.kv_heads = config.num_key_value_heads
        self.head_dim = config.head_dim
        self.context = config.max_position_embeddings
        self.eps = config.rms_norm_eps
        self.width = config.hidden_size
        self.embedding = model.model.embed_tokens.weight
        self.head = model.lm_head.weight
        self.norm = model.model.norm.weight
        self.layers = [_Layer(layer) for layer in model.model.layers]
        self.cos, self.sin = self._rotary_table(model)

    def _rotary_table(self, model: PreTrainedModel) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosine and sign-folded sine, each [context, 1, head_dim].

        rotate_half(x) is x rolled by half a head with its first half negated;
        the sign sits in the sine, so that one roll replaces a cat.
        """
        rotary = model.model.rotary_emb
        device = self.embedding.device
        positions = torch.arange(self.context, device=device)[None]
        cos, sin = rotary(torch.zeros(1, dtype=torch.float32, device=device), positions)
        sin[..., : self.head_dim // 2] *= -1
        dtype = self.embedding.dtype
        return cos[0, :, None].to(dtype), sin[0, :, None].to(dtype)

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
        n, past = tokens.shape[0], cache.length
        q_width, kv_width = self.heads * self.head_dim, self.kv_heads * self.head_dim
        if layout is None:
            cos, sin = self.cos[past : past + n], self.sin[past : past + n]
            mask = causal_mask(n, past, self.cos.dtype, self.cos.device) if n > 1 else None
        else:
            cos, sin, mask = self.cos[layout.positions], self.sin[layout.positions], layout.mask
        half = self.head_dim // 2
        x = F.embedding(tokens, self.embedding)  # [n, width]
        for index, layer in enumerate(self.layers):
            h = F.rms_norm(x, (self.width,), layer.attention_norm, self.eps)
            qkv = F.linear(h, layer.qkv, layer.qkv_bias)
            qk = qkv[:, : q_width + kv_width].view(n, -1, self.head_dim)
            qk = torch.addcmul(qk * cos, qk.roll(half, -1), sin)
            v = qkv[:, q_width + kv_width :].view(n, self.kv_heads, self.head_dim)
            q, k = qk[:, : self.heads], qk[:, self.heads :]
            keys, values = cache.write(index, k.transpose(0, 1)[None], v.transpose(0, 1)[None])
            h = self._attend(q, keys, values, mask)
            x = x + F.linear(h, layer.out, layer.out_bias)
            h = F.rms_norm(x, (self.width,), layer.mlp_norm, self.eps)
            gate, up = F.linear(h, layer.gate_up, layer.gate_up_bias).chunk(2, dim=-1)
            x = x + F.linear(F.silu(gate) * up, layer.down, layer.down_bias)
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
        x = F.rms_norm(x if want_features else x[first:], (self.width,), self.norm, self.eps)
        last = x[first:] if want_features else x
        return F.linear(last, self.head), x if want_features else None

    def _attend(
        self, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Attention of q [n, heads, dim] over the cache; returns [n, heads * dim]."""
        n, groups = q.shape[0], self.heads // self.kv_heads
        if groups == 1:
            out = F.scaled_dot_product_attention(q.transpose(0, 1)[None], keys, values, mask)
            return out[0].transpose(0, 1).reshape(n, -1)
        # grouped queries share keys: fold the group into the query axis
        folded = q.view(n, self.kv_heads, groups, self.head_dim).permute(1, 2, 0, 3)
        folded = folded.reshape(1, self.kv_heads, groups * n, self.head_dim)
        repeated = None if mask is None else mask.repeat(groups, 1)
        out = F.scaled_dot_product_attention(folded, keys, values, repeated)
        out = out.view(self.kv_heads, groups, n, self.head_dim).permute(2, 0, 1, 3)
        return out.reshape(n, -1)
