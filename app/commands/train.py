"""speculens train: pretrain the embedded target, distil its draft."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.terminal import ShowStep, progress_bar, resumable

if TYPE_CHECKING:
    from engine.training.trainer import Budget, Progress

DRAFT_SHARE = 0.22
"""Share of the time that goes into the draft."""


def run(
    out: Path, minutes: float | None, steps: int | None, device: str, seed: int, recipe: Any = None
) -> dict[str, Any]:
    """Train both models into out; an interrupted run continues where it stopped."""
    from engine.model import DEFAULT_DRAFT, DEFAULT_TARGET, resolve_device
    from engine.training.pair import PairRecipe, build_corpus, distil_draft, train_target

    place = str(resolve_device(device))
    target_budget, draft_budget = _budgets(minutes, steps)
    chosen = recipe or PairRecipe()
    work = out / "work"
    corpus = build_corpus(chosen, work)
    with resumable(), progress_bar() as show:
        model = train_target(
            chosen, corpus, target_budget, work, device=place, seed=seed,
            report=_reporter(show, "target"),
        )  # fmt: skip
    with resumable(), progress_bar() as show:
        distil_draft(
            chosen, corpus, model, draft_budget, work, device=place, seed=seed,
            report=_reporter(show, "draft"),
        )  # fmt: skip
    folders = {}
    for kind, name in (("target", DEFAULT_TARGET), ("draft", DEFAULT_DRAFT)):
        shutil.copytree(work / kind, out / name, dirs_exist_ok=True)
        folders[kind] = str(out / name)
    return folders


def _budgets(minutes: float | None, steps: int | None) -> tuple[Budget, Budget]:
    from engine.errors import InputError
    from engine.training.trainer import Budget

    if (minutes is None) == (steps is None):
        raise InputError("give either --minutes or --steps")
    try:
        if minutes is not None:
            return Budget(minutes=minutes * (1 - DRAFT_SHARE)), Budget(
                minutes=minutes * DRAFT_SHARE
            )
        return Budget(steps=steps), Budget(steps=steps)
    except ValueError as error:
        raise InputError(str(error)) from None


def _reporter(show: ShowStep, name: str) -> Any:
    held_out = [""]

    def report(progress: Progress) -> None:
        if progress.evaluation is not None:
            held_out[0] = f", held-out {progress.evaluation:.3f}"
        text = f"{name} step {progress.step}, loss {progress.loss:.3f}{held_out[0]}"
        show(text, round(1000 * progress.share), 1000)

    return report
