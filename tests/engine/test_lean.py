"""The lean forwards against Transformers' own, and trees against their paths."""

import pytest
import torch
from transformers import PreTrainedModel

from engine.cache import KVCache
from engine.decode import Request, decode_autoregressive, decode_naive
from engine.errors import InputError
from engine.linear import Linear
from engine.masks import tree_layout
from engine.model import Model, wrap
from engine.trees import Tree
from tests.tiny_models import tiny_gpt2, tiny_llama

LLAMA_SHAPES = {
    "grouped": {},
    "multi-head": {"num_key_value_heads": 4},
    "multi-query": {"num_key_value_heads": 1},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "tied": {"tie_word_embeddings": True},
    "wide heads": {"head_dim": 16},
    "llama3 rope": {
        "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        }
    },
}  # fmt: skip
GPT2_SHAPES = {
    "plain": {},
    "untied": {"tie_word_embeddings": False},
    "narrow inner": {"n_inner": 40},
    "scores unscaled": {"scale_attn_weights": False, "initializer_range": 0.1},
    "scores by layer": {"scale_attn_by_inverse_layer_idx": True},
    "scores by layer alone": {
        "scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True,
        "initializer_range": 0.1,
    },
    "reordered": {"reorder_and_upcast_attn": True},
    "cross-attention unused": {"add_cross_attention": True},
    "another epsilon": {"layer_norm_epsilon": 1e-2},
}  # fmt: skip
ACTIVATIONS = ["gelu_new", "gelu", "gelu_fast", "gelu_pytorch_tanh", "relu", "silu", "tanh"]
CASES = (
    [pytest.param(tiny_llama, s, id=f"llama {n}") for n, s in LLAMA_SHAPES.items()]
    + [pytest.param(tiny_gpt2, s, id=f"gpt2 {n}") for n, s in GPT2_SHAPES.items()]
    + [pytest.param(tiny_gpt2, {"activation_function": a}, id=f"gpt2 {a}") for a in ACTIVATIONS]
)
FORWARDS = [
    pytest.param(tiny_llama, "lean", id="lean llama"),
    pytest.param(tiny_gpt2, "lean", id="lean gpt2"),
    pytest.param(tiny_llama, "transformers", id="transformers llama"),
    pytest.param(tiny_gpt2, "transformers", id="transformers gpt2"),
]


def some_tokens(count: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 64, (count,), generator=torch.Generator().manual_seed(seed))


