"""Every importer: a sample to hand-computed numbers; broken, truncated and mixed files refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from measurements import RecordError
from measurements.engines import EngineReport, read_reports, recognise, survival_of_hazards
from measurements.engines.report import tau_of_hazards

SAMPLES = Path(__file__).parent / "samples"


def read(*names: str, format_name: str | None = None, definition: str | None = None):
    return read_reports([SAMPLES / name for name in names], format_name, definition)


def changed(tmp_path: Path, name: str, old: str, new: str) -> Path:
    """A sample with one piece of its text replaced; it must be there."""
    text = (SAMPLES / name).read_text()
    assert old in text
    path = tmp_path / Path(name).name
    path.write_text(text.replace(old, new, 1))
    return path


def refusal(*paths: Path, definition: str | None = None) -> str:
    with pytest.raises(RecordError) as caught:
        read_reports(paths, None, definition)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vllm_after.prom", "vllm-metrics"),
        ("vllm_bench.jsonl", "vllm-bench"),
        ("vllm_requests.jsonl", "vllm-requests"),
        ("sglang_after.prom", "sglang-metrics"),
        ("sglang_requests.jsonl", "sglang-requests"),
        ("sglang_bench.jsonl", "sglang-bench"),
        ("model_optimizer", "model-optimizer"),
        ("model_optimizer/acceptance_rate.json", "model-optimizer"),
        ("answers_spec_bench.jsonl", "answers"),
        ("answers_eagle.jsonl", "answers"),
        ("llama_cpp_new.log", "llama.cpp"),
        ("llama_cpp_old.log", "llama.cpp"),
        ("emitted_trace.jsonl", "emitted-trace"),
    ],
)
def test_files_are_recognised_by_what_they_hold(name: str, expected: str) -> None:
    assert recognise(SAMPLES / name) == expected


def test_hazards_of_every_chain_add_up_to_its_tau() -> None:
    reports = [
        *read("vllm_before.prom", "vllm_after.prom"),
        *read("vllm_bench.jsonl"),
        *read("vllm_requests.jsonl"),
        *read("sglang_requests.jsonl"),
        *read("model_optimizer"),
        *read("answers_spec_bench.jsonl"),
        *read("emitted_trace.jsonl", definition="with-bonus"),
    ]
    with_hazards = [r for r in reports if r.hazards is not None]
    assert len(with_hazards) == 7
    for report in with_hazards:
        assert tau_of_hazards(report.hazards) == pytest.approx(report.tau, abs=1e-9)
        assert report.definition


def test_vllm_counters_are_the_difference_of_two_readings() -> None:
    (report,) = read("vllm_before.prom", "vllm_after.prom")
    assert report.tau == pytest.approx(1 + 673 / 476)
    assert (report.rounds, report.drafted_tokens, report.accepted_tokens) == (476, 1904, 673)
    assert report.num_draft_tokens == 4
    assert survival_of_hazards(report.hazards) == pytest.approx(
        [x / 476 for x in (234, 186, 130, 123)]
    )
    assert report.hazards[1] == pytest.approx(186 / 234)
    assert report.seconds_per_output_token == pytest.approx(0.048 / 8)
    assert report.model == "tiny"


def test_one_reading_is_used_only_when_asked_for(tmp_path: Path) -> None:
    assert "since-start" in refusal(SAMPLES / "vllm_after.prom")
    (report,) = read("vllm_after.prom", definition="since-start")
    assert report.tau == pytest.approx(1 + 703 / 496)


def test_vllm_readings_in_the_wrong_order_are_refused() -> None:
    message = refusal(SAMPLES / "vllm_after.prom", SAMPLES / "vllm_before.prom")
    assert "fell from 496 to 20" in message


def test_vllm_pages_cut_or_contradictory_are_refused(tmp_path: Path) -> None:
    cut = tmp_path / "cut.prom"
    cut.write_text((SAMPLES / "vllm_after.prom").read_text()[:-5])
    assert "truncated" in refusal(SAMPLES / "vllm_before.prom", cut)
    wrong = changed(tmp_path, "vllm_after.prom", 'position="3"} 126.0', 'position="3"} 120.0')
    assert "adds up to" in refusal(SAMPLES / "vllm_before.prom", wrong)
    missing = changed(tmp_path, "vllm_after.prom", "num_accepted_tokens_total", "num_other_total")
    assert "lacks the metric" in refusal(missing, definition="since-start")
    broken = changed(tmp_path, "vllm_after.prom", "} 496.0", "} many")
    assert "line 3 is no Prometheus sample" in refusal(broken, definition="since-start")
    idle = changed(tmp_path, "vllm_after.prom", "# HELP", "# HELP")
    assert "0 drafts" in refusal(idle, idle)
    two = changed(tmp_path, "vllm_after.prom", 'model_name="tiny"} 1984', 'model_name="big"} 1984')
    assert "holds 2 models" in refusal(two, definition="since-start")


def test_vllm_bench_has_a_run_without_and_one_with_drafts() -> None:
    plain, drafted = read("vllm_bench.jsonl")
    assert (plain.tau, plain.num_draft_tokens, plain.speculative) == (1.0, 0, False)
    assert drafted.tau == pytest.approx(3.0)
    assert drafted.hazards == pytest.approx([1.0, 2 / 3, 1 / 2])
    assert drafted.tokens_per_second == 204.8
    assert drafted.seconds_per_output_token == pytest.approx(0.018)
    assert drafted.batch == 4


def test_vllm_bench_rates_as_shares_or_conditional_are_refused(tmp_path: Path) -> None:
    share = changed(tmp_path, "vllm_bench.jsonl", "66.66666666666666", "0.6666666666666666")
    assert "line 2: 'spec_decode_acceptance_rate' says" in refusal(share)
    without = changed(tmp_path, "vllm_bench.jsonl", '_length": 3.0', '_length": 2.0')
    assert "mixed definitions" in refusal(without)
    conditional = changed(tmp_path, "vllm_bench.jsonl", "0.3333333333333333]", "0.5]")
    assert "adds up to" in refusal(conditional)
    rising = changed(tmp_path, "vllm_bench.jsonl", "0.3333333333333333]", "0.9]")
    assert "position 2 must be in [0, 0.666667]" in refusal(rising)
    cut = tmp_path / "cut.jsonl"
    cut.write_text((SAMPLES / "vllm_bench.jsonl").read_text()[:-40])
    assert "line 2 is truncated" in refusal(cut)
    assert "leave out --definition" in refusal(SAMPLES / "vllm_bench.jsonl", definition="x")


def test_vllm_requests_give_the_published_mean() -> None:
    (report,) = read("vllm_requests.jsonl")
    assert report.tau == pytest.approx(1.2325581395348837)
    assert report.hazards == pytest.approx([4 / 43, 3 / 4, 1.0])
    assert report.mean_of_requests == pytest.approx(report.tau)


def test_vllm_requests_with_varying_drafts_count_what_was_tried(tmp_path: Path) -> None:
    row = {
        "mean_acceptance_length": 1.6, "acceptance_histogram": [2, 3, 0], "num_spec_steps": 5,
        "acceptance_histogram_by_draft_length": {"1": [1, 2], "2": [1, 1, 0]},
        "num_accepted_draft_tokens": 3, "num_draft_tokens": 7, "num_spec_tokens": 2,
    }  # fmt: skip
    path = tmp_path / "requests.jsonl"
    path.write_text(json.dumps(row))
    (report,) = read_reports([path])
    assert report.lengths_vary and report.tau == pytest.approx(1.6)
    assert report.hazards == pytest.approx([3 / 5, 0 / 1])  # position 2 was tried once, and lost


def test_vllm_requests_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    name = "vllm_requests.jsonl"
    assert "'num_spec_steps' says 44" in refusal(
        changed(tmp_path, name, '"num_spec_steps": 43', '"num_spec_steps": 44')
    )
    assert "must hold num_spec_tokens + 1 = 4" in refusal(
        changed(tmp_path, name, '[39, 1, 0, 3], "acc', '[39, 4], "acc')
    )
    assert "not '7'" in refusal(changed(tmp_path, name, '{"3": [39', '{"7": [39'))
    assert "lacks 'metrics" in refusal(
        changed(tmp_path, name, '"num_spec_steps"', '"num_other_steps"')
    )
    twice = tmp_path / "two.jsonl"
    text = (SAMPLES / name).read_text()
    other = text.replace('"num_spec_tokens": 3', '"num_spec_tokens": 4').replace(
        "[39, 1, 0, 3]", "[39, 1, 0, 3, 0]", 1
    )
    twice.write_text(text + other)
    assert "is 4 and was 3" in refusal(twice)


def test_sglang_counters_leave_out_the_prefills_token() -> None:
    (report,) = read("sglang_before.prom", "sglang_after.prom")
    assert report.tau == pytest.approx((260 - 10) / 100)
    assert report.hazards is None and report.num_draft_tokens is None


def test_sglang_gauges_only_when_asked_for() -> None:
    message = refusal(SAMPLES / "sglang_after.prom")
    assert "since-start" in message and "latest-interval" in message
    (report,) = read("sglang_after.prom", definition="latest-interval")
    assert (report.tau, report.num_draft_tokens) == (2.5, 3)  # 1.5 kept at a rate of 0.5
    assert report.averaged == "latest interval"


def test_sglang_requests_count_drafts_not_completion_tokens() -> None:
    (report,) = read("sglang_requests.jsonl")
    assert report.tau == pytest.approx(1 + 6 / 5)  # spec_accept_length would say 13 / 5
    assert report.mean_of_requests == pytest.approx((2.0 + 2.5) / 2)
    assert report.num_draft_tokens == 3
    assert report.hazards == pytest.approx([3 / 5, 2 / 3, 1 / 2])


def test_sglang_requests_that_never_kept_all_may_be_a_tree(tmp_path: Path) -> None:
    rows = [json.loads(x) for x in (SAMPLES / "sglang_requests.jsonl").read_text().splitlines()]
    path = tmp_path / "tree.jsonl"
    path.write_text(json.dumps(rows[0]))  # at most 2 of 3 drafts kept
    message = refusal(path)
    assert "chain (" in message and "tree (" in message
    (chain,) = read_reports([path], None, "chain")
    (tree,) = read_reports([path], None, "tree")
    assert (chain.num_draft_tokens, chain.tree) == (3, False)
    assert (tree.num_draft_tokens, tree.tree) == (2, True)
    assert chain.tau == tree.tau == pytest.approx(2.0)


def test_sglang_requests_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    name = "sglang_requests.jsonl"
    assert "'spec_correct_drafts_histogram' says 4" in refusal(
        changed(tmp_path, name, "[1, 1, 1]", "[2, 1, 1]")
    )
    assert "'spec_accept_length' says" in refusal(
        changed(tmp_path, name, '"completion_tokens": 7', '"completion_tokens": 9')
    )
    assert "lacks 'meta_info'" in refusal(changed(tmp_path, name, "spec_verify_ct", "verify_ct"))


def test_sglang_bench_tells_chain_tree_and_plain_apart(tmp_path: Path) -> None:
    plain, chain, tree = read("sglang_bench.jsonl")
    assert (plain.num_draft_tokens, plain.tau) == (0, 1.0)
    assert (chain.num_draft_tokens, chain.tau, chain.tree) == (3, 2.4, False)
    assert chain.round_seconds == 0.03 and chain.tokens_per_second == 320
    assert tree.tree and tree.num_draft_tokens == 3
    wrong = changed(tmp_path, "sglang_bench.jsonl", '"speed": 80.0', '"speed": 120.0')
    assert "line 2: 'speed' says 120" in refusal(wrong)


def test_model_optimizer_gives_the_published_means() -> None:
    (report,) = read("model_optimizer")
    assert report.tau == pytest.approx(2.4733, abs=1e-3)
    assert report.mean_of_requests == pytest.approx(2.54671)
    assert report.num_draft_tokens == 3 and report.rounds == 30653
    assert report.hazards[0] == pytest.approx(1 - 8611 / 30653)
    assert report.tokens_per_second == 812.5
    assert report.seconds_per_output_token == pytest.approx(1 / 200)
    assert report.round_seconds == pytest.approx(0.012)


def test_model_optimizer_folders_that_are_incomplete_are_refused(tmp_path: Path) -> None:
    assert "must hold one of" in refusal(tmp_path)
    path = changed(tmp_path, "model_optimizer/acceptance_rate.json", ": 8891", ": 88")
    assert "Joint_Acceptance_Rate[1]" not in refusal(path)
    path.write_text((SAMPLES / "model_optimizer/acceptance_rate.json").read_text()[:-30])
    assert "truncated" in refusal(tmp_path)
    whole = json.loads((SAMPLES / "model_optimizer/acceptance_rate.json").read_text())
    path.write_text(json.dumps(whole * 2))
    (tmp_path / "timing.json").write_text((SAMPLES / "model_optimizer/timing.json").read_text())
    assert "holds 1 runs" in refusal(tmp_path)


def test_spec_bench_answers_are_means_over_steps() -> None:
    (report,) = read("answers_spec_bench.jsonl")
    assert report.tau == pytest.approx(18 / 9)
    assert report.mean_of_requests == pytest.approx((12 / 5 + 6 / 4) / 2)
    assert report.seconds_per_output_token == pytest.approx(1.2 / 18)
    assert report.hazards == pytest.approx([5 / 9, 3 / 5, 1 / 3])


def test_answers_without_the_bonus_token_are_told_by_their_tokens(tmp_path: Path) -> None:
    text = (SAMPLES / "answers_spec_bench.jsonl").read_text()
    path = tmp_path / "less.jsonl"
    path.write_text(
        text.replace("[3, 1, 3, 4, 1]", "[2, 0, 2, 3, 0]").replace("[2, 1, 1, 2]", "[1, 0, 0, 1]")
    )
    (report,) = read_reports([path])
    assert report.tau == pytest.approx(18 / 9)
    assert "without the bonus" in report.definition
    assert "not with-bonus" in refusal(path, definition="with-bonus")


def test_answers_that_mix_or_cut_are_refused(tmp_path: Path) -> None:
    name = "answers_spec_bench.jsonl"
    mixed = changed(tmp_path, name, "[2, 1, 1, 2]", "[1, 0, 0, 1]")  # one line each way
    assert "with-bonus" in refusal(mixed) and "without-bonus" in refusal(mixed)
    cut = changed(tmp_path, name, "[2, 1, 1, 2]", "[2, 1, 1]")
    assert "line 2: 'accept_lengths' holds 3 steps, 'decoding_steps' 4" in refusal(cut)
    two = changed(tmp_path, name, '"vicuna-7b"', '"other"')
    assert "mixes runs of other, vicuna-7b" in refusal(two)


def test_the_last_index_of_a_step_is_not_guessed_to_be_their_number() -> None:
    path = SAMPLES / "answers_eagle.jsonl"
    assert "idxs-last" in refusal(path) and "idxs-steps" in refusal(path)
    (last,) = read(path.name, definition="idxs-last")
    (steps,) = read(path.name, definition="idxs-steps")
    assert (last.tau, steps.tau) == (15 / 5, 15 / 3)


def test_llama_cpp_gives_the_published_mean() -> None:
    (report,) = read("llama_cpp_new.log")
    assert report.rounds == 87
    assert report.tau == pytest.approx(2.92, abs=0.005)
    assert survival_of_hazards(report.hazards) == pytest.approx([0.805, 0.632, 0.483])
    assert report.seconds_per_output_token == pytest.approx(2.29672 / 256)
    assert "1 of 88 steps had no draft" in report.notes


def test_llama_cpp_before_the_mean_was_printed_counts_all_steps() -> None:
    (report,) = read("llama_cpp_old.log")
    assert report.tau == pytest.approx(2047 / (2047 - 1186))  # 861 steps, as its statistics say
    assert report.hazards is None


def test_llama_cpp_logs_cut_mixed_or_without_drafts_are_refused(tmp_path: Path) -> None:
    both = tmp_path / "both.log"
    both.write_text("".join((SAMPLES / f"llama_cpp_{v}.log").read_text() for v in ("new", "old")))
    assert "two versions in one log" in refusal(both)
    cut = tmp_path / "cut.log"
    text = (SAMPLES / "llama_cpp_old.log").read_text()
    cut.write_text(text + text.splitlines()[1] + "\ndraft acceptance rate = 0.98260 ( 1186 acc")
    assert "line 7 is truncated" in refusal(cut)
    wrong = changed(tmp_path, "llama_cpp_old.log", "0.98260", "0.58260")
    assert "says 0.5826, its own counts 0.9826" in refusal(wrong)
    plain = changed(tmp_path, "llama_cpp_old.log", "       eval time", "       time")
    assert "no 'eval time' line" in refusal(plain)


def test_a_trace_is_walked_from_its_first_token() -> None:
    path = SAMPLES / "emitted_trace.jsonl"
    assert "with-bonus" in refusal(path)
    (report,) = read(path.name, definition="with-bonus")
    assert report.rounds == 3 + 2  # 3, 1, 2 of six tokens; 1, 4 of five
    assert report.tau == pytest.approx(11 / 5)
    (more,) = read(path.name, definition="without-bonus")
    assert more.emitted[0] == (4, 3, 2, 2, 3, 2)


def test_traces_with_anything_but_numbers_are_refused(tmp_path: Path) -> None:
    name = "emitted_trace.jsonl"
    zero = changed(tmp_path, name, "[1, 4, 3", "[0, 4, 3")
    assert "line 2: 'emitted[0]' must be finite and >= 1, not 0" in refusal(
        zero, definition="with-bonus"
    )
    cut = changed(tmp_path, name, "2, 1]\n", "2,")
    assert "truncated" in refusal(cut, definition="with-bonus")


def test_files_of_two_formats_are_not_read_as_one() -> None:
    message = refusal(SAMPLES / "vllm_bench.jsonl", SAMPLES / "sglang_bench.jsonl")
    assert "looks like sglang-bench" in message


def test_unknown_files_name_the_formats(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"loss": 1}')
    assert "--format" in refusal(path)
    path.write_text('{"loss": ')
    assert "truncated" in refusal(path)
    path.write_text("")
    assert "is empty" in refusal(path)
    assert "cannot be read" in refusal(tmp_path / "none.json")
    with pytest.raises(RecordError, match="--format must be one of"):
        read_reports([SAMPLES / "vllm_bench.jsonl"], "tgi")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tau": 0.5}, r"tau must be in \[1, 4\]"),
        ({"tau": 4.5}, r"tau must be in \[1, 4\]"),
        ({"tau": float("nan")}, "tau must be"),
        ({"hazards": (1.2,)}, "must be in"),
        ({"hazards": (0.5, 0.5)}, "adds up to 1.75"),
        ({"hazards": (0.5,) * 4}, "at most 3"),
        ({"accepted_tokens": 5, "drafted_tokens": 4}, "at most 4"),
        ({"batch": 0.0}, "batch must be"),
    ],
)
def test_reports_refuse_what_cannot_be(fields: dict[str, object], message: str) -> None:
    good = {"source": "x", "format": "x", "definition": "x", "tau": 2.0, "num_draft_tokens": 3}
    with pytest.raises(ValueError, match=message):
        EngineReport(**{**good, **fields})
