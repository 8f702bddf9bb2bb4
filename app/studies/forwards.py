"""Bytes and arithmetic of the forwards that decodes counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator import calls_cost
from simulator.model_config import shape_from_config
from simulator.roofline import OperatorCost, Precision

if TYPE_CHECKING:
    from engine.model import Model
    from profiler.runs import Calls


def forwards_cost(model: Model, calls: Sequence[Calls]) -> OperatorCost:
    """All of these forwards of a model together (docs/model.md, M8)."""
    size = float(model.dtype.itemsize)
    return calls_cost(
        shape_from_config(model.hf.config.to_dict()),
        [call.num_tokens for call in calls],
        [call.context for call in calls],
        [call.number for call in calls],
        precision=Precision(size, size, size),
    )
