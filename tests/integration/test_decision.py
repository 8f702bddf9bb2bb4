"""One decision from a real vLLM's counters: the steps of docs/vllm.md, as written there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app, is_bad_input
from app.commands.serve_vllm import configuration
from app.exports import ENGINES, Plan
from engine.location import DEFAULT_DRAFT, DEFAULT_TARGET
from measurements.engines import read_reports, survival_of_hazards
from profiler.vllm_server import Served, find_python, serve
from tests.integration.test_servers import called, real_vllm
from tests.integration.test_without_torch import CALLS, run

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "measurements" / "engines" / "samples" / "vllm_pages"
DOCUMENT = (ROOT / "docs" / "vllm.md").read_text().split("## Decide from its counters alone")[1]


def commands() -> list[list[str]]:
    """Arguments of the document's speculens commands."""
    (block,) = [b for b in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL) if "optimize" in b]
    return [shlex.split(line, comments=True)[1:] for line in block.strip().splitlines()]


@pytest.fixture(scope="module")
def walked(tmp_path_factory) -> tuple[list[dict], Path]:
    """What the steps answer, in an interpreter without torch, and where they were run."""
    folder = tmp_path_factory.mktemp("walk")
    shutil.copytree(SAMPLES, folder, dirs_exist_ok=True)
    steps = [[*step, "--json"] for step in commands()]
    done = run(f"import os\nos.chdir({str(folder)!r})\nsys.path.insert(0, {str(ROOT)!r})\n" + CALLS,
               json.dumps(steps))  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [code for code, _ in results] == [0] * 4, done.stderr
    return [json.loads(said) for _, said in results], folder


def test_pages_of_a_real_vllm_are_read(walked) -> None:
    rows = walked[0][0]["scenarios"]
    assert {(row["num_draft_tokens"], row["batch"]) for row in rows} == {
        (k, b) for k in (0, 2, 4, 8) for b in (1, 4, 8)
    }
    # greedy in float32: what is kept depends on the prompts, not on the batch
    for drafts in (2, 4, 8):
        turns = {
            turn: {
                row["tau"]
                for row in rows
                if row["num_draft_tokens"] == drafts and row["source"].endswith(f".{turn}.prom")
            }
            for turn in range(1, 5)
        }
        assert all(len(taus) == 1 for taus in turns.values()), turns
    assert all(row["measured"]["speedup"] > 0 for row in rows if row["num_draft_tokens"])


def test_every_batch_gets_its_best_drafts_with_interval_and_rivals(walked) -> None:
    decision = walked[0][1]
    assert [row["batch"] for row in decision["batches"]] == list(range(1, 9))
    for row in decision["batches"]:
        assert [s["parameters"]["num_draft_tokens"] for s in row["settings"]] == list(range(1, 9))
        for setting in row["settings"]:
            speed = setting["speedup"]
            assert 0 < speed["low"] < speed["high"]
        best = row["best"]
        assert best["source"] != "extrapolated"
        rivals = [s["parameters"]["num_draft_tokens"] for s in row["indistinguishable"]]
        assert best["parameters"]["num_draft_tokens"] not in rivals
        assert row["num_draft_tokens"] in (best["parameters"]["num_draft_tokens"], *rivals)
    assert {"best", "indistinguishable", "pareto", "verdict"} <= decision.keys()
    assert decision["verdict"].startswith("batch 1") and "×" in decision["verdict"]


def test_the_decision_becomes_a_file_for_vllm(walked) -> None:
    (_, decision, exported, _), folder = walked
    config = json.loads((folder / "chosen" / "speculative_config.json").read_text())
    assert config == exported["files"]["speculative_config.json"]
    assert config["num_speculative_tokens"] == max(k for _, _, k in decision["schedule"])
    stated = config.get("num_speculative_tokens_per_batch_size")
    assert stated == (decision["schedule"] if len(decision["schedule"]) > 1 else None)
    rehearsal = json.loads((folder / "chosen" / "rehearsal.json").read_text())
    assert len(rehearsal["synthetic_acceptance_rates"]) == config["num_speculative_tokens"]
    assert 1 + sum(rehearsal["synthetic_acceptance_rates"]) == pytest.approx(
        exported["predicted"]["tau"], abs=1e-4
    )


def test_what_the_choice_did_stands_beside_what_was_predicted(walked) -> None:
    _, decision, _, checked = walked[0]
    assert {row["batch"] for row in checked["measured"]} == {1, 4, 8}
    for row in checked["measured"]:
        (at,) = [b for b in decision["batches"] if b["batch"] == row["batch"]]
        assert row["num_draft_tokens"] == at["num_draft_tokens"]
        # the same prompts, greedy: the tokens per round are those of the measured server
        assert row["tau"]["predicted"] == pytest.approx(row["tau"]["measured"], rel=1e-6)
        speed = row["speedup"]
        assert speed["error"] == pytest.approx(speed["predicted"] / speed["measured"] - 1)
        assert speed["measured_low"] < speed["measured"] < speed["measured_high"]
        # what was predicted and what was measured later cannot be told apart
        assert speed["low"] < speed["measured_high"] and speed["measured_low"] < speed["high"]


