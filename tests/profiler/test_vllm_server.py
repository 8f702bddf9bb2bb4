"""Does a server start, answer and leave nothing behind, and is each trouble told in a line?"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from app.commands.serve_vllm import configuration
from engine.errors import InputError
from engine.model import DEFAULT_DRAFT, ZOO
from profiler.vllm_server import (
    PYTHON_VARIABLE,
    Served,
    find_python,
    last_lines,
    serve,
    speculative_config,
)
from tests.profiler.fake_vllm import fake_python

TARGET = "python-13m"


@pytest.fixture
def python(tmp_path: Path) -> str:
    return fake_python(tmp_path)


def test_a_server_answers_and_is_gone_afterwards(python: str, tmp_path: Path) -> None:
    with serve(Served(TARGET), python, tmp_path / "logs" / "log", 20.0) as server:
        with urllib.request.urlopen(f"{server.url}/v1/models", timeout=5) as answer:
            assert TARGET in answer.read().decode()
        process = server.process
    assert process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_server_is_ended_when_its_user_fails(python: str) -> None:
    with pytest.raises(RuntimeError), serve(Served(TARGET), python, None, 20.0) as server:
        raise RuntimeError
    assert server.process.returncode is not None


def test_a_death_while_starting_tells_the_last_lines(
    python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_VLLM", "dies-starting")
    with (
        pytest.raises(InputError, match=r"exit code 1: ValueError: the draft does not fit"),
        serve(Served(TARGET), python, None, 20.0),
    ):
        pass


def test_a_warning_is_not_told_as_the_reason(tmp_path: Path) -> None:
    """vLLM warns of few open files with the words `OSError: [Errno 24]`, and goes on."""
    log = tmp_path / "log"
    warning = "WARNING fd limit errors like `OSError: [Errno 24] Too many open files`"
    log.write_text(f"{warning}\nValueError: the draft does not fit\nINFO bye\n")
    assert last_lines(log).startswith("ValueError: the draft does not fit (log")
    log.write_text(f"{warning}\nINFO loading weights\n")
    assert "INFO loading weights" in last_lines(log)


def test_silence_ends_at_the_deadline(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_VLLM", "never-answers")
    with (
        pytest.raises(InputError, match=r"did not answer within 0.5 s"),
        serve(Served(TARGET), python, None, 0.5),
    ):
        pass


def test_a_taken_port_is_refused(python: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(InputError, match=rf"port {port} is taken"),
            serve(Served(TARGET, port=port), python),
        ):
            pass


def test_a_missing_vllm_is_told(
    python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    with pytest.raises(InputError, match=PYTHON_VARIABLE):
        find_python(None)
    with pytest.raises(InputError, match=r"cannot run the interpreter .*No such file"):
        find_python(str(tmp_path / "nowhere"))
    monkeypatch.setenv(PYTHON_VARIABLE, python)
    assert find_python(None) == python
    monkeypatch.setenv("FAKE_VLLM", "absent")
    with pytest.raises(InputError, match="has no vLLM"):
        find_python(None)


def test_configurations_are_in_vllms_words() -> None:
    assert speculative_config(None, None) is None
    assert speculative_config("draft-model", 4, DEFAULT_DRAFT) == {
        "method": "draft_model", "model": str(ZOO / DEFAULT_DRAFT), "num_speculative_tokens": 4,
    }  # fmt: skip
    assert speculative_config("ngram", 3, max_ngram=4, min_ngram=2) == {
        "method": "ngram", "num_speculative_tokens": 3,
        "prompt_lookup_max": 4, "prompt_lookup_min": 2,
    }  # fmt: skip


def test_vllms_own_configuration_is_taken_as_it_is(tmp_path: Path) -> None:
    config = {"method": "eagle", "model": DEFAULT_DRAFT, "num_speculative_tokens": 2}
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    for given in (str(file), json.dumps(config)):
        found = configuration(given, None, None, None, (3, 1))
        assert found == {**config, "model": str(ZOO / DEFAULT_DRAFT)}
    with pytest.raises(InputError, match="no JSON object"):
        configuration("{", None, None, None, (3, 1))
    with pytest.raises(InputError, match="must be a JSON object, not 3"):
        configuration("3", None, None, None, (3, 1))
    with pytest.raises(InputError, match="says it all"):
        configuration(str(file), "ngram", 2, None, (3, 1))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("eagle", 4), "method must be one of draft-model, ngram, not 'eagle'"),
        (("ngram", 0), "at least 1, not 0"),
        (("ngram", 4, "x"), "leave out the draft"),
        (("ngram", 4, None, 2, 3), "1 to 2 tokens, not 3"),
        (("draft-model", 4), "needs a draft"),
        (("draft-model", 4, "no-such-model"), "no model 'no-such-model'"),
        ((None, 4), "need --method"),
    ],
)
def test_impossible_configurations_are_refused(arguments: tuple, told: str) -> None:
    with pytest.raises(InputError, match=told):
        speculative_config(*arguments)


def test_the_command_stays_until_it_is_interrupted(python: str) -> None:
    command = [
        sys.executable, "-m", "app.cli", "serve-vllm", "--method", "ngram",
        "--num-draft-tokens", "2", "--python", python,
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=ZOO.parents[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as shown:
        assert shown.stdout is not None
        url = shown.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
            assert 'position="1"' in answer.read().decode()
        shown.send_signal(signal.SIGINT)
        assert shown.wait(timeout=20) == 0
    time.sleep(0.1)
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{url}/health", timeout=1)
