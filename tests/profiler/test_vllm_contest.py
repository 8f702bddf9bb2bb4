"""vLLM as a contestant: servers that sleep until they are asked; a stand-in, and the real one."""

import json
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.cli import main
from engine.decode import Request, decode_autoregressive
from engine.errors import InputError
from engine.model import load_model
from measurements import scan
from profiler import vllm_contest
from profiler.catalogue import catalogue
from profiler.methods import AUTOREGRESSIVE, chain
from profiler.vllm_contest import (
    VllmSetting,
    on_threads,
    our_contestants,
    vllm_contestants,
    vllm_settings,
)
from profiler.vllm_server import PYTHON_VARIABLE, Served, Server, serve
from tests.profiler.fake_vllm import fake_python, token
from tests.tiny_models import save_tiny_pair, tiny_pair

PROMPTS = [[5, 9, 2, 7], [11, 30, 5], [3, 1, 4, 1, 5]]


def test_ours_decode_alone_and_together_what_plain_decoding_writes() -> None:
    target, draft = tiny_pair(noise=0.3)
    alone = [decode_autoregressive(target, Request(p, 20)).tokens for p in PROMPTS]
    methods = [AUTOREGRESSIVE, chain(draft, 3), *catalogue(target, draft, ("lookup",))]
    for batch in (1, 3):
        those = our_contestants(target, draft, methods, batch, (2, 4))
        assert len({one.label for one in those}) == len(those)
        assert [one.method for one in those].count("autoregressive") == 1
        for one in those:
            for first in range(0, 3, batch):
                asked = PROMPTS[first : first + batch]
                assert one.decode(asked, 20) == alone[first : first + batch]


def test_settings_are_in_vllms_words() -> None:
    plain, *chains, last = vllm_settings((2, 6), (8,))
    assert plain.config("python-draft-2m") is None
    assert [one.label for one in chains] == ["chain γ 2", "chain γ 6"]
    config = chains[1].config("python-draft-2m")
    assert config is not None
    assert (config["method"], config["num_speculative_tokens"]) == ("draft_model", 6)
    lookup = last.config("python-draft-2m")
    assert lookup is not None and (last.label, lookup["method"]) == ("lookup γ 8", "ngram")


def test_threads_are_cpus_this_process_may_use() -> None:
    allowed = sorted(os.sched_getaffinity(0))
    ((name, bound),) = on_threads(len(allowed))
    assert name == "VLLM_CPU_OMP_THREADS_BIND" and bound == ",".join(map(str, allowed))
    for number in (0, len(allowed) + 1):
        with pytest.raises(InputError, match=f"threads must be in 1 to .*, not {number}"):
            on_threads(number)


def test_servers_sleep_until_they_are_asked(tmp_path: Path, monkeypatch) -> None:
    said: list[str] = []
    started: list[Server] = []

    @contextmanager
    def noted(*arguments, **named) -> Iterator[Server]:
        with serve(*arguments, **named) as server:
            started.append(server)
            yield server

    def answers(server: Server) -> bool:
        try:
            urllib.request.urlopen(f"{server.url}/health", timeout=0.5).close()
        except OSError:
            return False
        return True

    monkeypatch.setattr(vllm_contest, "serve", noted)
    settings = [VllmSetting("autoregressive"), VllmSetting("lookup", 4)]
    served = Served("python-13m")
    with vllm_contestants(
        settings, served, "python-draft-2m", fake_python(tmp_path), tmp_path, said.append
    ) as (those, version):
        assert version == "0.0.fake" and len(said) == 2
        assert not any(map(answers, started))
        for one, server in zip(those, started, strict=True):
            with one.awake():
                made = one.decode(PROMPTS, 6)
                assert [answers(each) for each in started] == [each is server for each in started]
            assert made == [[token("x" * len(p), at) for at in range(6)] for p in PROMPTS]
        assert not any(map(answers, started))
    for server in started:
        # woken to be ended: one that sleeps on would have to be killed
        assert server.process.returncode == -signal.SIGTERM


def test_the_command_takes_turns_with_a_stand_in_and_resumes(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    target, draft = save_tiny_pair(tmp_path, "llama")
    prompts = tmp_path / "prompts.jsonl"
    texts = ["def add(first, second):\n    return", "for item in range(", "print(item)\n"]
    prompts.write_text("\n".join(json.dumps({"prompt": text}) for text in texts))
    bench = [
        "speculens", "bench", "--against", "vllm", "--target", target, "--draft", draft,
        "--dtype", "float32", "--prompts", prompts, "--vllm-python", fake_python(tmp_path),
        "--new-tokens", 12, "--batch", 1, "--batch", 3, "--gamma", 2, "--lookup", 4,
        "--threads", 1, "--state", tmp_path / "state", "--out", tmp_path / "runs", "--json",
    ]  # fmt: skip
    results = []
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", list(map(str, bench)))
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        results.append(json.loads(capsys.readouterr().out))
    result, again = results
    assert again == result  # nothing was decoded again: the very same times
    assert {
        "autoregressive_vs_vllm", "best_vs_vllm", "autoregressive_vs_vllm_3", "best_vs_vllm_3",
    } == set(result["ratios"])  # fmt: skip
    assert result["threads"] == 1 and result["vllm"] == {"version": "0.0.fake", "eager": False}
    rows = [r for r in result["settings"] if (r["engine"], r["batch"]) == ("vllm", 3)]
    assert [r["setting"] for r in rows] == ["autoregressive", "chain γ 2", "lookup γ 4"]
    ours = [r for r in result["settings"] if r["engine"] == "speculens"]
    assert all(r["identical"] == 3 for r in ours)
    (_, record), _ = scan(tmp_path / "runs").studies
    assert record.name == "vllm" and set(record.tables) == {"ratios", "batch 1", "batch 3"}


@pytest.mark.vllm
@pytest.mark.skipif(
    PYTHON_VARIABLE not in os.environ, reason=f"{PYTHON_VARIABLE} names no interpreter with vLLM"
)
def test_the_real_one_writes_what_this_engine_writes(tmp_path: Path) -> None:
    target = load_model("python-13m", device="cpu", dtype="float32")
    assert target.tokenizer is not None
    texts = ["def add(first, second):\n    return", "for item in range("]
    prompts = [target.tokenizer(text)["input_ids"] for text in texts]
    alone = [decode_autoregressive(target, Request(p, 24)).tokens for p in prompts]
    served = Served("python-13m", dtype="float32", max_num_seqs=2)
    settings = [VllmSetting("autoregressive"), VllmSetting("chain", 3), VllmSetting("lookup", 4)]
    with vllm_contestants(
        settings, served, "python-draft-2m", os.environ[PYTHON_VARIABLE], tmp_path, print
    ) as (those, version):
        assert version
        for one in those:
            with one.awake():
                assert one.decode(prompts, 24) == alone
                assert one.decode(prompts[:1], 24) == alone[:1]
