"""Models of several sizes with random weights: how long a forward takes does not depend on them.

Sizes suit the device: a few layers on a CPU, published shapes on an accelerator.
"""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from engine.errors import InputError
from engine.model import DTYPES, Model, wrap

MIN_SIZES = 3
"""Sizes that leaving one out needs: two to learn from."""


def _llama(layers: int, hidden: int, inner: int, heads: int, **others: Any) -> dict[str, Any]:
    return {
        "model_type": "llama", "num_hidden_layers": layers, "hidden_size": hidden,
        "intermediate_size": inner, "num_attention_heads": heads, **others,
    }  # fmt: skip


_SMALL = {"num_key_value_heads": 4, "head_dim": 64, "vocab_size": 4096,
          "max_position_embeddings": 2048, "tie_word_embeddings": True}  # fmt: skip
_LLAMA_3 = {"num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 8192}

SIZES: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "cpu": {
        "llama-3m": _llama(4, 192, 512, 4, **_SMALL),
        "llama-8m": _llama(8, 256, 704, 4, **_SMALL),
        "llama-20m": _llama(10, 384, 1024, 8, **_SMALL),
        "llama-60m": _llama(14, 576, 1536, 12, **_SMALL),
    },
    # config.json of openai-community/gpt2-large and meta-llama/Llama-3.2-1B, -3.2-3B, -3.1-8B
    # (read 2026-11); rotary scaling and the longer contexts left out, which take no time
    "cuda": {
        "gpt2-large": {"model_type": "gpt2", "n_layer": 36, "n_embd": 1280, "n_head": 20,
                       "n_positions": 1024, "vocab_size": 50257},
        "llama-3.2-1b": _llama(16, 2048, 8192, 32, head_dim=64, tie_word_embeddings=True,
                               **_LLAMA_3),
        "llama-3.2-3b": _llama(28, 3072, 8192, 24, head_dim=128, tie_word_embeddings=True,
                               **_LLAMA_3),
        "llama-3.1-8b": _llama(32, 4096, 14336, 32, head_dim=128, tie_word_embeddings=False,
                               **_LLAMA_3),
    },
}  # fmt: skip
"""Device to name to configuration, ascending."""


def random_model(
    name: str, config: Mapping[str, Any], device: torch.device, dtype: str, seed: int = 0
) -> Model:
    """A model of this configuration, its weights drawn, without a tokenizer.

    Parameters
    ----------
    name : str
    config : mapping
        As in a config.json.
    device : torch.device
    dtype : {"float32", "bfloat16", "float16"}
    seed : int
        Of the weights; torch's own generators are left as they were.

    Raises
    ------
    InputError
        If the dtype is unknown or the device has no room for it.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype must be one of {', '.join(DTYPES)}, not '{dtype}'")
    fields = {**config}
    made = AutoConfig.for_model(fields.pop("model_type"), **fields)
    try:
        with torch.random.fork_rng(), torch.device(device):
            torch.manual_seed(seed)
            return wrap(name, AutoModelForCausalLM.from_config(made, dtype=DTYPES[dtype]))
    except torch.cuda.OutOfMemoryError:
        free = torch.cuda.mem_get_info(device)[0]
        raise InputError(f"{name} does not fit: {free / 1e9:.1f} GB of {device} are free") from None


def models_of_sizes(device: torch.device, dtype: str) -> list[Model]:
    """The sizes of this kind of device, smallest first, as many as it has room for.

    Raises
    ------
    InputError
        If fewer than ``MIN_SIZES`` fit.
    """
    models: list[Model] = []
    for name, config in SIZES[device.type].items():
        try:
            models.append(random_model(name, config, device, dtype))
        except InputError:
            if len(models) < MIN_SIZES:
                raise
            break
    return models
