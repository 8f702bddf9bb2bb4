"""FLOP and bytes of a forward."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.known_models import KNOWN_MODELS, known_shape
from simulator.model_config import shape_from_config
from simulator.roofline import (
    Precision,
    expected_distinct_experts,
    operator_costs,
    total_cost,
)

TINY = {"vocab_size": 96, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
LLAMA = {**TINY, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 40}  # fmt: skip
MODELS = {
    "GPT2": {**TINY, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64},
    "Llama": LLAMA,
    "Mixtral": {**LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2},
    "Mistral": {**LLAMA, "sliding_window": 4},
    "Gemma2": {**LLAMA, "sliding_window": 4},
    "GptOss": {**LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 4},
}
LATENT = {**TINY, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
          "num_key_value_heads": 4, "intermediate_size": 40, "kv_lora_rank": 20,
          "qk_rope_head_dim": 4, "qk_nope_head_dim": 6, "v_head_dim": 8,
          "moe_intermediate_size": 12, "n_routed_experts": 8, "num_experts_per_tok": 2,
          "n_shared_experts": 2, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1,
          "topk_method": "greedy"}  # fmt: skip
TOKENS, CONTEXT, BATCH = st.integers(1, 40), st.integers(0, 4000), st.integers(1, 64)
NAMES = st.sampled_from(KNOWN_MODELS)


FORWARDS = pytest.mark.parametrize(
    ("num_tokens", "context", "batch"), [(1, 7, 1), (5, 7, 3), (11, 0, 2)]
)


def flop_by_torch(family, fields, num_tokens, context, batch):
    """The shape, and what FlopCounterMode counts on the Transformers model of that size."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from torch.utils.flop_counter import FlopCounterMode

    config = getattr(transformers, f"{family}Config")(**fields, attn_implementation="eager")
    # the grouped kernel over all experts is opaque to the counter
    config._experts_implementation = "eager"
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    cache = transformers.DynamicCache(config=config)
    with torch.no_grad():
        if context:
            model(torch.zeros(batch, context, dtype=torch.long), past_key_values=cache)
        with FlopCounterMode(display=False) as counter:
            model(torch.ones(batch, num_tokens, dtype=torch.long), past_key_values=cache)
    return shape_from_config(config.to_dict()), counter.get_total_flops()


@FORWARDS
@pytest.mark.parametrize("family", MODELS)
def test_flop_are_those_that_torch_counts(family, num_tokens, context, batch):
    """Second implementation, to the last FLOP."""
    shape, counted = flop_by_torch(family, MODELS[family], num_tokens, context, batch)
    assert total_cost(operator_costs(shape, num_tokens, context, batch)).flop == counted


@FORWARDS
@pytest.mark.parametrize(("family", "query_rank"), [("DeepseekV2", None), ("DeepseekV3", 10)])
def test_latent_attention_differs_from_transformers_by_its_form_alone(
    family, query_rank, num_tokens, context, batch
):
    """Transformers expands the cached latents anew; all the rest is equal, to the last FLOP."""
    fields = {**LATENT, "q_lora_rank": query_rank}
    shape, counted = flop_by_torch(family, fields, num_tokens, context, batch)
    costs = operator_costs(shape, num_tokens, context, batch)
    sizes, layers, heads = shape.latent, shape.num_layers, shape.num_heads
    pairs = batch * num_tokens * (context + num_tokens)
    attention = 2 * layers * heads * pairs * (sizes.query_size + sizes.value_size)
    anew = batch * context * sizes.latent_size * heads * (sizes.plain_size + sizes.value_size)
    ours = total_cost(costs).flop - costs["attention"].flop
    assert ours + attention + 2 * layers * anew == counted


