"""Shapes read from Hugging Face configurations, against the models themselves."""

import pytest

from simulator.model_config import shape_from_config

TINY = {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
        "intermediate_size": 40, "pad_token_id": 0}  # fmt: skip
GROUPED = {**TINY, "num_key_value_heads": 2}
EXPERTS = {**GROUPED, "moe_intermediate_size": 12, "num_experts_per_tok": 2}
LATENT = {**TINY, "num_key_value_heads": 4, "q_lora_rank": 10, "kv_lora_rank": 20,
          "qk_rope_head_dim": 4, "qk_nope_head_dim": 6, "v_head_dim": 8,
          "moe_intermediate_size": 12, "n_routed_experts": 8, "num_experts_per_tok": 2,
          "n_shared_experts": 2, "first_k_dense_replace": 1}  # fmt: skip
MODELS = {
    "GPT2": {"vocab_size": 96, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 16,
             "bos_token_id": 0, "eos_token_id": 0},
    "GPTNeoX": {**TINY, "tie_word_embeddings": False},
    "Llama": {**GROUPED, "head_dim": 16, "tie_word_embeddings": True},
    "Llama biased": {**GROUPED, "attention_bias": True, "mlp_bias": True},
    "Mistral": {**GROUPED, "sliding_window": 8},
    "Mixtral": {**GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2},
    "Qwen2": {**GROUPED, "tie_word_embeddings": False},
    "Qwen3": {**GROUPED, "head_dim": 16},
    "Qwen2Moe": {**EXPERTS, "num_experts": 6, "shared_expert_intermediate_size": 20,
                 "decoder_sparse_step": 2},
    "Qwen3Moe": {**EXPERTS, "num_experts": 6, "mlp_only_layers": [1], "head_dim": 8},
    "Gemma": {**GROUPED, "head_dim": 16},
    "Gemma2": {**GROUPED, "head_dim": 16, "sliding_window": 8},
    "Gemma3Text": {**GROUPED, "head_dim": 16, "sliding_window": 8},
    "Phi3": {**GROUPED},
    "SmolLM3": {**GROUPED, "tie_word_embeddings": True},
    "GptOss": {**EXPERTS, "intermediate_size": 12, "num_local_experts": 6, "head_dim": 16},
    "DeepseekV2": {**LATENT, "q_lora_rank": None},
    "DeepseekV2 query": {**LATENT, "attention_bias": True},
    "DeepseekV3": LATENT,
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_of_the_model_that_transformers_builds(name):
    """Second implementation: the sum over the real model's tensors, to the last one."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    family = name.split()[0]
    config = getattr(transformers, f"{family}Config")(**MODELS[name])
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    total = sum(p.numel() for p in model.parameters())  # tied tensors are counted once
    assert shape_from_config(config.to_dict()).num_parameters == total


LLAMA = {"model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 96,
         "num_attention_heads": 4, "intermediate_size": 40}  # fmt: skip


@pytest.mark.parametrize(
    "field",
    ["hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads", "intermediate_size"],
)
def test_a_missing_field_is_refused_by_name(field):
    with pytest.raises(ValueError, match=f'config lacks "{field}"'):
        shape_from_config({k: v for k, v in LLAMA.items() if k != field})


def test_experts_without_their_number_per_token_are_refused():
    with pytest.raises(ValueError, match='config lacks "num_experts_per_tok"'):
        shape_from_config({**LLAMA, "num_local_experts": 8})


def test_deepseek_keeps_its_first_layers_dense_and_adds_up_shared_experts():
    shape = shape_from_config(
        {**LLAMA, "model_type": "deepseek", "n_routed_experts": 8, "num_experts_per_tok": 3,
         "moe_intermediate_size": 12, "n_shared_experts": 2, "first_k_dense_replace": 1}
    )  # fmt: skip
    assert (shape.dense_layers, shape.expert_layers) == (1, 1)
    assert shape.shared_expert_size == 24


@pytest.mark.parametrize(
    ("fields", "windowed"),
    [
        ({"model_type": "mistral", "sliding_window": 8}, 6),
        ({"model_type": "qwen2", "sliding_window": 8, "use_sliding_window": False}, 0),
        ({"model_type": "gemma2", "sliding_window": 8}, 3),
        ({"model_type": "gemma3_text", "sliding_window": 8, "sliding_window_pattern": 6}, 5),
        (
            {
                "layer_types": ["full_attention"] * 4 + ["sliding_attention"] * 2,
                "sliding_window": 8,
            },
            2,
        ),
    ],
)
def test_windowed_layers_are_counted(fields, windowed):
    shape = shape_from_config({**LLAMA, "num_hidden_layers": 6, **fields})
    assert shape.windowed_layers == windowed
    assert shape.window == (8 if windowed else 0)


def test_relatives_of_llama_are_read_if_they_say_enough():
    known = shape_from_config(LLAMA)
    relative = {**LLAMA, "model_type": "new", "hidden_act": "silu", "tie_word_embeddings": False}
    assert shape_from_config(relative) == known
    with pytest.raises(ValueError, match='config lacks "tie_word_embeddings"'):
        shape_from_config({**LLAMA, "model_type": "new", "hidden_act": "silu"})
    with pytest.raises(ValueError, match="\"model_type\" 'new', which is not known"):
        shape_from_config({**LLAMA, "model_type": "new", "hidden_act": "gelu"})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kv_lora_rank": 512}, 'config lacks "qk_rope_head_dim"'),
        ({"index_topk": 2048}, "attention to tokens that an indexer chooses is not covered"),
        ({"text_config": LLAMA}, "several parts"),
        ({"layer_types": ["linear_attention"]}, "'linear_attention': not covered"),
        ({"num_attention_heads": 5}, "5 heads do not divide hidden size 32"),
    ],
)
def test_architectures_it_would_get_wrong_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        shape_from_config({**LLAMA, **fields})
