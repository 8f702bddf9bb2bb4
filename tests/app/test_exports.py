"""Exports parse back, say what is predicted, and refuse what an engine cannot express."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from app.engine_scenario import Costs
from app.exports import ENGINES, Plan, schedule_ranges
from app.planning import Machine, plan_from_hazards, with_schedule
from engine.drafters.lookup import LookupDrafter
from measurements import DATA
from profiler.vllm_server import speculative_config
from simulator.serving_limits import best_schedule

SAMPLES = Path(__file__).parents[1] / "measurements" / "engines" / "samples"
CHAIN = Plan("chain", 3, "here", hazards=(0.8, 0.5, 0.5), tau=2.4, target="big", draft="small")
SCHEDULED = Plan(
    "chain", 3, "here", hazards=(0.8, 0.5, 0.5), tau=2.4,
    schedule=((1, 4, 3), (5, 16, 1), (17, 32, 0)),
)  # fmt: skip


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["speculens", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def option(command: tuple[str, ...], name: str) -> str:
    return command[command.index(name) + 1]


def test_vllm_reads_its_configuration_back() -> None:
    export = ENGINES["vllm"](SCHEDULED)
    config = json.loads(option(export.command, "--speculative-config"))
    assert config["method"] == "draft_model" and config["model"] == "DRAFT"
    schedule = config["num_speculative_tokens_per_batch_size"]
    assert schedule[0][0] == 1  # what vLLM asks of a schedule: from 1, ascending, no overlap
    assert all(a[1] + 1 == b[0] for a, b in pairwise(schedule))
    assert config["num_speculative_tokens"] == max(k for _, _, k in schedule)


def test_vllm_is_rehearsed_with_the_predicted_acceptance() -> None:
    rehearsal = ENGINES["vllm"](CHAIN).rehearsal
    assert rehearsal["rejection_sample_method"] == "synthetic"
    rates = rehearsal["synthetic_acceptance_rates"]
    assert rates == [0.8, 0.4, 0.2] and len(rates) == rehearsal["num_speculative_tokens"]
    assert 1 + sum(rates) == pytest.approx(CHAIN.tau)
    unknown = Plan("lookup", 4, "here", tau=2.5)
    assert ENGINES["vllm"](unknown).rehearsal["synthetic_acceptance_length"] == 2.5


def test_sglang_verifies_one_token_more_than_it_drafts() -> None:
    export = ENGINES["sglang"](SCHEDULED)
    assert option(export.command, "--speculative-num-steps") == "3"
    assert option(export.command, "--speculative-num-draft-tokens") == "4"
    adaptive = export.files["adaptive.json"]
    assert {k: v["candidate_steps"] for k, v in adaptive.items()} == {"1": [3], "5": [1], "17": [0]}
    assert float(export.rehearsal["SGLANG_SIMULATE_ACC_LEN"]) == 2.4


def test_tensorrt_llm_counts_without_the_bonus_token() -> None:
    export = ENGINES["tensorrt-llm"](SCHEDULED)
    config = export.files["config.yaml"]["speculative_config"]
    assert config["draft_len_schedule"] == {4: 3, 16: 1}  # beyond the last key nothing is drafted
    assert config["max_draft_len"] == 3
    forced = export.rehearsal["TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS"]
    assert float(forced) == pytest.approx(1.4)


def test_llama_cpp_drafts_the_whole_chain() -> None:
    export = ENGINES["llama.cpp"](CHAIN)
    assert option(export.command, "--spec-draft-n-max") == "3"
    assert option(export.command, "--spec-draft-p-min") == "0"
    assert export.rehearsal == {"--spec-synth-rates": "0.8,0.4,0.2"}


def test_transformers_accepts_the_fields() -> None:
    transformers = pytest.importorskip("transformers")
    config = ENGINES["transformers"](CHAIN).files["generation_config.json"]
    loaded = transformers.GenerationConfig(**config)
    assert loaded.num_assistant_tokens == 3
    assert loaded.num_assistant_tokens_schedule == "constant"
    assert loaded.assistant_confidence_threshold == 0.0


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize(
    ("method", "parameters"),
    [("tree", {"tree": "4-2-1", "nodes": 20}), ("medusa", {"nodes": 16}), ("staged", {}),
     ("diffusion", {}), ("hydra", {}), ("ngram", {}), ("chain", {"rule": "coupled"})],
)  # fmt: skip
def test_what_an_engine_cannot_express_is_refused_with_the_nearest(
    engine: str, method: str, parameters: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match="the nearest it can is") as caught:
        ENGINES[engine](Plan(method, 4, "here", parameters))
    assert "\n" not in str(caught.value)


def test_vllm_looks_for_the_suffixes_that_were_profiled() -> None:
    ours = LookupDrafter()
    config = ENGINES["vllm"](Plan("lookup", 4, "here")).files["speculative_config.json"]
    assert config["prompt_lookup_max"] == ours.max_ngram
    assert config["prompt_lookup_min"] == ours.min_ngram
    assert config == speculative_config("ngram", 4)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_every_engine_takes_chains_and_lookup(engine: str) -> None:
    for method in ("chain", "lookup"):
        export = ENGINES[engine](Plan(method, 4, "here", tau=2.0))
        assert export.command and export.check
        json.dumps(dict(export.files))


def test_ranges_cover_every_batch_once() -> None:
    by_batch = np.random.default_rng(0).integers(0, 3, 40).tolist()
    ranges = schedule_ranges(by_batch)
    assert [g for low, high, g in ranges for _ in range(low, high + 1)] == by_batch


def test_a_schedule_is_the_simulators() -> None:
    machine = Machine("H100-SXM", "Llama-3.1-8B", "Llama-3.2-1B", context=500, max_batch=64)
    plan = plan_from_hazards([0.7] * 6, None, 3, Costs(), "here")
    scheduled = with_schedule(plan, machine)
    drafts = best_schedule(machine.server(), [0.7] * 6, 500, 64).tolist()
    assert scheduled.schedule == schedule_ranges(drafts)
    assert scheduled.num_draft_tokens == drafts[0]


def test_the_best_drafts_follow_from_a_cost_ratio() -> None:
    plan = plan_from_hazards([0.9, 0.2, 0.1], None, None, Costs(cost_ratio=0.3), "here")
    assert plan.num_draft_tokens == 1 and plan.speedup == pytest.approx(1.9 / 1.3)
    with pytest.raises(ValueError, match="leave speculation off"):
        plan_from_hazards([0.1, 0.1], None, None, Costs(cost_ratio=0.5), "here")
    with pytest.raises(ValueError, match="--gamma or --cost-ratio"):
        plan_from_hazards([0.5], None, None, Costs(), "here")
    with pytest.raises(ValueError, match=r"--gamma must be in \[1, 1\]"):
        plan_from_hazards([0.5], None, 2, Costs(), "here")


def test_an_imported_run_becomes_a_configuration(monkeypatch, capsys) -> None:
    files = ["--from", SAMPLES / "vllm_before.prom", "--from", SAMPLES / "vllm_after.prom"]
    code = call(monkeypatch, "export", "--engine", "vllm", *files, "--cost-ratio", 0.1, "--json")
    document = json.loads(capsys.readouterr().out)
    assert code == 0
    assert document["predicted"]["num_draft_tokens"] == 4
    assert document["predicted"]["tau"] == pytest.approx(1 + 673 / 476)
    kept = [round(n / 476, 6) for n in (234, 186, 130, 123)]
    assert document["rehearsal"]["synthetic_acceptance_rates"] == pytest.approx(kept)


def test_a_profile_gives_its_best_chain_with_the_acceptance_replay_has(monkeypatch, capsys) -> None:
    record = next(DATA.rglob("profile-*67eda4.json"))
    arguments = ["--profile", record, "--sampling", "T1", "--method", "chain", "--json"]
    assert call(monkeypatch, "export", "--engine", "vllm", *arguments) == 0
    predicted = json.loads(capsys.readouterr().out)["predicted"]
    assert 1 + sum(predicted["survival"]) == pytest.approx(predicted["tau"], abs=1e-4)
    assert predicted["speedup"] > 1


def test_a_schedule_is_shown_and_bad_options_get_one_line(monkeypatch, capsys) -> None:
    machine = ["--hardware", "H100-SXM", "--target-shape", "Llama-3.1-8B"]
    machine += ["--draft-shape", "Llama-3.2-1B", "--max-batch", 64]
    given = ["export", "--engine", "sglang", "--acceptance", 0.7, "--gamma", 3]
    assert call(monkeypatch, *given, *machine) == 0
    shown = capsys.readouterr().out
    assert "adaptive.json" in shown and "batch 1 to" in shown
    for bad, message in [
        (["export", "--engine", "tgi"], "--engine must be one of"),
        ([*given, "--method", "staged"], "cannot express staged"),
        ([*given, "--hardware", "H100-SXM"], "needs --target-shape"),
        ([*given, *machine, "--hardware", "H1000"], "H1000"),
        (["export", "--engine", "vllm", "--acceptance", 1.2, "--gamma", 3], "in [0, 1], not 1.2"),
        (["export", "--engine", "vllm", "--from", SAMPLES / "sglang_bench.jsonl"], "one makes"),
    ]:
        assert call(monkeypatch, *bad) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1, error
