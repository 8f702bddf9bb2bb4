"""Measuring for the transfer tests: what is kept, and how an interrupted run goes on."""

from pathlib import Path

import pytest

from engine.errors import InputError
from engine.model import wrap
from engine.prompts import Prompts
from measurements import scan
from profiler import transfer
from profiler.run import ProfilePlan
from profiler.stages import StagePlan
from profiler.transfer import TransferPlan, measure_transfer
from tests.tiny_models import noisy_copy, tiny_llama, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
TARGET = wrap("target", tiny_llama(vocab=len(TOKENIZER)), TOKENIZER)
DRAFT = wrap("draft", noisy_copy(TARGET.hf, 0.1), TOKENIZER)
FIRST = Prompts("first", ("for item in", "print(item)"))
OTHERS = Prompts("others", tuple(f"def add{i}(" for i in range(5)))
SHORT = ProfilePlan(new_tokens=8, stages=StagePlan(blocks=2))


def plan(*questions: str) -> TransferPlan:
    return TransferPlan(questions, 2, (2,), 1, SHORT)


def go(root: Path, wanted: TransferPlan, **others: Prompts):  # type: ignore[no-untyped-def]
    return measure_transfer(TARGET, DRAFT, FIRST, others.get("others", OTHERS), wanted, root)


def test_an_interrupted_study_goes_on_where_it_stopped(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Stopped after the first block and again between two chunks of decodes."""
    real = {name: getattr(transfer, name) for name in ("time_grid_block", "measure")}
    calls = {"time_grid_block": 0, "measure": 0}

    def stopping(name: str, last: int):  # type: ignore[no-untyped-def]
        def run(*args, **kwargs):  # type: ignore[no-untyped-def]
            calls[name] += 1
            if calls[name] > last:
                raise KeyboardInterrupt
            return real[name](*args, **kwargs)

        monkeypatch.setattr(transfer, name, run)

    wanted = plan("context", "prompts")
    for name, last in (("time_grid_block", 2), ("measure", 1)):
        stopping(name, last)
        with pytest.raises(KeyboardInterrupt):
            go(tmp_path, wanted)
        monkeypatch.setattr(transfer, name, real[name])
    path, record = go(tmp_path, wanted)
    assert not record.complete and [p for p, _ in scan(tmp_path).studies] == [path]
    timed = record.tables["stage times"]
    assert len(timed) == 2 * 15  # two blocks of 5 numbers of tokens at 3 contexts, none twice
    keys = [(row["block"], row["num_tokens"], row["context"]) for row in timed]
    assert len(set(keys)) == len(keys)
    assert len(record.tables["models"]) == 1 and len(record.tables["profiles"]) == 1
    decoded = [
        (row["prompt"], row["sampling"], row["num_draft_tokens"])
        for row in record.tables["decodes"]
    ]
    assert sorted(decoded) == sorted(
        (p, s, g) for p in range(5) for s in ("T0", "T1") for g in (0, 2)
    )
    assert all(row["num_tokens"] == 8 for row in record.tables["decodes"])


def test_another_plan_or_other_prompts_begin_anew(tmp_path: Path) -> None:
    first, _ = go(tmp_path, plan("context"))
    assert go(tmp_path, plan("context"))[0] == first
    assert go(tmp_path, plan("batch"))[0] != first
    assert go(tmp_path, plan("context"), others=FIRST)[0] != first


def test_bad_plans_and_too_few_prompts_are_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match="questions must be of sizes, context, batch, prompts"):
        plan("colour")
    with pytest.raises(InputError, match="blocks must be at least 1, not 0"):
        TransferPlan(blocks=0)
    with pytest.raises(InputError, match="need at least 2 prompts, one gives 1"):
        go(tmp_path, plan("prompts"), others=Prompts("one", ("for",)))
    assert not list(tmp_path.iterdir())
