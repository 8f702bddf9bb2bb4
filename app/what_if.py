"""What follows from the numbers a reader supposes? Asks the simulator; no drawing.

A scenario is what its controls say, by name: on the page, in a pin, in a link. Acceptance
comes from a rate or a recorded trace, costs from numbers, a roofline or a record; each
answer says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app import data, words
from app.data import MAX_DRAFT_TOKENS, Evidence, Predicted, Shelf, predictions
from app.machine_controls import Machine, machine_of
from app.state import (
    ACCEPTANCE_RATE,
    BATCH,
    CONTEXT,
    COST_RATIO,
    HOST_SHARE,
    LOWER_COST,
    LOWER_RATE,
    LOWER_TOKENS,
    NUM_DRAFT_TOKENS,
    TEXT_SOURCE,
    VERIFY_SLOPE,
    Control,
    Value,
)
from app.tree_study import gain, replayed_tau, tree_basis
from app.what_if_controls import (
    COST_SOURCE,
    DRAFT_STEPS,
    FURTHER_RATE,
    METHOD,
    OWN_COST,
    TREE_DEPTH,
    TREE_SHAPE,
    TREE_SOURCE,
    TREE_WIDTH,
    parse_shape,
    sized_tree,
    value_of,
)
from measurements import ProfileRecord
from simulator import (
    AcceptanceTrace,
    MethodPlan,
    Optimum,
    Parents,
    Requirement,
    RoundSteps,
    Scenario,
    Server,
    StageCosts,
    StageCurve,
    allowed_cost,
    chain_plan,
    hardware_costs,
    largest_batch,
    largest_draft,
    needed_rate,
    parallel_plan,
    staged_plan,
    tree_depths,
    tree_plan,
)
from simulator.speedup import host_steps

NEW_TOKENS = 128
"""Of the text that stands for a constant rate. [tokens]"""
RECORDED_TEXT = "of the recorded trace"
MOST_BATCH = 1024
"""That is looked at. [sequences]"""
Values = Mapping[str, Value]


@dataclass(frozen=True, eq=False)
class Setting:
    """One size of the method, and what it brings.

    Attributes
    ----------
    size : int
        γ, or the levels of a tree. [tokens]
    plan : MethodPlan
    tau, speedup : float
        [tokens/round], [unitless]
    low, high : float or None
        Interval of the speedup, where there is one.
    cost_origin : str
        Where its costs come from, if not from where those of all sizes do.
    """

    size: int
    plan: MethodPlan
    tau: float
    speedup: float
    low: float | None = None
    high: float | None = None
    cost_origin: str = ""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a scenario is predicted to bring.

    Attributes
    ----------
    method : str
    settings : sequence of Setting
        Every size, in order.
    chosen : Setting
    chains : sequence of Setting
        Plain chains of every γ with the same numbers.
    optimum : Optimum or None
        Of a chain: its predictions at all three fidelities.
    rate, cost_ratio : float
        Acceptance rate, supposed or the mean of the trace; one draft step. [unitless]
    rate_origin, cost_origin : str
        Where acceptance and costs come from, in words.
    server : Server or None
        Target and draft on a machine, where costs come from a roofline.
    context, batch : float
        [tokens], [sequences]
    """

    method: str
    settings: Sequence[Setting]
    chosen: Setting
    chains: Sequence[Setting]
    optimum: Optimum | None
    rate: float
    cost_ratio: float
    rate_origin: str
    cost_origin: str
    server: Server | None
    context: float
    batch: float

    @property
    def best(self) -> Setting:
        """The fastest size."""
        return max(self.settings, key=lambda one: one.speedup)

    @property
    def best_chain(self) -> Setting:
        """The fastest plain chain."""
        return max(self.chains, key=lambda one: one.speedup)

    @property
    def origin(self) -> str:
        """Both origins in a line."""
        costs = self.chosen.cost_origin or self.cost_origin
        return f"acceptance {self.rate_origin}; costs {costs}"


@dataclass(frozen=True, eq=False)
class _Sources:
    """Where a scenario's numbers come from."""

    entry: Evidence | None
    recorded: Predicted | None
    text_recorded: bool
    machine: Machine | None
    costs: StageCosts
    context: float
    cost_ratio: float
    cost_origin: str


