"""speculens train: the embedded pair, and drafters for any target."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.terminal import ShowStep, progress_bar, resumable

if TYPE_CHECKING:
    from engine.model import Model
    from engine.training.pair import Corpus
    from engine.training.trainer import Budget, Progress

DRAFT_SHARE = 0.22
"""Share of the time that goes into the draft."""

PAIR = "pair"
HEADS = ("medusa", "hydra", "mtp")
DRAFTERS = (*HEADS, "diffusion", "ngram")
KINDS = (PAIR, *DRAFTERS)
NGRAM_TOKENS_PER_STEP = 65_536
"""One step of n-gram training is one batch of sampled text. [tokens]"""


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
    recipe: Any = None,
) -> dict[str, Any]:
    """Train into out, the minutes shared by all kinds; an interrupted run continues.

    Returns the folder of everything trained.
    """
    from engine.errors import InputError
    from engine.training.pair import PairRecipe, build_corpus

    wanted = [k for k in KINDS if k in kinds or "all" in kinds]
    if unknown := [k for k in kinds if k not in (*KINDS, "all")]:
        raise InputError(f"train takes {', '.join(KINDS)} or all, not '{unknown[0]}'")
    _budget(minutes, steps)
    each = None if minutes is None else minutes / len(wanted)
    chosen = recipe or PairRecipe()
    folders: dict[str, Any] = {}
    if PAIR in wanted:
        corpus = build_corpus(chosen, out / "work")
        folders |= _pair(chosen, corpus, out, each, steps, device, seed)
        # drafters trained in the same run are for the new pair
        target, draft = target or folders["target"], draft or folders["draft"]
    if drafters := [k for k in wanted if k in DRAFTERS]:
        folders |= _drafters(drafters, out, each, steps, device, seed, target, draft)
    return folders


def _pair(
    recipe: Any,
    corpus: Corpus,
    out: Path,
    minutes: float | None,
    steps: int | None,
    device: str,
    seed: int,
) -> dict[str, str]:
    from engine.model import DEFAULT_DRAFT, DEFAULT_TARGET, resolve_device
    from engine.training.pair import distil_draft, train_target

    place, work = str(resolve_device(device)), out / "work"
    shares = (1 - DRAFT_SHARE, DRAFT_SHARE)
    budgets = [_budget(None if minutes is None else share * minutes, steps) for share in shares]
    with resumable(), progress_bar() as show:
        model = train_target(
            recipe, corpus, budgets[0], work, device=place, seed=seed,
            report=_reporter(show, "target"),
        )  # fmt: skip
    with resumable(), progress_bar() as show:
        distil_draft(
            recipe, corpus, model, budgets[1], work, device=place, seed=seed,
            report=_reporter(show, "draft"),
        )  # fmt: skip
    folders = {}
    for kind, name in (("target", DEFAULT_TARGET), ("draft", DEFAULT_DRAFT)):
        shutil.copytree(work / kind, out / name, dirs_exist_ok=True)
        folders[kind] = str(out / name)
    return folders


def _drafters(
    kinds: Sequence[str],
    out: Path,
    minutes: float | None,
    steps: int | None,
    device: str,
    seed: int,
    target: str | None,
    draft: str | None,
) -> dict[str, str]:
    from engine.model import DEFAULT_DRAFT, DEFAULT_TARGET, load_model
    from engine.training.diffusion_drafter import corpus_of

    model = load_model(target or DEFAULT_TARGET, device=device, dtype="bfloat16")
    work = out / "work-drafters"
    folders: dict[str, str] = {}
    if heads := [k for k in kinds if k in HEADS]:
        whole = None if minutes is None else minutes * len(heads)
        folders |= _heads(heads, model, corpus_of(model, work), out, whole, steps, seed)
    if "diffusion" in kinds:
        budget = _budget(minutes, steps)
        folders["diffusion"] = _diffusion(model, draft or DEFAULT_DRAFT, work, out, budget, seed)
    if "ngram" in kinds:
        small = load_model(draft or DEFAULT_DRAFT, device=device, dtype="bfloat16")
        folders["ngram"] = _ngram(small, out, minutes, steps)
    return folders


def _heads(
    kinds: Sequence[str],
    target: Model,
    corpus: Corpus,
    out: Path,
    minutes: float | None,
    steps: int | None,
    seed: int,
) -> dict[str, str]:
    from engine.training.heads import HeadsBudget, make_heads
    from engine.training.trainer import Budget

    if minutes is not None:
        budget = HeadsBudget.of_minutes(minutes, len(kinds))
    else:
        budget = HeadsBudget(Budget(steps=steps), Budget(steps=steps))
    with resumable(), progress_bar() as show:
        reports: dict[str, Callable[[Progress], None]] = {k: _reporter(show, k) for k in kinds}
        made = make_heads(
            kinds, target, corpus.streams, budget, out / "work-heads", out / "heads", seed=seed,
            report=lambda kind, progress: reports[kind](progress),
        )  # fmt: skip
    return {kind: str(folder) for kind, folder in made.items()}


def _diffusion(target: Model, draft: str, work: Path, out: Path, budget: Budget, seed: int) -> str:
    from engine.model import load_model
    from engine.training.diffusion_drafter import make_diffusion

    small = load_model(draft, device=target.device.type)
    with resumable(), progress_bar() as show:
        make_diffusion(
            target, small, budget, work, out / "diffusion", seed=seed,
            report=_reporter(show, "diffusion"),
        )  # fmt: skip
    return str(out / "diffusion")


def _ngram(draft: Model, out: Path, minutes: float | None, steps: int | None) -> str:
    from engine.training.ngram import train_ngram

    wanted = NGRAM_TOKENS_PER_STEP * (steps if steps is not None else 1_000)
    with resumable(), progress_bar() as show:
        train_ngram(
            draft, wanted, out / "work-ngram", minutes=minutes,
            report=lambda tokens: show("sampling the draft", min(tokens, wanted), wanted),
        )  # fmt: skip
    return str(out / "work-ngram" / "ngram")


def _budget(minutes: float | None, steps: int | None) -> Budget:
    from engine.errors import InputError
    from engine.training.trainer import Budget

    if (minutes is None) == (steps is None):
        raise InputError("give either --minutes or --steps")
    try:
        return Budget(minutes=minutes, steps=steps)
    except ValueError as error:
        raise InputError(str(error)) from None


def _reporter(show: ShowStep, name: str) -> Callable[[Progress], None]:
    held_out = [""]

    def report(progress: Progress) -> None:
        if progress.evaluation is not None:
            held_out[0] = f", held-out {progress.evaluation:.3f}"
        text = f"{name} step {progress.step}, loss {progress.loss:.3f}{held_out[0]}"
        show(text, round(1000 * progress.share), 1000)

    return report
