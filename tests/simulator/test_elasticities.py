"""What moves the speedup, percent by percent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.acceptance import expected_emitted_tokens
from simulator.changes import Change
from simulator.elasticities import speedup_elasticities
from simulator.intervals import draw_resamples
from simulator.scenario import Scenario, predict
from tests.simulator.measured_world import noisy_scenario


def values(scenario, **more):
    return {e.name: e for e in speedup_elasticities(scenario, **more)}


def test_stage_elasticities_add_up_to_nothing():
    """Identity: a machine slower in everything has the same speedup."""
    found = values(noisy_scenario())
    stages = [e.value for name, e in found.items() if name != "acceptance_rate"]
    assert sum(stages) == pytest.approx(0.0, abs=1e-12)
    assert found["draft"].value < 0 < found["target"].value


@pytest.mark.parametrize(
    ("stages", "change"),
    [(("draft",), "draft"), (("target",), "target"),
     (("draft_sampling", "sampling", "verification", "commit", "rest"), "host")],
)  # fmt: skip
def test_stages_agree_with_differences_of_the_prediction(stages, change):
    """Second implementation: predict with the stage 0.1 % faster and slower."""
    scenario, step = noisy_scenario(), 1e-3
    logs = [
        np.log(predict(Change("x", **{change: f}).of_scenario(scenario)).speedup.L2)
        for f in (np.exp(-step), np.exp(step))
    ]
    found = values(scenario)
    total = sum(found[name].value for name in stages)
    assert total == pytest.approx((logs[1] - logs[0]) / (2 * step), rel=1e-5)


@settings(deadline=None, max_examples=15)
@given(st.floats(0.1, 0.95), st.integers(1, 8))
def test_acceptance_has_the_closed_forms_derivative(alpha, gamma):
    """Limit of long texts: d log tau / d log alpha; ends of texts weigh under 1 %."""
    scenario = Scenario.from_rates(alpha, gamma, 0.1, new_tokens=2000)
    h = 1e-6
    above, below = (
        np.log(float(expected_emitted_tokens(alpha * np.exp(s), gamma))) for s in (h, -h)
    )
    found = values(scenario)["acceptance_rate"].value
    assert found == pytest.approx((above - below) / (2 * h), rel=0.01)


def test_certain_acceptance_cannot_rise():
    assert values(Scenario.from_rates(1.0, 4, 0.1))["acceptance_rate"].value == 0.0


def test_intervals_hold_the_value_and_shrink_with_prompts():
    widths = []
    for prompts in (6, 96):
        scenario = noisy_scenario(prompts=prompts)
        resamples = draw_resamples(scenario.costs, prompts, bootstrap=200)
        found = speedup_elasticities(scenario, resamples=resamples)
        assert all(e.low <= e.value <= e.high for e in found)
        assert [abs(e.value) for e in found] == sorted((abs(e.value) for e in found), reverse=True)
        widths.append({e.name: e.high - e.low for e in found}["acceptance_rate"])
    assert widths[1] < widths[0] / 2  # root of 16 is 4, halved for chance
