"""Profile and validate over servers, as a user calls them; with a real vLLM where there is one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands.serve_vllm import configuration
from engine.model import DEFAULT_DRAFT
from measurements import load_server
from profiler.completions import Endpoint
from profiler.vllm_server import (
    PYTHON_VARIABLE,
    Served,
    find_python,
    serve,
    speculative_config,
)
from tests.profiler.fake_server import NAME, fake_server
from tests.profiler.fake_vllm import fake_python, kept

ROOT = Path(__file__).parents[2]
SMALL = ["--num-prompts", "4", "--new-tokens", "24", "--dtype", "float32"]


def called(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments], cwd=ROOT, capture_output=True, text=True,
        timeout=600, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("trouble", "told"),
    [("dies-at-6", r"does not answer|broke off|of 24 tokens"), ("hangs-at-6", "silent for 1 s")],
)
def test_servers_are_profiled_and_a_failed_one_resumes(
    trouble: str, told: str, tmp_path: Path
) -> None:
    out, runner = tmp_path / "runs", CliRunner()
    with fake_server() as (plain, _), fake_server(5) as (five, _):
        fixed = ["profile", "--server", plain, "--server", five, "--batch", "1", "--batch", "2"]
        fixed += ["--out", str(out), "--json", "--timeout", "1", *SMALL]
        with fake_server(2, trouble) as (two, _):
            died = runner.invoke(app, [*fixed, "--server", two])
        assert re.search(told, str(died.exception))
        assert len(str(died.exception).splitlines()) == 1
        assert "waves are kept, and the same command goes on" in str(died.exception)
        (log,) = out.rglob("*.jsonl")
        lines = len(log.read_text().splitlines())
        assert lines > 1
        with fake_server(2) as (two, _):
            done = runner.invoke(app, [*fixed, "--server", two])
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("wave") < 7  # six in all, less what was kept
    found = json.loads(done.stdout)
    assert not list(out.rglob("*.jsonl"))
    record = load_server(Path(found["record"]))
    assert (record.model, record.draft, record.dtype) == (NAME, "python-draft-2m", "float32")
    rows = {(r["num_draft_tokens"], r["batch"]): r for r in found["servers"]}
    assert set(rows) == {(k, b) for k in (0, 2, 5) for b in (1, 2)}
    at, rounds = 1, []
    while at < 24:
        rounds.append(kept(at, 5))
        at += rounds[-1] + 1
    assert rows[5, 1]["tau"] == pytest.approx(1 + sum(rounds) / len(rounds))
    assert rows[5, 1]["rounds_counted"] == 4 * len(rounds)
    assert [row["sequences"] for row in found["fit"]] == [1, 2]


def test_local_servers_are_started_and_validated(tmp_path: Path) -> None:
    python, out = fake_python(tmp_path), tmp_path / "runs"
    fixed = ["--serve", "--python", python, "--batch", "1", "--out", str(out), "--json", *SMALL]
    fixed += ["--num-prompts", "2"]
    runner = CliRunner()
    profiled = runner.invoke(app, ["profile", *fixed, "--gamma", "2", "--gamma", "4"])
    assert profiled.exit_code == 0, profiled.stderr
    shown = runner.invoke(app, ["validate", *fixed, "--gamma", "3"])
    assert shown.exit_code == 0, shown.stderr
    found = json.loads(shown.stdout)
    (setting,) = found["settings"]
    assert found["profile_id"] == json.loads(profiled.stdout)["id"]
    assert setting["num_draft_tokens"] == 3
    assert not setting["extrapolated"]
    # the fake writes other texts than our model, and that is told
    assert setting["texts_as_traced"] == 0
    assert setting["error"]["tau"] == pytest.approx(
        setting["tau"]["predicted"] / setting["tau"]["measured"] - 1
    )


def test_sweeps_on_several_devices_are_fitted_together(tmp_path: Path) -> None:
    fixed = ["profile", "--serve", "--python", fake_python(tmp_path), "--batch", "1", *SMALL]
    fixed += ["--num-prompts", "2", "--out", str(tmp_path / "runs"), "--json"]
    both = ["--gamma", "2", "--gamma", "5", "--tensor-parallel", "1", "--tensor-parallel", "2"]
    runner = CliRunner()
    done = runner.invoke(app, [*fixed, *both])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    degrees = [load_server(Path(r["record"])).tensor_parallel for r in found["records"]]
    assert degrees == found["devices"]["degrees"] == [1, 2]
    # two leave two ends; which of them fits a fake whose devices change nothing is chance
    ends: dict[str, set[str]] = {}
    for row in found["devices"]["terms"]:
        ends.setdefault(row["stage"], set()).add(row["left_out"])
    assert all(len(two) == 2 and None not in two for two in ends.values())
    # a third is put beside what is there, and three tell all terms
    more = runner.invoke(app, [*fixed, "--gamma", "2", "--gamma", "5", "--tensor-parallel", "4"])
    assert more.exit_code == 0, more.stderr
    devices = json.loads(more.stdout)["devices"]
    assert devices["degrees"] == [1, 2, 4]
    assert {row["left_out"] for row in devices["terms"]} == {None}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--serve", "--tensor-parallel", "0"], "at least 1, not 0"),
        (
            ["--server", "http://x", "--tensor-parallel", "1", "--tensor-parallel", "2"],
            "are of one --tensor-parallel at a time",
        ),
        (["--server", "http://127.0.0.1:9", "--serve"], "leave out --serve"),
        (["--server", "ftp://x", "--batch", "1"], "begins with http"),
        (["--server", "http://127.0.0.1:9", "--batch", "1"], "does not answer"),
        (["--serve", "--method", "eagle"], "one of draft-model, ngram, not 'eagle'"),
        (["--serve", "--batch", "9"], "1 to the 4 prompts, not 9"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], told: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["profile", *arguments, *SMALL, "--out", str(tmp_path)])
    assert told in str(ended.exception)
    assert len(str(ended.exception).splitlines()) == 1


real_vllm = pytest.mark.skipif(
    PYTHON_VARIABLE not in os.environ, reason=f"{PYTHON_VARIABLE} names no vLLM"
)


@pytest.mark.vllm
@real_vllm
@pytest.mark.parametrize("method", ["draft-model", "ngram"])
def test_a_real_vllm_keeps_what_our_trace_says(method: str, tmp_path: Path) -> None:
    fixed = ["--serve", "--method", method, "--batch", "1", "--batch", "2", *SMALL]
    fixed += ["--out", str(tmp_path), "--json"]
    profiled = called("profile", *fixed, "--gamma", "2", "--gamma", "5")
    assert profiled.returncode == 0, profiled.stderr
    shown = called("validate", *fixed, "--gamma", "3")
    assert shown.returncode == 0, shown.stderr
    for setting in json.loads(shown.stdout)["settings"]:
        assert setting["texts_as_traced"] == 4
        assert setting["survival_predicted"] == pytest.approx(setting["survival_measured"])
        assert setting["tau"]["predicted"] == pytest.approx(setting["tau"]["measured"])


@pytest.mark.vllm
@real_vllm
def test_a_real_vllm_on_two_devices_writes_our_texts(tmp_path: Path) -> None:
    fixed = ["--serve", "--batch", "1", *SMALL, "--num-prompts", "2"]
    fixed += ["--out", str(tmp_path), "--json"]
    profiled = called("profile", *fixed, "--gamma", "2", "--gamma", "5", "--tensor-parallel", "2")
    assert profiled.returncode == 0, profiled.stderr
    assert load_server(Path(json.loads(profiled.stdout)["record"])).tensor_parallel == 2
    shown = called("validate", *fixed, "--gamma", "3", "--tensor-parallel", "2")
    assert shown.returncode == 0, shown.stderr
    (setting,) = json.loads(shown.stdout)["settings"]
    assert setting["texts_as_traced"] == 2
    assert setting["tau"]["predicted"] == pytest.approx(setting["tau"]["measured"])


@pytest.mark.vllm
@real_vllm
@pytest.mark.parametrize(("method", "exported"), [("draft-model", "chain"), ("ngram", "lookup")])
def test_what_export_makes_of_a_real_vllms_counters_starts_it(
    method: str, exported: str, tmp_path: Path
) -> None:
    draft = DEFAULT_DRAFT if method == "draft-model" else None
    python, pages = find_python(None), [tmp_path / "before.prom", tmp_path / "after.prom"]
    with serve(Served(NAME, speculative_config(method, 5, draft), "float32"), python) as server:
        for page in pages:
            page.write_bytes(urllib.request.urlopen(f"{server.url}/metrics", timeout=9).read())
            Endpoint(server.url).complete(NAME, "def add(first, second):\n    return", 48)
    done = called(
        "export", "--engine", "vllm", "--from", str(pages[0]), "--from", str(pages[1]),
        "--method", exported, "--target", NAME, "--draft", DEFAULT_DRAFT,
        "--cost-ratio", "0.2", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    config = json.loads(done.stdout)["files"]["speculative_config.json"]
    file = tmp_path / "speculative_config.json"
    file.write_text(json.dumps(config))
    again = Served(NAME, configuration(str(file), None, None, None, (3, 1)), "float32")
    with serve(again, python) as server:
        assert Endpoint(server.url).about().num_draft_tokens == config["num_speculative_tokens"]


@pytest.mark.vllm
@real_vllm
@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (signal.SIGKILL, "does not answer|broke off|of 48 tokens"),
        (signal.SIGSTOP, "silent for 4 s: it hangs or is overloaded"),
    ],
)
def test_a_real_vllm_that_fails_in_the_middle_loses_nothing(
    trouble: signal.Signals, told: str, tmp_path: Path
) -> None:
    python = find_python(None)
    plain = Served(NAME, None, "float32")
    drafting = Served(NAME, speculative_config("ngram", 3), "float32")
    fixed = ["profile", "--method", "ngram", "--batch", "1", "--num-prompts", "6", "--timeout", "4"]
    fixed += ["--new-tokens", "48", "--out", str(tmp_path), "--json"]

    def until_two_waves(strike: Callable[[], None], *urls: str) -> str:
        """Standard error of a sweep that is struck when its log has two waves."""
        command = [sys.executable, "-m", "app.cli", *fixed]
        for url in urls:
            command += ["--server", url]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as sweep:
            while sum(len(log.read_text().splitlines()) for log in tmp_path.rglob("*.jsonl")) < 3:
                assert sweep.poll() is None, sweep.communicate()[1]
                time.sleep(0.02)
            strike()
            error = sweep.communicate(timeout=120)[1]
            assert sweep.returncode == 2, error
        return error.splitlines()[-1]

    with serve(plain, python) as one:
        with serve(drafting, python) as other:
            line = until_two_waves(
                lambda: os.killpg(other.process.pid, trouble), one.url, other.url
            )
        assert re.search(told, line), line
        kept = int(re.search(r"(\d+) waves are kept", line)[1])
        assert 2 <= kept < 6
        with serve(drafting, python) as other:  # another process, at another port
            again = called(*fixed, "--server", one.url, "--server", other.url)
        assert again.returncode == 0, again.stderr
        found = json.loads(again.stdout)
        assert {row["waves"] for row in found["servers"]} == {6}
        assert not list(tmp_path.rglob("*.jsonl"))
