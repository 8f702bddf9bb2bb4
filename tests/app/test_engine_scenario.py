"""Imported reports against the closed form by hand, and the command that shows them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from app.cli import main
from app.engine_scenario import Costs, scenarios, with_drafts
from measurements.engines import EngineReport, read_reports

SAMPLES = Path(__file__).parents[1] / "measurements" / "engines" / "samples"


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["speculens", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def chain(**fields: object) -> EngineReport:
    """A chain of two drafts with hazards 0.8 and 0.5: 2.2 tokens per round."""
    good = {"source": "x", "format": "x", "definition": "x", "tau": 2.2, "num_draft_tokens": 2}
    return EngineReport(**{**good, "hazards": (0.8, 0.5), **fields})


def test_a_chain_is_predicted_by_both_levels() -> None:
    (row,) = scenarios([chain()], Costs(cost_ratio=0.1, verify_slope=0.1))
    alpha = row["acceptance_rate"]
    assert 1 + alpha + alpha**2 == pytest.approx(2.2)
    assert row["predicted"]["L1"]["speedup"] == pytest.approx(2.2 / 1.4)
    assert row["predicted"]["L1"]["best_num_draft_tokens"] == 2
    assert row["predicted"]["L0"]["speedup"] == pytest.approx(2.2 / 1.4)
    assert row["break_even"]["cost_ratio"] == pytest.approx((2.2 - 1) / 2 - 0.1)
    # with one draft a step may cost up to 0.8 - 0.1 plain steps
    assert row["break_even"]["cost_ratio_at_best"] == pytest.approx(0.7)


def test_a_run_without_drafts_is_the_baseline_of_its_batch() -> None:
    plain = EngineReport(
        "plain", "x", "x", 1.0, num_draft_tokens=0, seconds_per_output_token=0.02, batch=4
    )
    same = chain(seconds_per_output_token=0.0125, batch=4)
    other = chain(seconds_per_output_token=0.0125, batch=8)
    _, first, second = scenarios([plain, same, other], Costs())
    assert first["measured"]["speedup"] == pytest.approx(1.6)
    assert first["measured"]["draft_cost"] == pytest.approx((2.2 / 1.6 - 1) / 2)
    assert second["measured"] is None
    assert any("--baseline-ms" in lack for lack in second["missing"])


def test_a_tree_is_not_explained_by_a_chain() -> None:
    (row,) = scenarios([chain(tree=True, hazards=None)], Costs(cost_ratio=0.1))
    assert row["acceptance_rate"] is None and row["predicted"] is None
    assert row["break_even"] == {"round_steps": 2.2, "cost_ratio": None}
    assert any("child rank" in lack for lack in row["missing"])


def test_a_trace_is_replayed_for_every_shorter_draft() -> None:
    reports = read_reports([SAMPLES / "emitted_trace.jsonl"], None, "with-bonus")
    (row,) = scenarios(reports, Costs(cost_ratio=0.0))
    assert row["predicted"]["L2"]["best_num_draft_tokens"] == 3
    assert row["predicted"]["L2"]["best_speedup"] == pytest.approx(11 / 5)


def test_a_stated_number_of_drafts_is_not_overruled() -> None:
    with pytest.raises(ValueError, match="says 2 draft tokens per round, not 3"):
        with_drafts(chain(), 3)
    unknown = chain(num_draft_tokens=None, hazards=None)
    assert with_drafts(unknown, 3).num_draft_tokens == 3
    with pytest.raises(ValueError, match="tau must be"):
        with_drafts(unknown, 1)


def test_the_command_prints_json_and_nothing_else(monkeypatch, capsys) -> None:
    files = [SAMPLES / "vllm_before.prom", SAMPLES / "vllm_after.prom"]
    assert call(monkeypatch, "import", *files, "--cost-ratio", 0.1, "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["scenarios"]
    assert row["tau"] == pytest.approx(1 + 673 / 476)
    assert row["predicted"]["L1"]["speedup"] == pytest.approx(row["tau"] / 1.4)


def test_the_command_shows_every_sample(monkeypatch, capsys) -> None:
    for name, definition in [
        ("vllm_bench.jsonl", None), ("sglang_bench.jsonl", None), ("model_optimizer", None),
        ("llama_cpp_new.log", None), ("answers_eagle.jsonl", "idxs-last"),
    ]:  # fmt: skip
        extra = [] if definition is None else ["--definition", definition]
        assert call(monkeypatch, "import", SAMPLES / name, *extra) == 0, name
        shown = capsys.readouterr()
        assert "τ" in shown.out and "source's definition" in shown.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gamma", 3], "says 4 draft tokens per round, not 3"),
        (["--gamma", 0], "at least 1, not 0"),
        (["--cost-ratio", -1], "cost_ratio must be finite and >= 0, not -1"),
        (["--baseline-ms", 0], "--baseline-ms must be above 0"),
        (["--format", "tgi"], "--format must be one of"),
    ],
)
def test_bad_options_get_one_line(arguments, message, monkeypatch, capsys) -> None:
    files = [SAMPLES / "vllm_before.prom", SAMPLES / "vllm_after.prom"]
    assert call(monkeypatch, "import", *files, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
