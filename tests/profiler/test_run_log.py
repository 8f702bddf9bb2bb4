"""Decodes kept on disk: read back as they were, continued, refused when of something else."""

import json
from pathlib import Path

import pandas as pd
import pytest

from engine.errors import InputError
from engine.sampling import Sampling
from profiler.measure import measure
from profiler.methods import chain
from profiler.run import ProfilePlan
from profiler.run_log import RunLog
from profiler.runs import Run
from tests.tiny_models import tiny_pair

PROMPTS = [[5, 9, 2, 7], [3, 1]]
PLAN = ProfilePlan((Sampling(), Sampling(1.0)), new_tokens=10)
IDENTITY = {"prompts": "two", "new_tokens": 10}


class StoppedError(Exception):
    pass


def decode(log: RunLog | None, stop_after: int | None = None) -> list[Run]:
    target, draft = tiny_pair()
    timed = 0

    def between(prompt: list[int], sampling: Sampling) -> pd.DataFrame:
        nonlocal timed
        if timed == stop_after:
            raise StoppedError
        timed += 1
        return pd.DataFrame({"prompt_tokens": [len(prompt)], "sampling": [sampling.label]})

    return measure(target, PROMPTS, PLAN, [chain(draft, 3)], repeats=2, between=between, log=log)


def test_an_interrupted_measurement_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "state" / "decodes.jsonl"
    with pytest.raises(StoppedError):
        decode(RunLog(path, IDENTITY), stop_after=2)
    kept = path.read_text().splitlines()
    assert len(kept) == 1 + 2
    again = decode(RunLog(path, IDENTITY))
    assert path.read_text().splitlines()[:3] == kept
    whole = decode(None)
    assert [(r.prompt, r.repeat, r.sampling, r.method, r.tokens) for r in again] == [
        (r.prompt, r.repeat, r.sampling, r.method, r.tokens) for r in whole
    ]
    log = RunLog(path, IDENTITY)
    assert decode(log) == again  # nothing is measured twice: the very seconds come back
    assert sorted(log.between()["prompt_tokens"]) == [2, 2, 2, 4, 4, 4]


def test_a_line_cut_short_is_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "decodes.jsonl"
    decode(RunLog(path, IDENTITY))
    whole = path.read_text()
    path.write_text(whole[:-40])
    log = RunLog(path, IDENTITY)
    assert (1, 1, "T1") not in log
    decode(log)
    assert len(path.read_text().splitlines()) == len(whole.splitlines())
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_decodes_of_something_else_are_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "decodes.jsonl"
    decode(RunLog(path, IDENTITY))
    before = path.read_bytes()
    with pytest.raises(InputError, match="decodes with another new_tokens"):
        RunLog(path, {**IDENTITY, "new_tokens": 20})
    with pytest.raises(InputError, match="decodes with another seed"):
        RunLog(path, {**IDENTITY, "seed": 1})
    other = tmp_path / "notes.txt"
    other.write_text("not JSON\n")
    with pytest.raises(InputError, match="is not a log of decodes"):
        RunLog(other, IDENTITY)
    assert path.read_bytes() == before