def disturbed(hf: PreTrainedModel) -> PreTrainedModel:
    """Biases and norms off their initial zeros and ones, so that dropping one shows."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in hf.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return hf


def chunked(model: Model, tokens: torch.Tensor, chunks: list[int]) -> torch.Tensor:
    cache = model.new_cache(len(tokens))
    return torch.cat([model.forward(c, cache, len(c)) for c in tokens.split(chunks)])


@torch.inference_mode()
@pytest.mark.parametrize(("make", "shape"), CASES)
def test_lean_logits_are_those_of_transformers(make, shape: dict) -> None:  # type: ignore[no-untyped-def]
    hf = disturbed(make(**shape))
    lean = wrap("tiny", hf)
    assert lean.forward_kind == "lean"
    tokens = some_tokens(50)
    reference = hf(input_ids=tokens[None]).logits[0]
    ours = chunked(lean, tokens, [20, 1, 1, 9, 19])
    assert (ours - reference).abs().max() < 2e-5 * reference.abs().max()


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2], ids=["llama", "gpt2"])
def test_greedy_texts_are_those_of_transformers(make) -> None:  # type: ignore[no-untyped-def]
    lean = wrap("tiny", make())
    assert lean.forward_kind == "lean"
    for start in range(8):
        request = Request([start, 11, 30], 60)
        assert decode_autoregressive(lean, request).tokens == decode_naive(lean, request).tokens


TREES = {
    "chain": Tree.chain(4),
    "k-ary": Tree.k_ary((3, 2, 1)),
    "uneven": Tree((-1, -1, -1, 0, 0, 2, 3, 5)),
}


@torch.inference_mode()
@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
@pytest.mark.parametrize(("make", "forward"), FORWARDS)
def test_tree_logits_are_those_of_every_path(make, forward, tree: Tree) -> None:  # type: ignore[no-untyped-def]
    model = wrap("tiny", disturbed(make()), forward=forward)
    prompt, drafted = some_tokens(12), some_tokens(len(tree), seed=2)
    cache = model.new_cache(40, len(tree))
    model.forward(prompt[:-1], cache, 0)
    inputs = torch.cat([prompt[-1:], drafted])
    layout = tree_layout(tree, 11, model.dtype, model.device)
    logits, features = model.forward_with_features(inputs, cache, len(inputs), layout)
    for node in range(-1, len(tree)):
        path = torch.cat([prompt, drafted[tree.path(node)]])
        alone = model.new_cache(40)
        wanted, told = model.forward_with_features(path, alone, 1)
        bound = 2e-5 * wanted.abs().max()
        assert (logits[node + 1] - wanted[0]).abs().max() < bound
        assert (features[node + 1] - told[-1]).abs().max() < 2e-5 * told.abs().max()


@torch.inference_mode()
@pytest.mark.parametrize(("make", "forward"), FORWARDS)
def test_a_committed_path_decodes_on_as_if_it_had_been_the_text(make, forward) -> None:  # type: ignore[no-untyped-def]
    tree, path = Tree((-1, -1, -1, 0, 0, 2, 3, 5)), [2, 5, 7]
    model = wrap("tiny", make(), forward=forward)
    prompt, drafted, after = some_tokens(12), some_tokens(len(tree), seed=2), some_tokens(3, seed=3)
    cache = model.new_cache(40, len(tree))
    model.forward(prompt[:-1], cache, 0)
    inputs = torch.cat([prompt[-1:], drafted])
    model.forward(inputs, cache, 1, tree_layout(tree, 11, model.dtype, model.device))
    cache.commit(11, [0, *(node + 1 for node in path)])
    got = model.forward(after, cache, 3)
    text = torch.cat([prompt, drafted[path], after])
    wanted = model.forward(text, model.new_cache(40), 3)
    assert (got - wanted).abs().max() < 2e-5 * wanted.abs().max()


@torch.inference_mode()
@pytest.mark.parametrize(("make", "forward"), FORWARDS)
def test_features_are_what_the_head_multiplies(make, forward) -> None:  # type: ignore[no-untyped-def]
    hf = disturbed(make())
    model = wrap("tiny", hf, forward=forward)
    tokens = some_tokens(9)
    logits, features = model.forward_with_features(tokens, model.new_cache(20), 4)
    assert features.shape == (9, 32)
    assert torch.allclose(hf.lm_head(features)[-4:], logits, atol=1e-4)
    assert torch.allclose(logits, model.forward(tokens, model.new_cache(20), 4), atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2], ids=["llama", "gpt2"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bit_logits_are_as_close_to_the_truth_as_transformers_own(make, dtype) -> None:  # type: ignore[no-untyped-def]
    tokens = some_tokens(40)
    truth = make()(input_ids=tokens[None]).logits[0]
    hf = make().to(dtype)
    own = hf(input_ids=tokens[None]).logits[0].float()
    lean = chunked(wrap("tiny", hf), tokens, [30, 1, 9]).float()
    assert lean.dtype == torch.float32
    error, allowed = (lean - truth).square().mean().sqrt(), (own - truth).square().mean().sqrt()
    assert error < 1.25 * allowed


@torch.inference_mode()
def test_a_cache_of_the_models_own_dtype_serves_too() -> None:
    model = wrap("tiny", tiny_llama().bfloat16())
    usual = model.new_cache(20)
    assert usual.keys.dtype == model.run.cache_dtype
    layers, batch, heads, _, dim = usual.keys.shape
    cache = KVCache(layers, heads, dim, 20, dtype=model.dtype, device=model.device, batch=batch)
    tokens = some_tokens(12)
    got, wanted = model.forward(tokens, cache, 12), model.forward(tokens, usual, 12)
    assert got.dtype == wanted.dtype == model.run.cache_dtype
    assert (got - wanted).abs().max() < 0.1 * wanted.abs().max()


@pytest.mark.parametrize(
    "settings",
    [{"activation_function": "quick_gelu"}, {"activation_function": "mish"}],
    ids=lambda s: s["activation_function"],
)
def test_gpt2_models_that_would_differ_run_through_transformers(settings: dict) -> None:
    hf = tiny_gpt2(**settings)
    assert wrap("tiny", hf).forward_kind == "transformers"
    with pytest.raises(InputError, match="lean forward does not support this model of type 'gpt2'"):
        wrap("tiny", hf, forward="lean")


def test_upcast_attention_in_sixteen_bit_runs_through_transformers() -> None:
    hf = tiny_gpt2(reorder_and_upcast_attn=True)
    assert wrap("tiny", hf).forward_kind == "lean"
    assert wrap("tiny", hf.bfloat16()).forward_kind == "transformers"


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("rows", [0, 1, 3, 40])
def test_a_packed_linear_layer_is_a_linear_layer(dtype: torch.dtype, rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight, bias, x, residual = (
        torch.randn(shape, generator=generator).to(dtype)
        for shape in [(24, 16), (24,), (rows, 16), (rows, 24)]
    )
    wanted = x.double() @ weight.double().t() + bias.double()
    linear = Linear(weight, bias)
    bound = 40 * torch.finfo(dtype).eps
    assert torch.allclose(linear(x).double(), wanted, rtol=bound, atol=bound)
    both = linear.plus(residual, x).double()
    assert torch.allclose(both, wanted + residual.double(), rtol=bound, atol=bound)
    assert linear(x).dtype == dtype


def test_where_weights_cannot_be_packed_the_plain_product_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    linear = Linear(torch.eye(3))
    assert not linear.is_packed
    assert linear(torch.ones(2, 3)).tolist() == [[1, 1, 1], [1, 1, 1]]
