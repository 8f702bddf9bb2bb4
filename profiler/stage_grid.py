"""How long does a forward take, over new tokens, context and batch, of any model?

Forwards alone, on made-up tokens over a cache of made-up keys: for what a
stage costs where no text was decoded. A block runs every point for a few
forwards in a row, in shuffled order, models among them: in a row, because a
decode repeats its forwards; shuffled, so that drift of a shared machine falls
on all alike.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from engine.batch_cache import BatchCache, BatchStep
from engine.cache import KVCache
from engine.clock import StageClock
from engine.errors import InputError
from engine.model import Model

ROW = (4, 2)
"""Forwards in a row, and how many of them, from the first, are not kept."""


@dataclass(frozen=True)
class Point:
    """What one forward works on.

    Attributes
    ----------
    num_tokens : int
        New tokens of each sequence. [tokens]
    context : int
        Tokens of each sequence that are cached. [tokens]
    batch : int
        Sequences.
    """

    num_tokens: int
    context: int
    batch: int = 1


@dataclass(frozen=True)
class GridSample:
    """A point timed in one block.

    Attributes
    ----------
    model : str
    point : Point
    block : int
    seconds : tuple of float
        Of every forward that was kept. [s]
    memory_bytes : int
        Weights, the cache of the point's sequences, and where ``memory`` says measured the
        most that the device's allocator held beside them. [bytes]
    memory : {"measured", "counted"}
    """

    model: str
    point: Point
    block: int
    seconds: tuple[float, ...]
    memory_bytes: int
    memory: str


def check_points(model: Model, points: Sequence[Point]) -> None:
    """Refuse points that leave the model's context, or none at all.

    Raises
    ------
    InputError
        Naming the point.
    """
    if not points:
        raise InputError("a grid needs at least 1 point, not 0")
    for point in points:
        if min(point.num_tokens, point.batch) < 1 or point.context < 0:
            raise InputError(
                f"tokens and batch must be at least 1, context at least 0, not {point}"
            )
        if point.num_tokens + point.context > model.context:
            raise InputError(
                f"{point.num_tokens} new tokens behind {point.context} cached ones exceed the"
                f" context of {model.name}: {model.context} tokens"
            )


@torch.inference_mode()
def time_grid_block(
    models: Sequence[Model], points: Sequence[Point], block: int, *, seed: int = 0
) -> list[GridSample]:
    """Time every point of every model once over.

    Where some point has a batch above 1, all go through the forward of batches
    (``engine.batch``), so that they are alike; else through that of one sequence.

    Parameters
    ----------
    models : sequence of Model
        Names differ.
    points : sequence of Point
        Inside every model's context (``check_points``).
    block : int
        Its number; seeds the order. The first block of a process warms up: do not keep it.
    seed : int

    Returns
    -------
    list of GridSample
    """
    rng = np.random.default_rng((seed, block))
    batched = any(point.batch > 1 for point in points)
    samples = []
    for which in rng.permutation(len(models)):
        model = models[which]
        room = max(point.num_tokens + point.context for point in points)
        cache = _filled(model, room, max(point.batch for point in points))
        for place in rng.permutation(len(points)):
            tokens = torch.from_numpy(
                rng.integers(model.vocab_size, size=(points[place].batch, points[place].num_tokens))
            ).to(model.device)
            samples.append(_time_point(model, cache, points[place], block, tokens, batched))
        del cache
    return samples


def _filled(model: Model, room: int, rows: int) -> BatchCache:
    """A cache of drawn numbers: zeros would let an accelerator draw less power than it does."""
    cache = BatchCache(model.new_cache(1), rows, room)
    cache.both.normal_()
    return cache


def _time_point(
    model: Model,
    cache: BatchCache,
    point: Point,
    block: int,
    tokens: torch.Tensor,
    batched: bool,
) -> GridSample:
    """One row of forwards over tokens [batch, num_tokens]."""
    rows = copy.copy(cache)
    rows.both, rows.lengths = cache.both[:, :, : point.batch], [point.context] * point.batch
    alone, clock = KVCache.over(rows.both), StageClock(model.device)
    on_cuda = model.device.type == "cuda"
    held = 0
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(model.device)
        held = torch.cuda.memory_allocated(model.device)
    for _ in range(ROW[0]):
        alone.length = point.context
        if on_cuda:  # a decode reads the chosen tokens before it goes on: the device starts idle
            torch.cuda.synchronize(model.device)
        clock.lap("rest", 0)
        if batched:
            model.run.forward_batch(tokens, BatchStep(rows, point.num_tokens))
        else:
            model.forward(tokens[0], alone, point.num_tokens)
        clock.lap("target", tokens.numel())
    seconds = [lap.seconds for lap in clock.laps() if lap.stage == "target"]
    working = torch.cuda.max_memory_allocated(model.device) - held if on_cuda else 0
    return GridSample(
        model.name,
        point,
        block,
        tuple(seconds[ROW[1] :]),
        model.weight_bytes + rows.both.numel() * rows.both.element_size() + working,
        "measured" if on_cuda else "counted",
    )