def test_options_that_do_not_go_together_are_one_line() -> None:
    for extra, told in [
        (["--measured", "x"], "give both"),
        (["--from", str(SAMPLES / "served"), "--profile", "x"], "leave out --measure"),
        (["--from", str(SAMPLES / "served" / "plain")], "all are plain"),
        (["--from", str(SAMPLES / "served" / "k4")], "read a plain server's counters too"),
    ]:
        ended = CliRunner().invoke(app, ["optimize", *extra])
        assert is_bad_input(ended.exception) and told in str(ended.exception)
        assert len(str(ended.exception).splitlines()) == 1


PROMPTS = ["def add(first, second):\n    return", "class Stack:\n    def push(self", "for item in",
           "import os\n\n\ndef walk("]  # fmt: skip


def load(url: str, batch: int, tokens: int) -> str:
    """Put a load on a server; its metrics page afterwards."""

    def ask(prompt: str) -> None:
        body = {"model": DEFAULT_TARGET, "prompt": prompt, "max_tokens": tokens, "temperature": 0,
                "ignore_eos": True}  # fmt: skip
        asked = urllib.request.Request(
            f"{url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(asked, timeout=120).close()

    for first in range(0, len(PROMPTS), batch):
        with ThreadPoolExecutor(batch) as pool:
            list(pool.map(ask, PROMPTS[first : first + batch]))
    return urllib.request.urlopen(f"{url}/metrics", timeout=60).read().decode()


@pytest.mark.vllm
@real_vllm
def test_a_real_vllm_starts_with_the_decision(walked, tmp_path: Path) -> None:
    _, folder = walked
    config = configuration(str(folder / "chosen" / "speculative_config.json"), None, None, None,
                           (3, 1))  # fmt: skip
    python = find_python(None)
    with (
        serve(Served(DEFAULT_TARGET, None, "float32"), python) as plain,
        serve(Served(DEFAULT_TARGET, config, "float32"), python) as chosen,
    ):
        for name, server in (("plain", plain), ("chosen", chosen)):
            (tmp_path / name).mkdir()
            for batch, page in ((4, "start"), (1, "batch-1.1"), (4, "batch-4.1")):
                (tmp_path / name / f"{page}.prom").write_text(load(server.url, batch, 32))
    done = called(
        "optimize", "--from", str(folder / "served"), "--measured", str(tmp_path), "--json"
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["measured"]
    assert [row["batch"] for row in rows] == [1, 4]
    for row in rows:
        assert 1 < row["tau"]["measured"] <= row["num_draft_tokens"] + 1
        assert row["speedup"]["measured"] > 0


@pytest.mark.vllm
@real_vllm
@pytest.mark.parametrize("method", ["chain", "lookup"])
def test_a_real_vllm_takes_every_key_that_export_writes(method: str, tmp_path: Path) -> None:
    """A schedule by batch and a rehearsal, each started once and seen in the counters."""
    plan = Plan(
        method, 4, "here", hazards=(0.8, 0.75, 2 / 3, 0.5), tau=3.0, target=DEFAULT_TARGET,
        draft=DEFAULT_DRAFT,
    )  # fmt: skip
    scheduled = ENGINES["vllm"](replace(plan, schedule=((1, 1, 4), (2, 2, 2), (3, 8, 1))))
    rehearsal = ENGINES["vllm"](plan).rehearsal
    python, folder = find_python(None), tmp_path / "server"
    folder.mkdir()

    def started(content: object, name: str):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(content))
        config = configuration(str(file), None, None, None, (3, 1))
        return serve(Served(DEFAULT_TARGET, config, "float32"), python)

    with started(scheduled.files["speculative_config.json"], "schedule") as server:
        for batch, page in ((1, "start"), (1, "batch-1.1"), (2, "batch-2.1"), (4, "batch-4.1")):
            (folder / f"{page}.prom").write_text(load(server.url, batch, 32))
    reports = {report.batch: report for report in read_reports([folder])}
    mean = {batch: r.drafted_tokens / r.rounds for batch, r in reports.items()}
    assert mean[1] > mean[2] > mean[4] >= 1, mean
    if method == "chain":
        assert mean[1] == pytest.approx(4, abs=0.1)
    for page in folder.iterdir():
        page.unlink()
    with started(rehearsal, "rehearsal") as server:
        try:
            for page in ("start", "batch-1.1"):
                (folder / f"{page}.prom").write_text(load(server.url, 1, 120))
        except urllib.error.HTTPError:
            # 0.32.0 on a CPU takes the configuration, and its engine dies at the first request
            assert "Synthetic acceptance not supported with CPU" in server.log.read_text()
            return
    (report,) = read_reports([folder])
    for kept, wanted in zip(survival_of_hazards(report.hazards), plan.survival, strict=True):
        # independent rounds: four standard deviations
        assert kept == pytest.approx(wanted, abs=4 * (0.25 / report.rounds) ** 0.5)
