"""A campaign end to end on a tiny pair: foretell, decode others, resume, refuse."""

import json
from pathlib import Path

import pytest

from measurements import load_profile, scan
from profiler import measure as profiler_measure
from tests.integration.test_cli import call, pair_options

WORDS = ["def add(first, second):", "for item in items:", "print(item)", "return first", "if item:",
         "while first:", "class Item:", "item = first"]  # fmt: skip


@pytest.fixture
def options(tmp_path: Path) -> list[object]:
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": text}) for text in WORDS))
    return [
        "validate", "--plan", "quick", "--num-prompts", 3, "--repeats", 1,
        *pair_options(tmp_path, "llama", path, tmp_path / "runs"),
    ]  # fmt: skip


def test_a_campaign_foretells_decodes_others_and_resumes(
    tmp_path: Path, options: list[object], monkeypatch, capsys
) -> None:
    decode, groups = profiler_measure.RunLog.add, []

    def stop_after_two(self, key, runs, between):  # type: ignore[no-untyped-def]
        if len(groups) == 2:
            raise KeyboardInterrupt
        groups.append(key)
        decode(self, key, runs, between)

    monkeypatch.setattr(profiler_measure.RunLog, "add", stop_after_two)
    assert call(monkeypatch, *options) == 130
    monkeypatch.setattr(profiler_measure.RunLog, "add", decode)
    (first,) = [path for path, _ in scan(tmp_path / "runs").profiles]
    report = tmp_path / "report.html"
    assert call(monkeypatch, *options, "--json", "--report", report) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"] == 3 * 2
    assert found["rounds_equal"][0] == found["rounds_equal"][1] == 3 * 3  # float32, temperature 0
    assert found["tau_same_texts"]["median"] < 1
    ((_, profiled),) = scan(tmp_path / "runs").profiles  # the profile was not made twice
    ((path, record),) = scan(tmp_path / "runs").validations
    assert record.profile_id == profiled.id
    assert record.same_prompts_as_profile is False
    assert record.prompts.sha256 != profiled.prompts.sha256
    assert record.rounds_file is not None and (path.parent / record.rounds_file).is_file()
    assert all(row.speedup.L2_profiled is not None for row in record.settings)
    assert all(row.error.log_tau_prompts is not None for row in record.settings)
    assert {row.sampling.label for row in record.settings} == {"T0", "T1-k50"}
    assert set(load_profile(first).rounds["mode"]) == {"greedy", "filtered"}
    assert report.read_text().startswith("<!doctype html>")
    assert call(monkeypatch, *options, "--json") == 0  # finished: nothing is measured or saved anew
    assert json.loads(capsys.readouterr().out) == found
    assert [path for path, _ in scan(tmp_path / "runs").validations] == [path]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--plan", "grand"], "plan must be one of full, quick, everything, not 'grand'"),
        (["--gamma", 3], "a plan profiles by itself"),
        (["--repeats", 0], "repeats must be at least 1, not 0"),
        (["--methods", "chian"], "method must be one of"),
    ],
)
def test_bad_plans_are_refused(
    options: list[object], extra: list[object], message: str, monkeypatch, capsys
) -> None:
    assert call(monkeypatch, *options, *extra) == 2
    assert message in capsys.readouterr().err
