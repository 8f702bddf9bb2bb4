import contextlib
import itertools
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from app.commands import train as command
from engine.errors import InputError
from engine.model import check_same_tokenizer, load_model
from engine.training import pair
from engine.training.corpus import (
    HELD_OUT,
    Document,
    clean,
    held_out_files,
    package_documents,
    stdlib_documents,
)
from engine.training.data import Stream, evaluation_batches, sample_batch
from engine.training.presets import preset
from engine.training.recipes import ModelRecipe, PairRecipe
from engine.training.trainer import Budget, Progress, make_optimizers, train
from tests.tiny_models import tiny_gpt2


def test_held_out_modules_never_enter_the_corpus() -> None:
    names = {f"{name}.py" for name in HELD_OUT}
    documents = list(stdlib_documents())
    assert len(documents) > 300
    assert not names & {d.path.name for d in documents}
    assert not names & {d.path.name for d in package_documents()}


def test_copies_of_held_out_text_and_repeats_are_dropped() -> None:
    held_out = held_out_files()[0].read_text()
    fresh = "\n".join(f"a_rather_long_variable_name_{i} = {i} + offset" for i in range(40))
    documents = [
        Document(Path("renamed.py"), "# vendored\n" + held_out),
        Document(Path("one.py"), fresh),
        Document(Path("two.py"), fresh),
    ]
    assert [d.path.name for d in clean(documents)] == ["one.py"]


def test_training_windows_never_touch_the_evaluation_tail() -> None:
    stream = Stream(np.arange(1000, dtype=np.uint16), 1.0)
    rng = np.random.default_rng(0)
    seen = torch.cat([sample_batch([stream], 8, 16, rng) for _ in range(200)])
    assert seen.max() < stream.split
    held_out = torch.cat(evaluation_batches([stream], 2, 8, 2))
    assert held_out.min() >= stream.split
    assert (seen[:, 1:] - seen[:, :-1] == 1).all()