def test_the_absorbed_form_is_the_same_attention_at_the_flop_we_count():
    """Its output equals that of Transformers' module; FlopCounterMode counts its products."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from torch.utils.flop_counter import FlopCounterMode
    from transformers.models.deepseek_v3 import modeling_deepseek_v3 as deepseek

    config = transformers.DeepseekV3Config(
        **LATENT, q_lora_rank=10, num_layers=1, attn_implementation="eager", rope_interleave=False
    )
    torch.manual_seed(0)
    layer = deepseek.DeepseekV3Attention(config, layer_idx=0).double().eval()
    n, heads, plain, value, rank, rotary = 6, 4, 6, 8, 20, 4
    x = torch.randn(1, n, 32, dtype=torch.float64)
    cos, sin = torch.ones(1, n, rotary).double(), torch.zeros(1, n, rotary).double()  # no turning
    mask = torch.zeros(1, 1, n, n, dtype=torch.float64)  # every pair, as we count
    keys, values = layer.kv_b_proj.weight.view(heads, plain + value, rank).split((plain, value), 1)
    with torch.no_grad():
        expected, _ = layer(x, (cos, sin), mask)
        with FlopCounterMode(display=False) as counter:
            query = layer.q_b_proj(layer.q_a_layernorm(layer.q_a_proj(x)))
            query = query.view(n, heads, plain + rotary).transpose(0, 1)
            latent, turned = layer.kv_a_proj_with_mqa(x)[0].split((rank, rotary), 1)
            latent = layer.kv_a_layernorm(latent)
            absorbed = torch.cat((query[..., :plain] @ keys, query[..., plain:]), 2)
            scores = (absorbed @ torch.cat((latent, turned), 1).T * layer.scaling).softmax(2)
            out = (scores @ latent) @ values.transpose(1, 2)
            out = layer.o_proj(out.transpose(0, 1).reshape(1, n, heads * value))
    # Transformers takes its softmax in float32
    assert torch.allclose(out, expected, rtol=0, atol=1e-6)
    assert expected.abs().mean() > 0.05
    shape = replace(shape_from_config(config.to_dict()), num_layers=1, dense_layers=1)
    costs = operator_costs(shape, n, 0)
    assert costs["projections"].flop + costs["attention"].flop == counter.get_total_flops()


@given(NAMES, TOKENS, CONTEXT, BATCH)
def test_flop_are_additive_over_the_tokens_of_a_forward(name, num_tokens, context, batch):
    """n tokens in one pass, and one by one: same FLOP but for the masked half of attention."""
    shape = replace(known_shape(name), windowed_layers=0)
    together = operator_costs(shape, num_tokens, context, batch)
    places = context + np.arange(num_tokens)
    alone = operator_costs(shape, 1, places, batch)
    for operator in ("projections", "feed_forward", "experts", "logits"):
        assert together[operator].flop == pytest.approx(alone[operator].flop.sum(), rel=1e-12)
    masked = batch * shape.pair_width * shape.num_layers * num_tokens * (num_tokens - 1)
    assert together["attention"].flop - masked == pytest.approx(alone["attention"].flop.sum())


@given(NAMES, TOKENS, CONTEXT, BATCH)
def test_weights_are_read_once_and_never_more_than_there_are(name, num_tokens, context, batch):
    shape = known_shape(name)
    read = total_cost(operator_costs(shape, num_tokens, context, batch)).weight_bytes / 2
    embedding_rows = num_tokens * batch * shape.hidden_size
    lookups = shape.position_embeddings * shape.hidden_size
    if not shape.tied_embeddings:
        lookups += shape.vocab_size * shape.hidden_size
    all_of_them = shape.num_parameters - lookups + embedding_rows
    if shape.expert_layers:
        assert read <= all_of_them
    else:
        assert read == pytest.approx(all_of_them, rel=1e-12)


@given(NAMES, TOKENS, CONTEXT, BATCH)
def test_the_cache_is_read_whole_and_grows_by_what_is_written(name, num_tokens, context, batch):
    shape = replace(known_shape(name), windowed_layers=0)
    now = operator_costs(shape, num_tokens, context, batch)
    later = operator_costs(shape, num_tokens, context + 1, batch)
    grown = later["attention"].kv_bytes - now["attention"].kv_bytes
    assert grown == 2 * batch * shape.kv_values_per_token
    assert now["kv_write"].kv_bytes == num_tokens * grown


def test_a_window_caps_the_cache_that_is_read():
    shape = replace(known_shape("Llama-3.2-1B"), windowed_layers=16, window=100)
    reads = [operator_costs(shape, 1, c)["attention"].kv_bytes for c in (50, 100, 101, 9000)]
    assert reads[0] < reads[1] == reads[2] == reads[3]


def test_decoding_at_batch_1_in_16_bit_has_intensity_one():
    """Limit, and arXiv:2308.04623 section 1: "arithmetic intensity of 1" at batch 1 in fp16."""
    for name in KNOWN_MODELS:
        cost = total_cost(operator_costs(known_shape(name), 1, 0))
        assert cost.intensity == pytest.approx(1.0, abs=0.005), name


def test_intensity_of_cached_attention_is_the_group_size():
    """arXiv:2408.11049, section 3: weights have intensity b, the cache that of its query groups."""
    shape = known_shape("Llama-3.1-8B")
    cost = operator_costs(shape, 1, 1_000_000, 64)["attention"]
    assert cost.flop / cost.kv_bytes == pytest.approx(shape.num_heads / shape.num_kv_heads)
    weights = operator_costs(shape, 1, 0, 64)["projections"]
    assert weights.flop / weights.weight_bytes == 64


def test_costs_of_a_layer_are_those_of_the_magicdec_paper():
    """arXiv:2408.11049: per layer 2 (10 d^2 + 2 d^2/g) bytes, b times that in FLOP, KV 4 b n d/g.

    The paper's 10 d^2 takes 2 d^2 for queries and output and 8 d^2 for a two-matrix MLP of 4 d.
    """
    d, g, b, n = 64, 4, 6, 1000
    config = {"model_type": "llama", "hidden_size": d, "num_hidden_layers": 1, "vocab_size": 2,
              "num_attention_heads": 16, "num_key_value_heads": 16 // g,
              "intermediate_size": 4 * d}  # fmt: skip
    shape = replace(shape_from_config(config), gated=False)
    costs = operator_costs(shape, 1, n - 1, b)
    layer = costs["projections"] + costs["feed_forward"]
    assert layer.weight_bytes == 2 * (10 * d**2 + 2 * d**2 / g)
    assert layer.flop == b * layer.weight_bytes
    assert costs["attention"].kv_bytes == 4 * b * n * d / g
    assert costs["attention"].flop == 4 * b * n * d


def test_arithmetic_of_the_staged_paper():
    """arXiv:2308.04623: 1.4 GFLOP per token of GPT-2 Large, 0.13 % of a 4090 at 150 tokens/s.

    Its 1.4 leaves the output head out (with it 1.54), as 2 x 708M layer weights shows.
    """
    from simulator.hardware import known_hardware

    costs = operator_costs(known_shape("gpt2-large"), 1, 0)
    layers = total_cost(costs).flop - costs["logits"].flop
    assert layers / 1e9 == pytest.approx(1.4, abs=0.05)
    used = 150 * layers / known_hardware("RTX-4090").peak("float16")
    assert 100 * used == pytest.approx(0.13, abs=0.005)


def test_distinct_experts_are_those_of_an_enumeration():
    """Brute force: every choice of 2 of 4 experts by each of 3 tokens."""
    from itertools import combinations, product

    choices = list(combinations(range(4), 2))
    unions = [len(set().union(*picked)) for picked in product(choices, repeat=3)]
    assert expected_distinct_experts(4, 2, 3) == pytest.approx(np.mean(unions), rel=1e-12)


@given(st.integers(1, 300), st.data(), st.integers(0, 400))
def test_distinct_experts_rise_and_stay_below_all(experts, data, tokens):
    visited = data.draw(st.integers(1, experts))
    one, more = expected_distinct_experts(experts, visited, [tokens, tokens + 1])
    assert 0 <= one <= more <= experts
    assert one <= visited * tokens + 1e-9
    assert expected_distinct_experts(experts, visited, 1) == pytest.approx(visited)


def test_published_unions_of_256_experts_at_8_a_token():
    """8.0, 15.8, 30.5, 44.4, 57.4, 102.0 for 1, 2, 4, 6, 8, 16 tokens (formula of 2505.19645)."""
    published = [8.0, 15.8, 30.5, 44.4, 57.4, 102.0]
    ours = expected_distinct_experts(256, 8, [1, 2, 4, 6, 8, 16])
    assert ours == pytest.approx(published, abs=0.06)


@settings(max_examples=20)
@given(st.floats(0.25, 4), st.floats(0.25, 4))
def test_traffic_is_linear_in_the_bytes_per_number(weight, kv):
    shape = known_shape("Mixtral-8x7B-v0.1")
    one = total_cost(operator_costs(shape, 4, 500, 3, precision=Precision(1, 1, 1)))
    cost = total_cost(operator_costs(shape, 4, 500, 3, precision=Precision(weight, kv, 1)))
    expected = weight * one.weight_bytes + kv * one.kv_bytes + one.activation_bytes
    assert cost.bytes == pytest.approx(expected)


def test_arrays_broadcast_and_agree_with_single_values():
    shape = known_shape("Qwen3-30B-A3B")
    grid = total_cost(operator_costs(shape, np.array([1, 5])[:, None], 100, [1, 8, 64]))
    assert grid.flop.shape == grid.bytes.shape == (2, 3)
    one = total_cost(operator_costs(shape, 5, 100, 8))
    assert (grid.flop[1, 1], grid.bytes[1, 1]) == (one.flop, one.bytes)


def test_prefill_reads_out_one_position():
    shape = known_shape("gpt2")
    costs = operator_costs(shape, 100, 0, logit_tokens=1)
    assert costs["logits"].flop == operator_costs(shape, 1, 0)["logits"].flop


def test_bad_queries_are_refused():
    shape = known_shape("gpt2")
    with pytest.raises(ValueError, match="num_tokens must be finite and >= 1, not 0"):
        operator_costs(shape, 0, 0)
    with pytest.raises(ValueError, match="batch must be finite and >= 1, not 0"):
        operator_costs(shape, 1, 0, 0)
    with pytest.raises(ValueError, match="experts_per_token must be <= num_experts 4, not 5"):
        expected_distinct_experts(4, 5, 1)
    with pytest.raises(ValueError, match="weight must be finite and > 0, not 0"):
        Precision(weight=0)
    with pytest.raises(ValueError, match="at least 1 operator"):
        total_cost({})
