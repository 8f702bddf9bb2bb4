"""Rounds composed of stages."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.costs import StageCurve
from simulator.replay import replay_chain
from simulator.round_time import StageCosts, weigh_rounds


def bilinear(fixed, per_token, per_context):
    points = [(n, c) for n in (0, 1, 9, 17) for c in (0, 400)]
    seconds = [fixed + per_token * n + per_context * c for n, c in points]
    return StageCurve.from_samples(*np.array(points).T, seconds)


COSTS = StageCosts(
    target=bilinear(1.0, 0.02, 1e-3),
    draft=bilinear(0.0, 0.1, 2e-4),
    catch_up=bilinear(0.03, 0.0, 0.0),
    draft_sampling=bilinear(0.0, 0.01, 0.0),
    sampling=bilinear(0.04, 0.0, 0.0),
    verification=bilinear(0.05, 0.004, 0.0),
    commit=bilinear(0.02, 0.0, 0.0),
    rest=bilinear(0.01, 0.0, 0.0),
)


def one_round(gamma, context, after_full):
    """M6 written out by hand for the laws above."""
    target = 1.0 + 0.02 * (gamma + 1) + 1e-3 * context
    if gamma == 0:
        return {"target": target, "sampling": 0.04, "commit": 0.02, "rest": 0.01}
    return {
        "draft": 0.1 * gamma + 2e-4 * context + 0.03 * after_full,
        "draft_sampling": 0.01 * gamma,
        "target": target,
        "verification": 0.05 + 0.004 * gamma,
        "commit": 0.02,
        "rest": 0.01,
    }


def weights_along(accept, lengths, gamma, context):
    replay = replay_chain(accept, lengths, gamma)
    prompt = np.repeat(np.arange(len(lengths)), lengths)
    weights = weigh_rounds(
        COSTS, replay.num_drafted, replay.start_prob, replay.after_full_prob, context, prompt
    )
    return replay, weights


@pytest.mark.parametrize("gamma", [0, 1, 3, 12])
def test_time_is_the_sum_over_rounds_written_out(gamma):
    """Naive loop over positions, stages and prompts as oracle."""
    rng = np.random.default_rng(gamma)
    lengths = [7, 12]
    context = np.concatenate([20.0 + np.arange(7), 150.0 + np.arange(12)])
    replay, weights = weights_along(rng.random(19), lengths, gamma, context)
    by_prompt, by_stage = np.zeros(2), {}
    for t in range(19):
        v = replay.start_prob[t]
        share = replay.after_full_prob[t] / v if v else 0.0
        for stage, seconds in one_round(int(replay.num_drafted[t]), context[t], share).items():
            by_prompt[int(t >= 7)] += v * seconds
            by_stage[stage] = by_stage.get(stage, 0.0) + v * seconds
    assert weights.seconds_by_prompt(COSTS) == pytest.approx(by_prompt, rel=1e-12)
    stages = weights.seconds_by_stage(COSTS)
    assert stages == {stage: pytest.approx(value, rel=1e-12) for stage, value in by_stage.items()}


def test_a_greedy_decode_is_paid_round_by_round():
    """Rounds known by hand: accepted pattern 1 1 0 1 1 1, gamma 2, two rounds of 3 tokens."""
    context = 10.0 + np.arange(6)
    _, weights = weights_along([1.0, 1, 0, 1, 1, 1], [6], 2, context)
    # the round at 3 follows a full one
    expected = sum(one_round(2, 10, 0).values()) + sum(one_round(2, 13, 1).values())
    assert weights.seconds_by_prompt(COSTS)[0] == pytest.approx(expected, rel=1e-12)


def test_the_last_round_drafts_only_what_is_still_wanted():
    """N = 5, gamma 3, all accepted: rounds of 4 and 1 tokens; the last one has no draft."""
    context = np.full(5, 50.0)
    _, weights = weights_along(np.ones(5), [5], 3, context)
    expected = sum(one_round(3, 50, 0).values()) + sum(one_round(0, 50, 1).values())
    assert weights.seconds_by_prompt(COSTS)[0] == pytest.approx(expected, rel=1e-12)


def test_shares_by_origin_add_up():
    _, weights = weights_along(np.full(30, 0.7), [30], 9, 380.0 + np.arange(30))
    shares = weights.origin_shares()
    assert set(shares) == {"measured", "interpolated", "extrapolated"}
    assert sum(shares.values()) == pytest.approx(1.0)


def test_assumed_costs_are_in_target_steps():
    costs = StageCosts.assumed(0.1, verify_slope=0.02, host_steps=0.3, target_seconds=2.0)
    assert costs.target.seconds(1, 0) == pytest.approx(2.0)
    assert costs.target.seconds(5, 0) == pytest.approx(2.0 * 1.08)
    assert costs.draft.seconds(4, 0) == pytest.approx(0.8)
    assert costs.sampling.seconds(0, 0) == pytest.approx(0.6)
    assert costs.verification.seconds(4, 0) == pytest.approx(0.6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 5))
def test_weights_are_those_of_one_round_at_a_time(seed, num_prompts, gamma):
    """Second implementation: every round located by itself and added to its prompt."""
    rng = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(num_prompts), rng.integers(1, 6, num_prompts))
    number = prompt.size
    drafted = rng.integers(0, gamma + 1, number)
    cached = rng.choice([0.0, 3.0, 7.5, 40.0], number)
    rounds = rng.choice([0.0, 0.3, 1.0], number)
    late = rounds * rng.choice([0.0, 0.5], number)
    tokens, contexts = np.repeat([1, 2, 4], 2), np.tile([1.0, 20.0], 3)
    curve = StageCurve.from_samples(tokens, contexts, rng.random(6))
    costs = StageCosts(*[curve] * 8)
    weighed = weigh_rounds(costs, drafted, rounds, late, cached, prompt)
    expected = np.zeros((num_prompts, curve.medians.size))
    for at in range(number):
        spot = curve.locate(drafted[at : at + 1] + 1, cached[at : at + 1])
        np.add.at(expected[prompt[at]], spot.cells[0], rounds[at] * spot.coefficients[0])
    found = weighed.by_curve.get("target", np.zeros_like(expected))
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-14)
    seconds = weighed.seconds_by_prompt(costs).sum() if weighed.by_curve else 0.0
    assert weighed.origin_seconds.sum() == pytest.approx(seconds)
