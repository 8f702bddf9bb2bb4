"""A diffusion drafter for a target, ready for the zoo: train, measure, save with its card."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.decode import Request, decode_speculative
from engine.diffusion.lean import LeanDenoiser
from engine.diffusion.loading import save_diffusion
from engine.diffusion.network import Denoiser
from engine.drafters.diffusion import DiffusionDrafter
from engine.errors import InputError
from engine.model import Model, check_same_tokenizer
from engine.prompts import held_out_prompts
from engine.training.diffusion import DiffusionRecipe, train_diffusion
from engine.training.pair import Corpus, build_corpus
from engine.training.recipes import PairRecipe
from engine.training.tokenizer import save_tokenizer
from engine.training.trainer import Budget, Progress
from engine.trees import Tree

MEASURED_PROMPTS, MEASURED_TOKENS, MEASURED_LENGTH = 12, 64, 8
"""What the card's acceptance is measured on: prompts, tokens of each, tokens per draft."""


def corpus_of(target: Model, work: Path) -> Corpus:
    """The corpus in the target's tokens; cached in work, which serves one tokenizer only."""
    if target.tokenizer is None:
        raise InputError(f"{target.name} has no tokenizer to train a drafter with")
    if not (work / "tokenizer").exists():
        save_tokenizer(target.tokenizer, work / "tokenizer")
    corpus = build_corpus(PairRecipe(), work)
    if corpus.tokenizer.get_vocab() != target.tokenizer.get_vocab():
        raise InputError(f"'{work}' holds a corpus in another tokenizer than {target.name}'s")
    return corpus


def make_diffusion(
    target: Model,
    draft: Model | None,
    budget: Budget,
    work: Path,
    folder: Path,
    recipe: DiffusionRecipe | None = None,
    *,
    seed: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Train a diffusion drafter and save it into folder; an interrupted run continues.

    Parameters
    ----------
    target : Model
    draft : Model or None
        A smaller model of the same family, whose layers are where the drafter starts.
    budget : Budget
    work : Path
        Corpus and checkpoint.
    folder : Path
    recipe : DiffusionRecipe, optional
    seed : int
    report : callable

    Returns
    -------
    dict
        How it was trained and what it keeps, as on the card.
    """
    recipe = recipe or DiffusionRecipe()
    if draft is not None:
        check_same_tokenizer(target, draft)
    corpus = corpus_of(target, work)
    denoiser, last = train_diffusion(
        recipe,
        corpus.streams,
        target.hf,
        budget,
        work / "diffusion.pt",
        device=str(target.device),
        seed=seed,
        draft=None if draft is None else draft.hf,
        report=report,
    )
    card = describe(recipe, denoiser, target, last, corpus.description)
    save_diffusion(denoiser, folder, target.name, target.tokenizer, card)
    return card


def describe(
    recipe: DiffusionRecipe,
    denoiser: Denoiser,
    target: Model,
    last: Progress,
    corpus: dict[str, object],
) -> dict[str, Any]:
    """What the card says about a trained denoiser."""
    assert target.tokenizer is not None
    prompts = held_out_prompts().take(MEASURED_PROMPTS).encode(target.tokenizer)
    lean = LeanDenoiser(denoiser, target.context, target.dtype)
    return {
        "objective": "denoising score entropy against the target's laws",
        "parameters": sum(p.numel() for p in denoiser.parameters()),
        "steps": last.step,
        "window_tokens": last.step * recipe.batch * recipe.length,
        "training_minutes": round(last.worked_s / 60, 1),
        "held_out_loss_nats_per_token": round(last.evaluation or float("nan"), 4),
        "kept_by_position_at_temperature_0": {
            str(num_steps): [
                round(share, 3)
                for share in kept_by_position(
                    target, DiffusionDrafter(lean, num_steps), prompts, MEASURED_TOKENS
                )
            ]
            for num_steps in (1, 2, 4)
        },
        "kept_is": f"share of drafts of {MEASURED_LENGTH} tokens kept up to each position, "
        f"{MEASURED_PROMPTS} held-out prompts x {MEASURED_TOKENS} tokens, by denoising steps, "
        "left to right",
        "corpus": corpus,
    }


def kept_by_position(
    target: Model,
    drafter: DiffusionDrafter,
    prompts: Sequence[list[int]],
    num_tokens: int,
    length: int = MEASURED_LENGTH,
) -> list[float]:
    """Share of greedy drafts kept up to position 1, 2, ..., length.

    Drafts cut short by the end of a text do not count.
    """
    kept: list[int] = []
    for prompt in prompts:
        if len(prompt) + num_tokens > target.context:
            continue
        done = decode_speculative(target, drafter, Request(prompt, num_tokens), Tree.chain(length))
        kept += [r.num_accepted for r in done.rounds if r.num_draft_tokens == length]
    return [sum(k >= i for k in kept) / max(1, len(kept)) for i in range(1, length + 1)]