def answer(values: Values, shelf: Shelf) -> Answer:
    """What a scenario is predicted to bring.

    Raises
    ------
    ValueError, RecordError
        If it names a record or machine that is not here, or one that cannot be used.
    """
    sources, method = _sources(values, shelf), str(value_of(values, METHOD))
    tree = tree_of(values) if method == "tree" else ()
    steps = RoundSteps.from_costs(sources.costs, sources.context, max(MAX_DRAFT_TOKENS, len(tree)))
    found = _chain_search(values, sources)
    rate = found.trace.acceptance_rate
    taus = [one.tau.L2 for one in found.optimum.predictions]
    chains = [
        Setting(one.num_draft_tokens, chain_plan(steps, one.num_draft_tokens), one.tau.L2,
                one.speedup.L2, one.speedup_low, one.speedup_high)
        for one in found.optimum.predictions
    ]  # fmt: skip
    if method == "chain":
        settings: list[Setting] = chains
    elif method == "tree":
        settings = _trees(values, sources, steps, tree, rate)
    else:
        plans = [plan_of(values, steps, gamma) for gamma in range(1, MAX_DRAFT_TOKENS + 1)]
        settings = [
            Setting(gamma, plan, tau, float(plan.speedup(tau)))
            for gamma, (plan, tau) in enumerate(zip(plans, taus, strict=True), start=1)
        ]
    size = len(settings) if method == "tree" else _whole(values, NUM_DRAFT_TOKENS)
    return Answer(
        method, settings, settings[size - 1], chains,
        found.optimum if method == "chain" else None, rate, sources.cost_ratio,
        RECORDED_TEXT if sources.text_recorded else "assumed",
        sources.cost_origin, _server(values, sources), sources.context,
        _real(values, BATCH),
    )  # fmt: skip


def tree_of(values: Values) -> Parents:
    """The tree of a scenario."""
    if value_of(values, TREE_SOURCE) == "text":
        return parse_shape(str(value_of(values, TREE_SHAPE)))
    return sized_tree(_whole(values, TREE_WIDTH), _whole(values, TREE_DEPTH))


def plan_of(values: Values, steps: RoundSteps, size: int) -> MethodPlan:
    """The scenario's method at another γ, or its tree's first levels."""
    method = str(value_of(values, METHOD))
    if method == "tree":
        return tree_plan(steps, first_levels(tree_of(values), size), _real(values, FURTHER_RATE))
    if method == "staged":
        lower_cost = _real(values, LOWER_COST) * steps.cost_ratio
        lower = (_real(values, LOWER_RATE), _whole(values, LOWER_TOKENS), lower_cost)
        return staged_plan(steps, size, *lower)
    if method == "parallel":
        return parallel_plan(steps, size, _whole(values, DRAFT_STEPS))
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


def numbers_of(recorded: Predicted) -> dict[str, float]:
    """The sliders' values that come nearest to a record: where to start from."""
    measured = recorded.calibration
    middle = 4
    steps = RoundSteps.from_costs(measured.costs, float(measured.trace.cached.mean()), middle)
    plain = float(steps.verify[0])
    wanted = {
        ACCEPTANCE_RATE: measured.trace.acceptance_rate,
        COST_RATIO: measured.cost_ratio,
        VERIFY_SLOPE: (float(steps.verify[middle]) - plain) / middle,
        HOST_SHARE: 1 - 1 / plain,
    }
    return {one.name: round(min(max(value, one.low), one.high), 3) for one, value in wanted.items()}


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
        moved = _sources({**values, control.name: value}, shelf)
        steps = RoundSteps.from_costs(moved.costs, moved.context, plan.num_drafts)
        there = plan_of(values, steps, found.chosen.size)
        columns.append(there.speedup(there.tau_of(rates)))
    title = "batch [sequences]" if axis == "batch" else "context [tokens]"
    return GainMap(
        x, rates, np.stack(columns, axis=1), title, _real(values, control), axis == "batch"
    )


def _trees(
    values: Values, sources: _Sources, steps: RoundSteps, tree: Parents, rate: float
) -> list[Setting]:
    """The tree cut behind each of its levels, by closed form or by replay of recorded ranks."""
    settings = []
    for depth in range(1, max(tree_depths(tree)) + 1):
        plan, part = plan_of(values, steps, depth), first_levels(tree, depth)
        if not sources.text_recorded:
            tau = float(plan.tau_of(rate))
            settings.append(Setting(depth, plan, tau, float(plan.speedup(tau))))
            continue
        assert sources.entry is not None and sources.entry.profile_path is not None
        where = sources.entry.profile_path, sources.entry.fingerprint
        basis = tree_basis(*where)
        if basis is None:
            raise ValueError(
                "this profile has no trace at T = 0, whose ranks a tree is replayed with"
            )
        if str(value_of(values, COST_SOURCE)) == "record":
            known = gain(*where, basis, part)
            settings.append(Setting(depth, plan, known.tau, known.speedup, known.low, known.high))
        else:
            tau = replayed_tau(*where, basis, part)
            settings.append(Setting(depth, plan, tau, float(plan.speedup(tau))))
    return settings


@dataclass(frozen=True, eq=False)
class _Search:
    optimum: Optimum
    trace: AcceptanceTrace


