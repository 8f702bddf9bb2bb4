"""Where do the numbers that a reader supposes come from? Asks the simulator; no drawing.

Acceptance comes from a rate or a recorded trace, costs from numbers, a roofline or a record;
each says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from app import words
from app.data import MAX_DRAFT_TOKENS, Evidence, Predicted, Shelf, predictions
from app.machine_controls import Machine, machine_of
from app.state import (
    ACCEPTANCE_RATE,
    BATCH,
    CONTEXT,
    COST_RATIO,
    HOST_SHARE,
    NUM_DRAFT_TOKENS,
    TEXT_SOURCE,
    VERIFY_SLOPE,
)
from app.what_if_controls import COST_SOURCE, METHOD, OWN_COST, value_of
from app.what_if_plans import Values, real, tree_of, whole
from measurements import ProfileRecord
from simulator import RoundSteps, Server, StageCosts, StageCurve, hardware_costs
from simulator.speedup import host_steps


@dataclass(frozen=True, eq=False)
class Sources:
    """Where a scenario's numbers come from."""

    entry: Evidence | None
    recorded: Predicted | None
    text_recorded: bool
    machine: Machine | None
    costs: StageCosts
    context: float
    cost_ratio: float
    cost_origin: str


def sources_of(values: Values, shelf: Shelf) -> Sources:
    """Where a scenario's numbers come from, and what they are.

    Raises
    ------
    ValueError, RecordError
        If it names a record or machine that is not here, or one that cannot be used.
    """
    entry, recorded = _recorded(values, shelf)
    kind = str(value_of(values, COST_SOURCE))
    text_recorded = str(value_of(values, TEXT_SOURCE)) == "trace"
    if recorded is None and (text_recorded or kind == "record"):
        raise ValueError("a recorded trace or cost needs a record, and none is named")
    machine, context = None, 0.0
    cost, origin = real(values, COST_RATIO), "assumed"
    if kind == "record":
        assert recorded is not None
        measured = recorded.calibration
        costs, context = measured.costs, float(measured.trace.cached.mean())
        parallel = value_of(values, METHOD) == "parallel"
        cost = cost if parallel else measured.cost_ratio
        shares = words.origin(_provenance(recorded, whole(values, NUM_DRAFT_TOKENS)))
        origin = f"{shares}, draft steps assumed" if parallel else shares
        if parallel:
            costs = _with_draft(costs, cost, context)
    elif kind == "hardware":
        machine, context = machine_of(values, _profiles(shelf)), real(values, CONTEXT)
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
            verify_slope=real(values, VERIFY_SLOPE),
            host_steps=float(host_steps(real(values, HOST_SHARE))),
        )
    return Sources(entry, recorded, text_recorded, machine, costs, context, cost, origin)


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


def server_of(values: Values, sources: Sources) -> Server | None:
    """Target and draft on a machine; None where costs come from elsewhere."""
    if sources.machine is None or value_of(values, OWN_COST):
        return None
    step = sources.machine.target.seconds(1, sources.context, real(values, BATCH))
    host = float(host_steps(real(values, HOST_SHARE)) * step)
    return Server(sources.machine.target, sources.machine.draft, host)


def _provenance(recorded: Predicted, gamma: int) -> Mapping[str, float]:
    """Share of a recorded round's time by where its costs come from."""
    return recorded.optimum.predictions[gamma - 1].provenance


def _machine_costs(values: Values, machine: Machine, context: float) -> StageCosts:
    batch, longest = real(values, BATCH), MAX_DRAFT_TOKENS
    if value_of(values, METHOD) == "tree":
        longest = max(longest, len(tree_of(values)))
    step = float(machine.target.seconds(1, context, batch))
    return hardware_costs(
        machine.target, machine.draft, max_draft_tokens=longest, contexts=[context], batch=batch,
        host_seconds=float(host_steps(real(values, HOST_SHARE))) * step,
    )  # fmt: skip


def _with_draft(costs: StageCosts, cost_ratio: float, context: float) -> StageCosts:
    """The same rounds with a draft call that takes so many target steps."""
    step, nothing = float(costs.target.seconds(1, context)), StageCurve.line(0.0)
    draft = StageCurve.line(0.0, cost_ratio * step)
    return replace(costs, draft=draft, catch_up=nothing, draft_sampling=nothing)


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
