"""The best number of draft tokens, and what cannot be told from it."""

from dataclasses import replace

import numpy as np
import pytest

from simulator.intervals import draw_resamples
from simulator.optimise import best_num_draft_tokens
from simulator.round_time import StageCosts
from simulator.scenario import Scenario, predict
from simulator.speedup import textbook_speedup
from simulator.trace import AcceptanceTrace


@pytest.mark.parametrize(("alpha", "cost"), [(0.6, 0.05), (0.8, 0.1), (0.9, 0.02)])
def test_best_is_the_maximum_over_the_grid(alpha, cost):
    optimum = best_num_draft_tokens(Scenario.from_rates(alpha, 1, cost), fidelity="L0")
    grid = np.arange(1, 17)
    assert optimum.best.num_draft_tokens == grid[textbook_speedup(alpha, grid, cost).argmax()]
    assert [p.num_draft_tokens for p in optimum.predictions] == grid.tolist()


@pytest.mark.parametrize(
    ("alpha", "cost", "best"),
    [(0.82, 0.11, 6), (0.62, 0.02, 6), (0.65, 0.02, 7), (0.73, 0.04, 7), (0.56, 0.11, 3)],
)
def test_published_best_gamma_of_table_4(alpha, cost, best):
    """gamma* of arXiv:2211.17192 Table 4's rows, maximised over integers."""
    optimum = best_num_draft_tokens(Scenario.from_rates(alpha, 1, cost), fidelity="L0")
    assert optimum.best.num_draft_tokens == best


def test_a_useless_draft_loses_to_autoregressive():
    optimum = best_num_draft_tokens(Scenario.from_rates(0.05, 1, 0.5), range(4))
    assert optimum.best.num_draft_tokens == 0


def prompts(num, rng):
    """Texts of very different difficulty: a wide interval."""
    accept = np.repeat(rng.beta(3, 1, num), 40)
    return AcceptanceTrace(accept, accept, np.tile(10.0 + np.arange(40), num), np.full(num, 40))


def scenario_of(num):
    return Scenario(1, prompts(num, np.random.default_rng(2)), StageCosts.assumed(0.08), 0.08)


def test_few_prompts_cannot_separate_what_many_can():
    close = []
    for num in (6, 400):
        scenario = scenario_of(num)
        resamples = draw_resamples(scenario.costs, num)
        optimum = best_num_draft_tokens(scenario, resamples=resamples)
        assert optimum.best.num_draft_tokens not in optimum.indistinguishable
        close.append(len(optimum.indistinguishable))
    assert close[0] > close[1]


def test_pairs_are_compared_on_the_same_resamples():
    """Pairs are told apart although the settings' own intervals overlap."""
    scenario = scenario_of(12)
    resamples = draw_resamples(scenario.costs, 12)
    optimum = best_num_draft_tokens(scenario, resamples=resamples)
    overlapping = {
        p.num_draft_tokens
        for p in optimum.predictions
        if p.speedup_high > optimum.best.speedup_low and p is not optimum.best
    }
    assert set(optimum.indistinguishable) < overlapping
    assert optimum.gain_is_certain


def test_certainty_is_unknown_without_resamples():
    optimum = best_num_draft_tokens(scenario_of(3))
    assert optimum.indistinguishable is None
    assert optimum.gain_is_certain is None


def test_an_empty_search_is_refused():
    with pytest.raises(ValueError, match="candidates must hold >= 1"):
        best_num_draft_tokens(scenario_of(3), [])


def test_a_search_predicts_each_setting_as_if_alone():
    rng = np.random.default_rng(3)
    overlap = rng.random(60)
    trace = AcceptanceTrace(overlap, overlap, np.tile(np.arange(1.0, 21.0), 3), np.full(3, 20))
    costs = StageCosts.assumed(0.1, verify_slope=0.02, host_steps=0.05)
    scenario = Scenario(1, trace, costs, 0.1)
    for together in best_num_draft_tokens(scenario, [8, 1, 3]).predictions:
        alone = predict(replace(scenario, num_draft_tokens=together.num_draft_tokens))
        assert together.tau == alone.tau
        assert together.speedup == alone.speedup
        assert together.round_seconds_by_stage == alone.round_seconds_by_stage
