"""A lean forward for the GPT-2 family: learned positions, LayerNorm, fused query-key-value.

GPT-2 checkpoints keep their projections as Conv1D, weights [in, out]. Here they
are turned once; in float32 on a CPU the original layout takes 3 to 40 times as
long for 4 to 8 tokens.

Cross-attention layers never run here, as in Transformers where no encoder's
states are passed. Leaves out: activations not listed, and ``reorder_and_upcast_attn``
in 16 bit, which rounds differently. Such models run through
engine/transformers_model.py.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from engine.lean import Attention, Lean
from engine.linear import Linear

# gelu_new is written out in Transformers; torch's tanh form is the same function in one operator
_tanh_gelu = partial(F.gelu, approximate="tanh")

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu_new": _tanh_gelu,
    "gelu_fast": _tanh_gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
    "swish": F.silu,
    "tanh": torch.tanh,
}


class LeanGPT2(Lean):
    """GPT-2 over a KVCache; see ``Lean``."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        config, body = model.config, model.transformer
        self.heads = config.num_attention_heads
        self.head_dim = config.hidden_size // self.heads
        self.activation = ACTIVATIONS[config.activation_function]
        self.positions = body.wpe.weight.detach()
        self.final_norm = _Norm(body.ln_f)
        self.layers = [_Layer(block) for block in body.h]

    @staticmethod
    def supports(model: PreTrainedModel) -> bool:
        """True when this file computes exactly what the Transformers model computes."""
        config = model.config
        if config.model_type != "gpt2" or config.activation_function not in ACTIVATIONS:
            return False
        rounds_differently = config.reorder_and_upcast_attn and model.dtype != torch.float32
        return not rounds_differently

    def norm(self, x: torch.Tensor) -> torch.Tensor:
        """The final norm."""
        return self.final_norm(x)

    def blocks(
        self, tokens: torch.Tensor, positions: slice | torch.Tensor, attention: Attention
    ) -> torch.Tensor:
        """All layers; see ``Lean.blocks``."""
        n = tokens.shape[0]
        x = F.embedding(tokens, self.embedding) + self.positions[positions]
        for index, layer in enumerate(self.layers):
            qkv = layer.qkv(layer.attention_norm(x)).to(attention.dtype)
            qkv = qkv.view(n, 3, self.heads, self.head_dim)
            h = attention(index, qkv[:, 0], qkv[:, 1:], layer.scale).to(x.dtype)
            x = layer.out.plus(x, h)
            h = self.activation(layer.up(layer.mlp_norm(x)))
            x = layer.down.plus(x, h)
        return x


class _Norm:
    """LayerNorm without a module around it."""

    def __init__(self, norm: torch.nn.LayerNorm) -> None:
        self.weight, self.bias = norm.weight.detach(), norm.bias.detach()
        self.shape, self.eps = tuple(norm.normalized_shape), norm.eps

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


class _Layer:
    """Weights of one block."""

    def __init__(self, block: Any) -> None:
        self.attention_norm, self.mlp_norm = _Norm(block.ln_1), _Norm(block.ln_2)
        self.qkv, self.out = _turned(block.attn.c_attn), _turned(block.attn.c_proj)
        self.up, self.down = _turned(block.mlp.c_fc), _turned(block.mlp.c_proj)
        self.scale = _scale(block.attn)


def _turned(conv: Any) -> Linear:
    """A Conv1D, weight [in, out], as a linear layer."""
    return Linear(conv.weight.t().contiguous(), conv.bias)


def _scale(attention: Any) -> float:
    """Factor of the attention scores: of the head's size, or of the layer, or both."""
    scale: float = attention.head_dim**-0.5 if attention.scale_attn_weights else 1.0
    if attention.scale_attn_by_inverse_layer_idx:
        scale /= attention.layer_idx + 1
    return scale
