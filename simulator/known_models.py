"""Which shape do the models have that people pair?

A small table, so that a what-if needs no weights and no network. The fields
are those of each model's published config.json, at
https://huggingface.co/<name>/blob/main/config.json (values of the models' own
release; weights of a name do not change afterwards); of Gemma 3 from 4B on, the
text part. The parameter counts that follow from them equal the published ones,
which tests check; docs/sources.md says what was read.
"""

import difflib
from typing import Any

from simulator.model_config import shape_from_config
from simulator.model_shape import ModelShape

_GPT2 = {"model_type": "gpt2", "n_positions": 1024, "vocab_size": 50257}
_LLAMA = {"model_type": "llama", "tie_word_embeddings": False}
_LLAMA2 = {**_LLAMA, "vocab_size": 32000}
_LLAMA3 = {**_LLAMA, "vocab_size": 128256}
_LLAMA3_TIED = {**_LLAMA3, "tie_word_embeddings": True}
_MISTRAL = {"model_type": "mistral", "vocab_size": 32768, "tie_word_embeddings": False}
_QWEN2 = {"model_type": "qwen2", "vocab_size": 152064, "tie_word_embeddings": False}
_QWEN2_TIED = {"model_type": "qwen2", "vocab_size": 151936, "tie_word_embeddings": True}
_QWEN3 = {"model_type": "qwen3", "vocab_size": 151936, "head_dim": 128,
          "tie_word_embeddings": False}  # fmt: skip
_QWEN3_TIED = {**_QWEN3, "tie_word_embeddings": True}
_PYTHIA = {"model_type": "gpt_neox", "vocab_size": 50304, "tie_word_embeddings": False}
_SMOL = {"model_type": "llama", "vocab_size": 49152, "tie_word_embeddings": True}
_SMOL3 = {"model_type": "smollm3", "vocab_size": 128256, "tie_word_embeddings": True}
_GEMMA2 = {"model_type": "gemma2", "vocab_size": 256000, "head_dim": 256, "sliding_window": 4096}
_GEMMA3 = {"model_type": "gemma3_text", "vocab_size": 262208, "head_dim": 256,
           "sliding_window": 1024, "sliding_window_pattern": 6}  # fmt: skip
_GEMMA3_1B = {**_GEMMA3, "vocab_size": 262144, "sliding_window": 512}
_PHI3 = {"model_type": "phi3", "vocab_size": 32064, "sliding_window": 2047,
         "tie_word_embeddings": False}  # fmt: skip
_PHI4 = {"model_type": "phi3", "vocab_size": 100352, "tie_word_embeddings": False}
_PHI4_MINI = {"model_type": "phi3", "vocab_size": 200064, "tie_word_embeddings": True}

