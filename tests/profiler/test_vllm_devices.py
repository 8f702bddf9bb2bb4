"""Are servers on several devices started as vLLM asks, each worker with as many threads?"""

import os

import pytest

from engine.errors import InputError
from profiler.vllm_devices import THREADS_VARIABLE, on_devices, worker_threads
from profiler.vllm_server import Served

ONE = Served("python-13m", arguments=("--seed", "1"), environment=(("A", "b"),))


@pytest.fixture(autouse=True)
def four_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 3, 5, 7})
    monkeypatch.delenv(THREADS_VARIABLE, raising=False)


def test_a_degree_is_an_argument_and_one_is_none() -> None:
    assert on_devices(ONE, 1) == ONE
    two = on_devices(ONE, 2)
    assert two.arguments == ("--seed", "1", "--tensor-parallel-size", "2")
    assert two.environment == ONE.environment
    command = two.command("python", 1)
    assert command[command.index("--tensor-parallel-size") + 1] == "2"


def test_every_worker_has_the_threads_it_has_where_most_are() -> None:
    assert dict(on_devices(ONE, 1, 2).environment) == {"A": "b", THREADS_VARIABLE: "2,3"}
    assert worker_threads(2, 2) == ((THREADS_VARIABLE, "2,3|5,7"),)
    assert worker_threads(3, 4) == ((THREADS_VARIABLE, "2|3|5"),)
    assert worker_threads(8, 8) == ()  # beside GPUs there may be more workers than CPUs


def test_what_the_user_says_of_threads_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "nobind")
    assert on_devices(ONE, 2, 2).environment == ONE.environment


@pytest.mark.parametrize(("degree", "most"), [(0, None), (4, 2)])
def test_degrees_that_cannot_be_are_refused(degree: int, most: int | None) -> None:
    with pytest.raises(InputError, match=f"must be in 1 to .*, not {degree}"):
        on_devices(ONE, degree, most)
