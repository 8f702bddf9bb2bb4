"""What would a round of any method gain, if acceptance and costs were plain numbers?

One line for chains, trees, staged drafts and parallel drafters: a plan says what a
round verifies, how often it calls the draft and how its tokens per round follow from
the acceptance rate. Turned around it says what a wanted speedup takes. Closed form,
hence fidelity L0: texts and intervals are those of ``replay`` and ``scenario``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from simulator.acceptance import expected_emitted_tokens
from simulator.checks import FloatArray, above, at_least, one_count, rates
from simulator.costs import Origin
from simulator.round_time import StageCosts
from simulator.staging import staged_calls_from_rates
from simulator.token_trees import Parents, checked_tree, child_ranks, tree_depths
from simulator.tree_costs import tree_costs

_GRID = np.linspace(0.0, 1.0, 201)  # of acceptance rates, in which a first crossing is sought
_HALVINGS = 40


@dataclass(frozen=True, eq=False)
class RoundSteps:
    """Times of the parts of a round in target steps (one target call over one token).

    Attributes
    ----------
    verify : array [max_drafts + 1]
        All of a round but its drafting, by verified drafts; entry 0 is a plain step.
        [target steps]
    cost_ratio : float
        One draft call over one token. [target steps]
    origins : tuple of str, [max_drafts + 1]
        Where the time of each target pass comes from.
    """

    verify: FloatArray
    cost_ratio: float
    origins: tuple[Origin, ...]

    @classmethod
    def from_costs(cls, costs: StageCosts, context: float, max_drafts: int) -> "RoundSteps":
        """The parts of a round from stage times, measured, modelled or assumed.

        Equation (M3.10) in docs/model.md. Raises ValueError if a number leaves its bound
        or a target step takes no time.

        Examples
        --------
        >>> RoundSteps.from_costs(StageCosts.assumed(0.1, verify_slope=0.02), 0, 2).verify
        array([1.  , 1.02, 1.04])
        """
        made = tree_costs(costs, context, max_nodes=max_drafts, max_depth=1)
        step = float(above("target step", costs.target.seconds(1, context), 0))
        return cls(made.verify_seconds / step, float(made.draft_seconds[1]) / step, made.origins)

    def with_cost_ratio(self, cost_ratio: float) -> "RoundSteps":
        """The same with another draft; ValueError if cost_ratio is negative."""
        return replace(self, cost_ratio=float(at_least("cost_ratio", cost_ratio, 0)))


@dataclass(frozen=True, eq=False)
class MethodPlan:
    """One setting of a method.

    Attributes
    ----------
    num_drafts : int
        Drafts a round verifies: the chain, or the nodes of the tree. [tokens]
    depth : int
        Most of them that can be kept. [tokens]
    tau_of : callable
        Tokens per round at acceptance rates [any shape]. [tokens/round]
    draft_calls : float
        Each as dear as one over one token. [calls/round]
    plain, verification, extra : float
        A plain step; the round but its drafting; drafting beside draft calls.
        [target steps]
    cost_ratio : float
        One draft call. [target steps]
    origin : Origin
        Where the time of the target pass comes from.
    """

    num_drafts: int
    depth: int
    tau_of: Callable[[ArrayLike], FloatArray]
    draft_calls: float
    plain: float
    verification: float
    extra: float
    cost_ratio: float
    origin: Origin

    @property
    def drafting(self) -> float:
        """Time of all levels together. [target steps]"""
        return self.draft_calls * self.cost_ratio + self.extra

    def speedup(self, tau: ArrayLike, cost_ratio: ArrayLike | None = None) -> FloatArray:
        """Speedup at so many tokens per round; another draft's where its cost is given.

        Equation (M12.13) in docs/model.md. [unitless]
        """
        cost = self.cost_ratio if cost_ratio is None else at_least("cost_ratio", cost_ratio, 0)
        time = self.verification + self.draft_calls * np.asarray(cost) + self.extra
        return np.asarray(np.asarray(tau, dtype=np.float64) * self.plain / time)[()]


def chain_plan(steps: RoundSteps, num_draft_tokens: int) -> MethodPlan:
    """A chain of drafts of the draft model; with a slope of (M6.2) its closed form.

    Examples
    --------
    >>> steps = RoundSteps.from_costs(StageCosts.assumed(0.05), 0, 8)
    >>> plan = chain_plan(steps, 4)
    >>> round(float(plan.speedup(plan.tau_of(0.8))), 4)
    2.8013
    """
    gamma = one_count("num_draft_tokens", num_draft_tokens, 1)
    return _plan(steps, gamma, gamma, lambda a: expected_emitted_tokens(a, gamma), gamma)


def parallel_plan(steps: RoundSteps, num_draft_tokens: int, draft_steps: int) -> MethodPlan:
    """A drafter that sets all tokens of a round together, in so many steps (diffusion, heads).

    Its drafting does not grow with num_draft_tokens (M4): the cost ratio is that of one
    step over the whole block. That acceptance falls with fewer steps is left to the
    rate; positions are taken to be accepted alike.
    """
    gamma = one_count("num_draft_tokens", num_draft_tokens, 1)
    calls = one_count("draft_steps", draft_steps, 1)
    return _plan(steps, gamma, gamma, lambda a: expected_emitted_tokens(a, gamma), calls)


def staged_plan(
    steps: RoundSteps,
    num_draft_tokens: int,
    lower_acceptance_rate: float,
    lower_draft_tokens: int,
    lower_cost: float,
) -> MethodPlan:
    """A chain whose draft is drafted for; arguments as in ``staged_speedup``, equation (M5.6)."""
    gamma = one_count("num_draft_tokens", num_draft_tokens, 1)
    work = staged_calls_from_rates(lower_acceptance_rate, lower_draft_tokens, gamma)
    extra = float(at_least("lower_cost", lower_cost, 0)) * float(work.proposed[gamma])
    return _plan(
        steps, gamma, gamma, lambda a: expected_emitted_tokens(a, gamma),
        float(work.calls[0, gamma]), extra,
    )  # fmt: skip


def tree_plan(steps: RoundSteps, parents: Sequence[int], further_rate: float) -> MethodPlan:
    """A static tree of the draft, a level for a call; ranks as in ``tree_tau_of_rates``."""
    tree = checked_tree(parents)
    depth = max(tree_depths(tree), default=0)
    return _plan(
        steps, one_count("number of nodes", len(tree), 1), depth,
        lambda a: tree_tau_of_rates(a, further_rate, tree), depth,
    )  # fmt: skip


def tree_tau_of_rates(
    acceptance_rate: ArrayLike, further_rate: float, parents: Parents
) -> FloatArray:
    """Tokens per round of a tree when the ranks' chances follow from two numbers.

    Parameters
    ----------
    acceptance_rate : float or array, in [0, 1]
        Chance that the first child is kept, its parent being kept. [unitless]
    further_rate : float, in [0, 1]
        Chance of each further child, given that those before it were not kept. [unitless]
    parents : tuple of int
        See ``token_trees``.

    Returns
    -------
    float or array, shape of acceptance_rate
        [tokens/round]

    Raises
    ------
    ValueError
        If a rate leaves [0, 1] or the tree is none.

    Notes
    -----
    Equation (M3.5) in docs/model.md with P(rank 0) = a and P(rank r) =
    (1 - a)(1 - b)^(r - 1) b. Positions independent; real ranks fall off otherwise.

    Examples
    --------
    >>> float(tree_tau_of_rates(0.6, 0.5, (-1, -1, 0)).round(4))
    2.16
    """
    first = rates("acceptance_rate", acceptance_rate)
    further = float(rates("further_rate", further_rate))
    tree = checked_tree(parents)
    chance: dict[int, FloatArray] = {-1: np.ones_like(first)}
    for node, (parent, rank) in enumerate(zip(tree, child_ranks(tree), strict=True)):
        kept = first if rank == 0 else (1 - first) * further * (1 - further) ** (rank - 1)
        chance[node] = chance[parent] * kept
    return np.asarray(sum(chance.values(), start=np.zeros_like(first)))[()]


def needed_rate(plans: Sequence[MethodPlan], wanted_speedup: float) -> tuple[float, int] | None:
    """Least acceptance rate at which one of the plans reaches a speedup.

    Parameters
    ----------
    plans : sequence of MethodPlan
        At least one.
    wanted_speedup : float, > 0
        1 is break-even with autoregressive decoding. [unitless]

    Returns
    -------
    (float, int) or None
        The rate and the plan that needs no more; None where none does. [unitless]

    Raises
    ------
    ValueError
        If wanted_speedup is not above 0.

    Notes
    -----
    Equation (M12.1) in docs/model.md. A tree's tokens per round need not rise steadily
    with the rate: the first crossing on a grid counts, then halved.

    Examples
    --------
    >>> steps = RoundSteps.from_costs(StageCosts.assumed(0.1), 0, 16)
    >>> rate, best = needed_rate([chain_plan(steps, g) for g in range(1, 17)], 2.0)
    >>> round(rate, 4), best + 1
    (0.7051, 4)
    """
    wanted = float(above("wanted_speedup", wanted_speedup, 0))
    places = [_first_place(plan, wanted) for plan in plans]
    first = min((place for place in places if place is not None), default=None)
    if first is None:
        return None
    # who gets there in a later stretch of the grid needs more than any of these
    return min(
        (_first_rate(plan, wanted, first), at)
        for at, (plan, place) in enumerate(zip(plans, places, strict=True))
        if place == first
    )


def _first_place(plan: MethodPlan, wanted: float) -> int | None:
    """Where on the grid of rates a plan is first fast enough."""
    enough = np.flatnonzero(plan.speedup(plan.tau_of(_GRID)) >= wanted)
    return int(enough[0]) if enough.size else None


def _first_rate(plan: MethodPlan, wanted: float, place: int) -> float:
    if place == 0:
        return 0.0
    low, high = float(_GRID[place - 1]), float(_GRID[place])
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if float(plan.speedup(plan.tau_of(middle))) >= wanted:
            high = middle
        else:
            low = middle
    return high


def allowed_cost(
    plans: Sequence[MethodPlan], taus: Sequence[float], wanted_speedup: float
) -> tuple[float, int] | None:
    """Most that a draft call may cost for one of the plans to reach a speedup.

    Parameters
    ----------
    plans, taus : sequences of equal length
        At least one; tokens per round of each plan.
    wanted_speedup : float, > 0
        [unitless]

    Returns
    -------
    (float, int) or None
        Cost ratio and the plan that bears it; None where not even free calls do.
        [target steps]

    Raises
    ------
    ValueError
        If wanted_speedup is not above 0 or the lengths differ.

    Notes
    -----
    Equation (M12.13) in docs/model.md solved for the cost ratio.

    Examples
    --------
    >>> steps = RoundSteps.from_costs(StageCosts.assumed(0.3), 0, 4)
    >>> plan = chain_plan(steps, 4)
    >>> round(allowed_cost([plan], [float(plan.tau_of(0.8))], 2.0)[0], 4)
    0.1702
    """
    wanted = float(above("wanted_speedup", wanted_speedup, 0))
    bearable = [
        ((tau * plan.plain / wanted - plan.verification - plan.extra) / plan.draft_calls, at)
        for at, (plan, tau) in enumerate(zip(plans, taus, strict=True))
    ]
    cost, best = max(bearable)
    return (cost, best) if cost >= 0 else None


def _plan(
    steps: RoundSteps,
    num_drafts: int,
    depth: int,
    tau_of: Callable[[ArrayLike], FloatArray],
    draft_calls: float,
    extra: float = 0.0,
) -> MethodPlan:
    if num_drafts >= len(steps.verify):
        raise ValueError(f"drafts must be <= {len(steps.verify) - 1}, not {num_drafts}")
    return MethodPlan(
        num_drafts, depth, tau_of, draft_calls, float(steps.verify[0]),
        float(steps.verify[num_drafts]), extra, steps.cost_ratio, steps.origins[num_drafts],
    )  # fmt: skip
