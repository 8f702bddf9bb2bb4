"""The recipe of the heads: features are right, training resumes, accuracies are counted right."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.decode import Request, decode_autoregressive, decode_speculative
from engine.drafters.mtp import MtpDrafter
from engine.heads.loading import KINDS, load_heads, read_card
from engine.heads.target_ends import TargetEnds
from engine.model import Model, wrap
from engine.sampling import Sampling
from engine.training import heads as recipe
from engine.training.data import Stream
from engine.training.features import FeatureStore, collect, continued, described
from engine.training.heads import HeadsBudget, HeadsRecipe, make_heads, rank_accuracies, train_heads
from engine.training.trainer import Budget, Progress
from engine.trees import Tree
from tests.tiny_models import tiny_llama

TINY = HeadsRecipe(depth=2, batch=4, length=16, positions=8)


@pytest.fixture(scope="module")
def target() -> Model:
    return wrap("tiny", tiny_llama(context=128))


@pytest.fixture(scope="module")
def streams() -> list[Stream]:
    """A text that counts in steps of 1 and 3: easy to learn."""
    counting = np.arange(6000) * np.where(np.arange(6000) // 600 % 2 == 0, 1, 3)
    return [Stream((counting % 64).astype(np.uint16), 1.0)]


@pytest.fixture(scope="module")
def store(target: Model, streams: list[Stream], tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("features")
    return collect(target, streams, folder, Budget(steps=2), batch=6, length=32, prompt_length=10)


def test_continued_text_is_the_targets_and_so_are_its_features(target: Model) -> None:
    prompts = torch.randint(0, 64, (4, 7), generator=torch.Generator().manual_seed(0))
    made = continued(target, prompts, 20, np.random.default_rng(0))
    assert torch.equal(made.tokens[:, :7], prompts)
    for row in (0, 2):  # the greedy ones
        wanted = decode_autoregressive(target, Request(prompts[row].tolist(), 13)).tokens
        assert made.tokens[row, 7:].tolist() == wanted
    again = described(target, made.tokens)
    assert torch.allclose(made.features.float(), again.features.float(), atol=0.05)
    alone = target.forward_with_features(made.tokens[1], target.new_cache(20), 0)[1]
    assert torch.allclose(again.features[1].float(), alone, atol=0.05)


def test_rows_that_are_sampled_follow_the_targets_law(target: Model) -> None:
    prompt = torch.tensor([[3, 9]])
    draws = 4000
    made = continued(
        target, prompt.expand(draws, -1), 3, np.random.default_rng(1), (Sampling(1.0),)
    )
    logits = target.forward(prompt[0], target.new_cache(2), 1)
    wanted = logits.softmax(-1)[0]
    seen = torch.bincount(made.tokens[:, 2], minlength=64) / draws
    # five standard errors for each of 64 shares: a false alarm once in 27,000 runs
    assert ((seen - wanted).abs() < 5 * (wanted * (1 - wanted) / draws).sqrt() + 1 / draws).all()


def test_an_interrupted_collection_goes_on_with_the_same_chunks(
    target: Model, streams: list[Stream], tmp_path: Path
) -> None:
    sizes = {"batch": 2, "length": 12, "prompt_length": 5}
    whole = collect(target, streams, tmp_path / "a", Budget(steps=4), **sizes)
    collect(target, streams, tmp_path / "b", Budget(steps=1), **sizes)
    resumed = collect(target, streams, tmp_path / "b", Budget(steps=4), **sizes)
    assert whole.num_tokens == resumed.num_tokens == 4 * 2 * 12
    one, other = (s.sample(30, 9, np.random.default_rng(5)) for s in (whole, resumed))
    assert torch.equal(one.tokens, other.tokens) and torch.equal(one.features, other.features)


def test_pieces_keep_tokens_and_features_together(target: Model, store: FeatureStore) -> None:
    pieces = store.sample(5, 8, np.random.default_rng(0))
    assert pieces.tokens.shape == (5, 8) and pieces.features.shape == (5, 8, 32)
    # the features' next-token law fits the tokens that follow them in greedy rows, wherever cut
    whole = store.sample(64, 1000, np.random.default_rng(0))
    assert whole.tokens.shape == (64, 32)
    likeliest = TargetEnds.of(target).logits(whole.features.float()).argmax(-1)
    agree = (likeliest[:, 9:-1] == whole.tokens[:, 10:]).all(dim=1)
    assert agree.any()


def losses(
    kind: str, target: Model, store: FeatureStore, folder: Path, stop_after: int | None = None
) -> list[float]:
    """Training losses of one (possibly interrupted) run."""
    seen: list[float] = []

    def report(progress: Progress) -> None:
        if progress.evaluation is None:
            seen.append(progress.loss)
        if len(seen) == stop_after:
            raise KeyboardInterrupt

    held_out = store.sample(2, 16, np.random.default_rng(9))
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        if stop_after is not None:  # a checkpoint after every step, as if time had passed
            honest = recipe.train
            patch.setattr(recipe, "train", lambda *a, **k: honest(*a, **k, checkpoint_every_s=0.0))
        train_heads(
            kind, target, store, held_out, Budget(steps=30), folder / f"{kind}.pt",
            recipe=TINY, report=report,
        )  # fmt: skip
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_resumes_to_the_same_loss_curve(
    kind: str, target: Model, store: FeatureStore, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = losses(kind, target, store, tmp_path / "a")
    first = losses(kind, target, store, tmp_path / "b", stop_after=12)
    rest = losses(kind, target, store, tmp_path / "b")
    assert first[:11] + rest == whole  # the step that was interrupted is done again
    assert len(whole) == 30
    assert np.mean(whole[-5:]) < 0.95 * np.mean(whole[:5])


def test_accuracies_are_those_of_a_head_that_is_known(target: Model) -> None:
    """An untrained head repeats what the target said: its hits can be counted by hand."""
    tokens = torch.randint(0, 64, (3, 20), generator=torch.Generator().manual_seed(3))
    windows = described(target, tokens)
    heads = recipe.new_heads("medusa", TargetEnds.of(target), 2)
    ours = rank_accuracies(heads, windows, 2, 5, ranks=3)
    order = TargetEnds.of(target).logits(windows.features.float()).argsort(-1, descending=True)
    for depth in (1, 2):
        for rank in range(3):
            hits = [
                int(order[row, place - depth - 1, rank]) == int(tokens[row, place])
                for row in range(3)
                for place in range(5, 20)
            ]
            assert ours[depth - 1][rank] == pytest.approx(np.mean(hits), abs=1e-4)


def test_the_recipe_makes_heads_that_load_draft_and_say_what_they_are(
    target: Model, streams: list[Stream], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "RECIPES", dict.fromkeys(KINDS, TINY))
    monkeypatch.setattr(recipe, "DEPTH", 2)
    monkeypatch.setattr(recipe, "PROMPT_LENGTH", 10)
    monkeypatch.setattr(
        recipe,
        "held_out_windows",
        lambda *a, **k: (described(target, TEXT), described(target, TEXT)),
    )
    monkeypatch.setattr(
        recipe, "collect", lambda *a, **k: collect(*a, **k, length=24, prompt_length=10)
    )
    budget = HeadsBudget(Budget(steps=2), Budget(steps=20))
    seen: list[str] = []
    folders = make_heads(
        list(KINDS), target, streams, budget, tmp_path / "work", tmp_path / "out",
        chunk=4, report=lambda kind, progress: seen.append(kind),
    )  # fmt: skip
    assert set(seen) == set(folders) == set(KINDS)
    for kind, folder in folders.items():
        heads = load_heads(str(folder), target)
        assert heads.kind == kind
        training = read_card(str(folder))["training"]
        assert training["steps"] == 20
        assert len(training["accuracy_by_rank"]["corpus_text"]) == 2
    module = load_heads(str(folders["mtp"]), target)
    request = Request([1, 2, 3, 4], 20)
    drafted = decode_speculative(target, MtpDrafter(module), request, Tree.chain(2))
    assert drafted.tokens == decode_autoregressive(target, request).tokens


TEXT = torch.randint(0, 64, (4, 20), generator=torch.Generator().manual_seed(2))


def test_minutes_are_shared_out() -> None:
    budget = HeadsBudget.of_minutes(9, 3)
    assert (budget.collecting.minutes, budget.training.minutes) == (3, 2)
