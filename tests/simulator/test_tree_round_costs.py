"""Are trees that were never timed charged what a world of known costs charges them?"""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from simulator.costs import StageCurve
from simulator.method_costs import MethodCosts
from simulator.token_trees import chain_tree, tree_depths
from simulator.tree_round_costs import (
    is_chain,
    leave_one_out,
    tokens_by_draft_call,
    tree_round_costs,
)

BUSHY = (-1, -1, 0, 0, 1, 1, 2, 3, 4, 5)
NARROW = (-1, -1, 0, 1, 2, 3, 4, 5)
WIDE = (-1, -1, -1, -1, 0, 0, 1, 2, 3)
STAGES = ("target", "commit", "draft", "draft_sampling")
CHAINS = [chain_tree(gamma) for gamma in (2, 4, 8)]


@st.composite
def trees(draw):
    """Level by level, two nodes or more."""
    size = draw(st.integers(2, 14))
    parents = [-1]
    for node in range(1, size):
        parents.append(draw(st.integers(max(parents[-1], -1), node - 1)))
    return tuple(parents)


def masked_calls(parents) -> int:
    calls = tokens_by_draft_call(parents)
    return next((len(calls) - at for at, tokens in enumerate(calls) if tokens > 1), 0)


def true_seconds(stage: str, parents, context: float) -> float:
    """1 s and 0.05 s a node, 1 ms a cached token; 0.2 s a call, 0.1 s a mask, 0.02 s a token.

    Choosing takes 0.02 s a level, 0.03 s more among siblings; a commit 0.05 s, of a chain 0.01.
    """
    if stage == "target":
        return 1.0 + 0.05 * len(parents) + 0.001 * context
    calls = tokens_by_draft_call(parents)
    extra = sum(calls) - len(calls)
    if stage == "commit":
        return 0.01 if is_chain(parents) else 0.05
    if stage == "draft_sampling":
        depths = tree_depths(parents)
        siblings = {depths[n] for n, p in enumerate(parents) if parents.count(p) > 1}
        return 0.02 * len(calls) + 0.03 * len(siblings) + 0.005 * extra
    return 0.01 + 0.2 * len(calls) + 0.1 * masked_calls(parents) + 0.02 * extra


def timed(parents, noise: float = 0.0) -> MethodCosts:
    rng = np.random.default_rng(len(parents))
    curves = {}
    for stage in STAGES:
        contexts = np.repeat([50.0, 450.0], 8)
        seconds = np.array([true_seconds(stage, parents, context) for context in contexts])
        seconds = seconds * (1 + noise * rng.standard_normal(contexts.size))
        curves[stage] = StageCurve.from_samples(np.full(16, len(parents)), contexts, seconds)
    return MethodCosts({}, curves)


def world(*shapes, noise: float = 0.0):
    return tree_round_costs({shape: timed(shape, noise) for shape in (*CHAINS, *shapes)}, {})


@given(trees(), st.floats(50, 450))
def test_every_tree_costs_what_the_world_says(parents, context):
    assume(not is_chain(parents))
    costs = world(BUSHY, WIDE)
    truth = sum(true_seconds(stage, parents, context) for stage in STAGES)
    assert costs.round_seconds(parents, context) == pytest.approx(truth, rel=1e-6)
    curves = costs.of_tree(parents).drafting.values()
    assert sum(float(c.seconds(len(parents), context)) for c in curves) == pytest.approx(truth)


def test_a_cut_round_costs_what_the_cut_tree_does():
    costs, cut = world(BUSHY, WIDE), BUSHY[:6]
    draft = costs.of_tree(BUSHY).drafting["draft"]
    assert float(draft.seconds(6, 50)) == pytest.approx(true_seconds("draft", cut, 50))


def test_leaving_one_out_finds_no_error_in_this_world_and_the_error_in_another():
    costs = world(BUSHY, WIDE, NARROW)
    assert np.abs(list(leave_one_out(costs).values())).max() < 1e-6
    slow = timed(WIDE)
    stalled = {
        stage: StageCurve.from_samples(np.full(16, len(WIDE)), np.repeat([50.0, 450.0], 8),
                                       np.repeat([c.medians[0], c.medians[-1]], 8) * 1.5)
        for stage, c in slow.drafting.items()
    }  # fmt: skip
    shapes = {shape: timed(shape) for shape in (*CHAINS, BUSHY, NARROW)}
    errors = leave_one_out(tree_round_costs({**shapes, WIDE: MethodCosts({}, stalled)}, {}))
    assert errors[WIDE] == pytest.approx(1 / 1.5 - 1)


def test_the_spread_is_that_of_the_timed_tree():
    costs = world(BUSHY, WIDE, noise=0.1)
    mine = costs.of_tree((-1, -1, 0, 0, 1, 1, 2, 3, 4, 5, 6)).drafting["draft"]
    reference = costs.timed[BUSHY].drafting["draft"]
    spread = [np.ptp(sample) for sample in mine.samples[-2:]]
    assert spread == pytest.approx([np.ptp(sample) for sample in reference.samples])


def test_what_was_never_timed_is_flagged():
    costs = world(BUSHY, WIDE)
    within = costs.of_tree((-1, -1, 0, 0, 1, 1, 2, 3, 4)).drafting["draft"]
    deeper = costs.of_tree((-1, -1, 0, 2, 3, 4)).drafting["draft"]
    assert within.origin == "interpolated" and deeper.origin == "extrapolated"
    assert costs.whole["target"].provenance(30, 100) == "extrapolated"


def test_a_shape_without_a_whole_round_is_not_used():
    cut = MethodCosts({}, {"target": StageCurve.from_samples([3], [50], [1.0])})
    costs = tree_round_costs({**world(BUSHY, WIDE).timed, NARROW: cut}, {})
    assert NARROW not in costs.timed


def test_one_tree_is_too_few():
    with pytest.raises(ValueError, match="at least 2 chains and 2 static trees, not of 3 and 1"):
        world(BUSHY)
