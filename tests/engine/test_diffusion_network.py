"""The denoiser's two forwards agree, drafts change no text, and other targets are refused."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from engine.clock import StageClock
from engine.decode import (
    Request,
    decode_autoregressive,
    decode_schedule,
    decode_speculative,
)
from engine.diffusion.lean import LeanDenoiser
from engine.diffusion.loading import load_diffusion, save_diffusion
from engine.diffusion.network import Denoiser
from engine.diffusion.noise import sigma_at
from engine.drafters.diffusion import ACCEPTANCES, DiffusionDrafter
from engine.errors import InputError
from engine.model import Model, wrap
from engine.sampling import Sampling
from engine.training.diffusion import DiffusionRecipe, new_denoiser
from engine.trees import Tree
from tests.tiny_models import tiny_gpt2, tiny_llama, tiny_tokenizer

VOCAB = 64
RECIPE = DiffusionRecipe(heads=4, intermediate=48, max_block=8)


def denoiser_for(model: Model, seed: int = 0) -> Denoiser:
    """Untrained, every parameter at random: gains, mask and offsets matter."""
    torch.manual_seed(seed)
    denoiser = new_denoiser(RECIPE, model.hf).eval()
    with torch.no_grad():
        for parameter in denoiser.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return denoiser


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def target(request: pytest.FixtureRequest) -> Model:
    # as many key as query heads, as GPT-2 has
    hf = tiny_llama(num_key_value_heads=4) if request.param == "llama" else tiny_gpt2()
    return wrap("target", hf)


@pytest.fixture(scope="module")
def denoiser(target: Model) -> Denoiser:
    return denoiser_for(target)


@pytest.fixture
def lean(denoiser: Denoiser, target: Model) -> LeanDenoiser:
    return LeanDenoiser(denoiser, target.context, torch.float32)


@torch.no_grad()
def test_the_lean_forward_computes_what_the_trained_module_computes(
    denoiser: Denoiser, lean: LeanDenoiser
) -> None:
    """Many blocks at once against one at a time, and a prefix taken in in pieces."""
    generator = torch.Generator().manual_seed(1)
    window = torch.randint(0, VOCAB, (2, 30), generator=generator)
    starts, size = torch.tensor([1, 7, 22, 25]), 5
    blocks = torch.randint(0, VOCAB, (2, 4, size), generator=generator)
    blocks[torch.rand(blocks.shape, generator=generator) < 0.6] = VOCAB
    times = [[1.0, 0.3, 0.5, 1.0], [0.7, 1.0, 0.2, 0.3]]
    sigma = torch.tensor([[sigma_at(t) for t in row] for row in times])
    states = denoiser(window, blocks, starts, sigma)
    for row in range(2):
        cache = lean.new_cache(40)
        for k, start in enumerate(starts.tolist()):
            prefix, block = window[row, cache.length : start], blocks[row, k]
            last = window[row, start - 1 : start]
            got = lean.denoise(prefix, block, last, cache, sigma_at(times[row][k]))
            assert cache.length == start
            wanted = F.linear(states[row, k], denoiser.head)
            assert torch.allclose(got, wanted, atol=2e-4, rtol=1e-4)
            # a second look at the same block, all of its prefix cached
            again = lean.denoise(prefix[:0], block, last, cache, sigma_at(times[row][k]))
            assert torch.allclose(got, again, atol=2e-4, rtol=1e-4)


@torch.no_grad()
def test_a_block_sees_its_prefix_and_itself_and_nothing_else(denoiser: Denoiser) -> None:
    window = torch.arange(20)[None]
    blocks = torch.full((1, 2, 4), VOCAB)
    sigma = torch.ones(1, 2)
    starts = torch.tensor([5, 12])
    before = denoiser(window, blocks, starts, sigma)
    other = window.clone()
    other[0, 5:] = 3
    shown = blocks.clone()
    shown[0, 1, 3] = 9
    after = denoiser(other, shown, starts, sigma)
    assert torch.allclose(before[0, 0], after[0, 0], atol=1e-6)
    assert not torch.allclose(before[0, 1, 0], after[0, 1, 0], atol=1e-3)  # sees the block's end
    noisier = denoiser(window, blocks, starts, 3 * sigma)
    assert not torch.allclose(before, noisier, atol=1e-3)


@pytest.mark.parametrize("acceptance", ACCEPTANCES)
@pytest.mark.parametrize(("num_steps", "size"), [(1, 1), (1, 6), (2, 5), (4, 8), (8, 8), (2, 20)])
def test_text_at_temperature_zero_is_autoregressive_text(
    target: Model, lean: LeanDenoiser, num_steps: int, size: int, acceptance: str
) -> None:
    for start in range(3):
        request = Request([start, 17, 42, 5], 40)
        expected = decode_autoregressive(target, request).tokens
        drafter = DiffusionDrafter(lean, num_steps, acceptance)  # type: ignore[arg-type]
        got = decode_speculative(target, drafter, request, Tree.chain(size))
        assert got.tokens == expected
        limit = 8 * num_steps if acceptance == "left_to_right" else 8
        assert max(r.num_draft_tokens for r in got.rounds) == min(size, limit)


@pytest.mark.parametrize("acceptance", ACCEPTANCES)
@pytest.mark.parametrize("num_steps", [1, 2, 4])
@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_coupled_text_is_autoregressive_text_with_the_same_seed(
    target: Model, lean: LeanDenoiser, num_steps: int, acceptance: str, temperature: float
) -> None:
    request = Request([3, 17, 42, 5], 40, Sampling(temperature), seed=7, rule="coupled")
    expected = decode_autoregressive(target, request).tokens
    drafter = DiffusionDrafter(lean, num_steps, acceptance)  # type: ignore[arg-type]
    assert decode_speculative(target, drafter, request, Tree.chain(4)).tokens == expected


class Perfect:
    """A block model that knows the text: everything it drafts must be kept."""

    max_block = 8
    device = torch.device("cpu")

    def __init__(self, lean: LeanDenoiser, text: list[int]) -> None:
        self.lean, self.text, self.vocab_size = lean, text, lean.vocab_size
        self.new_cache = lean.new_cache

    def denoise(self, prefix, block, last, cache, sigma):  # type: ignore[no-untyped-def]
        logits = self.lean.denoise(prefix, block, last, cache, sigma)
        assert int(last) == self.text[cache.length - 1]
        for row in range(len(block)):
            if cache.length + row < len(self.text):
                logits[row, self.text[cache.length + row]] = 1e4
        return logits


@pytest.mark.parametrize("acceptance", ACCEPTANCES)
@pytest.mark.parametrize("num_steps", [1, 2, 4])
def test_a_draft_that_is_right_is_kept_whole(
    target: Model, lean: LeanDenoiser, num_steps: int, acceptance: str
) -> None:
    request = Request([1, 17, 42, 5], 37)
    text = request.prompt + decode_autoregressive(target, request).tokens
    drafter = DiffusionDrafter(Perfect(lean, text), num_steps, acceptance)  # type: ignore[arg-type]
    got = decode_speculative(target, drafter, request, Tree.chain(8))
    assert [r.num_accepted for r in got.rounds] == [8, 8, 8, 8, 0]
    assert got.tokens == text[4:]


def test_draft_lengths_may_change_every_round(target: Model, lean: LeanDenoiser) -> None:
    request = Request([3, 17, 42, 5], 50)
    expected = decode_autoregressive(target, request).tokens
    for acceptance in ACCEPTANCES:
        lengths = iter([3, 0, 0, 5, 1, 0, 8, 2] * 20)
        drafter = DiffusionDrafter(lean, 2, acceptance)
        clock = StageClock(target.device)
        got = decode_schedule(
            target, drafter, request, lambda done, it=lengths: Tree.chain(next(it)), clock=clock
        )
        assert got.tokens == expected
        assert {"draft", "draft_sampling"} <= {lap.stage for lap in clock.laps()}


# --- saving, loading, refusing


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    tokenizer = tiny_tokenizer()
    hf = tiny_llama(vocab=len(tokenizer), num_key_value_heads=4)
    target = wrap("tiny", hf, tokenizer)
    folder = tmp_path_factory.mktemp("diffusion")
    save_diffusion(denoiser_for(target), folder, target.name, tokenizer, {"steps": 0})
    return target, folder


def test_a_saved_drafter_loads_for_its_target(saved: tuple[Model, Path]) -> None:
    target, folder = saved
    lean = load_diffusion(str(folder), target)
    kept = denoiser_for(target).to(torch.bfloat16).float()
    assert torch.equal(lean.layers[0].qkv, kept.layers[0].qkv)
    drafter = DiffusionDrafter(lean)
    request = Request([3, 17, 42, 5], 20)
    got = decode_speculative(target, drafter, request, Tree.chain(4))
    assert got.tokens == decode_autoregressive(target, request).tokens


def refused(source: str, target: Model, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load_diffusion(source, target)
    assert "\n" not in str(caught.value)


def test_a_drafter_for_another_target_is_refused(saved: tuple[Model, Path]) -> None:
    target, folder = saved
    vocab = target.vocab_size
    wide = tiny_llama(vocab=vocab, hidden_size=48)
    refused(str(folder), wrap("wide", wide), "hidden size 32; wide has hidden size 48")
    small = wrap("small", tiny_llama(vocab=64))
    refused(str(folder), small, f"vocabulary of {vocab} tokens; small has 64")
    other = tiny_tokenizer()
    other.add_tokens(["zzz"])
    renamed = wrap("renamed", target.hf, other)
    refused(str(folder), renamed, "tokenizer of renamed gives tokens other ids")
    foreign = wrap("foreign", tiny_llama(vocab=vocab, seed=5), target.tokenizer)
    refused(str(folder), foreign, "foreign has another embedding")


def test_what_is_no_drafter_is_refused(saved: tuple[Model, Path], tmp_path: Path) -> None:
    target, folder = saved
    refused("nothing-there", target, "no diffusion drafter 'nothing-there'")
    for name, text in (("kind", '{"kind": "other"}'), ("json", "{"), ("shape", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "drafter.json").write_text(text)
        refused(str(tmp_path / name), target, "diffusion drafter")
    card = json.loads((folder / "drafter.json").read_text())
    card["shape"]["layers"] = 3
    (tmp_path / "drafter.json").write_text(json.dumps(card))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    refused(str(tmp_path), target, "do not fit its card")
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    refused(str(tmp_path), target, "cannot load a diffusion drafter")


def test_a_text_beyond_the_context_is_refused(lean: LeanDenoiser) -> None:
    with pytest.raises(InputError, match=r"257 tokens exceed .* 256 tokens"):
        lean.new_cache(257)
