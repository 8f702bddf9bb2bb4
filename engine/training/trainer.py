"""One training loop for every recipe: time-boxed, resumable, reporting.

The loop knows nothing about what is learned; a recipe hands it a loss. A run
that was interrupted continues from its last checkpoint with the same batches
and, when the budget is counted in steps, the same loss curve.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

WARMUP_SHARE = 0.02
DECAY_SHARE = 0.5


@dataclass(frozen=True)
class Budget:
    """When training ends: after some minutes of work or some steps, exactly one of them.

    Minutes count work, not calendar time: what an interrupted run had used
    before is remembered.
    """

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("a budget takes either minutes or steps, exactly one of them")
        value = self.minutes if self.minutes is not None else self.steps
        if value is not None and value <= 0:
            raise ValueError(f"the training budget must be positive, not {value}")

    def progress(self, step: int, worked_s: float) -> float:
        """Share of the budget that is used, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.minutes is not None
        return min(1.0, worked_s / (60 * self.minutes))


@dataclass(frozen=True)
class Progress:
    """What the loop reports after a step."""

    step: int
    share: float
    loss: float
    worked_s: float
    evaluation: float | None = None


def learning_rate_factor(share: float) -> float:
    """Warm-up, plateau, linear decay to 2 %: factor on the base rate at a budget share.

    >>> learning_rate_factor(0.3), round(learning_rate_factor(1.0), 2)
    (1.0, 0.02)
    """
    if share < WARMUP_SHARE:
        return max(0.05, share / WARMUP_SHARE)
    if share < 1 - DECAY_SHARE:
        return 1.0
    return max(0.02, (1 - share) / DECAY_SHARE)


def make_optimizers(
    model: nn.Module,
    matrix_rate: float,
    other_rate: float,
    kind: Literal["muon", "adamw"] = "muon",
) -> list[torch.optim.Optimizer]:
    """Muon or AdamW for the matrices inside layers, AdamW for embeddings, heads and norms.

    Muon is cheaper per token of progress than AdamW at small sizes; embeddings
    and vectors are outside what it is defined for. AdamW decays matrices alone.
    """
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        table = id(parameter) in tables or "embed" in name or "lm_head" in name
        (matrices if parameter.ndim == 2 and not table else others).append(parameter)
    fused = any(p.is_cuda for p in (*matrices, *others))
    optimizers: list[torch.optim.Optimizer] = []
    if matrices and kind == "muon":
        optimizers.append(
            torch.optim.Muon(
                matrices, lr=matrix_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
            )
        )
    elif matrices:
        optimizers.append(
            torch.optim.AdamW(
                matrices, lr=matrix_rate, betas=(0.9, 0.95), weight_decay=0.1, fused=fused
            )
        )
    optimizers.append(
        torch.optim.AdamW(others, lr=other_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=fused)
    )
    return optimizers


def train(
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    loss_of: Callable[[np.random.Generator], torch.Tensor],
    evaluate: Callable[[], float],
    budget: Budget,
    checkpoint: Path,
    *,
    seed: int = 0,
    accumulate: int = 1,
    checkpoint_every_s: float = 120.0,
    evaluate_every: int = 100,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Run the budget down, resuming from checkpoint if it exists.

    Ctrl-C takes effect behind the step and what it did is saved.

    Parameters
    ----------
    model : nn.Module
        Trained in place.
    optimizers : list of torch.optim.Optimizer
    loss_of : callable
        Draws one batch with the generator it is given and returns its loss.
    evaluate : callable
        Held-out loss of the model as it stands. [nats/token]
    budget : Budget
    checkpoint : Path
        File that holds everything needed to continue; written atomically.
    seed : int
        Seeds the batches; step k draws from ``default_rng((seed, k))``.
    accumulate : int
        Batches whose mean loss makes a step.
    checkpoint_every_s, evaluate_every
        Work between two checkpoints [s]; steps between two evaluations.
    report : callable
        Receives a Progress after every step.

    Returns
    -------
    Progress
        The last one, with its held-out loss.
    """
    step, worked_s = _resume(model, optimizers, checkpoint)
    base_rates = [[g["base_lr"] for g in o.param_groups] for o in _with_base_rates(optimizers)]
    saved_at = worked_s
    loss_value = math.nan
    with _interrupts_held() as interrupted:
        while (share := budget.progress(step, worked_s)) < 1.0:
            started = time.perf_counter()
            for optimizer, rates in zip(optimizers, base_rates, strict=True):
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * learning_rate_factor(share)
            loss_value = _step(model, optimizers, loss_of, (seed, step), accumulate)
            step += 1
            if not math.isfinite(loss_value):
                raise FloatingPointError(f"training loss became {loss_value} at step {step}")
            worked_s += time.perf_counter() - started
            evaluation = evaluate() if step % evaluate_every == 0 else None
            report(Progress(step, share, loss_value, worked_s, evaluation))
            if interrupted() or worked_s - saved_at >= checkpoint_every_s:
                _save(model, optimizers, step, worked_s, checkpoint)
                saved_at = worked_s
            if interrupted():
                raise KeyboardInterrupt
    if saved_at != worked_s:
        _save(model, optimizers, step, worked_s, checkpoint)
    last = Progress(step, 1.0, loss_value, worked_s, evaluate())
    report(last)
    return last


def _step(
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    loss_of: Callable[[np.random.Generator], torch.Tensor],
    seeds: tuple[int, int],
    accumulate: int,
) -> float:
    """One step of all optimizers on the mean of some batches; its loss."""
    rng = np.random.default_rng(seeds)
    losses = []
    for _ in range(accumulate):
        loss = loss_of(rng) / accumulate
        loss.backward()
        losses.append(loss.detach())
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return float(torch.stack(losses).sum())  # one read, which waits for the device


@contextmanager
def _interrupts_held() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, which would else leave weights changed in part."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # signals reach the main thread alone
        return
    pressed = threading.Event()
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.set())
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _with_base_rates(optimizers: list[torch.optim.Optimizer]) -> list[torch.optim.Optimizer]:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("base_lr", group["lr"])
    return optimizers


def _save(
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    step: int,
    worked_s: float,
    checkpoint: Path,
) -> None:
    state: dict[str, Any] = {
        "model": model.state_dict(),
        "optimizers": [o.state_dict() for o in optimizers],
        "step": step,
        "worked_s": worked_s,
    }
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = checkpoint.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(checkpoint)


def _resume(
    model: nn.Module, optimizers: list[torch.optim.Optimizer], checkpoint: Path
) -> tuple[int, float]:
    if not checkpoint.exists():
        return 0, 0.0
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(state["step"]), float(state["worked_s"])
