"""Do trees of a chain's stages cost what the chain costs, and is the interval that of the texts?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import (
    AcceptanceTrace,
    Scenario,
    StageCosts,
    chain_tree,
    predict,
    ranked_tree_windows,
    replay_windows,
    speedup_from_rates,
    tau_interval,
    tree_costs,
)


@given(
    st.floats(0.0, 1.0), st.floats(0.0, 0.2), st.floats(0.0, 0.5), st.integers(0, 12),
    st.floats(1.0, 13.0),
)  # fmt: skip
def test_a_chain_costs_what_the_closed_form_says(ratio, slope, host, gamma, tau):
    """With assumed costs and any tau: tau (1 + h) / (gamma c + 1 + slope gamma + h)."""
    costs = StageCosts.assumed(ratio, verify_slope=slope, host_steps=host)
    made = tree_costs(costs, 50, max_nodes=12, max_depth=12)
    expected = tau * (1 + host) / (gamma * ratio + 1 + slope * gamma + host)
    assert float(made.speedup(tau, gamma, gamma)) == pytest.approx(expected)
    closed = float(
        speedup_from_rates(1.0, gamma, ratio, verify_slope=slope, host_share=host / (1 + host))
    )
    assert float(made.speedup(gamma + 1, gamma, gamma)) == pytest.approx(closed)


@given(st.lists(st.sampled_from([0, 0, 0, 1]), min_size=20, max_size=200), st.integers(1, 6))
def test_a_chain_among_trees_agrees_with_the_replay_of_chains(ranks, gamma):
    """Second implementation: the scenario pays shorter rounds at the end of the text less."""
    accepted = (np.array(ranks) == 0).astype(float)
    number = len(ranks)
    trace = AcceptanceTrace(accepted, accepted, 1.0 + np.arange(number), np.array([number]))
    costs = StageCosts.assumed(0.0)  # no drafting, no growth: every round costs the same
    tau = replay_windows(ranked_tree_windows(ranks, [number], chain_tree(gamma))).tau
    made = tree_costs(costs, 0, max_nodes=gamma, max_depth=gamma)
    assert float(made.speedup(tau, gamma, gamma)) == pytest.approx(
        predict(Scenario(gamma, trace, costs, 0.0)).speedup.L2
    )


def test_no_tree_is_a_plain_step():
    made = tree_costs(StageCosts.assumed(0.3, host_steps=0.2), 10, max_nodes=3, max_depth=3)
    assert float(made.speedup(1.0, 0, 0)) == 1.0


def test_sizes_beyond_those_made_are_refused():
    made = tree_costs(StageCosts.assumed(0.3), 10, max_nodes=3, max_depth=2)
    with pytest.raises(ValueError, match="num_nodes must be <= 3, not 4"):
        made.speedup(1.0, 4, 1)
    with pytest.raises(ValueError, match="depth must be <= 2, not 3"):
        made.speedup(1.0, 3, 3)


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=12))
def test_the_interval_lies_between_the_slowest_and_the_fastest_text(pairs):
    tokens, rounds = np.array(pairs).T
    low, high = tau_interval(tokens, rounds, rng=np.random.default_rng(0))
    each = tokens / rounds
    assert each.min() - 1e-9 <= low <= high <= each.max() + 1e-9


def test_the_interval_covers_as_often_as_it_says():
    """300 sets of 40 texts, each 100 tokens, rounds normal: the truth inside 90 % of the time.

    Standard error of the share 0.9 over 300 trials is 1.7 %; the percentile
    bootstrap of 40 texts is short by 1 to 2 % (its spread is that of n, not
    n - 1). Four standard errors below 0.88: odds of a false alarm 1e-4.
    """
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        rounds = rng.normal(40, 5, size=40)
        low, high = tau_interval(np.full(40, 100), rounds, rng=rng, bootstrap=200)
        inside += low <= 100 / 40 <= high
    assert 0.81 <= inside / 300 <= 0.97
