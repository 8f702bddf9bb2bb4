"""The training recipe: right blocks, resumable, and it learns."""

import contextlib
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.diffusion.lean import LeanDenoiser
from engine.diffusion.loading import load_diffusion
from engine.diffusion.noise import sigma_at
from engine.errors import InputError
from engine.model import wrap
from engine.training import diffusion_drafter, pair
from engine.training.corpus import Document
from engine.training.data import Stream
from engine.training.diffusion import (
    DiffusionRecipe,
    cut_blocks,
    diffusion_loss,
    new_denoiser,
    target_laws,
    train_diffusion,
)
from engine.training.diffusion_drafter import make_diffusion
from engine.training.tokenizer import train_tokenizer
from engine.training.trainer import Budget, Progress
from tests.tiny_models import tiny_llama, tiny_tokenizer

VOCAB = 32
RECIPE = DiffusionRecipe(
    heads=4, intermediate=48, max_block=6, batch=4, length=24, block_tokens=24
)  # fmt: skip
STREAMS = [Stream((np.arange(4000) * 5 % VOCAB).astype(np.uint16), 1.0)]


def tiny_target(seed: int = 0):  # type: ignore[no-untyped-def]
    return tiny_llama(vocab=VOCAB, num_key_value_heads=4, seed=seed)


@pytest.mark.parametrize("seed", range(8))
def test_blocks_stand_behind_a_prefix_and_are_masked_by_their_time(seed: int) -> None:
    windows = torch.arange(24).expand(4, 24)
    blocks = cut_blocks(windows, RECIPE, VOCAB, np.random.default_rng(seed))
    size = blocks.clean.shape[2]
    assert 1 <= size <= RECIPE.max_block
    assert blocks.starts.min() >= 1
    assert len(set(blocks.starts.tolist())) == len(blocks.starts)
    assert (blocks.clean == blocks.starts[:, None] + torch.arange(size)).all()
    shown = blocks.noised != VOCAB
    assert (blocks.noised[shown] == blocks.clean[shown]).all()
    assert ((blocks.times > 0) & (blocks.times <= 1)).all()


def test_times_are_uniform_where_not_all_is_masked() -> None:
    rng = np.random.default_rng(0)
    windows = torch.zeros(4, 24, dtype=torch.int64)
    drawn = [cut_blocks(windows, RECIPE, VOCAB, rng, 3, 0.0) for _ in range(100)]
    times = torch.cat([b.times.flatten() for b in drawn])
    masked = torch.cat([(b.noised == VOCAB).float().mean(-1).flatten() for b in drawn])
    # 3,200 draws: 4 standard errors of the mean of a uniform variable are 0.02
    assert abs(float(times.mean()) - 0.5) < 0.02
    assert abs(float((masked - times).mean())) < 0.02


def test_the_target_gives_the_law_of_the_token_at_a_place() -> None:
    target = tiny_target()
    windows = torch.randint(0, VOCAB, (2, 12), generator=torch.Generator().manual_seed(0))
    got = target_laws(target, windows, torch.tensor([[0, 1], [1, 7]]))
    with torch.no_grad():
        for row, (window, place) in enumerate([(0, 1), (1, 7)]):
            logits = target(input_ids=windows[window : window + 1, :place]).logits[0, -1]
            assert torch.allclose(got[row], logits.softmax(-1), atol=0.02)  # bfloat16 inside


def test_only_open_ended_tokens_are_distilled() -> None:
    """A visible token later in the block says more than the target knows: the data counts."""
    target, other = tiny_target(), tiny_target(seed=3)
    denoiser = new_denoiser(RECIPE, target)
    windows = torch.randint(0, VOCAB, (4, 24), generator=torch.Generator().manual_seed(0))
    blocks = cut_blocks(windows, RECIPE, VOCAB, np.random.default_rng(0), 4, 0.0)
    noised = blocks.clean.clone()
    noised[..., 1] = VOCAB  # and 2 is visible
    filled = type(blocks)(blocks.starts, blocks.times, blocks.clean, noised)
    with torch.no_grad():
        losses = [
            float(diffusion_loss(denoiser, t, windows, filled)) for t in (None, target, other)
        ]
        assert losses[0] == losses[1] == losses[2]
        noised[..., :-1] = VOCAB  # the last token is in no row: it does not count as seen
        losses = [
            float(diffusion_loss(denoiser, t, windows, filled)) for t in (None, target, other)
        ]
        assert len(set(losses)) == 3


