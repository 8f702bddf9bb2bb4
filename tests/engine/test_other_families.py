"""Families without a lean forward: decoded exactly, or refused with the reason."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from engine.decode import Request, decode_speculative
from engine.drafters.language_model import LanguageModelDrafter
from engine.errors import InputError
from engine.model import wrap
from engine.sampling import Sampling
from engine.trees import Tree
from tests.tiny_models import noisy_copy

SHAPE = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
    "initializer_range": 0.3, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
}  # fmt: skip


def tiny(kind: str, **more: object) -> PreTrainedModel:
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**SHAPE, **more})
    return AutoModelForCausalLM.from_config(config).eval()


RUN: dict[str, dict[str, object]] = {
    "qwen2": {}, "qwen3": {"head_dim": 8}, "mistral": {"sliding_window": None},
    "gpt_neox": {"num_key_value_heads": 4}, "phi3": {}, "olmo2": {}, "smollm3": {},
    "granite": {}, "gemma": {"head_dim": 8},
    "opt": {"num_key_value_heads": 4, "ffn_dim": 48, "word_embed_proj_dim": 32},
}  # fmt: skip


@pytest.mark.parametrize("kind", RUN)
def test_other_families_decode_what_they_write_alone(kind: str) -> None:
    hf = tiny(kind, **RUN[kind])
    target, draft = wrap(kind, hf), wrap("draft", noisy_copy(hf, 0.05))
    assert target.forward_kind == "transformers"
    prompt = list(range(3, 15))
    request = Request(prompt, 40, Sampling(0.0), seed=0)
    plain = hf.generate(
        torch.tensor([prompt]),
        max_new_tokens=40,
        do_sample=False,
        eos_token_id=None,
        use_cache=True,
    )[0, len(prompt) :].tolist()
    chain = decode_speculative(target, LanguageModelDrafter(draft), request, Tree.chain(4))
    tree = decode_speculative(target, LanguageModelDrafter(draft), request, Tree.k_ary([2, 2]))
    assert chain.tokens == tree.tokens == plain
    assert len(chain.rounds) < 40


REFUSED = {
    "gemma3_text": ({"head_dim": 8, "sliding_window": 16}, "cannot be rolled back"),
    "bloom": ({"n_head": 4, "n_layer": 2}, "does not run over our cache|computes other logits"),
    "mamba": ({"state_size": 4}, "cannot be rolled back|does not run over our cache"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_families_that_cannot_be_verified_are_refused(kind: str) -> None:
    settings, reason = REFUSED[kind]
    with pytest.raises(InputError, match=reason) as caught:
        wrap(kind, tiny(kind, **settings))
    assert "\n" not in str(caught.value)
