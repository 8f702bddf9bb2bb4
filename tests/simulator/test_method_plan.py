"""Plans of every method agree with the laws they stand for, and their inverses invert."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import (
    RoundSteps,
    StageCosts,
    allowed_cost,
    chain_plan,
    expected_emitted_from_tree,
    hardware_costs,
    known_hardware,
    known_shape,
    needed_rate,
    parallel_plan,
    required_acceptance_rate,
    required_cost_ratio,
    serving_speedup,
    speedup_from_rates,
    staged_plan,
    staged_speedup,
    tree_plan,
    tree_tau_of_rates,
)
from simulator.serving import Server
from simulator.speedup import host_steps
from simulator.stage_time import assumed_stage_time

RATES = st.floats(0, 1)
COSTS = st.floats(0.001, 0.5)
SLOPES, HOSTS = st.floats(0, 0.1), st.floats(0, 0.5)
TREES = st.lists(st.integers(0, 99), min_size=1, max_size=12).map(
    lambda draws: tuple(draw % (node + 1) - 1 for node, draw in enumerate(draws))
)


def steps(cost: float, slope: float = 0.0, host: float = 0.0, drafts: int = 16) -> RoundSteps:
    costs = StageCosts.assumed(cost, verify_slope=slope, host_steps=float(host_steps(host)))
    return RoundSteps.from_costs(costs, 0, drafts)


@given(RATES, st.integers(1, 16), COSTS, SLOPES, HOSTS)
def test_a_chain_is_the_closed_form(rate, gamma, cost, slope, host):
    plan = chain_plan(steps(cost, slope, host), gamma)
    expected = speedup_from_rates(rate, gamma, cost, verify_slope=slope, host_share=host)
    assert plan.speedup(plan.tau_of(rate)) == pytest.approx(expected, rel=1e-9)


@given(RATES, st.integers(1, 16), COSTS, RATES, st.integers(1, 8), st.floats(0, 0.2), HOSTS)
def test_a_staged_chain_is_the_closed_form(rate, gamma, cost, lower, tokens, dear, host):
    plan = staged_plan(steps(cost, 0.0, host), gamma, lower, tokens, dear)
    expected = staged_speedup(rate, gamma, cost, lower, tokens, dear, host_share=host)
    assert plan.speedup(plan.tau_of(rate)) == pytest.approx(expected, rel=1e-9)


@given(RATES, RATES, TREES)
def test_a_trees_tokens_are_those_of_its_ranks(rate, further, tree):
    width = 12
    ranks = [rate] + [(1 - rate) * further * (1 - further) ** r for r in range(width - 1)]
    expected = expected_emitted_from_tree(ranks, tree)
    assert tree_tau_of_rates(rate, further, tree) == pytest.approx(expected, rel=1e-9)
    both = tree_tau_of_rates(np.array([rate, rate]), further, tree)
    assert both == pytest.approx([expected, expected], rel=1e-9)


@given(RATES, st.integers(1, 16), COSTS)
def test_a_tree_without_branches_is_a_chain(rate, gamma, cost):
    tree = tree_plan(steps(cost), range(-1, gamma - 1), 0.3)
    chain = chain_plan(steps(cost), gamma)
    assert tree.speedup(tree.tau_of(rate)) == pytest.approx(chain.speedup(chain.tau_of(rate)))


def test_parallel_drafting_does_not_grow_with_its_tokens():
    short, long = (parallel_plan(steps(0.1), gamma, 3) for gamma in (2, 12))
    assert short.drafting == long.drafting == pytest.approx(0.3)
    assert float(long.tau_of(0.5)) > float(short.tau_of(0.5))


@given(RATES, st.floats(1.01, 4), COSTS, SLOPES, HOSTS)
def test_needs_of_chains_are_those_of_the_closed_form(rate, wanted, cost, slope, host):
    plans = [chain_plan(steps(cost, slope, host), gamma) for gamma in range(1, 17)]
    extras = {"verify_slope": slope, "host_share": host}
    found = needed_rate(plans, wanted)
    expected = required_acceptance_rate(cost, wanted, range(1, 17), **extras)
    assert (found is not None) == expected.reachable
    if found is not None:
        assert found[0] == pytest.approx(expected.value, abs=1e-6)
    bearable = allowed_cost(plans, [float(plan.tau_of(rate)) for plan in plans], wanted)
    most = required_cost_ratio(rate, wanted, range(1, 17), **extras)
    assert (bearable is not None) == most.reachable
    if bearable is not None:
        assert bearable[0] == pytest.approx(most.value, abs=1e-9)


@given(TREES, RATES, st.floats(1.01, 3), COSTS)
def test_a_tree_reaches_the_wish_at_the_needed_rate_and_not_before(tree, further, wanted, cost):
    plan = tree_plan(steps(cost), tree, further)
    found = needed_rate([plan], wanted)
    grid = np.linspace(0, 1, 201)
    gains = plan.speedup(plan.tau_of(grid))
    if found is None:
        assert (gains < wanted).all()
    else:
        assert float(plan.speedup(plan.tau_of(found[0]))) >= wanted * (1 - 1e-9)
        assert (gains[grid < found[0] - 1e-6] < wanted).all()


def test_on_a_machine_a_chain_is_the_served_one():
    """Second implementation: (M11.2), whose draft calls see the same context to within one."""
    card = known_hardware("H100-SXM")
    target = assumed_stage_time(known_shape("Llama-3.1-8B"), card, "bfloat16")
    draft = assumed_stage_time(known_shape("Llama-3.2-1B"), card, "bfloat16")
    costs = hardware_costs(target, draft, max_draft_tokens=8, contexts=[1000], batch=32)
    plan = chain_plan(RoundSteps.from_costs(costs, 1000, 8), 4)
    expected = serving_speedup(Server(target, draft), 4, 3.36, 1000, 32)
    assert plan.speedup(3.36) == pytest.approx(expected, rel=1e-3)


def test_numbers_out_of_bounds_are_refused():
    with pytest.raises(ValueError, match="drafts must be <= 4, not 5"):
        chain_plan(steps(0.1, drafts=4), 5)
    with pytest.raises(ValueError, match="number of nodes"):
        tree_plan(steps(0.1), (), 0.3)
    with pytest.raises(ValueError, match="draft_steps"):
        parallel_plan(steps(0.1), 4, 0)
    with pytest.raises(ValueError, match="wanted_speedup"):
        needed_rate([chain_plan(steps(0.1), 4)], 0.0)


@given(
    st.lists(st.tuples(st.integers(1, 16), COSTS), min_size=1, max_size=6),
    st.floats(0.5, 5.0),
)
def test_the_least_rate_of_several_plans_is_the_least_of_each_ones(sizes, wanted):
    plans = [chain_plan(steps(cost), gamma) for gamma, cost in sizes]
    alone = [needed_rate([plan], wanted) for plan in plans]
    each = [(found[0], at) for at, found in enumerate(alone) if found is not None]
    assert needed_rate(plans, wanted) == min(each, default=None)
