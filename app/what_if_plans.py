"""Which rounds does the reader's method play? No drawing.

A scenario is what its controls say, by name: on the page, in a pin, in a link.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.state import (
    LOWER_COST,
    LOWER_RATE,
    LOWER_TOKENS,
    Control,
    Value,
)
from app.what_if_controls import (
    DRAFT_STEPS,
    FURTHER_RATE,
    METHOD,
    TREE_DEPTH,
    TREE_SHAPE,
    TREE_SOURCE,
    TREE_WIDTH,
    parse_shape,
    sized_tree,
    value_of,
)
from simulator import (
    MethodPlan,
    Parents,
    RoundSteps,
    chain_plan,
    parallel_plan,
    staged_plan,
    tree_depths,
    tree_plan,
)

Values = Mapping[str, Value]


def tree_of(values: Values) -> Parents:
    """The tree of a scenario."""
    if value_of(values, TREE_SOURCE) == "text":
        return parse_shape(str(value_of(values, TREE_SHAPE)))
    return sized_tree(whole(values, TREE_WIDTH), whole(values, TREE_DEPTH))


def plan_of(values: Values, steps: RoundSteps, size: int) -> MethodPlan:
    """The scenario's method at another γ, or its tree's first levels."""
    method = str(value_of(values, METHOD))
    if method == "tree":
        return tree_plan(steps, first_levels(tree_of(values), size), real(values, FURTHER_RATE))
    if method == "staged":
        lower_cost = real(values, LOWER_COST) * steps.cost_ratio
        lower = (real(values, LOWER_RATE), whole(values, LOWER_TOKENS), lower_cost)
        return staged_plan(steps, size, *lower)
    if method == "parallel":
        return parallel_plan(steps, size, whole(values, DRAFT_STEPS))
    return chain_plan(steps, size)


def first_levels(parents: Parents, depth: int) -> Parents:
    """The nodes of a tree down to a depth, which keep their places among themselves.

    Examples
    --------
    >>> first_levels((-1, 0, -1, 1), 2)
    (-1, 0, -1)
    """
    place: dict[int, int] = {-1: -1}
    kept: list[int] = []
    for node, (parent, level) in enumerate(zip(parents, tree_depths(parents), strict=True)):
        if level <= depth:
            place[node] = len(kept)
            kept.append(place[parent])
    return tuple(kept)


def real(values: Values, control: Control) -> float:
    """What a scenario says of a control that holds a number."""
    value = value_of(values, control)
    assert isinstance(value, float | int)
    return float(value)


def whole(values: Values, control: Control) -> int:
    """As ``real``, of a control that holds a whole number."""
    return int(real(values, control))
