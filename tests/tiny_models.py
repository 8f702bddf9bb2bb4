"""Tiny random-weight models that decode in well under a millisecond per token."""

import copy
from pathlib import Path

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from engine.model import Model, wrap
from engine.training.tokenizer import save_tokenizer, train_tokenizer

TEXT = """def add(first, second):
    return first + second

for item in range(10):
    print(item)
"""


def tiny_llama(
    vocab: int = 64, layers: int = 2, seed: int = 0, context: int = 256, **overrides: object
) -> LlamaForCausalLM:
    """Llama with 32 hidden units; weights large enough for peaked distributions."""
    torch.manual_seed(seed)
    settings: dict[str, object] = {
        "vocab_size": vocab, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": context, "initializer_range": 0.3,
        "bos_token_id": 0, "eos_token_id": 0,
    }  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**{**settings, **overrides})).eval()


def tiny_gpt2(
    vocab: int = 64, layers: int = 2, seed: int = 0, context: int = 256, **overrides: object
) -> GPT2LMHeadModel:
    """GPT-2 with 32 hidden units."""
    torch.manual_seed(seed)
    settings: dict[str, object] = {
        "vocab_size": vocab, "n_embd": 32, "n_layer": layers, "n_head": 4, "n_positions": context,
        "initializer_range": 0.3, "bos_token_id": 0, "eos_token_id": 0,
    }  # fmt: skip
    return GPT2LMHeadModel(GPT2Config(**{**settings, **overrides})).eval()


def noisy_copy(model: PreTrainedModel, scale: float, seed: int = 1) -> PreTrainedModel:
    """The same model with every weight disturbed by scale: a draft that mostly agrees."""
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(scale * parameter.std() * noise)
    return other


def tiny_pair(family: str = "llama", noise: float = 0.1, **settings: int) -> tuple[Model, Model]:
    """Target and agreeing draft of one family."""
    make = {"llama": tiny_llama, "gpt2": tiny_gpt2}[family]
    target = make(**settings)
    return wrap("target", target), wrap("draft", noisy_copy(target, noise))


def tiny_tokenizer(context: int = 256) -> PreTrainedTokenizerFast:
    """Byte-level tokenizer of about 280 tokens."""
    return train_tokenizer([TEXT] * 4, 280, context)


def save_tiny_pair(folder: Path, family: str, context: int = 256) -> tuple[Path, Path]:
    """Folders with a target and a draft in Hugging Face format, sharing a tokenizer.

    Seed 0 gives GPT-2 a tie within 1e-6 logits on one of the command-line test's
    texts, which either forward may break either way; seed 1 has none.
    """
    tokenizer = tiny_tokenizer(context)
    make = {"llama": tiny_llama, "gpt2": tiny_gpt2}[family]
    target = make(vocab=len(tokenizer), context=context, seed=1)
    paths = folder / f"{family}-target", folder / f"{family}-draft"
    for path, model in zip(paths, (target, noisy_copy(target, 0.1)), strict=True):
        model.save_pretrained(path)
        save_tokenizer(tokenizer, path)
    return paths
