"""Which plan should an engine get: from a profile, from an engine's own run, or from numbers?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.engine_scenario import Costs
from app.exports.plan import Plan, schedule_ranges
from app.records import calibrations
from app.search import row_name, search
from app.served_decision import Decision, pooled_survival, verdict
from measurements import Profile, RecordError
from measurements.engines import EngineReport
from measurements.engines.report import hazards_from_survival
from simulator.acceptance import expected_emitted_from_hazards
from simulator.chains import chain_windows
from simulator.choice import Constraints
from simulator.hardware import known_hardware
from simulator.implied_rates import implied_acceptance_rate, speedups_by_drafts
from simulator.known_models import known_shape
from simulator.optimise import CANDIDATES
from simulator.replay import kept_survival
from simulator.serving import Server, serving_speedup
from simulator.serving_limits import best_schedule
from simulator.stage_time import assumed_stage_time


@dataclass(frozen=True)
class Machine:
    """Where the engine runs, as far as a schedule by batch needs it.

    Attributes
    ----------
    hardware, target_shape, draft_shape : str
        Of the simulator's tables.
    dtype : str
    context : int
        Mean over the sequences. [tokens]
    max_batch : int
        [sequences]
    """

    hardware: str
    target_shape: str
    draft_shape: str
    dtype: str = "bfloat16"
    context: int = 1000
    max_batch: int = 256

    def server(self) -> Server:
        """Target and draft on the hardware, with assumed efficiencies.

        Raises
        ------
        ValueError
            If a name is unknown.
        """
        card = known_hardware(self.hardware)
        target, draft = known_shape(self.target_shape), known_shape(self.draft_shape)
        return Server(
            assumed_stage_time(target, card, self.dtype),
            assumed_stage_time(draft, card, self.dtype),
        )


def plan_from_profile(
    profile: Profile, sampling: str | None, method: str | None, gamma: int | None
) -> Plan:
    """The best that a profile predicts, of one method or one number of drafts if given.

    Raises
    ------
    RecordError
        If the profile does not know such a setting, or nothing is faster than plain decoding.
    """
    result = search(profile, sampling, Constraints())[0]
    rows = [r for r in result["ranking"] if _is(r, method, gamma)]
    if not rows:
        what = f"{method or 'setting'}{'' if gamma is None else f' with {gamma} drafts'}"
        raise RecordError(profile.path, f"predicts no {what} faster than plain decoding")
    best: dict[str, Any] = rows[0]
    parameters = dict(best["parameters"])
    drafts = parameters.pop("num_draft_tokens", None)
    speedup = best["speedup"]
    plan = Plan(
        best["method"],
        int(drafts if drafts is not None else parameters.get("nodes", 1)),
        f"{row_name(best)} at {result['sampling']}, profile {profile.record.id}",
        parameters,
        tau=best["tau"],
        speedup=speedup["L2"],
        speedup_low=speedup["low"],
        speedup_high=speedup["high"],
        target=profile.record.target.name,
        draft=profile.record.draft.name,
    )
    if best["method"] != "chain" or parameters:
        return plan
    trace = calibrations(profile)[result["sampling"]].trace
    windows = chain_windows(trace.accept_prob, trace.lengths, plan.num_draft_tokens)
    return replace(plan, hazards=hazards_from_survival(kept_survival(windows).tolist()))


def _is(row: dict[str, Any], method: str | None, gamma: int | None) -> bool:
    return (method is None or row["method"] == method) and (
        gamma is None or row["parameters"].get("num_draft_tokens") == gamma
    )


def plan_from_report(
    report: EngineReport, method: str | None, gamma: int | None, costs: Costs
) -> Plan:
    """The best number of drafts that what an engine measured supports.

    Raises
    ------
    ValueError
        If the report is of no chain, or drafts more than were measured are wanted.
    """
    if report.tree or not report.num_draft_tokens:
        kind = "a tree" if report.tree else "no known number of drafts (--gamma)"
        raise ValueError(f"{report.source} has {kind}, from which no chain can be planned")
    hazards = report.hazards
    if hazards is None:
        tau = min(report.tau, report.num_draft_tokens + 1.0)
        hazards = (float(implied_acceptance_rate(tau, report.num_draft_tokens)),)
        hazards *= report.num_draft_tokens
    return plan_from_hazards(hazards, method, gamma, costs, f"what {report.source} measured")


def plan_from_hazards(
    hazards: Sequence[float], method: str | None, gamma: int | None, costs: Costs, origin: str
) -> Plan:
    """The best number of drafts for an acceptance by position, or a given one.

    Raises
    ------
    ValueError
        If neither gamma nor a cost ratio is given, gamma is beyond the hazards, or
        nothing pays.
    """
    known = len(hazards)
    if gamma is None:
        if costs.cost_ratio is None:
            raise ValueError("--gamma or --cost-ratio is needed to choose the drafts per round")
        gammas = range(1, known + 1)
        table = speedups_by_drafts(hazards, costs.cost_ratio, gammas, **costs.extras)
        if table.max() <= 1:
            raise ValueError(
                f"no number of drafts up to {known} pays: at most {table.max():.2f}x;"
                " leave speculation off"
            )
        gamma = 1 + int(np.argmax(table))
    if not 1 <= gamma <= known:
        raise ValueError(
            f"--gamma must be in [1, {known}], what acceptance is known of, not {gamma}"
        )
    speedup = None
    if costs.cost_ratio is not None:
        speedup = float(speedups_by_drafts(hazards, costs.cost_ratio, [gamma], **costs.extras)[0])
    kept = tuple(float(h) for h in hazards)
    tau = float(expected_emitted_from_hazards(kept[:gamma]))
    return Plan(method or "chain", gamma, origin, hazards=kept, tau=tau, speedup=speedup)


def plan_from_decision(decision: Decision, method: str | None) -> Plan:
    """What runs with and without drafts say to do at each batch, as one configuration.

    Raises
    ------
    ValueError
        If no batch is faster with drafts.
    """
    schedule = decision.schedule
    drafts = max(g for _, _, g in schedule)
    if not drafts:
        raise ValueError(verdict(decision))
    batch = next(low for low, _, g in schedule if g == drafts)
    told = decision.setting(batch, drafts)
    assert told is not None  # the schedule holds what was judged
    kept = pooled_survival(decision.reports, drafts)
    return Plan(
        method or "chain",
        drafts,
        f"counters of {len(decision.reports)} runs, at batch {batch}",
        hazards=hazards_from_survival(kept),
        tau=1.0 + sum(kept),
        speedup=told.speedup,
        speedup_low=told.low,
        speedup_high=told.high,
        schedule=None if len(schedule) == 1 else ((1, *schedule[0][1:]), *schedule[1:]),
        target=decision.reports[0].model or "TARGET",
    )


def constant_hazards(acceptance_rate: float) -> tuple[float, ...]:
    """One rate for as many drafts as are ever tried."""
    return (acceptance_rate,) * max(CANDIDATES)


def with_schedule(plan: Plan, machine: Machine) -> Plan:
    """The plan with the best number of drafts for every batch, from rooflines.

    Raises
    ------
    ValueError
        If the plan has no acceptance by position, is of no chain, or speculation loses at batch 1.
    """
    if plan.hazards is None or plan.method != "chain":
        raise ValueError("a schedule by batch needs a chain with acceptance by position")
    server = machine.server()
    drafts = best_schedule(server, plan.hazards, machine.context, machine.max_batch)
    first = int(drafts[0])
    if first == 0:
        raise ValueError(f"speculation does not pay at batch 1 on {machine.hardware}: leave it off")
    tau = float(expected_emitted_from_hazards(plan.hazards[:first]))
    speedup = float(serving_speedup(server, first, tau, machine.context, 1))
    return replace(
        plan,
        num_draft_tokens=first,
        tau=tau,
        speedup=speedup,
        speedup_low=None,
        speedup_high=None,
        schedule=schedule_ranges(drafts.tolist()),
        origin=f"{plan.origin}; times from assumed rooflines of {machine.target_shape} with"
        f" {machine.draft_shape} on {machine.hardware} at context {machine.context}, batch 1",
    )
