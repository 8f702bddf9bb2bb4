"""Does a sweep ask every server alike, keep what it has, and go on where it stopped?"""

import json
import time
from pathlib import Path

import pytest

from engine.errors import InputError
from profiler.completions import Endpoint, ServerError
from profiler.progress import Step
from profiler.server_log import SweepLog
from profiler.server_sweep import SweepPlan, open_session, sweep
from profiler.vllm_server import Server
from tests.profiler.fake_server import fake_server

PLAN = SweepPlan(("a", "bc", "def", "ghij"), 6, (1, 2))
IDENTITY = {"model": "python-13m", "new_tokens": 6}


def test_every_wave_goes_to_every_server(tmp_path: Path) -> None:
    log = SweepLog(tmp_path / "log.jsonl", IDENTITY)
    steps: list[Step] = []
    with fake_server(2) as (drafting, _), fake_server() as (plain, _):
        session = open_session([Endpoint(drafting), Endpoint(plain)], "python-13m")
        sweep(session, PLAN, log, steps.append)
    assert session.labels == ("plain", "K2")
    assert {(b, n) for _, b, n in log.units} == {(1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1)}
    assert [(s.done, s.total) for s in steps] == [(n, 6) for n in range(1, 7)]
    for (_, batch, number), unit in log.units.items():
        assert [wave.num_draft_tokens for wave in unit.waves] == [0, 2]
        for wave in unit.waves:
            assert wave.prompts == tuple(range(number * batch, (number + 1) * batch))
            assert all(len(answer.tokens) == 6 for answer in wave.answers)
        plain_wave, drafting_wave = unit.waves
        assert plain_wave.counted.drafts == 0
        assert drafting_wave.counted.drafts == sum(
            len(answer.sizes) - 1 for answer in drafting_wave.answers
        )
    assert SweepLog(log.path, IDENTITY).units == log.units


def test_local_servers_sleep_while_others_work(tmp_path: Path) -> None:
    def stopped(server: Server, wanted: bool) -> bool:
        """Whether its process comes to be stopped, or to run, as wanted: a signal takes a while."""
        for _ in range(100):
            state = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
            if (state[0] == "T") == wanted:
                return True
            time.sleep(0.02)
        return False

    seen: list[bool] = []
    with fake_server(2) as (url, drafting), fake_server() as (other, plain):
        servers = [Server(url, tmp_path, drafting), Server(other, tmp_path, plain)]
        local = {server.url: server for server in servers}
        session = open_session([Endpoint(url), Endpoint(other)], "python-13m", local)
        log = SweepLog(tmp_path / "log.jsonl", IDENTITY)
        sweep(session, PLAN, log, lambda _: seen.extend(stopped(s, True) for s in servers))
        assert len(log.units) == 6 and seen == [True] * 12
        assert all(stopped(server, False) for server in servers)


def test_a_death_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = SweepLog(path, IDENTITY)
    with fake_server() as (plain, _):
        with fake_server(2, "dies-at-7") as (drafting, _), pytest.raises(ServerError):
            sweep(open_session([Endpoint(drafting), Endpoint(plain)]), PLAN, log)
        kept = dict(log.units)
        assert 0 < len(kept) < 6
        with path.open("a") as file:
            file.write('{"number": 5, "ba')  # a line cut short by a crash
        again, steps = SweepLog(path, IDENTITY), list[Step]()
        with fake_server(2) as (drafting, _):
            sweep(open_session([Endpoint(drafting), Endpoint(plain)]), PLAN, again, steps.append)
    assert len(steps) == 6 - len(kept)
    assert {key: again.units[key] for key in kept} == kept
    assert len(again.units) == 6
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_servers_that_cannot_be_compared_are_refused() -> None:
    with fake_server() as (one, _), fake_server() as (other, _):
        with pytest.raises(ServerError, match="serves 'python-13m', not 'org/llama'"):
            open_session([Endpoint(one)], "org/llama")
        with pytest.raises(ServerError, match="does not speculate"):
            open_session([Endpoint(one)])
        with pytest.raises(ServerError, match="two servers are plain"):
            open_session([Endpoint(one), Endpoint(other)])


def test_an_answer_longer_than_the_server_takes_is_refused(tmp_path: Path) -> None:
    log = SweepLog(tmp_path / "log.jsonl", IDENTITY)
    with fake_server(1) as (url, _), pytest.raises(ServerError, match="takes 768 tokens"):
        sweep(open_session([Endpoint(url)]), SweepPlan(("a",), 800, (1,)), log)


def test_a_log_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    SweepLog(path, IDENTITY)
    with pytest.raises(InputError, match="another new_tokens"):
        SweepLog(path, {**IDENTITY, "new_tokens": 7})
    path.write_text("hello\n")
    with pytest.raises(InputError, match="not a log of a sweep"):
        SweepLog(path, IDENTITY)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ((("a",), 1, (1,)), "at least 2, not 1"),
        ((("a",), 4, (2,)), "1 to the 1 prompts, not 2"),
        ((("a",), 4, (0,)), "1 to the 1 prompts, not 0"),
    ],
)
def test_impossible_plans_are_refused(fields: tuple, told: str) -> None:
    with pytest.raises(InputError, match=told):
        SweepPlan(*fields)


def test_a_server_that_drafts_nothing_is_told(tmp_path: Path) -> None:
    log = SweepLog(tmp_path / "log.jsonl", IDENTITY)
    with (
        fake_server(2, "drafts-nothing") as (url, _),
        pytest.raises(ServerError, match="K = 2, but counted no draft in 6 waves"),
    ):
        sweep(open_session([Endpoint(url)]), PLAN, log)
