"""Speeds from decodes whose times are chosen, so that the answer is known."""

import pytest

from engine.sampling import Sampling
from profiler.methods import AUTOREGRESSIVE, Method
from profiler.runs import Run
from profiler.setting_speed import speed_of, speed_ratio

STEP, ROUND, DRAFT = 0.01, 0.016, 0.004


def run(prompt: int, tokens: int, rounds: int, seconds: float, drafting: float = 0.0) -> Run:
    method = Method("chain") if drafting else AUTOREGRESSIVE
    stages = {"draft": 0.75 * drafting, "draft_sampling": 0.25 * drafting, "target": seconds / 2}
    return Run(
        prompt, 0, Sampling(), method, (1,) * tokens, ("target",) * tokens, rounds,
        tokens - rounds, 4 * rounds, seconds, 0.0, stages,
    )  # fmt: skip


def decodes(slow: float = 1.0) -> tuple[list[Run], list[Run]]:
    """Five prompts of 20 tokens in 5 to 10 rounds; ``slow`` stalls one of them."""
    rounds = [5, 8, 10, 5, 8]
    stalls = [1.0, 1.0, slow, 1.0, 1.0]
    mine = [
        run(i, 20, n, ROUND * n * s, DRAFT * n * s)
        for i, (n, s) in enumerate(zip(rounds, stalls, strict=True))
    ]
    return mine, [run(i, 20, 20, STEP * 20) for i in range(5)]


def test_speedup_is_tokens_per_round_over_overhead() -> None:
    found = speed_of(*decodes())
    assert found["tau"] == pytest.approx(100 / 36)
    assert found["accepted_per_draft"] == pytest.approx(64 / 36)
    assert found["overhead"] == pytest.approx(ROUND / STEP)
    assert found["speedup"] == pytest.approx(100 / 36 * STEP / ROUND)
    assert found["speedup_low"] < found["speedup"] < found["speedup_high"]
    assert (found["draft_s"], found["target_s"]) == pytest.approx((DRAFT, ROUND / 2))


def test_a_stall_on_one_prompt_changes_nothing_but_the_interval() -> None:
    quiet, stalled = speed_of(*decodes()), speed_of(*decodes(slow=500.0))
    low = {"speedup_low", "speedup_high"}
    assert {k: v for k, v in stalled.items() if k not in low} == pytest.approx(
        {k: v for k, v in quiet.items() if k not in low}
    )


def test_a_setting_that_takes_twice_as_long_is_half_as_fast_for_certain() -> None:
    mine, plain = decodes()
    twice = [run(r.prompt, 20, r.num_rounds, 2 * r.seconds, DRAFT) for r in mine]
    found = speed_ratio(twice, mine, plain)
    assert list(found.values()) == pytest.approx([0.5, 0.5, 0.5])


def test_unpaired_decodes_are_refused() -> None:
    mine, plain = decodes()
    with pytest.raises(ValueError, match="5 and 4"):
        speed_of(mine, plain[:4])
    with pytest.raises(ValueError, match="at least 1: 0 and 0"):
        speed_of([], [])
