"""Transformers' decoding beside this project's: interleaved, resumable, timed by stages."""

from pathlib import Path

import pandas as pd
import pytest

from engine.sampling import Sampling
from profiler.measure import measure
from profiler.methods import AUTOREGRESSIVE, chain
from profiler.run import ProfilePlan
from profiler.run_log import RunLog
from profiler.setting_row import setting_row
from profiler.stages import StagePlan
from profiler.traces import trace_prompt
from profiler.transformers_methods import (
    NOT_KEPT,
    ROUNDS,
    time_transformers_block,
    transformers_methods,
)
from simulator.calibration import Calibration, predict_chain
from tests.tiny_models import tiny_pair

PROMPTS = [[5, 9, 2, 7, 5, 9, 2], [11, 30, 5, 9, 11, 30]]


def test_both_engines_in_one_log_and_each_over_its_own_baseline(tmp_path: Path) -> None:
    target, draft = tiny_pair(noise=0.3)
    plan = ProfilePlan((Sampling(), Sampling(1.0)), 24)
    methods = [chain(draft, 3), *transformers_methods(target, draft, (3,), (5,))]
    log = RunLog(tmp_path / "decodes.jsonl", {"of": "this test"})
    runs = measure(target, PROMPTS, plan, methods, log=log)
    again = measure(target, PROMPTS, plan, methods, log=RunLog(log.path, {"of": "this test"}))
    assert again == runs
    first, second = ([r.method for r in runs if r.prompt == p][:5] for p in (0, 1))
    assert set(first) == set(second) and first != second  # interleaved in rotating order

    greedy = [r for r in runs if r.sampling.greedy]
    for run in greedy:
        if run.method.name in ("autoregressive", "chain"):
            (ours,) = [
                r for r in greedy
                if r.prompt == run.prompt and r.method.name == run.method.name
                and r.method.engine == "speculens"
            ]  # fmt: skip
            assert (run.tokens, run.num_rounds, run.num_accepted, run.num_drafted) == (
                ours.tokens, ours.num_rounds, ours.num_accepted, ours.num_drafted,
            )  # fmt: skip
    for method in dict.fromkeys(r.method for r in runs):
        mine = [r for r in greedy if r.method == method]
        row = setting_row(mine, runs)
        assert row["identical_texts"] == {"same": 2, "texts": 2}
        plain = [r for r in greedy if r.method == method.baseline]
        assert {r.method.engine for r in plain} == {method.engine} and len(plain) == 2
        seconds = [sum(r.seconds for r in each) for each in (plain, mine)]
        assert row["speedup"]["low"] <= seconds[0] / seconds[1] <= row["speedup"]["high"]
        assert 0 < sum(row["time_split"].values()) <= 1 + 1e-9
    assert AUTOREGRESSIVE.baseline == AUTOREGRESSIVE


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(1.0)])
def test_its_own_stage_times_predict_it(sampling: Sampling) -> None:
    target, draft = tiny_pair(noise=0.3)
    plan = StagePlan((0, 1, 3), (24, 48), 4)
    blocks = [
        pd.DataFrame(
            list(time_transformers_block(
                target, draft, PROMPTS[0], context, block, plan, sampling, seed=0
            ))
        )
        for block in range(3)
        for context in plan.contexts
    ]  # fmt: skip
    stages = pd.concat(blocks)
    rounds = stages[stages["stage"] == "round"].groupby("num_draft_tokens")["seconds"].count()
    assert rounds[0] == len(blocks) * (ROUNDS - NOT_KEPT)
    assert set(rounds.index) == set(plan.draft_lengths)
    parts = stages[stages["stage"] != "round"]["seconds"].sum()
    whole = stages[stages["stage"] == "round"]["seconds"].sum()
    assert 0.9 < parts / whole <= 1
    run_plan = ProfilePlan((sampling,), 24)
    trace = pd.concat(
        [trace_prompt(target, draft, run_plan.request(p, sampling, i), i)
         for i, p in enumerate(PROMPTS)]
    )  # fmt: skip
    found = Calibration.from_tables(stages, trace, sampling.mode)
    predicted = predict_chain(found, 3, bootstrap=0)
    assert 1 <= predicted.tau.L2 <= 4 and predicted.speedup.L2 > 0
    if sampling.greedy:
        runs = measure(target, PROMPTS, run_plan, transformers_methods(target, draft, (3,)))
        mine = [r for r in runs if (r.method.engine, r.method.name) == ("transformers", "chain")]
        assert [r.num_rounds for r in mine] == pytest.approx(predicted.rounds_per_prompt)
