"""Costs out of timed forwards."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.forward_costs import forward_costs
from measurements.engines import ForwardCase, read_forwards
from tests.app.test_engine_scenario import call

SAMPLES = Path(__file__).parents[1] / "measurements" / "engines" / "samples"
CASES = read_forwards(SAMPLES / "vllm_forward.json")


def test_costs_of_the_sample_by_hand() -> None:
    """Slope: (3·0.3 + 5·0.5)/(9 + 25) = 0.1; a draft: (19 − 13)/(3·10) = 0.2."""
    costs = forward_costs(CASES)
    assert (costs.batch, costs.step_seconds) == (2, pytest.approx(0.010))
    assert costs.verify_slope == pytest.approx(0.1)
    assert costs.cost_ratio == pytest.approx(0.2)
    alone = forward_costs([c for c in CASES if not c.with_drafter])
    assert alone.cost_ratio is None


def test_what_is_missing_or_cannot_be_compared_is_said() -> None:
    other = replace(CASES[0], batch=8)
    for cases, batch, reason in [
        (CASES[1:], None, "no plain step without drafter"),
        ([*CASES, other], None, r"batches \[2, 8\] were timed: say --batch"),
        ([*CASES, other], 8, "no verifying step of batch 8"),
        (CASES, 4, r"one of the timed \[2\], not 4"),
        ([*CASES, replace(CASES[1], context=4000.0)], None, "1028 to 4000 tokens of context"),
    ]:
        with pytest.raises(ValueError, match=reason):
            forward_costs(cases, batch)
    two = [ForwardCase("a", 2, 1, 100.0, 0.01, False), ForwardCase("b", 2, 3, 100.0, 0.009, False)]
    assert forward_costs(two).verify_slope == 0  # noise does not make verifying a gain


def test_import_takes_its_costs_from_forwards(monkeypatch, capsys) -> None:
    def predicted(*options: object) -> dict[str, dict[str, float]]:
        assert call(monkeypatch, "import", *metrics, *options, "--json") == 0
        (row,) = json.loads(capsys.readouterr().out)["scenarios"]
        return row["predicted"]

    metrics = [SAMPLES / "vllm_before.prom", SAMPLES / "vllm_after.prom"]
    forward = ("--forward", SAMPLES / "vllm_forward.json")
    timed = predicted(*forward)
    assert timed["L1"] == pytest.approx(predicted("--cost-ratio", 0.2, "--verify-slope", 0.1)["L1"])
    assert predicted(*forward, "--cost-ratio", 0.5)["L1"]["speedup"] < timed["L1"]["speedup"]
    assert call(monkeypatch, "import", *metrics, "--batch", 2) == 2
    assert "--batch says which plain steps of --forward" in capsys.readouterr().err
