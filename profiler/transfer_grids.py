"""Which forwards are timed to see how a fit carries over to another size, context or batch?"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import InputError
from engine.model import DTYPES, Model
from profiler.random_models import models_of_sizes
from profiler.stage_grid import Point, check_points

NUM_TOKENS = (1, 2, 4, 8, 16)
SIZE_CONTEXTS = (64, 512)
SHORTEST_CONTEXT, LONGEST_CONTEXT = 64, 8192
"""Of the target: less is refused, more is not timed. [tokens]"""
BATCHES = (1, 2, 4, 8)
CALIBRATED_BATCH = 2
"""Largest batch that is learnt from."""


@dataclass(frozen=True)
class Grid:
    """The forwards of one question; ``roles`` says of each point who may learn from it."""

    question: str
    models: Sequence[Model]
    points: Sequence[Point]
    roles: Sequence[str]


def _longest(target: Model) -> int:
    """Longest text that is timed. [tokens]"""
    if target.context < SHORTEST_CONTEXT:
        raise InputError(
            f"timing needs a context of at least {SHORTEST_CONTEXT} tokens, {target.name} has"
            f" {target.context}"
        )
    return min(target.context, LONGEST_CONTEXT)


def context_grid(target: Model) -> Grid:
    """Two contexts to learn from, a longer one to predict."""
    longest = _longest(target)
    contexts = (longest // 16, longest // 4, longest - max(NUM_TOKENS))
    points = [Point(n, k) for k in contexts for n in NUM_TOKENS]
    roles = ["held out" if point.context == contexts[-1] else "calibration" for point in points]
    check_points(target, points)
    return Grid("context", [target], points, roles)


def batch_grid(target: Model) -> Grid:
    """Batches of 1 and 2 to learn from, larger ones to predict."""
    longest = _longest(target)
    points = [
        Point(n, k, b) for b in BATCHES for k in (longest // 16, longest // 2) for n in NUM_TOKENS
    ]
    roles = ["calibration" if point.batch <= CALIBRATED_BATCH else "held out" for point in points]
    check_points(target, points)
    return Grid("batch", [target], points, roles)


def sizes_grid(target: Model) -> Grid:
    """Models of several sizes, each predicted from the others."""
    dtype = next(name for name, kind in DTYPES.items() if kind == target.dtype)
    points = [Point(n, k) for k in SIZE_CONTEXTS for n in NUM_TOKENS]
    models = models_of_sizes(target.device, dtype)
    for model in models:
        check_points(model, points)
    return Grid("sizes", models, points, ["in turn"] * len(points))


GRIDS = {"sizes": sizes_grid, "context": context_grid, "batch": batch_grid}
