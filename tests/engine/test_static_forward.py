"""The static-buffer path run operator by operator; graphs of it need a CUDA device."""

import gc

import pytest
import torch

from engine.decode import Request, decode_autoregressive, decode_chain, decode_speculative
from engine.drafters.language_model import LanguageModelDrafter
from engine.masks import tree_layout
from engine.model import Model, wrap
from engine.sampling import Sampling
from engine.static_forward import BUCKET, WIDEST
from engine.trees import Tree
from tests.tiny_models import noisy_copy, tiny_gpt2, tiny_llama

FAMILIES = {"llama": tiny_llama, "gpt2": tiny_gpt2}
TREE = Tree.k_ary((2, 2))


def both_ways(family: str, noise: float = 0.0) -> tuple[Model, Model]:
    """One model, by the plain lean forward and by the static one."""
    hf = FAMILIES[family](context=400)
    if noise:
        hf = noisy_copy(hf, noise)
    return wrap("plain", hf, forward="lean"), wrap("static", hf, forward="graphs")


@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_logits_features_and_cache_are_those_of_the_plain_forward(family: str) -> None:
    tokens = torch.arange(1, 40) % 64
    found = []
    for model in both_ways(family):
        cache = model.new_cache(60, spare=8)
        model.forward(tokens[:20], cache, 0)
        outputs = [model.forward(tokens[20:21], cache, 1)]
        outputs += model.forward_with_features(tokens[21:26], cache, 2)
        layout = tree_layout(TREE, cache.length, cache.keys.dtype, tokens.device)
        inputs = tokens[26 : 27 + len(TREE)]
        outputs.append(model.forward(inputs, cache, len(inputs), layout))
        cache.commit(26, [0, 2, 5])
        outputs.append(model.forward(tokens[:1], cache, 1))
        found.append([*outputs, cache.both[..., : cache.length, :]])
    for plain, static in zip(*found, strict=True):
        # summed over more keys, of which those not held weigh nothing
        torch.testing.assert_close(static, plain, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_are_those_of_the_plain_forward(family: str) -> None:
    plain, static = both_ways(family)
    drafts = both_ways(family, noise=0.1)
    for sampling in (Sampling(0.0), Sampling(1.0)):
        request = Request([1, 2, 3, 4, 5], 40, sampling, seed=3)
        wanted = decode_autoregressive(plain, request).tokens
        assert decode_autoregressive(static, request).tokens == wanted
        made = [
            [
                decode_chain(target, LanguageModelDrafter(draft), request, 3).tokens,
                decode_speculative(target, LanguageModelDrafter(draft), request, TREE).tokens,
            ]
            for target, draft in ((plain, drafts[0]), (static, drafts[1]))
        ]
        assert made[0] == made[1]


def test_stale_memory_of_an_earlier_text_is_not_seen() -> None:
    _, static = both_ways("llama")
    request = Request([7, 8, 9], 20)
    fresh = decode_autoregressive(static, request).tokens
    decode_autoregressive(static, Request(list(range(1, 50)), 60))
    assert decode_autoregressive(static, request).tokens == fresh


def test_memory_is_used_again_once_its_cache_is_gone_and_not_before() -> None:
    _, static = both_ways("gpt2")
    first, second = static.new_cache(10), static.new_cache(20)
    assert first.capacity == second.capacity == BUCKET
    address = first.both.data_ptr()
    assert second.both.data_ptr() != address
    del first
    gc.collect()
    assert static.new_cache(30).both.data_ptr() == address


@torch.inference_mode()
def test_a_wide_forward_and_a_foreign_cache_take_the_plain_path() -> None:
    plain, static = both_ways("llama")
    tokens = torch.arange(WIDEST + 1) % 64
    own, foreign = static.new_cache(200), plain.new_cache(200)
    wide = static.forward(tokens, own, 3)
    other = static.forward(tokens[:5], foreign, 2)
    assert torch.equal(wide, plain.forward(tokens, plain.new_cache(200), 3))
    assert torch.equal(other, plain.forward(tokens[:5], plain.new_cache(200), 2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="captures CUDA graphs")
@pytest.mark.parametrize("family", FAMILIES)
def test_replayed_graphs_write_the_texts_of_the_plain_forward(family: str) -> None:
    hf = FAMILIES[family](context=400).cuda()
    plain, graphed = wrap("plain", hf, forward="lean"), wrap("graphed", hf, forward="graphs")
    for prompt in ([1, 2, 3], list(range(1, 40)), [1, 2, 3]):
        request = Request(prompt, 40)
        wanted = decode_autoregressive(plain, request).tokens
        assert decode_autoregressive(graphed, request).tokens == wanted
        drafter = LanguageModelDrafter(graphed)
        assert decode_chain(graphed, drafter, request, 3).tokens == wanted
        assert decode_speculative(graphed, drafter, request, TREE).tokens == wanted
