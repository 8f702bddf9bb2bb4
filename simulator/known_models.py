"""Which shape do the models have that people pair?

A small table, so that a what-if needs no weights and no network. The fields
are those of each model's published config.json, at
https://huggingface.co/<name>/blob/main/config.json (values of the models' own
release; weights of a name do not change afterwards). The parameter counts that
follow from them equal the published ones, which tests check.
"""

import difflib

from simulator.model_config import shape_from_config
from simulator.model_shape import ModelShape

_GPT2 = {"model_type": "gpt2", "n_positions": 1024, "vocab_size": 50257}
_LLAMA = {"model_type": "llama", "tie_word_embeddings": False}
_LLAMA2 = {**_LLAMA, "vocab_size": 32000}
_LLAMA3 = {**_LLAMA, "vocab_size": 128256, "num_key_value_heads": 8}
_QWEN2 = {"model_type": "qwen2", "vocab_size": 152064, "tie_word_embeddings": False}
_QWEN2_TIED = {"model_type": "qwen2", "vocab_size": 151936, "tie_word_embeddings": True}
_QWEN3 = {"model_type": "qwen3", "vocab_size": 151936, "head_dim": 128, "num_key_value_heads": 8,
          "tie_word_embeddings": False}  # fmt: skip
_QWEN3_TIED = {**_QWEN3, "tie_word_embeddings": True}
_PYTHIA = {"model_type": "gpt_neox", "vocab_size": 50304, "tie_word_embeddings": False}
_SMOL = {"model_type": "llama", "vocab_size": 49152, "tie_word_embeddings": True}

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
    "meta-llama/Llama-3.2-1B": ({**_LLAMA3, "tie_word_embeddings": True}, 16, 2048, 32, 8, 8192),
    "meta-llama/Llama-3.2-3B": ({**_LLAMA3, "tie_word_embeddings": True}, 28, 3072, 24, 8, 8192),
    "meta-llama/Llama-3.1-8B": (_LLAMA3, 32, 4096, 32, 8, 14336),
    "meta-llama/Llama-3.1-70B": (_LLAMA3, 80, 8192, 64, 8, 28672),
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
}
_EXPERTS = {
    "mistralai/Mixtral-8x7B-v0.1": {
        "model_type": "mixtral", "num_hidden_layers": 32, "hidden_size": 4096,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
        "num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000,
        "tie_word_embeddings": False,
    },
    "Qwen/Qwen3-30B-A3B": {
        "model_type": "qwen3_moe", "num_hidden_layers": 48, "hidden_size": 2048,
        "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
        "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8,
        "vocab_size": 151936, "tie_word_embeddings": False,
    },
    "deepseek-ai/deepseek-moe-16b-base": {
        "model_type": "deepseek", "num_hidden_layers": 28, "hidden_size": 2048,
        "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 10944,
        "moe_intermediate_size": 1408, "n_routed_experts": 64, "n_shared_experts": 2,
        "num_experts_per_tok": 6, "first_k_dense_replace": 1, "vocab_size": 102400,
        "tie_word_embeddings": False,
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
