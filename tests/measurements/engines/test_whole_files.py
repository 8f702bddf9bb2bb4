"""Every format at once: a sample to its τ in our words, and whole files only."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from app.cli import main
from measurements import RecordError
from measurements.engines import FORMATS, read_forwards, read_reports

SAMPLES = Path(__file__).parent / "samples"
LLAMA_NEW = 1 + 167 / 87
LLAMA_OLD = 2047 / (2047 - 1186)

FOUR_TURNS = [1 + k / n for k, n in ((358, 165), (368, 152), (358, 163), (367, 153))]
FOUR_TURNS = [tau for tau in FOUR_TURNS for _ in range(3)]  # batches 1, 4, 8: the same prompts

CASES = {
    "vllm-metrics": (["vllm_before.prom", "vllm_after.prom"], None, [1 + 673 / 476], [4]),
    "vllm-snapshots": (["vllm_pages/served/k4"], None, FOUR_TURNS, [4] * 12),
    "vllm-bench": (["vllm_bench.jsonl"], None, [1.0, 3.0], [0, 3]),
    "vllm-requests": (["vllm_requests.jsonl"], None, [1 + (1 + 3 * 3) / 43], [3]),
    "sglang-metrics": (["sglang_before.prom", "sglang_after.prom"], None, [2.5], [None]),
    "sglang-requests": (["sglang_requests.jsonl"], None, [1 + 6 / 5], [3]),
    "sglang-bench": (["sglang_bench.jsonl"], None, [1.0, 2.4, 2.8], [0, 3, 3]),
    "model-optimizer": (["model_optimizer"], None, [2.4733], [3]),
    "answers": (["answers_spec_bench.jsonl"], None, [18 / 9], [3]),
    "answers EAGLE": (["answers_eagle.jsonl"], "idxs-last", [15 / 5], [None]),
    "answers Medusa": (["answers_medusa.jsonl"], "idxs-last", [2730 / 1057], [None]),
    "llama.cpp": (["llama_cpp_new.log"], None, [LLAMA_NEW], [3]),
    "llama.cpp before 2026-06": (["llama_cpp_old.log"], None, [LLAMA_OLD], [None]),
    "emitted-trace": (["emitted_trace.jsonl"], "with-bonus", [11 / 5], [3]),
}
"""Name -> files, definition, and tau and drafts of every run, computed by hand or published."""


@pytest.mark.parametrize("name", CASES)
def test_a_sample_becomes_its_scenario(name: str, monkeypatch, capsys) -> None:
    files, definition, taus, drafts = CASES[name]
    extra = [] if definition is None else ["--definition", definition]
    paths = [str(SAMPLES / file) for file in files]
    monkeypatch.setattr(sys, "argv", ["speculens", "import", *paths, *extra, "--json"])
    main_ends_with(0)
    rows = json.loads(capsys.readouterr().out)["scenarios"]
    assert [row["tau"] for row in rows] == pytest.approx(taus, abs=1e-4)
    assert [row["num_draft_tokens"] for row in rows] == drafts
    assert all(row["definition"] for row in rows)


def test_no_format_is_without_a_sample() -> None:
    assert {name.split()[0] for name in CASES} == FORMATS.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_file_cut_in_its_last_numbers_is_refused(name: str, tmp_path: Path) -> None:
    files, definition, _, _ = CASES[name]
    paths = [SAMPLES / file for file in files]
    if name == "vllm-snapshots":
        pytest.skip("cut in tests of its own")
    if paths[-1].is_dir():
        paths = [paths[-1] / "acceptance_rate.json"]
    text = paths[-1].read_text().rstrip()
    if name.startswith("llama.cpp"):  # behind its numbers a log may hold anything
        lines = text.splitlines()
        while "draft acceptance" not in lines[-1]:
            lines.pop()
        text = "\n".join(lines)
    last = text.splitlines()[-1]
    for kept in (len(last) // 3, len(last) - 2):
        cut = tmp_path / paths[-1].name
        cut.write_text(text[: len(text) - len(last) + kept])
        with pytest.raises(RecordError) as caught:
            read_reports([*paths[:-1], cut], None, definition)
        assert cut.name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_two_formats_is_refused(name: str, tmp_path: Path) -> None:
    files, definition, _, _ = CASES[name]
    if len(files) == 2 or (SAMPLES / files[0]).is_dir() or name.startswith("llama.cpp"):
        pytest.skip("pages, folders and versions of a log are mixed in tests of their own")
    other = "sglang_bench.jsonl" if files[0] != "sglang_bench.jsonl" else "vllm_bench.jsonl"
    mixed = tmp_path / files[0]
    mixed.write_text((SAMPLES / files[0]).read_text() + (SAMPLES / other).read_text())
    with pytest.raises(RecordError) as caught:
        read_reports([mixed], None, definition)
    assert mixed.name in str(caught.value) and "\n" not in str(caught.value)


def test_times_of_forwards_are_read_whole_or_not_at_all(tmp_path: Path) -> None:
    text = (SAMPLES / "vllm_forward.json").read_text()
    assert len(read_forwards(SAMPLES / "vllm_forward.json")) > 2
    cut = tmp_path / "forward.json"
    cut.write_text(text[:-20])
    with pytest.raises(RecordError, match="truncated"):
        read_forwards(cut)
    with pytest.raises(RecordError, match="is no case of vllm bench forward"):
        read_forwards(SAMPLES / "vllm_bench.jsonl")


def main_ends_with(code: int) -> None:
    try:
        main()
    except SystemExit as stop:
        assert (stop.code or 0) == code
