"""A lean forward for the Llama family.

Leaves out: sliding windows, rope types that depend on the sequence length,
quantised weights. Such models run through engine/transformers_model.py.
"""

from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from engine.lean import Attention, Lean
from engine.linear import Linear

_STATIC_ROPE = {"default", "linear", "llama3"}


class LeanLlama(Lean):
    """Llama over a KVCache; see ``Lean``."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        config = model.config
        self.heads = config.num_attention_heads
        self.kv_heads = config.num_key_value_heads
        self.head_dim = config.head_dim
        self.final_norm = _RMSNorm(model.model.norm)
        self.layers = [_Layer(layer) for layer in model.model.layers]
        self.cos, self.sin = self._rotary_table(model)

    @staticmethod
    def supports(model: PreTrainedModel) -> bool:
        """True when this file computes exactly what the Transformers model computes."""
        config = model.config
        if config.model_type != "llama" or config.hidden_act != "silu":
            return False
        rope = getattr(config, "rope_parameters", None) or {}
        return rope.get("rope_type", "default") in _STATIC_ROPE

    def _rotary_table(self, model: PreTrainedModel) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosine and sign-folded sine, each [context, 1, head_dim], in the cache's dtype.

        rotate_half(x) is x rolled by half a head with its first half negated;
        the sign sits in the sine, so that one roll replaces a cat.
        """
        rotary = model.model.rotary_emb
        device = self.embedding.device
        positions = torch.arange(self.context, device=device)[None]
        cos, sin = rotary(torch.zeros(1, dtype=torch.float32, device=device), positions)
        sin[..., : self.head_dim // 2] *= -1
        return cos[0, :, None].to(self.cache_dtype), sin[0, :, None].to(self.cache_dtype)

    def norm(self, x: torch.Tensor) -> torch.Tensor:
        """The final norm."""
        return self.final_norm(x)

    def blocks(
        self, tokens: torch.Tensor, positions: slice | torch.Tensor, attention: Attention
    ) -> torch.Tensor:
        """All layers; see ``Lean.blocks``."""
        n, dim, half = tokens.shape[0], self.head_dim, self.head_dim // 2
        q_width = self.heads * dim
        rotated_width = q_width + self.kv_heads * dim
        cos, sin = self.cos[positions], self.sin[positions]
        x = F.embedding(tokens, self.embedding)
        for index, layer in enumerate(self.layers):
            h = layer.attention_norm(x)
            qkv = layer.qkv(h).to(attention.dtype)
            qk = qkv[:, :rotated_width].view(n, -1, dim)
            turned = qk.roll(half, -1)
            qk.mul_(cos).addcmul_(turned, sin)
            q = qkv[:, :q_width].view(n, self.heads, dim)
            kv = qkv[:, q_width:].view(n, 2, self.kv_heads, dim)
            h = attention(index, q, kv).to(x.dtype)
            x = layer.out.plus(x, h)
            h = layer.mlp_norm(x)
            gate, up = layer.gate_up(h).chunk(2, dim=-1)
            x = layer.down.plus(x, F.silu(gate).mul_(up))
        return x


class _Layer:
    """Weights of one block, projections fused."""

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.qkv = _fused(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = _fused(attention.o_proj)
        self.gate_up = _fused(mlp.gate_proj, mlp.up_proj)
        self.down = _fused(mlp.down_proj)
        self.attention_norm = _RMSNorm(layer.input_layernorm)
        self.mlp_norm = _RMSNorm(layer.post_attention_layernorm)


def _fused(*parts: torch.nn.Linear) -> Linear:
    """Several projections of one input as one."""
    bias = None if parts[0].bias is None else torch.cat([part.bias for part in parts])
    return Linear(torch.cat([part.weight for part in parts]), bias)


class _RMSNorm:
    """x [tokens, width] over its root mean square, times weight [width].

    On a CPU torch's own operator runs nine others in turn; here they are five.
    """

    def __init__(self, norm: Any) -> None:
        self.weight, self.eps = norm.weight.detach(), norm.variance_epsilon
        self.width = self.weight.shape[0]
        self.in_steps = self.weight.device.type == "cpu" and self.weight.dtype != torch.float64
        self.eps_tensor = torch.full((1, 1), self.eps)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if not self.in_steps:
            return F.rms_norm(x, (self.width,), self.weight, self.eps)
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = torch.addcmul(self.eps_tensor, norm, norm, value=1 / self.width).rsqrt_()
        return torch.mul(x, scale, out=torch.empty_like(x)).mul_(self.weight)
