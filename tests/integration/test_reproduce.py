"""Reproductions through the command line, at tiny sizes."""

import json
from pathlib import Path

import pytest

from profiler import measure as profiler_measure
from tests.integration.test_cli import PROMPTS, call, pair_options

SMALL = ["--quick", "--num-prompts", 2, "--new-tokens", 8, "--device", "cpu"]


def tables_of(capsys: pytest.CaptureFixture[str]) -> dict[str, list[dict]]:
    return json.loads(capsys.readouterr().out)["tables"]


def test_staged_gives_every_table_and_figure_and_resumes(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    out, report = tmp_path / "runs", tmp_path / "report.html"
    command = ["reproduce", "staged", *SMALL, "--out", out, "--json"]
    real, recorded = profiler_measure._record, []

    def stop_in_the_second_group(*arguments):  # type: ignore[no-untyped-def]
        if len(recorded) == 10:
            raise KeyboardInterrupt
        recorded.append(1)
        return real(*arguments)

    monkeypatch.setattr(profiler_measure, "_record", stop_in_the_second_group)
    assert call(monkeypatch, *command) == 130
    assert "the same command resumes" in capsys.readouterr().err
    monkeypatch.setattr(profiler_measure, "_record", lambda *a: recorded.append(1) or real(*a))
    assert call(monkeypatch, *command, "--report", report) == 0
    settings = 1 + 2 + 1 + 3 + 1  # autoregressive, chains, tree, staged chains, staged tree
    assert len(recorded) == 10 + 4 * settings - settings  # the first of four groups was kept
    tables = tables_of(capsys)

    bandwidth, speed, every, split, staging = list(tables.values())[:5]
    assert [row["sampling"] for row in bandwidth] == ["deterministic", "top-k"]
    assert all(row["baseline"] == pytest.approx(1) for row in bandwidth)
    assert len(every) == 2 * settings
    assert all(row["low"] <= row["speedup"] <= row["high"] for row in every)
    assert all(row["speculative"] > 0 and row["staged/speculative"] > 0 for row in speed)
    for row in every:  # a chain's draft runs once a token, a staged one's at most so often
        drafted = row["width"] - 1
        if row["method"].startswith("chain"):
            assert row["calls"] == pytest.approx(drafted)
        if row["method"].startswith("staged γ"):
            assert row["calls"] <= drafted
    for sampling in ("deterministic", "top-k"):
        shares = [r["share"] for r in split if (r["sampling"], r["role"]) == (sampling, "staged")]
        assert sum(shares) == pytest.approx(1, abs=1e-6)
    assert {row["lower"] for row in staging} == {"ngram-T1", "ngram-T1.5"}
    page = report.read_text()
    for title in ("Table 1", "Table 2", "Figure 1", "Figure 2", "Figure 3", "0.31", "475"):
        assert title in page
    assert page.count('class="chart"') == 2 * 3 + 3


def test_staged_without_an_ngram_of_the_draft_says_what_to_train(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("\n".join(json.dumps({"prompt": text}) for text in PROMPTS))
    options = pair_options(tmp_path, "llama", prompts, tmp_path / "runs")
    assert call(monkeypatch, "reproduce", "staged", *options) == 2
    refusal = capsys.readouterr().err
    assert refusal.count("\n") == 1 and "speculens train ngram" in refusal
    assert not (tmp_path / "runs").exists()
    assert call(monkeypatch, "reproduce", "staged", *options, "--ngram", "nowhere") == 2
    assert "no n-gram 'nowhere'" in capsys.readouterr().err


def test_leviathan_puts_theory_beside_decoding_for_any_pair(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    prompts, report = tmp_path / "prompts.jsonl", tmp_path / "report.html"
    prompts.write_text("\n".join(json.dumps({"prompt": text}) for text in PROMPTS))
    options = pair_options(tmp_path, "llama", prompts, tmp_path / "runs")
    command = ["reproduce", "leviathan", *options, "--quick", "--report", report, "--json"]
    real, recorded = profiler_measure._record, []

    def stop_in_the_second_group(*arguments):  # type: ignore[no-untyped-def]
        if len(recorded) == 12:
            raise KeyboardInterrupt
        recorded.append(1)
        return real(*arguments)

    monkeypatch.setattr(profiler_measure, "_record", stop_in_the_second_group)
    assert call(monkeypatch, *command) == 130
    monkeypatch.setattr(profiler_measure, "_record", lambda *a: recorded.append(1) or real(*a))
    capsys.readouterr()
    assert call(monkeypatch, *command) == 0
    settings = 1 + 5 + 3  # autoregressive, the draft's chains, lookup; no trigram is of this pair
    assert len(recorded) == 12 + (6 - 1) * settings
    acceptance, theory, rounds, choice = tables_of(capsys).values()
    assert [(r["sampling"], r["drafter"]) for r in acceptance] == [
        ("T0", "draft"), ("T0", "lookup"), ("T1", "draft"), ("T1", "lookup"),
    ]  # fmt: skip
    assert len(choice) == 4 and all(0 <= row["lost"] < 1 for row in choice)
    by_drafter = {(r["sampling"], r["drafter"]): r for r in acceptance}
    for row, tau in zip(theory, rounds, strict=True):
        mine = by_drafter[row["sampling"], row["drafter"]]
        alpha, gamma = mine["α along the text"], row["γ"]
        powers = sum(alpha**i for i in range(gamma + 1))  # (1 - α^(γ+1)) / (1 - α)
        assert row["theory"] == pytest.approx(powers / (gamma * mine["c"] + 1))
        assert tau["L0"] == pytest.approx(powers)
        if row["sampling"] == "T0":  # float32: the replay of the text is what decoding does
            assert tau["L2"] == pytest.approx(tau["measured"])
        if row["drafter"] == "draft":  # what is drafted and thrown away is computed for nothing
            assert row["operations, counted"] > 1
    assert "Theorem 3.8" in report.read_text() and "T5-XXL EnDe" in report.read_text()

    assert call(monkeypatch, *command, "--new-tokens", 3) == 2
    assert "new tokens must be at least 4, not 3" in capsys.readouterr().err
    prompts.write_text("\n".join(json.dumps({"prompt": text}) for text in [PROMPTS[0]] * 2))
    assert call(monkeypatch, *command) == 2
    assert "holds a prompt twice" in capsys.readouterr().err
