"""What follows from the numbers a reader supposes? Asks the simulator; no drawing.

A scenario is what its controls say, by name: on the page, in a pin, in a link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app import data
from app.data import MAX_DRAFT_TOKENS, Shelf
from app.state import (
    ACCEPTANCE_RATE,
    BATCH,
    LOWER_COST,
    LOWER_RATE,
    LOWER_TOKENS,
    NUM_DRAFT_TOKENS,
)
from app.tree_study import gain, replayed_tau, tree_basis
from app.what_if_controls import (
    COST_SOURCE,
    DRAFT_STEPS,
    FURTHER_RATE,
    METHOD,
    TREE_DEPTH,
    TREE_SHAPE,
    TREE_SOURCE,
    TREE_WIDTH,
    value_of,
)
from app.what_if_plans import Values, first_levels, plan_of, real, tree_of, whole
from app.what_if_sources import Sources, server_of, sources_of
from simulator import (
    AcceptanceTrace,
    MethodPlan,
    Optimum,
    Parents,
    RoundSteps,
    Scenario,
    Server,
    chain_plan,
    tree_depths,
)

NEW_TOKENS = 128
"""Of the text that stands for a constant rate. [tokens]"""
RECORDED_TEXT = "of the recorded trace"
_NOT_OF_CHAINS = {
    one.name
    for one in (
        NUM_DRAFT_TOKENS, TREE_SOURCE, TREE_WIDTH, TREE_DEPTH, TREE_SHAPE, FURTHER_RATE,
        LOWER_RATE, LOWER_TOKENS, LOWER_COST, DRAFT_STEPS,
    )
}  # fmt: skip
"""Controls that say nothing of plain chains of every γ."""


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


def answer(values: Values, shelf: Shelf) -> Answer:
    """What a scenario is predicted to bring.

    Raises
    ------
    ValueError, RecordError
        If it names a record or machine that is not here, or one that cannot be used.
    """
    sources, method = sources_of(values, shelf), str(value_of(values, METHOD))
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
    size = len(settings) if method == "tree" else whole(values, NUM_DRAFT_TOKENS)
    return Answer(
        method, settings, settings[size - 1], chains,
        found.optimum if method == "chain" else None, rate, sources.cost_ratio,
        RECORDED_TEXT if sources.text_recorded else "assumed",
        sources.cost_origin, server_of(values, sources), sources.context,
        real(values, BATCH),
    )  # fmt: skip


def _trees(
    values: Values, sources: Sources, steps: RoundSteps, tree: Parents, rate: float
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


def _chain_search(values: Values, sources: Sources) -> _Search:
    """Plain chains of every γ; with all of it recorded, the search of the profile."""
    recorded, all_recorded = sources.recorded, value_of(values, COST_SOURCE) == "record"
    if sources.text_recorded and recorded is not None:
        whole = recorded.calibration.trace
        if all_recorded:
            return _Search(recorded.optimum, whole)
        trace = recorded.quick_trace
    else:
        rate = real(values, ACCEPTANCE_RATE)
        trace = AcceptanceTrace.constant(
            rate, NEW_TOKENS, prompt_tokens=max(int(sources.context), 1)
        )
    rest = {name: value for name, value in values.items() if name not in _NOT_OF_CHAINS}
    files = sources.entry.fingerprint if sources.entry else ()
    key = (files, *sorted((name, str(value)) for name, value in rest.items()))
    scenario = Scenario(1, trace, sources.costs, sources.cost_ratio)
    return _Search(data.search(key, scenario), trace)
