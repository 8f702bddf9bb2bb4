"""A session trains a tiny pair and measures all of it through the command line."""

import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from app import packing
from app import session as plan
from app.cli import main
from engine.katz import load_ngram
from engine.model import load_model
from engine.training import pair
from engine.training.corpus import Document
from engine.training.presets import preset
from measurements import scan
from profiler.catalogue import catalogue
from simulator.hardware import known_hardware
from simulator.model_config import shape_from_config
from simulator.model_shape import ModelShape
from simulator.roofline import operator_costs, total_cost

ROOT = Path(__file__).parents[2]


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Exit code of the console script."""
    monkeypatch.setattr(sys, "argv", ["speculens", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def few_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus that is read in no time."""
    texts = [
        Document(Path(f"{i}.py"), f"def add_{i}(first, second):\n    return first + {i}\n" * 40)
        for i in range(60)
    ]
    monkeypatch.setattr(pair, "stdlib_documents", lambda: texts)


def test_a_session_trains_measures_resumes_and_packs(
    few_sources: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    out, state, parts = tmp_path / "runs", tmp_path / "state", tmp_path / "parts"
    session = [
        "session", "--preset", "tiny", "--device", "cpu", "--out", out, "--state", state,
    ]  # fmt: skip
    assert call(monkeypatch, *session, *plan.TRAINING) == 0
    zoo = state / "zoo"
    target, draft = (load_model(str(zoo / name)) for name in plan.EXTENTS["tiny"].names)
    assert target.hf.config.model_type == "gpt2" and target.forward_kind == "lean"
    assert load_ngram(str(zoo / "work-ngram" / "ngram"), draft).card["temperature"] == 1.5
    # what was trained beside the pair is found by itself
    names = {m.name for m in catalogue(target, draft, ["all"])}
    assert {"medusa", "hydra", "mtp", "diffusion", "ngram", "staged"} <= names

    capsys.readouterr()
    # bench times the model itself for half a minute; test_cli.py runs it
    assert call(monkeypatch, *session, "train-oracle", *plan.MEASURING[:-1], "--pack", parts) == 0
    printed = capsys.readouterr()
    assert "train-oracle was finished" in printed.err
    records = scan(out)
    assert {r.kind for _, r in records.profiles} == {"profile"}
    studies = {r.name for _, r in records.studies}
    assert {"staged", "transfer"} <= studies
    assert len(records.comparisons) == 1 and len(records.validations) >= 1
    log = (out / "session.log").read_text()
    assert [p for p in plan.PIECES[:-1] if f"{p} finished after" not in log] == []
    assert not records.problems
    with tarfile.open(parts / f"{packing.ARCHIVE}.00") as archive:
        assert "runs/session.log" in archive.getnames()


def test_a_piece_that_runs_out_of_time_goes_on_next_time(
    few_sources: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    session = [
        "session", "train-oracle", "--preset", "tiny", "--device", "cpu",
        "--out", tmp_path / "runs",
    ]  # fmt: skip
    tiny = plan.EXTENTS["tiny"]
    monkeypatch.setattr(plan, "EXTENTS", {"tiny": replace(tiny, target=("--minutes", "9"))})
    assert call(monkeypatch, *session, "--minutes", 0.03) == 3
    assert "train-oracle stopped after" in capsys.readouterr().err
    monkeypatch.setattr(plan, "EXTENTS", {"tiny": tiny})
    assert call(monkeypatch, *session) == 0
    made = tmp_path / "runs-session" / "zoo" / "tiny-target" / "training.json"
    assert json.loads(made.read_text())["steps"] > 3  # those of the first call, none of the second


def test_a_failed_piece_is_logged_and_the_next_one_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    session = [
        "session", "profile", "decode", "--preset", "tiny", "--device", "cpu", "--out", tmp_path,
    ]  # fmt: skip
    assert call(monkeypatch, *session) == 1  # nothing was trained
    log = (tmp_path / "session.log").read_text()
    assert "profile failed" in log and "decode failed" in log
    assert "no model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sleep"], "piece must be one of train-oracle, "),
        (["--preset", "huge"], "preset must be one of gpt2-large-python, "),
        (["--minutes", "0"], "minutes must be above 0, not 0"),
        (["--target", "python-13m"], "give both or neither"),
        (
            ["train-draft", "--target", "a", "--draft", "b"],
            "train-draft has nothing to do where --target is given",
        ),
    ],
)
def test_bad_input_gets_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    assert call(monkeypatch, "session", *arguments, "--out", tmp_path) == 2
    refusal = capsys.readouterr().err
    assert message in refusal and refusal.count("\n") == 1


