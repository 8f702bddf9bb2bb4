"""Which shape does a Hugging Face configuration describe?

Reads the dictionary of a config.json, in the naming of GPT-2, Llama and its
many relatives, GPT-NeoX, and mixtures of experts. What it needs and does not
find is refused by name, as are architectures whose cache or layers it would
get wrong. Reads no files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.latent_attention import LatentAttention
from simulator.model_shape import ModelShape


@dataclass(frozen=True)
class _Family:
    """What a configuration leaves to the model class."""

    tied: bool = False
    gated: bool = True
    norms_per_layer: int = 2
    norm_vectors: int = 1  # 1: scale (RMSNorm), 2: scale and shift (LayerNorm)
    qkv_bias: bool = False
    all_biases: bool = False
    head_norms: bool = False
    shared_gate: bool = False
    sinks: bool = False
    expert_biases: bool = False


_LLAMA = _Family()
_FAMILIES = {
    "gpt2": _Family(tied=True, gated=False, norm_vectors=2, all_biases=True),
    "gpt_neox": _Family(gated=False, norm_vectors=2, all_biases=True),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "mixtral": _LLAMA,
    "phi3": _LLAMA,
    "smollm3": _LLAMA,
    "deepseek": _LLAMA,
    "deepseek_v2": _LLAMA,
    "deepseek_v3": _LLAMA,
    "gpt_oss": _Family(sinks=True, expert_biases=True),
    "qwen2": _Family(qkv_bias=True),
    "qwen2_moe": _Family(qkv_bias=True, shared_gate=True),
    "qwen3": _Family(head_norms=True),
    "qwen3_moe": _Family(head_norms=True),
    "gemma": _Family(tied=True),
    "gemma2": _Family(tied=True, norms_per_layer=4),
    "gemma3_text": _Family(tied=True, norms_per_layer=4, head_norms=True),
}
_REFUSED = {
    "index_topk": "attention to tokens that an indexer chooses",
    "o_lora_rank": "a compressed output projection",
    "text_config": 'a model of several parts (pass config["text_config"])',
    "linear_num_value_heads": "linear attention",
    "ssm_cfg": "a state-space model",
    "is_encoder_decoder": "an encoder-decoder",
}


def shape_from_config(config: Mapping[str, Any]) -> ModelShape:
    """Shape of the model that a Hugging Face configuration describes.

    Parameters
    ----------
    config : mapping
        The content of config.json (``config.to_dict()`` does as well).

    Returns
    -------
    ModelShape

    Raises
    ------
    ValueError
        If a field is missing that no family default supplies, or the
        architecture is one whose cache or layers this shape cannot describe.

    Notes
    -----
    What configurations leave to the model class (biases, norms, tied
    embeddings) is known for GPT-2, GPT-NeoX (Pythia), Llama (SmolLM), Mistral,
    Mixtral, Phi-3, Qwen 2 and 3, Gemma 1 to 3, gpt-oss, DeepSeek-MoE, V2 and V3. A model of any
    other type is read as a relative of Llama if its activation is SiLU and it
    says whether embeddings are tied; norms and biases of such a model, below
    0.1 % of the weights, may be counted wrongly.

    Examples
    --------
    >>> gpt2 = {"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12,
    ...         "n_positions": 1024, "vocab_size": 50257}
    >>> shape_from_config(gpt2).num_parameters
    124439808
    """
    for field, what in _REFUSED.items():
        if config.get(field):
            raise ValueError(f'config has "{field}": {what} is not covered')
    family = _family(config)
    num_layers, hidden = _need(config, "num_hidden_layers", "n_layer"), _hidden(config)
    num_heads = _need(config, "num_attention_heads", "n_head")
    dense_layers = num_layers - _expert_layers(config, num_layers)
    windowed_layers = _windowed_layers(config, num_layers)
    latent = _latent(config)
    sizes: dict[str, Any] = {
        "num_layers": num_layers,
        "hidden_size": hidden,
        "num_heads": num_heads,
        "num_kv_heads": config.get("num_key_value_heads") or num_heads,
        "head_dim": latent.query_size if latent else _head_dim(config, hidden, num_heads),
        "latent": latent,
        "dense_layers": dense_layers,
        "intermediate_size": _intermediate(config, hidden) if dense_layers else 0,
        "vocab_size": _need(config, "vocab_size"),
        "gated": family.gated,
        "tied_embeddings": bool(config.get("tie_word_embeddings", family.tied)),
        "windowed_layers": windowed_layers,
        "window": config["sliding_window"] if windowed_layers else 0,
        "position_embeddings": _need(config, "n_positions") if _is(config, "gpt2") else 0,
        **(_experts(config, family) if dense_layers < num_layers else {}),
    }
    return ModelShape(**sizes, vector_parameters=_vectors(ModelShape(**sizes), family, config))


def _is(config: Mapping[str, Any], model_type: str) -> bool:
    return config.get("model_type") == model_type


def _need(config: Mapping[str, Any], *names: str) -> int:
    for name in names:
        if config.get(name) is not None:
            return int(config[name])
    other = f' (or "{names[1]}")' if len(names) > 1 else ""
    raise ValueError(f'config lacks "{names[0]}"{other}')


def _family(config: Mapping[str, Any]) -> _Family:
    model_type = config.get("model_type")
    if model_type in _FAMILIES:
        return _FAMILIES[model_type]
    if config.get("hidden_act") not in ("silu", "swish"):
        raise ValueError(
            f'config has "model_type" {model_type!r}, which is not known, and "hidden_act"'
            f" {config.get('hidden_act')!r}, which does not tell how many matrices feed forward"
        )
    if config.get("tie_word_embeddings") is None:
        raise ValueError(f'config lacks "tie_word_embeddings" for "model_type" {model_type!r}')
    return _LLAMA


def _hidden(config: Mapping[str, Any]) -> int:
    return _need(config, "hidden_size", "n_embd")


def _latent(config: Mapping[str, Any]) -> LatentAttention | None:
    if not config.get("kv_lora_rank"):
        return None
    return LatentAttention(
        query_rank=int(config.get("q_lora_rank") or 0),
        latent_size=_need(config, "kv_lora_rank"),
        rotary_size=_need(config, "qk_rope_head_dim"),
        plain_size=_need(config, "qk_nope_head_dim"),
        value_size=_need(config, "v_head_dim"),
    )


def _head_dim(config: Mapping[str, Any], hidden: int, num_heads: int) -> int:
    if config.get("head_dim"):
        return int(config["head_dim"])
    if hidden % num_heads:
        raise ValueError(
            f'config lacks "head_dim", and {num_heads} heads do not divide hidden size {hidden}'
        )
    return hidden // num_heads


def _intermediate(config: Mapping[str, Any], hidden: int) -> int:
    if _is(config, "gpt2") and config.get("n_inner") is None:
        return 4 * hidden
    return _need(config, "intermediate_size", "n_inner")


def _expert_layers(config: Mapping[str, Any], num_layers: int) -> int:
    """Layers with experts: rules of Mixtral (all), DeepSeek and Qwen."""
    if not any(
        config.get(name) for name in ("num_local_experts", "num_experts", "n_routed_experts")
    ):
        return 0
    first = config.get("first_k_dense_replace") or 0
    every = config.get("moe_layer_freq") or 1
    step = config.get("decoder_sparse_step") or 1
    dense = set(config.get("mlp_only_layers") or ())
    return sum(
        i >= first and i % every == 0 and (i + 1) % step == 0 and i not in dense
        for i in range(num_layers)
    )


def _experts(config: Mapping[str, Any], family: _Family) -> dict[str, int]:
    size = _need(config, "moe_intermediate_size", "intermediate_size")
    shared = config.get("shared_expert_intermediate_size")
    if shared is None:
        shared = (config.get("n_shared_experts") or 0) * size
    names = [n for n in ("num_local_experts", "num_experts", "n_routed_experts") if config.get(n)]
    return {
        "num_experts": _need(config, names[0]),
        "experts_per_token": _need(config, "num_experts_per_tok"),
        "expert_size": size,
        "shared_expert_size": int(shared),
        "expert_vectors": 2 * size + _hidden(config) if family.expert_biases else 0,
    }


def _windowed_layers(config: Mapping[str, Any], num_layers: int) -> int:
    kinds = config.get("layer_types")
    if kinds is not None:
        strange = set(kinds) - {"full_attention", "sliding_attention"}
        if strange:
            raise ValueError(f'config has "layer_types" {sorted(strange)[0]!r}: not covered')
        return sum(kind == "sliding_attention" for kind in kinds)
    if not config.get("sliding_window") or config.get("use_sliding_window") is False:
        return 0
    if _is(config, "gemma2"):
        return (num_layers + 1) // 2
    if _is(config, "gemma3_text"):
        return num_layers - num_layers // _need(config, "sliding_window_pattern")
    return num_layers


def _vectors(shape: ModelShape, family: _Family, config: Mapping[str, Any]) -> int:
    """Norms and biases of all layers, and the final norm."""
    hidden, layers = shape.hidden_size, shape.num_layers
    total = family.norm_vectors * hidden * (family.norms_per_layer * layers + 1)
    biased = family.all_biases and config.get("attention_bias", True)
    if family.qkv_bias or biased or config.get("attention_bias"):
        queries = shape.latent.query_rank if shape.latent else shape.query_width
        total += layers * (queries + shape.kv_width)
    if biased or (config.get("attention_bias") and not family.qkv_bias):
        total += layers * hidden
    if family.all_biases or config.get("mlp_bias"):
        inner = shape.intermediate_size * (shape.feed_forward_matrices - 1)
        total += shape.dense_layers * (inner + hidden)
    if family.head_norms:
        total += layers * 2 * shape.head_dim
    if family.shared_gate:
        total += shape.expert_layers * hidden
    if family.sinks:
        total += layers * shape.num_heads
    if family.expert_biases:
        total += shape.expert_layers * shape.num_experts  # of the router
    if shape.latent:
        total += layers * (shape.latent.query_rank + shape.latent.latent_size)
    return total