def _chain_search(values: Values, sources: _Sources) -> _Search:
    """Plain chains of every γ; with all of it recorded, the search of the profile."""
    recorded, all_recorded = sources.recorded, value_of(values, COST_SOURCE) == "record"
    if sources.text_recorded and recorded is not None:
        whole = recorded.calibration.trace
        if all_recorded:
            return _Search(recorded.optimum, whole)
        trace = recorded.quick_trace
    else:
        rate = _real(values, ACCEPTANCE_RATE)
        trace = AcceptanceTrace.constant(
            rate, NEW_TOKENS, prompt_tokens=max(int(sources.context), 1)
        )
    rest = {name: value for name, value in values.items() if name != NUM_DRAFT_TOKENS.name}
    files = sources.entry.fingerprint if sources.entry else ()
    key = (files, *sorted((name, str(value)) for name, value in rest.items()))
    scenario = Scenario(1, trace, sources.costs, sources.cost_ratio)
    return _Search(data.search(key, scenario), trace)


def _sources(values: Values, shelf: Shelf) -> _Sources:
    entry, recorded = _recorded(values, shelf)
    kind = str(value_of(values, COST_SOURCE))
    text_recorded = str(value_of(values, TEXT_SOURCE)) == "trace"
    if recorded is None and (text_recorded or kind == "record"):
        raise ValueError("a recorded trace or cost needs a record, and none is named")
    machine, context = None, 0.0
    cost, origin = _real(values, COST_RATIO), "assumed"
    if kind == "record":
        assert recorded is not None
        measured = recorded.calibration
        costs, context = measured.costs, float(measured.trace.cached.mean())
        parallel = value_of(values, METHOD) == "parallel"
        cost = cost if parallel else measured.cost_ratio
        shares = words.origin(recorded_provenance(recorded, _whole(values, NUM_DRAFT_TOKENS)))
        origin = f"{shares}, draft steps assumed" if parallel else shares
        if parallel:
            costs = _with_draft(costs, cost, context)
    elif kind == "hardware":
        machine, context = machine_of(values, _profiles(shelf)), _real(values, CONTEXT)
        costs = _machine_costs(values, machine, context)
        own = bool(value_of(values, OWN_COST))
        if own:
            costs = _with_draft(costs, cost, context)
        else:
            one, step = costs.draft.seconds(1, context), costs.target.seconds(1, context)
            cost = float(one / step)
        peaks = f"modelled from {machine.origin} peaks of {machine.hardware.name}"
        origin = f"{peaks}, c assumed" if own else peaks
    else:
        costs = StageCosts.assumed(
            cost,
            verify_slope=_real(values, VERIFY_SLOPE),
            host_steps=float(host_steps(_real(values, HOST_SHARE))),
        )
    return _Sources(entry, recorded, text_recorded, machine, costs, context, cost, origin)


def recorded_provenance(recorded: Predicted, gamma: int) -> Mapping[str, float]:
    """Share of a recorded round's time by where its costs come from."""
    return recorded.optimum.predictions[gamma - 1].provenance


def _machine_costs(values: Values, machine: Machine, context: float) -> StageCosts:
    batch, longest = _real(values, BATCH), MAX_DRAFT_TOKENS
    if value_of(values, METHOD) == "tree":
        longest = max(longest, len(tree_of(values)))
    step = float(machine.target.seconds(1, context, batch))
    return hardware_costs(
        machine.target, machine.draft, max_draft_tokens=longest, contexts=[context], batch=batch,
        host_seconds=float(host_steps(_real(values, HOST_SHARE))) * step,
    )  # fmt: skip


def _with_draft(costs: StageCosts, cost_ratio: float, context: float) -> StageCosts:
    """The same rounds with a draft call that takes so many target steps."""
    step, nothing = float(costs.target.seconds(1, context)), StageCurve.line(0.0)
    draft = StageCurve.line(0.0, cost_ratio * step)
    return replace(costs, draft=draft, catch_up=nothing, draft_sampling=nothing)


def _server(values: Values, sources: _Sources) -> Server | None:
    if sources.machine is None or value_of(values, OWN_COST):
        return None
    step = sources.machine.target.seconds(1, sources.context, _real(values, BATCH))
    host = float(host_steps(_real(values, HOST_SHARE)) * step)
    return Server(sources.machine.target, sources.machine.draft, host)


def _recorded(values: Values, shelf: Shelf) -> tuple[Evidence | None, Predicted | None]:
    """The record a scenario names and one sampling of it; neither where it names none."""
    name = values.get("record")
    if name is None:
        return None, None
    entry = next((one for one in shelf.evidence if one.id == name), None)
    if entry is None:
        raise ValueError(f"record {str(name)[:60]!r} is not here")
    known = predictions(entry)
    label = str(values.get("trace", next(iter(known), "")))
    if label not in known:
        raise ValueError(f"record {entry.id} has no trace at {label[:40]!r}")
    return entry, known[label]


def _profiles(shelf: Shelf) -> list[ProfileRecord]:
    return [record for _, record in shelf.profiles]


def _real(values: Values, control: Control) -> float:
    value = value_of(values, control)
    assert isinstance(value, float | int)
    return float(value)


def _whole(values: Values, control: Control) -> int:
    return int(_real(values, control))
