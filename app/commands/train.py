"""speculens train: a pair by the name of its preset, and drafters for any target."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.terminal import ShowStep, progress_bar, resumable

if TYPE_CHECKING:
    from engine.model import Model
    from engine.training.pair import Corpus
    from engine.training.presets import Preset
    from engine.training.recipes import PairRecipe
    from engine.training.trainer import Budget, Progress

DRAFT_SHARE = 0.22
"""Share of the time that goes into the draft."""

PAIR = "pair"
HEADS = ("medusa", "hydra", "mtp")
DRAFTERS = (*HEADS, "diffusion", "ngram")
KINDS = (PAIR, "target", "draft", *DRAFTERS)
NGRAM_BATCHES = 1000
"""Batches of text that n-grams are counted in where minutes say when to stop."""


@dataclass(frozen=True)
class TrainOptions:
    """Where to, how long and on what; exactly one of minutes and steps.

    Attributes
    ----------
    minutes : float or None
        For every kind that is asked for. [min]
    steps : int or None
        Of every kind.
    compiled : bool
        The pair goes through torch.compile.
    """

    out: Path
    minutes: float | None
    steps: int | None
    device: str
    seed: int
    compiled: bool = False

    def budget(self, share: float = 1.0) -> Budget:
        """A share of the minutes, or the steps."""
        return _budget(None if self.minutes is None else share * self.minutes, self.steps)


def run(
    kinds: Sequence[str],
    out: Path,
    minutes: float | None,
    steps: int | None,
    device: str,
    seed: int,
    *,
    target: str | None = None,
    draft: str | None = None,
    preset: str = "embedded",
    recipe: PairRecipe | None = None,
    compiled: bool = False,
) -> dict[str, Any]:
    """Train into out, the minutes shared by all kinds; an interrupted run continues.

    ``recipe`` takes the place of the preset's pair. Drafters are for ``target`` and ``draft``,
    else for the pair in out, else for the embedded one. Returns the folder of everything trained.
    """
    from engine.errors import InputError
    from engine.training.presets import preset as preset_of

    wanted = [k for k in KINDS if k in kinds or ("all" in kinds and k not in ("target", "draft"))]
    if unknown := [k for k in kinds if k not in (*KINDS, "all")]:
        raise InputError(f"train takes {', '.join(KINDS)} or all, not '{unknown[0]}'")
    _budget(minutes, steps)
    known = preset_of(preset)
    pair = recipe or known.pair
    each = None if minutes is None else minutes / len(wanted)
    options = TrainOptions(out, each, steps, device, seed, compiled)
    folders = _pair(wanted, pair, options)
    if drafters := [k for k in wanted if k in DRAFTERS]:
        names = _names(pair, out, target, draft)
        folders |= _drafters(drafters, known, options, *names)
    return folders


def _names(pair: PairRecipe, out: Path, target: str | None, draft: str | None) -> tuple[str, str]:
    """The models that drafters are trained for."""
    from engine.model import DEFAULT_DRAFT, DEFAULT_TARGET

    def found(given: str | None, name: str, default: str) -> str:
        trained = out / name
        return given or (str(trained) if trained.is_dir() else default)

    return (
        found(target, pair.target.name, DEFAULT_TARGET),
        found(draft, pair.draft.name, DEFAULT_DRAFT),
    )


def _pair(wanted: Sequence[str], recipe: PairRecipe, options: TrainOptions) -> dict[str, Any]:
    """The target, the draft, or both."""
    from engine.model import load_model, resolve_device
    from engine.training.pair import build_corpus, distil_draft, train_target

    if not {PAIR, "target", "draft"} & set(wanted):
        return {}
    both, out = PAIR in wanted, options.out
    place, work = str(resolve_device(options.device)), out / "work"
    tokens = recipe.tokens_per_step
    corpus = build_corpus(recipe, work)
    folders: dict[str, Any] = {}
    teacher = None
    if both or "target" in wanted:
        with resumable(), progress_bar() as show:
            teacher = train_target(
                recipe, corpus, options.budget(1 - DRAFT_SHARE if both else 1.0), work,
                device=place, seed=options.seed, compiled=options.compiled,
                report=_reporter(show, recipe.target.name, tokens),
            )  # fmt: skip
        folders["target"] = _published(work / "target", out / recipe.target.name)
    if both or "draft" in wanted:
        if teacher is None:
            trained = str(out / recipe.target.name)
            teacher = load_model(trained, device=options.device, dtype="bfloat16").hf
        with resumable(), progress_bar() as show:
            distil_draft(
                recipe, corpus, teacher, options.budget(DRAFT_SHARE if both else 1.0), work,
                device=place, seed=options.seed, compiled=options.compiled,
                report=_reporter(show, recipe.draft.name, tokens),
            )  # fmt: skip
        folders["draft"] = _published(work / "draft", out / recipe.draft.name)
    return folders


def _published(made: Path, folder: Path) -> str:
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return str(folder)


def _drafters(
    kinds: Sequence[str], known: Preset, options: TrainOptions, target: str, draft: str
) -> dict[str, str]:
    from engine.model import load_model
    from engine.training.diffusion_drafter import corpus_of

    model = load_model(target, device=options.device, dtype="bfloat16")
    work = _corpus_folder(options.out, model)
    folders: dict[str, str] = {}
    if heads := [k for k in kinds if k in HEADS]:
        folders |= _heads(heads, model, corpus_of(model, work), known, options)
    if "diffusion" in kinds:
        folders["diffusion"] = _diffusion(model, draft, work, known, options)
    if "ngram" in kinds:
        small = load_model(draft, device=options.device, dtype="bfloat16")
        folders["ngram"] = _ngram(small, known, options)
    return folders


def _corpus_folder(out: Path, model: Model) -> Path:
    """Where the corpus in the model's tokens is: the pair's, if it was trained here."""
    from transformers import PreTrainedTokenizerFast

    from engine.training.pair import CORPUS

    if (out / "work" / CORPUS).exists() and model.tokenizer is not None:
        ours = PreTrainedTokenizerFast.from_pretrained(out / "work" / "tokenizer")
        if ours.get_vocab() == model.tokenizer.get_vocab():
            return out / "work"
    return out / "work-drafters"


def _heads(
    kinds: Sequence[str], target: Model, corpus: Corpus, known: Preset, options: TrainOptions
) -> dict[str, str]:
    from engine.training.heads import HeadsBudget, make_heads

    if options.minutes is not None:
        budget = HeadsBudget.of_minutes(options.minutes * len(kinds), len(kinds))
    else:
        budget = HeadsBudget(options.budget(), options.budget())
    out = options.out
    with resumable(), progress_bar() as show:
        reports: dict[str, Callable[[Progress], None]] = {k: _reporter(show, k) for k in kinds}
        made = make_heads(
            kinds, target, corpus.streams, budget, out / "work-heads", out / "heads",
            recipes=known.heads, chunk=known.chunk, seed=options.seed,
            report=lambda kind, progress: reports[kind](progress),
        )  # fmt: skip
    return {kind: str(folder) for kind, folder in made.items()}


def _diffusion(target: Model, draft: str, work: Path, known: Preset, options: TrainOptions) -> str:
    from engine.model import load_model
    from engine.training.diffusion_drafter import make_diffusion

    small = load_model(draft, device=target.device.type)
    recipe = known.diffusion
    with resumable(), progress_bar() as show:
        make_diffusion(
            target, small, options.budget(), work, options.out / "diffusion", recipe,
            seed=options.seed,
            report=_reporter(show, "diffusion", recipe.batch * recipe.length),
        )  # fmt: skip
    return str(options.out / "diffusion")


def _ngram(draft: Model, known: Preset, options: TrainOptions) -> str:
    from engine.training.ngram import train_ngram

    recipe, work = known.text, options.out / "work-ngram"
    batches = options.steps if options.steps is not None else NGRAM_BATCHES
    wanted = recipe.batch * recipe.length * batches
    with resumable(), progress_bar() as show:
        train_ngram(
            draft, wanted, work, recipe=recipe, minutes=options.minutes,
            report=lambda tokens: show("sampling the draft", min(tokens, wanted), wanted),
        )  # fmt: skip
    return str(work / "ngram")


def _budget(minutes: float | None, steps: int | None) -> Budget:
    from engine.errors import InputError
    from engine.training.trainer import Budget

    if (minutes is None) == (steps is None):
        raise InputError("give either --minutes or --steps")
    try:
        return Budget(minutes=minutes, steps=steps)
    except ValueError as error:
        raise InputError(str(error)) from None


def _reporter(
    show: ShowStep, name: str, tokens_per_step: int | None = None
) -> Callable[[Progress], None]:
    held_out = [""]

    def report(progress: Progress) -> None:
        if progress.evaluation is not None:
            held_out[0] = f", held-out {progress.evaluation:.3f}"
        speed = ""
        if tokens_per_step is not None and progress.worked_s > 0:
            speed = f", {progress.step * tokens_per_step / progress.worked_s:,.0f} tokens/s"
        text = f"{name} step {progress.step}, loss {progress.loss:.3f}{held_out[0]}{speed}"
        show(text, round(1000 * progress.share), 1000)

    return report
