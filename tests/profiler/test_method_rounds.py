"""Rounds of every method, timed in blocks; and which of it a profile has yet to do."""

import pandas as pd
import pytest

from engine.sampling import Sampling
from measurements import as_rounds, canonical_parameters
from profiler.jobs import Block, Done, MethodBlock, MethodTrace, Trace, all_jobs
from profiler.method_rounds import NOT_KEPT, PLAIN_ROWS, ROW, ROW_TOKENS, time_methods
from profiler.methods import AUTOREGRESSIVE, Method
from profiler.stages import StagePlan
from tests.profiler.method_kinds import methods_of
from tests.tiny_models import tiny_pair

PROMPT = [3, 17, 42, 5, 9]


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(1.0)], ids=lambda s: s.label)
def test_a_block_times_a_row_of_every_method(sampling: Sampling) -> None:
    target, draft = tiny_pair(num_key_value_heads=4)  # type: ignore[arg-type]
    methods = [AUTOREGRESSIVE, *methods_of(target, draft)]
    frame = time_methods(target, methods, PROMPT, 40, 3, sampling, 0, limit=256)
    as_rounds(frame)
    assert set(frame["method"]) == {m.name for m in methods}
    assert frame["block"].eq(3).all()
    assert frame["context"].between(39 + NOT_KEPT, 39 + ROW_TOKENS).all()
    assert not frame.duplicated(["method", "round", "stage"]).any()  # summed within a round
    for name, mine in frame.groupby("method"):
        wide = mine.pivot(index="round", columns="stage", values="seconds")
        rows = PLAIN_ROWS if name == "autoregressive" else 1
        kept = {k * ROW + i for k in range(rows) for i in range(NOT_KEPT, ROW)}
        assert set(wide.index) <= kept and wide.index.max() >= (rows - 1) * ROW
        assert (wide.drop(columns="round").sum(axis=1) <= wide["round"] + 1e-9).all()
        drafted = mine.groupby("round")["num_drafted"].first()
        stages = set(mine["stage"])
        if name == "autoregressive":
            assert drafted.eq(0).all() and stages == {"target", "sampling", "round"}
        if name == "chain":
            assert drafted.between(1, 6).all() and "draft" in stages
        if name == "staged":
            assert "ngram" in stages  # a level of its own


def test_a_row_ends_with_its_text_and_its_last_rounds_are_cut() -> None:
    """A draft that is the target keeps all: 7 tokens a round, so the eighth round ends the row."""
    target, _ = tiny_pair(num_key_value_heads=4)  # type: ignore[arg-type]
    (perfect,) = (m for m in methods_of(target, target) if m.name == "chain")
    frame = time_methods(target, [perfect], PROMPT, 40, 0, Sampling(), 0, limit=256)
    assert frame.groupby("round")["num_drafted"].first().to_dict() == dict.fromkeys(range(4, 8), 6)
    near = time_methods(target, [perfect], PROMPT, 40, 0, Sampling(), 0, limit=40 + 30)
    assert near.groupby("round")["num_drafted"].first().to_dict() == {4: 1}


STAGES = StagePlan(contexts=(24, 96), blocks=2)
SAMPLINGS = (Sampling(), Sampling(0.5), Sampling(1.0))


def test_work_of_all_kinds_is_spread_over_the_profile() -> None:
    jobs = all_jobs(SAMPLINGS, SAMPLINGS[:2], STAGES, num_prompts=5, method_blocks=3)
    assert [type(job) for job in jobs[:4]] == [Block] * 4  # warm-up, every context and mode
    counts = {kind: sum(isinstance(j, kind) for j in jobs[4:]) for kind in KINDS}
    assert counts == {Block: 2 * 2 * 2, Trace: 15, MethodTrace: 15, MethodBlock: 2 * 2 * 3}
    half = jobs[4 : 4 + (len(jobs) - 4) // 2]
    for kind, count in counts.items():
        assert abs(sum(isinstance(j, kind) for j in half) - count / 2) <= 1
    assert {(j.context, j.index) for j in jobs if isinstance(j, MethodBlock)} == {
        (24, 0), (96, 1), (24, 2), (96, 3), (24, 4), (96, 5),
    }  # fmt: skip
    plain = all_jobs(SAMPLINGS, SAMPLINGS[:2], STAGES, 5, 0)
    assert plain == [job for job in jobs if isinstance(job, Block | Trace)]


KINDS = (Block, Trace, MethodTrace, MethodBlock)


def test_only_what_is_missing_is_measured_again() -> None:
    first, second = Method("chain", {"num_draft_tokens": 2}), Method("lookup", {})
    there = {"method": "chain", "parameters": canonical_parameters(first.parameters)}
    windows = pd.DataFrame([{**there, "sampling": "T0", "prompt": 1}] * 3)
    rounds = pd.DataFrame([{**there, "mode": "sampled", "block": 2}])
    done = Done.in_tables([], {"T0": [pd.DataFrame({"prompt": [4]})]}, [windows], [rounds])
    both = [first, second]
    assert done.missing(MethodTrace(Sampling(), 1), both) == [second]
    assert done.missing(MethodTrace(Sampling(), 0), both) == both
    assert done.missing(MethodTrace(Sampling(1.0), 1), both) == both
    assert done.missing(MethodBlock(Sampling(1.0), 24, 2), both) == [AUTOREGRESSIVE, second]
    assert done.missing(MethodBlock(Sampling(), 24, 2), both) == [AUTOREGRESSIVE, *both]
    assert Trace(Sampling(), 4) in done and Trace(Sampling(1.0), 4) not in done
