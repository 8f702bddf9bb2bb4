import itertools
from pathlib import Path

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from engine.errors import InputError
from engine.model import Model, check_same_tokenizer, load_model, resolve_device, wrap
from engine.training.tokenizer import save_tokenizer, train_tokenizer
from tests.tiny_models import TEXT, save_tiny_pair, tiny_gpt2, tiny_llama


def chunked_logits(model: Model, tokens: torch.Tensor, chunks: list[int]) -> torch.Tensor:
    cache = model.new_cache(len(tokens))
    pieces = []
    for chunk in tokens.split(chunks):
        pieces.append(model.forward(chunk, cache, len(chunk)))
    return torch.cat(pieces)


@torch.inference_mode()
@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2], ids=["llama", "gpt2"])
def test_transformers_models_run_unmodified_over_our_cache(make) -> None:  # type: ignore[no-untyped-def]
    hf = make()
    model = wrap("tiny", hf, forward="transformers")
    tokens = torch.randint(0, 64, (50,), generator=torch.Generator().manual_seed(1))
    reference = hf(input_ids=tokens[None]).logits[0]
    ours = chunked_logits(model, tokens, [20, 1, 1, 9, 19])
    assert (ours - reference).abs().max() < 2e-5 * reference.abs().max()


@torch.inference_mode()
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_masks_hold_under_every_attention_implementation(attention: str) -> None:
    """A boolean 4-D mask is silently wrong under eager attention; ours is additive."""
    hf = tiny_gpt2()
    hf.set_attn_implementation(attention)
    tokens = torch.arange(30)
    reference = hf(input_ids=tokens[None]).logits[0]
    ours = chunked_logits(wrap("tiny", hf, forward="transformers"), tokens, [10, 20])
    assert torch.allclose(ours, reference, atol=1e-4)


@torch.inference_mode()
def test_rolled_back_tokens_leave_no_trace() -> None:
    model = wrap("tiny", tiny_llama())
    cache, clean = model.new_cache(40), model.new_cache(40)
    prompt, wrong, right = torch.arange(10), torch.arange(20, 27), torch.arange(30, 34)
    model.forward(prompt, cache, 0)
    model.forward(wrong, cache, 7)
    cache.rollback(10)
    model.forward(prompt, clean, 0)
    assert torch.equal(model.forward(right, cache, 4), model.forward(right, clean, 4))


@torch.inference_mode()
def test_zero_logits_skips_the_head_but_fills_the_cache() -> None:
    for model in (wrap("a", tiny_llama()), wrap("b", tiny_gpt2())):
        cache = model.new_cache(10)
        assert model.forward(torch.arange(4), cache, 0).shape[0] == 0
        assert cache.length == 4


def test_more_tokens_than_the_context_are_refused() -> None:
    model = wrap("tiny", tiny_llama(context=32))
    with pytest.raises(InputError, match="33 tokens exceed the context of tiny: 32 tokens"):
        model.new_cache(33)
    cache = model.new_cache(8)
    with pytest.raises(InputError, match="9 tokens do not fit"):
        model.forward(torch.arange(9), cache, 1)


def test_models_with_sliding_windows_are_refused() -> None:
    config = MistralConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, sliding_window=16,
    )  # fmt: skip
    with pytest.raises(InputError, match="cannot be rolled back"):
        wrap("mistral", MistralForCausalLM(config))


def test_lean_forward_is_refused_where_it_would_be_wrong() -> None:
    hf = tiny_gpt2(activation_function="mish")
    with pytest.raises(InputError, match="lean forward does not support this model of type 'gpt2'"):
        wrap("tiny", hf, forward="lean")


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_folders_load_with_their_tokenizers(tmp_path: Path, family: str) -> None:
    target, draft = (load_model(str(p)) for p in save_tiny_pair(tmp_path, family))
    check_same_tokenizer(target, draft)
    assert target.name == f"{family}-target"
    assert target.tokenizer is not None
    assert target.tokenizer.decode(target.tokenizer.encode(TEXT)) == TEXT


def test_bad_sources_devices_and_dtypes_give_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    for source, message in [
        ("no-such-model", "no model 'no-such-model': not a folder"),
        (str(tmp_path / "missing"), "no model"),
        (str(tmp_path / "empty"), "holds no config.json"),
        (str(tmp_path / "broken"), "cannot load a causal language model"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            load_model(source)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="dtype must be one of float32, bfloat16, float16"):
        load_model("any", dtype="int3")
    with pytest.raises(InputError, match="device must be auto, cpu or cuda, not 'tpu'"):
        resolve_device("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_without_a_cuda_device_is_refused() -> None:
    with pytest.raises(InputError, match="torch finds no CUDA device"):
        resolve_device("cuda")


def test_unequal_tokenizers_are_refused(tmp_path: Path) -> None:
    target_folder, draft_folder = save_tiny_pair(tmp_path, "llama")
    target = load_model(str(target_folder))
    other = train_tokenizer(["zebra quartz jumps vexing"] * 4, target.vocab_size, 256)
    assert len(other) <= target.vocab_size
    save_tokenizer(other, draft_folder)
    with pytest.raises(InputError, match="tokenizers of llama-target and llama-draft differ in"):
        check_same_tokenizer(target, load_model(str(draft_folder)))
    small = wrap("small", tiny_llama(vocab=32))
    with pytest.raises(InputError, match="vocabulary of 32 tokens"):
        check_same_tokenizer(target, small)


@torch.inference_mode()
def test_every_split_of_a_sequence_gives_the_same_logits() -> None:
    model = wrap("tiny", tiny_llama())
    tokens = torch.arange(6)
    whole = chunked_logits(model, tokens, [6])
    for cut in itertools.product((0, 1), repeat=5):
        sizes, run = [], 1
        for boundary in cut:
            if boundary:
                sizes, run = [*sizes, run], 1
            else:
                run += 1
        assert torch.allclose(chunked_logits(model, tokens, [*sizes, run]), whole, atol=1e-4)