def test_a_state_folder_of_another_session_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    options = ["--out", tmp_path / "runs", "--state", tmp_path / "state", "--minutes", "1e-9"]
    assert call(monkeypatch, "session", "--preset", "tiny", "--device", "cpu", *options) == 3
    assert "not begun: time ran out" in capsys.readouterr().err
    (tmp_path / "state" / "session.json").write_text(json.dumps({"of": {}, "done": {}}))
    assert call(monkeypatch, "session", "--preset", "tiny", "--device", "cpu", *options) == 2
    assert "holds another session" in capsys.readouterr().err


def test_floors_in_the_guide_are_the_simulators() -> None:
    recipe = preset("gpt2-large-python").pair
    target, draft = (
        shape_from_config(m.config(recipe.vocab_size, recipe.context).to_dict())
        for m in (recipe.target, recipe.draft)
    )
    device = known_hardware("H100-SXM")
    guide = (ROOT / "docs" / "gpu.md").read_text()

    def milliseconds(shape: ModelShape, num_tokens: int) -> float:
        cost = total_cost(operator_costs(shape, num_tokens, 256))
        moved = cost.weight_bytes + cost.kv_bytes + cost.activation_bytes
        return 1e3 * max(moved / device.bandwidth, cost.flop / device.peak("bfloat16"))

    def tokens_per_s(*passes: ModelShape) -> float:
        """Of 1024 tokens at a time; a pass is a forward, and training takes three."""
        flop = sum(total_cost(operator_costs(s, 1024, 0)).flop for s in passes)
        return 1024 * device.peak("bfloat16") / float(flop)

    assert f"target, 1 token | {milliseconds(target, 1):.2f} ms" in guide
    assert f"(verifies γ = 8) | {milliseconds(target, 9):.2f} ms" in guide
    assert f"draft, 1 token | {milliseconds(draft, 1):.3f} ms" in guide
    trained, distilled = tokens_per_s(target, target, target), tokens_per_s(target, *[draft] * 3)
    for task, rate in (("training the target", trained), ("distilling the draft", distilled)):
        assert f"{task}, at the peak rate | {round(rate, -3):,.0f} tokens/s" in guide


def test_parts_join_to_the_archive(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "a.bin").write_bytes(bytes(range(256)) * 8)
    parts = packing.pack(folder, tmp_path / "parts", limit=100)
    assert len(parts) > 1 and all(p.stat().st_size <= 100 for p in parts)
    whole = tmp_path / "whole.tar.gz"
    whole.write_bytes(b"".join(p.read_bytes() for p in parts))
    with tarfile.open(whole) as archive:
        member = archive.extractfile("runs/a.bin")
        assert member is not None and member.read() == bytes(range(256)) * 8
    assert packing.oversized(folder, limit=100) == [folder / "a.bin"]


def test_a_session_needs_neither_plotly_nor_streamlit_nor_optuna() -> None:
    """A borrowed machine may lack them: all pieces' modules import without."""
    code = """
import sys
for name in ("plotly", "streamlit", "optuna", "playwright", "sklearn", "hypothesis"):
    sys.modules[name] = None
import app.cli, app.session, app.packing
from app.commands import (
    bench, campaign, compare, profile, reproduce, session, train, transfer, validate
)
from app.studies import kv_cache, leviathan, medusa_hydra, specdiff, staged
from engine.training import diffusion_drafter, heads, ngram, pair, presets
from profiler import bench, catalogue, measure, run, transfer
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
