"""Stage costs from rooflines, as scenario.predict reads them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.acceptance import expected_emitted_tokens
from simulator.hardware import known_hardware
from simulator.hardware_costs import hardware_costs, transferred_costs
from simulator.known_models import known_shape
from simulator.scenario import Scenario, predict
from simulator.stage_fit import fit_stage_time
from simulator.stage_time import Covered, assumed_stage_time
from simulator.trace import AcceptanceTrace

CARD = known_hardware("RTX-4090")
TARGET = assumed_stage_time(known_shape("Llama-3.1-8B"), CARD, "bfloat16")
DRAFT = assumed_stage_time(known_shape("Llama-3.2-1B"), CARD, "bfloat16")


def prediction(costs, gamma, alpha=0.8, new_tokens=400):
    return predict(Scenario(gamma, AcceptanceTrace.constant(alpha, new_tokens), costs, 0.1))


@given(st.integers(1, 8), st.integers(0, 4000), st.integers(1, 64))
def test_curves_pass_through_the_rooflines(gamma, context, batch):
    costs = hardware_costs(TARGET, DRAFT, max_draft_tokens=8, contexts=[context], batch=batch)
    assert costs.target.seconds(gamma + 1, context) == TARGET.seconds(gamma + 1, context, batch)
    calls = sum(DRAFT.seconds(1, context + i, batch) for i in range(gamma))
    assert costs.draft.seconds(gamma, context) == pytest.approx(calls, rel=1e-12)
    assert costs.draft.seconds(0, context) == 0
    late = DRAFT.seconds(2, context, batch) - DRAFT.seconds(1, context, batch)
    assert costs.catch_up.seconds(gamma, context) == late


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.floats(0.1, 0.95))
def test_a_long_text_costs_what_the_closed_form_says(gamma, alpha):
    """Limit: one context, no end effects; S = tau t(1) / (draft + t(gamma + 1) + late calls)."""
    short = AcceptanceTrace.constant(alpha, 4000)
    at = hardware_costs(TARGET, DRAFT, max_draft_tokens=6, contexts=[0])
    ours = predict(Scenario(gamma, short, at, 0.1)).speedup.L2
    tau = float(expected_emitted_tokens(alpha, gamma))
    late = alpha**gamma * float(at.catch_up.seconds(gamma, 0))
    round_ = float(at.draft.seconds(gamma, 0) + at.target.seconds(gamma + 1, 0)) + late
    assert ours == pytest.approx(tau * float(TARGET.seconds(1, 0)) / round_, rel=0.005)


def test_host_time_is_paid_by_both_sides():
    costs = hardware_costs(TARGET, DRAFT, max_draft_tokens=4, contexts=[0, 500], host_seconds=0.01)
    free = hardware_costs(TARGET, DRAFT, max_draft_tokens=4, contexts=[0, 500])
    with_host, without = prediction(costs, 4), prediction(free, 4)
    assert with_host.autoregressive_seconds - without.autoregressive_seconds == pytest.approx(0.01)
    assert with_host.round_seconds_by_stage["verification"] == pytest.approx(0.01, rel=0.01)


def test_provenance_says_assumed_modelled_or_extrapolated():
    grid = {"max_draft_tokens": 4, "contexts": [0, 1000]}
    assert prediction(hardware_costs(TARGET, DRAFT, **grid), 4).provenance == {
        "assumed": pytest.approx(1)
    }
    inside = Covered((1, 8), (0, 2000), (1, 1))
    target, draft = replace(TARGET, covered=inside), replace(DRAFT, covered=inside)
    shares = prediction(hardware_costs(target, draft, **grid), 4).provenance
    assert shares["modelled"] == pytest.approx(1)
    outside = replace(DRAFT, covered=Covered((1, 8), (0, 100), (1, 1)))
    shares = prediction(hardware_costs(target, outside, **grid), 4).provenance
    assert shares["modelled"] + shares["extrapolated"] == pytest.approx(1)
    assert shares["extrapolated"] > 0.1
    beyond = hardware_costs(target, draft, max_draft_tokens=4, contexts=[0, 100])
    assert "extrapolated" in prediction(beyond, 4).provenance


def test_bad_grids_are_refused():
    with pytest.raises(ValueError, match="contexts must ascend"):
        hardware_costs(TARGET, DRAFT, max_draft_tokens=4, contexts=[5, 5])
    with pytest.raises(ValueError, match="max_draft_tokens must be finite and >= 1, not 0"):
        hardware_costs(TARGET, DRAFT, max_draft_tokens=0, contexts=[0])
    with pytest.raises(ValueError, match="host_seconds must be finite and >= 0, not -1"):
        hardware_costs(TARGET, DRAFT, max_draft_tokens=1, contexts=np.array([0]), host_seconds=-1)


def test_costs_of_models_that_nobody_timed_say_so():
    """A fit to two sizes: the one between is modelled, a larger one extrapolated; both exact."""
    sizes = [known_shape(f"Llama-3.{name}") for name in ("2-1B", "1-8B")]
    true = assumed_stage_time(sizes[0], CARD, "bfloat16", overhead_seconds=1e-3)
    tokens, context = np.tile([1, 2, 4, 9, 64], 2), np.repeat([0, 1000], 5)
    seconds = np.concatenate([true.of_shape(one).seconds(tokens, context) for one in sizes])
    fit = fit_stage_time(
        [one for one in sizes for _ in tokens], CARD, "bfloat16", np.tile(tokens, 2),
        np.tile(context, 2), np.ones(20), seconds, rng=np.random.default_rng(0), bootstrap=1,
    )  # fmt: skip
    between, beyond = known_shape("Llama-3.2-3B"), known_shape("Llama-3.1-70B")
    grid = {"max_draft_tokens": 4, "contexts": [0, 900]}
    costs = transferred_costs(fit, beyond, between, **grid)
    assert (costs.target.origin, costs.draft.origin) == ("extrapolated", "modelled")
    assert costs.target.seconds(5, 0) == pytest.approx(true.of_shape(beyond).seconds(5, 0), 1e-3)
    assert prediction(costs, 4).provenance["extrapolated"] > 0.5