# name: family, layers, hidden size, heads, key/value heads, inner width
_DENSE = {
    "distilbert/distilgpt2": (_GPT2, 6, 768, 12, 12, 3072),
    "openai-community/gpt2": (_GPT2, 12, 768, 12, 12, 3072),
    "openai-community/gpt2-medium": (_GPT2, 24, 1024, 16, 16, 4096),
    "openai-community/gpt2-large": (_GPT2, 36, 1280, 20, 20, 5120),
    "openai-community/gpt2-xl": (_GPT2, 48, 1600, 25, 25, 6400),
    "meta-llama/Llama-2-7b-hf": (_LLAMA2, 32, 4096, 32, 32, 11008),
    "meta-llama/Llama-2-13b-hf": (_LLAMA2, 40, 5120, 40, 40, 13824),
    "meta-llama/Llama-2-70b-hf": (_LLAMA2, 80, 8192, 64, 8, 28672),
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": (_LLAMA2, 22, 2048, 32, 4, 5632),
    "meta-llama/Llama-3.2-1B": (_LLAMA3_TIED, 16, 2048, 32, 8, 8192),
    "meta-llama/Llama-3.2-3B": (_LLAMA3_TIED, 28, 3072, 24, 8, 8192),
    "meta-llama/Llama-3.1-8B": (_LLAMA3, 32, 4096, 32, 8, 14336),
    "meta-llama/Llama-3.1-70B": (_LLAMA3, 80, 8192, 64, 8, 28672),
    "meta-llama/Llama-3.3-70B-Instruct": (_LLAMA3, 80, 8192, 64, 8, 28672),
    "meta-llama/Llama-3.1-405B": (_LLAMA3, 126, 16384, 128, 8, 53248),
    "mistralai/Mistral-7B-v0.3": (_MISTRAL, 32, 4096, 32, 8, 14336),
    "mistralai/Mistral-Small-24B-Base-2501": (
        {**_MISTRAL, "vocab_size": 131072, "head_dim": 128}, 40, 5120, 32, 8, 32768,
    ),
    "Qwen/Qwen2.5-0.5B": (_QWEN2_TIED, 24, 896, 14, 2, 4864),
    "Qwen/Qwen2.5-1.5B": (_QWEN2_TIED, 28, 1536, 12, 2, 8960),
    "Qwen/Qwen2.5-3B": (_QWEN2_TIED, 36, 2048, 16, 2, 11008),
    "Qwen/Qwen2.5-7B": (_QWEN2, 28, 3584, 28, 4, 18944),
    "Qwen/Qwen2.5-14B": (_QWEN2, 48, 5120, 40, 8, 13824),
    "Qwen/Qwen2.5-32B": (_QWEN2, 64, 5120, 40, 8, 27648),
    "Qwen/Qwen2.5-72B": (_QWEN2, 80, 8192, 64, 8, 29568),
    "Qwen/Qwen3-0.6B": (_QWEN3_TIED, 28, 1024, 16, 8, 3072),
    "Qwen/Qwen3-1.7B": (_QWEN3_TIED, 28, 2048, 16, 8, 6144),
    "Qwen/Qwen3-4B": (_QWEN3_TIED, 36, 2560, 32, 8, 9728),
    "Qwen/Qwen3-8B": (_QWEN3, 36, 4096, 32, 8, 12288),
    "Qwen/Qwen3-14B": (_QWEN3, 40, 5120, 40, 8, 17408),
    "Qwen/Qwen3-32B": (_QWEN3, 64, 5120, 64, 8, 25600),
    "EleutherAI/pythia-70m": (_PYTHIA, 6, 512, 8, 8, 2048),
    "EleutherAI/pythia-160m": (_PYTHIA, 12, 768, 12, 12, 3072),
    "EleutherAI/pythia-410m": (_PYTHIA, 24, 1024, 16, 16, 4096),
    "EleutherAI/pythia-1b": (_PYTHIA, 16, 2048, 8, 8, 8192),
    "EleutherAI/pythia-1.4b": (_PYTHIA, 24, 2048, 16, 16, 8192),
    "EleutherAI/pythia-2.8b": (_PYTHIA, 32, 2560, 32, 32, 10240),
    "EleutherAI/pythia-6.9b": ({**_PYTHIA, "vocab_size": 50432}, 32, 4096, 32, 32, 16384),
    "EleutherAI/pythia-12b": ({**_PYTHIA, "vocab_size": 50688}, 36, 5120, 40, 40, 20480),
    "HuggingFaceTB/SmolLM-135M": (_SMOL, 30, 576, 9, 3, 1536),
    "HuggingFaceTB/SmolLM-360M": (_SMOL, 32, 960, 15, 5, 2560),
    "HuggingFaceTB/SmolLM-1.7B": (_SMOL, 24, 2048, 32, 32, 8192),
    "HuggingFaceTB/SmolLM2-135M": (_SMOL, 30, 576, 9, 3, 1536),
    "HuggingFaceTB/SmolLM2-360M": (_SMOL, 32, 960, 15, 5, 2560),
    "HuggingFaceTB/SmolLM2-1.7B": (_SMOL, 24, 2048, 32, 32, 8192),
    "HuggingFaceTB/SmolLM3-3B": (_SMOL3, 36, 2048, 16, 4, 11008),
    "google/gemma-2-2b": (_GEMMA2, 26, 2304, 8, 4, 9216),
    "google/gemma-2-9b": (_GEMMA2, 42, 3584, 16, 8, 14336),
    "google/gemma-2-27b": ({**_GEMMA2, "head_dim": 128}, 46, 4608, 32, 16, 36864),
    "google/gemma-3-1b-it": (_GEMMA3_1B, 26, 1152, 4, 1, 6912),
    "google/gemma-3-4b-it": (_GEMMA3, 34, 2560, 8, 4, 10240),
    "google/gemma-3-12b-it": (_GEMMA3, 48, 3840, 16, 8, 15360),
    "google/gemma-3-27b-it": ({**_GEMMA3, "head_dim": 128}, 62, 5376, 32, 16, 21504),
    "microsoft/Phi-3-mini-4k-instruct": (_PHI3, 32, 3072, 32, 32, 8192),
    "microsoft/phi-4": (_PHI4, 40, 5120, 40, 10, 17920),
    "microsoft/Phi-4-mini-instruct": (_PHI4_MINI, 32, 3072, 24, 8, 8192),
}  # fmt: skip
_MIXTRAL = {
    "model_type": "mixtral", "num_key_value_heads": 8, "num_local_experts": 8,
    "num_experts_per_tok": 2, "tie_word_embeddings": False,
}  # fmt: skip
_QWEN3_MOE = {
    "model_type": "qwen3_moe", "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128,
    "num_experts_per_tok": 8, "vocab_size": 151936, "tie_word_embeddings": False,
}  # fmt: skip
_GPT_OSS = {
    "model_type": "gpt_oss", "hidden_size": 2880, "num_attention_heads": 64,
    "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 2880,
    "num_experts_per_tok": 4, "vocab_size": 201088, "attention_bias": True,
    "sliding_window": 128, "tie_word_embeddings": False,
}  # fmt: skip
_DEEPSEEK = {
    "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128,
    "tie_word_embeddings": False,
}  # fmt: skip
_ALTERNATING = ["sliding_attention", "full_attention"]
_EXPERTS: dict[str, dict[str, Any]] = {
    "mistralai/Mixtral-8x7B-v0.1": {
        **_MIXTRAL, "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32,
        "intermediate_size": 14336, "vocab_size": 32000,
    },
    "mistralai/Mixtral-8x22B-Instruct-v0.1": {
        **_MIXTRAL, "num_hidden_layers": 56, "hidden_size": 6144, "num_attention_heads": 48,
        "intermediate_size": 16384, "vocab_size": 32768,
    },
    "Qwen/Qwen3-30B-A3B": {
        **_QWEN3_MOE, "num_hidden_layers": 48, "hidden_size": 2048, "num_attention_heads": 32,
        "moe_intermediate_size": 768,
    },
    "Qwen/Qwen3-235B-A22B": {
        **_QWEN3_MOE, "num_hidden_layers": 94, "hidden_size": 4096, "num_attention_heads": 64,
        "moe_intermediate_size": 1536,
    },
    "openai/gpt-oss-20b": {
        **_GPT_OSS, "num_hidden_layers": 24, "num_local_experts": 32,
        "layer_types": 12 * _ALTERNATING,
    },
    "openai/gpt-oss-120b": {
        **_GPT_OSS, "num_hidden_layers": 36, "num_local_experts": 128,
        "layer_types": 18 * _ALTERNATING,
    },
    "deepseek-ai/deepseek-moe-16b-base": {
        "model_type": "deepseek", "num_hidden_layers": 28, "hidden_size": 2048,
        "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 10944,
        "moe_intermediate_size": 1408, "n_routed_experts": 64, "n_shared_experts": 2,
        "num_experts_per_tok": 6, "first_k_dense_replace": 1, "vocab_size": 102400,
        "tie_word_embeddings": False,
    },
    "deepseek-ai/DeepSeek-V2-Lite": {
        **_DEEPSEEK, "model_type": "deepseek_v2", "num_hidden_layers": 27, "hidden_size": 2048,
        "num_attention_heads": 16, "q_lora_rank": None, "intermediate_size": 10944,
        "moe_intermediate_size": 1408, "n_routed_experts": 64, "n_shared_experts": 2,
        "num_experts_per_tok": 6, "first_k_dense_replace": 1, "vocab_size": 102400,
    },
    "deepseek-ai/DeepSeek-V3": {
        **_DEEPSEEK, "model_type": "deepseek_v3", "num_hidden_layers": 61, "hidden_size": 7168,
        "num_attention_heads": 128, "q_lora_rank": 1536, "intermediate_size": 18432,
        "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1,
        "num_experts_per_tok": 8, "first_k_dense_replace": 3, "vocab_size": 129280,
    },
}  # fmt: skip

KNOWN_MODELS: tuple[str, ...] = (*_DENSE, *_EXPERTS)
"""Names that ``known_shape`` answers to."""


def known_shape(name: str) -> ModelShape:
    """Shape of a well-known model.

    Parameters
    ----------
    name : str
        As on the Hugging Face hub; the part behind the slash is enough.

    Returns
    -------
    ModelShape

    Raises
    ------
    ValueError
        If the name is not in the table; the message lists similar ones.

    Examples
    --------
    >>> known_shape("Llama-3.1-8B").num_parameters
    8030261248
    """
    short = {known.split("/")[1]: known for known in KNOWN_MODELS}
    full = short.get(name, name)
    if full in _EXPERTS:
        return shape_from_config(_EXPERTS[full])
    if full not in _DENSE:
        near = difflib.get_close_matches(name, [*short, *KNOWN_MODELS], n=4, cutoff=0.4)
        raise ValueError(
            f"model {name!r} is not in the table; similar: {', '.join(near) or 'none'}"
        )
    family, layers, hidden, heads, kv_heads, inner = _DENSE[full]
    return shape_from_config(
        {
            **family,
            "num_hidden_layers": layers,
            "hidden_size": hidden,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "intermediate_size": inner,
        }
    )
