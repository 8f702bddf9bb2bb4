import multiprocessing
import time

import numpy as np
import pytest
import torch

from engine.decode import Request, decode_autoregressive
from engine.errors import InputError
from engine.sampling import Sampling, distribution
from measurements.tables import as_stages, as_trace
from profiler.ceilings import measure_ceilings
from profiler.lock import device_lock
from profiler.machine import fingerprint
from profiler.measure import measure
from profiler.methods import chain
from profiler.ratios import ratio_spread
from profiler.run import ProfilePlan
from profiler.stages import StagePlan, time_block
from profiler.traces import trace_prompt
from tests.tiny_models import tiny_pair

CPU = torch.device("cpu")
PROMPT = [3, 17, 42, 5, 9]


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.8, 9)], ids=lambda s: s.label)
def test_a_trace_is_the_autoregressive_text_with_both_distributions(sampling: Sampling) -> None:
    target, draft = tiny_pair(noise=0.3)
    request = Request(PROMPT, 30, sampling, seed=4)
    frame = trace_prompt(target, draft, request, prompt_index=7)
    as_trace(frame)  # columns, types and ranges of the record
    tokens = frame["token"].tolist()
    assert tokens == decode_autoregressive(target, request).tokens
    assert frame["context"].tolist() == list(range(5, 35))
    assert set(frame["prompt"]) == {7}
    with torch.inference_mode():
        ids = torch.tensor([PROMPT + tokens])
        p, q = (
            distribution(m.hf(input_ids=ids).logits[0, 4:-1], sampling) for m in (target, draft)
        )
        raw = draft.hf(input_ids=ids).logits[0, 4:-1].softmax(-1)
    rows = np.arange(30)
    assert np.allclose(frame["target_prob"], p.numpy()[rows, tokens], atol=1e-5)
    assert np.allclose(frame["draft_prob"], q.numpy()[rows, tokens], atol=1e-5)
    assert np.allclose(frame["overlap"], torch.minimum(p, q).sum(-1), atol=1e-5)
    assert (
        frame["draft_rank"] == [int((r > r[t]).sum()) for r, t in zip(raw, tokens, strict=True)]
    ).all()
    assert np.allclose(frame["draft_entropy"], -(raw * raw.log()).sum(-1), atol=1e-4)
    assert np.allclose(np.stack(frame["draft_top_probs"]), raw.topk(16).values, atol=1e-5)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(1.0)], ids=lambda s: s.label)
def test_a_block_times_a_row_of_rounds_of_every_draft_length(sampling: Sampling) -> None:
    target, draft = tiny_pair()
    plan = StagePlan(draft_lengths=(0, 1, 3, 6), contexts=(40,), blocks=2)
    rows = list(time_block(target, draft, PROMPT, 40, 1, plan, sampling, seed=0))
    import pandas as pd

    frame = pd.DataFrame(rows)
    as_stages(frame)
    rounds = frame[frame["stage"] == "round"]
    # the first rounds of each row are not kept
    assert sorted(rounds["num_draft_tokens"]) == [0] * 4 + [1] * 2 + [3] * 2 + [6] * 2
    for length in (1, 3, 6):
        mine = frame[frame["num_draft_tokens"] == length]
        counts = mine["stage"].value_counts()
        assert counts["draft"] == counts["draft_sampling"] == 2 * length
        assert counts["target"] == counts["verification"] == counts["commit"] == 2
        assert set(mine.loc[mine["stage"] == "target", "num_tokens"]) == {length + 1}
        stages = mine.loc[mine["stage"] != "round", "seconds"].sum()
        assert stages <= mine.loc[mine["stage"] == "round", "seconds"].sum() + 1e-9
    alone = set(frame.loc[frame["num_draft_tokens"] == 0, "stage"])
    assert alone == {"target", "sampling", "round"}
    assert frame["context"].between(39, 39 + 46).all()


def test_a_plan_shrinks_to_the_models_context() -> None:
    plan = StagePlan().fitted(1024)
    assert plan.contexts == (24, 96, 256, 512)
    small = StagePlan().fitted(96)
    assert sum(g + 1 for g in small.draft_lengths) <= 48
    assert small.contexts
    assert small.draft_lengths[:2] == (0, 1)
    with pytest.raises(InputError, match="a context of 4 tokens is too short"):
        StagePlan().fitted(4)


def test_measuring_interleaves_all_settings_on_every_prompt() -> None:
    target, draft = tiny_pair()
    plan = ProfilePlan((Sampling(), Sampling(1.0)), new_tokens=12)
    runs = measure(
        target, [PROMPT, PROMPT[:2]], plan, [chain(draft, 1), chain(draft, 4)], repeats=2
    )
    assert len(runs) == 2 * 3 + 2 * 2 * 3  # one pass at temperature 0, two above
    for first in range(0, len(runs), 3):
        block = runs[first : first + 3]
        assert len({(r.prompt, r.repeat, r.sampling) for r in block}) == 1
        assert {r.method.num_draft_tokens for r in block} == {0, 1, 4}
    for run in runs:
        assert len(run.tokens) == len(run.provenance) == 12
        assert sum(run.stage_seconds.values()) <= run.seconds
    greedy = [r for r in runs if r.sampling.greedy and r.prompt == 0]
    assert len({r.tokens for r in greedy}) == 1
    sampled = [
        r for r in runs if not r.sampling.greedy and r.prompt == 0 and not r.method.num_draft_tokens
    ]
    assert len({r.tokens for r in sampled}) == 2  # each repeat draws its own seeds


def _hold(seconds: float, ready) -> None:  # type: ignore[no-untyped-def]
    with device_lock(CPU):
        ready.set()
        time.sleep(seconds)


def test_two_measurements_never_use_one_device_at_once() -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=_hold, args=(1.0, ready))
    other.start()
    assert ready.wait(60)
    told: list[str] = []
    with device_lock(CPU, told.append):
        assert not other.is_alive() or other.join(5) is None
    other.join(10)
    assert told == ["another measurement is using cpu; waiting for it to end"]


def test_ceilings_and_fingerprint_describe_this_machine() -> None:
    ceilings = measure_ceilings(CPU, torch.float32, repeats=2)
    assert len(ceilings.flop_per_s) == len(ceilings.read_bandwidth_bytes_per_s) == 2
    assert 1e8 < ceilings.median_read_bandwidth_bytes_per_s < 1e13
    machine = fingerprint(CPU)
    assert machine.device == "cpu"
    assert machine.accelerator is None
    assert machine.torch == torch.__version__


def test_ratio_spread_covers_a_known_ratio_and_refuses_nothing_to_compare() -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(1, 2, 200)
    spread = ratio_spread(2 * base * rng.uniform(0.9, 1.1, 200), base)
    assert spread["low"] < 2 < spread["high"]
    assert spread["high"] - spread["low"] < 0.05
    with pytest.raises(ValueError, match="equally many times"):
        ratio_spread([], [])


def test_every_kind_of_host_work_is_timed_once() -> None:
    samplings = (Sampling(), Sampling(0.7), Sampling(1.0), Sampling(1.0, top_k=50))
    modes = ProfilePlan(samplings).modes()
    assert [s.label for s in modes] == ["T0", "T0.7", "T1-k50"]
    assert [s.mode for s in modes] == ["greedy", "sampled", "filtered"]