class Toy(nn.Module):
    """Embedding, one matrix, head: both optimizers get something to do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(11, 8)
        self.inner = nn.Linear(8, 8, bias=False)
        self.lm_head = nn.Linear(8, 11, bias=False)

    def loss(self, rng: np.random.Generator) -> torch.Tensor:
        """Predict x + 1 modulo 11."""
        x = torch.from_numpy(rng.integers(0, 11, size=64))
        logits = self.lm_head(torch.relu(self.inner(self.embed(x))))
        return nn.functional.cross_entropy(logits, (x + 1) % 11)


def run(folder: Path, budget: Budget, stop_after: int | None = None) -> list[float]:
    """Losses of one (possibly interrupted) training run."""
    model, losses = Toy(), []

    def report(progress: Progress) -> None:
        if progress.evaluation is None:
            losses.append(progress.loss)
        if stop_after is not None and len(losses) == stop_after:
            raise KeyboardInterrupt

    arguments = (model, make_optimizers(model, 1e-2, 1e-2), model.loss, lambda: 0.0, budget)
    with contextlib.suppress(KeyboardInterrupt):
        train(*arguments, folder / "toy.pt", checkpoint_every_s=0.0, report=report)
    return losses


def test_an_interrupted_training_resumes_to_the_same_loss_curve(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = run(tmp_path / "a", Budget(steps=40))
    first = run(tmp_path / "b", Budget(steps=40), stop_after=15)
    rest = run(tmp_path / "b", Budget(steps=40))
    # the step that was interrupted had not been saved and is done again
    assert first[:14] + rest == whole
    assert whole[-1] < 0.8 * whole[0]


def test_accumulated_batches_make_the_step_of_their_union(tmp_path: Path) -> None:
    x = torch.arange(8)
    found = []
    for pieces in (1, 4):
        model = Toy()
        parts = itertools.cycle(x.chunk(pieces))

        def loss(rng: np.random.Generator, model=model, parts=parts) -> torch.Tensor:
            part = next(parts)
            logits = model.lm_head(torch.relu(model.inner(model.embed(part))))
            return nn.functional.cross_entropy(logits, part + 1)

        last = train(
            model, make_optimizers(model, 1e-2, 1e-2, "adamw"), loss, lambda: 0.0,
            Budget(steps=3), tmp_path / f"{pieces}.pt", accumulate=pieces,
        )  # fmt: skip
        found.append([last.loss, *(p.detach() for p in model.parameters())])
    for whole, cut in zip(*found, strict=True):
        torch.testing.assert_close(cut, whole, rtol=1e-5, atol=1e-6)


def test_ctrl_c_waits_for_the_step_and_what_it_did_is_saved(tmp_path: Path) -> None:
    losses: list[float] = []
    before = signal.getsignal(signal.SIGINT)

    def report(progress: Progress) -> None:
        losses.append(progress.loss)
        if len(losses) == 5:
            signal.raise_signal(signal.SIGINT)

    model = Toy()
    with pytest.raises(KeyboardInterrupt):
        train(
            model, make_optimizers(model, 1e-2, 1e-2), model.loss, lambda: 0.0, Budget(steps=40),
            tmp_path / "toy.pt", report=report,
        )  # fmt: skip
    assert len(losses) == 5
    assert losses + run(tmp_path, Budget(steps=40)) == run_whole(tmp_path)
    assert signal.getsignal(signal.SIGINT) is before


def run_whole(folder: Path) -> list[float]:
    """Losses of an uninterrupted run."""
    (folder / "whole").mkdir()
    return run(folder / "whole", Budget(steps=40))


def test_embeddings_are_never_given_to_the_optimizer_of_matrices() -> None:
    hf = tiny_gpt2()
    matrices, others = make_optimizers(hf, 1e-3, 1e-3, "muon")
    tables = {id(hf.transformer.wte.weight), id(hf.transformer.wpe.weight)}
    assert not tables & {id(p) for group in matrices.param_groups for p in group["params"]}
    assert tables <= {id(p) for group in others.param_groups for p in group["params"]}


def test_presets_are_the_sizes_they_say() -> None:
    """GPT-2 Large has 774M parameters, 762M of them in the staged paper's count, with 50257
    tokens; ours has 32768. Its draft has 40M (arXiv:2308.04623, section 4)."""
    recipe = preset("gpt2-large-python").pair
    sizes = []
    for model in (recipe.target, recipe.draft):
        with torch.device("meta"):
            made = AutoModelForCausalLM.from_config(model.config(recipe.vocab_size, recipe.context))
        sizes.append(made.num_parameters() / 1e6)
    assert sizes == [pytest.approx(752, abs=2), pytest.approx(40, abs=1)]
    with pytest.raises(InputError, match="preset must be one of embedded, "):
        preset("huge")
    with pytest.raises(InputError, match="8 windows cannot be cut into forwards of 3"):
        PairRecipe(micro_batch=3)


def test_a_time_budget_ends_the_run(tmp_path: Path) -> None:
    assert len(run(tmp_path, Budget(minutes=0.002))) >= 1


@pytest.mark.parametrize("arguments", [{}, {"minutes": 1.0, "steps": 2}, {"steps": 0}])
def test_a_budget_is_one_positive_number(arguments: dict) -> None:
    with pytest.raises(ValueError, match="budget"):
        Budget(**arguments)


def test_the_train_command_makes_a_pair_that_loads_and_is_not_trained_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [
        Document(Path(f"{i}.py"), f"def add_{i}(a, b):\n    return a + {i}\n" * 40)
        for i in range(30)
    ]
    monkeypatch.setattr(pair, "stdlib_documents", lambda: texts[:20])
    monkeypatch.setattr(pair, "package_documents", lambda: texts[20:])
    recipe = PairRecipe(
        target=ModelRecipe("a-target", "llama", 2, 32, 48, 2),
        draft=ModelRecipe("a-draft", "llama", 1, 32, 48, 2),
        vocab_size=300, context=64, batch=2, length=16,
    )  # fmt: skip
    folders = command.run(["pair"], tmp_path, None, 3, "cpu", 0, recipe=recipe)
    target, draft = load_model(folders["target"]), load_model(folders["draft"])
    check_same_tokenizer(target, draft)
    assert target.hf.config.num_hidden_layers == 2
    assert draft.hf.config.num_hidden_layers == 1
    weights = target.hf.state_dict()
    again = command.run(["pair"], tmp_path, None, 3, "cpu", 0, recipe=recipe)
    assert again == folders  # nothing left to do: the same weights
    reloaded = load_model(folders["target"]).hf.state_dict()
    assert all(torch.equal(weights[name], reloaded[name]) for name in weights)
    with pytest.raises(InputError, match="either --minutes or --steps"):
        command.run(["pair"], tmp_path, 1.0, 3, "cpu", 0, recipe=recipe)