def run(folder: Path, steps: int, stop_after: int | None = None):  # type: ignore[no-untyped-def]
    """Losses of one (possibly interrupted) run, and its denoiser."""
    losses: list[float] = []

    def report(progress: Progress) -> None:
        if progress.evaluation is None:
            losses.append(progress.loss)
        if stop_after is not None and len(losses) == stop_after:
            raise KeyboardInterrupt

    denoiser = None
    with contextlib.suppress(KeyboardInterrupt):
        denoiser, _ = train_diffusion(
            RECIPE, STREAMS, tiny_target(), Budget(steps=steps), folder / "d.pt",
            checkpoint_every_s=0.0, report=report,
        )  # fmt: skip
    return losses, denoiser


def test_an_interrupted_training_resumes_to_the_same_loss_curve(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "a", 14)
    first, nothing = run(tmp_path / "b", 14, stop_after=6)
    rest, denoiser = run(tmp_path / "b", 14)
    assert nothing is None
    assert first[:5] + rest == whole  # the step that was interrupted is done again
    assert denoiser is not None


def test_training_leaves_the_target_alone_and_learns_the_text(tmp_path: Path) -> None:
    """Steps of 5 modulo the vocabulary: one denoising step can know all that follows."""
    target = tiny_llama(vocab=VOCAB, num_key_value_heads=4, initializer_range=0.1)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    recipe = replace(RECIPE, share_all_masked=1.0, matrix_rate=2e-2, other_rate=1e-2)
    denoiser, last = train_diffusion(
        recipe, STREAMS, target, Budget(steps=100), tmp_path / "d.pt", distil=False
    )
    assert last.evaluation is not None
    assert last.evaluation < 1.5  # ln 32 = 3.5 without learning
    assert all(torch.equal(before[name], value) for name, value in target.state_dict().items())
    lean = LeanDenoiser(denoiser, 64, torch.float32)
    text = [i * 5 % VOCAB for i in range(20)]
    prefix, blank = torch.tensor(text[:14]), torch.full((6,), VOCAB)
    drafted = lean.denoise(prefix, blank, prefix[-1:], lean.new_cache(40), sigma_at(1.0))
    assert drafted.argmax(-1)[:3].tolist() == text[14:17]


def test_a_denoiser_starts_as_the_language_model_it_is_made_from() -> None:
    """Row 0 alone is a token of that model, seen twice in the attention to its own place."""
    target = tiny_llama(vocab=VOCAB, num_key_value_heads=4, layers=1)
    lean = LeanDenoiser(new_denoiser(RECIPE, target, target), 64, torch.float32)
    prefix = torch.tensor([7])  # one token: attending to it twice changes nothing
    got = lean.denoise(prefix, torch.full((1,), VOCAB), prefix, lean.new_cache(8), sigma_at(1.0))
    with torch.no_grad():
        assert torch.allclose(got, target(input_ids=prefix[None]).logits[0], atol=1e-4)


def test_the_recipe_makes_a_drafter_that_loads_and_is_not_trained_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [
        Document(Path(f"{i}.py"), f"def add_{i}(a, b):\n    return a + {i}\n" * 40)
        for i in range(30)
    ]
    monkeypatch.setattr(pair, "stdlib_documents", lambda: texts[:20])
    monkeypatch.setattr(pair, "package_documents", lambda: texts[20:])
    monkeypatch.setattr(diffusion_drafter, "MEASURED_PROMPTS", 2)
    tokenizer = tiny_tokenizer(1024)
    hf = tiny_llama(vocab=len(tokenizer), num_key_value_heads=4, context=1024)
    target = wrap("tiny", hf, tokenizer)
    work, folder = tmp_path / "work", tmp_path / "drafter"
    card = make_diffusion(target, None, Budget(steps=3), work, folder, RECIPE)
    assert card["steps"] == 3
    for kept in card["kept_by_position_at_temperature_0"].values():
        assert len(kept) == 8
        assert all(0 <= b <= a <= 1 for a, b in itertools.pairwise(kept))
    weights = load_diffusion(str(folder), target).layers[0].qkv
    make_diffusion(target, None, Budget(steps=3), work, folder, RECIPE)
    assert torch.equal(weights, load_diffusion(str(folder), target).layers[0].qkv)
    other = wrap("other", hf, train_tokenizer(["something else"] * 9, 280, 1024))
    with pytest.raises(InputError, match="corpus in another tokenizer than other's"):
        make_diffusion(other, None, Budget(steps=3), work, folder, RECIPE)
