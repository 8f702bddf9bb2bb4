"""What would have to be true for a wanted speedup, and where does the gain end? No drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.data import MAX_DRAFT_TOKENS, Shelf
from app.state import BATCH, CONTEXT
from app.what_if import RECORDED_TEXT, Answer, Setting
from app.what_if_plans import Values, plan_of, real
from app.what_if_sources import sources_of
from simulator import (
    Requirement,
    RoundSteps,
    allowed_cost,
    largest_batch,
    largest_draft,
    needed_rate,
)

MOST_BATCH = 1024
"""That is looked at. [sequences]"""


class Need(NamedTuple):
    """What one quantity must be for a wanted speedup.

    Attributes
    ----------
    value : float or None
        None where nothing is enough.
    size : int
        γ or levels that go with it; where nothing is enough, those that come nearest.
    speedup : float
        The wanted one, or the most there is. [unitless]
    """

    value: float | None
    size: int
    speedup: float


class Needs(NamedTuple):
    """Acceptance rate and cost ratio that a wanted speedup takes, each alone."""

    rate: Need
    cost: Need


def needed(found: Answer, wanted: float, *, here: bool = False) -> Needs:
    """What a speedup takes at the best size of the method, or at the chosen one (``here``)."""
    settings = [found.chosen] if here else list(found.settings)
    plans = [one.plan for one in settings]
    recorded = found.rate_origin == RECORDED_TEXT
    taus = [one.tau if recorded else float(one.plan.tau_of(found.rate)) for one in settings]
    rate, cost = needed_rate(plans, wanted), allowed_cost(plans, taus, wanted)
    full = [float(plan.speedup(plan.tau_of(1.0))) for plan in plans]
    free = [float(plan.speedup(tau, 0.0)) for plan, tau in zip(plans, taus, strict=True)]
    return Needs(_need(rate, settings, wanted, full), _need(cost, settings, wanted, free))


def _need(
    found: tuple[float, int] | None,
    settings: Sequence[Setting],
    wanted: float,
    most: Sequence[float],
) -> Need:
    if found is not None:
        return Need(found[0], settings[found[1]].size, wanted)
    at = int(np.argmax(most))
    return Need(None, settings[at].size, most[at])


def largest_that(found: Answer, wanted: float) -> tuple[Requirement, Requirement] | None:
    """Largest batch, and largest draft, of a chain on a machine that reach a speedup.

    None where costs do not come from a roofline, or of another method.
    """
    if found.server is None or found.method != "chain":
        return None
    hazards = [found.rate] * MAX_DRAFT_TOKENS
    return (
        largest_batch(found.server, hazards, found.context, wanted, max_batch=MOST_BATCH),
        largest_draft(found.server, found.rate, wanted, context=found.context, batch=found.batch),
    )


@dataclass(frozen=True, eq=False)
class GainMap:
    """Speedup over one quantity and the acceptance rate.

    Attributes
    ----------
    x, rates : array [nx], [num_rates]
    speedup : array [num_rates, nx]
    x_title : str
    here : float
        The present place on the x axis.
    log : bool
        Whether x spans decades.
    """

    x: NDArray[np.float64]
    rates: NDArray[np.float64]
    speedup: NDArray[np.float64]
    x_title: str
    here: float
    log: bool = False


def gain_map(values: Values, shelf: Shelf, found: Answer, axis: str) -> GainMap:
    """The closed form around the present setting; ``axis`` is one of ``MAP_AXIS``."""
    rates, plan = np.linspace(0, 1, 51), found.chosen.plan
    if axis == "c":
        costs = np.linspace(0, max(0.6, plan.cost_ratio), 61)
        table = plan.speedup(plan.tau_of(rates)[:, None], costs[None, :])
        title = "cost ratio c [target steps per draft step]"
        return GainMap(costs, rates, table, title, plan.cost_ratio)
    if axis == "gamma":
        sizes = np.array([one.size for one in found.settings], dtype=np.float64)
        columns = [one.plan.speedup(one.plan.tau_of(rates)) for one in found.settings]
        title = "levels of the tree" if found.method == "tree" else "draft tokens per round γ"
        return GainMap(sizes, rates, np.stack(columns, axis=1), title, float(found.chosen.size))
    control = BATCH if axis == "batch" else CONTEXT
    x = (
        np.unique(np.geomspace(1, BATCH.high, 25).round())
        if axis == "batch"
        else np.linspace(0, CONTEXT.high, 25).round()
    )
    columns = []
    for value in x.astype(int).tolist():
        moved = sources_of({**values, control.name: value}, shelf)
        steps = RoundSteps.from_costs(moved.costs, moved.context, plan.num_drafts)
        there = plan_of(values, steps, found.chosen.size)
        columns.append(there.speedup(there.tau_of(rates)))
    title = "batch [sequences]" if axis == "batch" else "context [tokens]"
    return GainMap(
        x, rates, np.stack(columns, axis=1), title, real(values, control), axis == "batch"
    )
