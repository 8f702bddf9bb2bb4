"""Choosing among predictions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.choice import Candidate, Constraints, choose, pareto_front
from simulator.prediction import Fidelities, Prediction


def prediction(speedup: float, drafts: int = 4, spread: float = 0.02, seed: int = 0) -> Prediction:
    samples = speedup * np.exp(spread * np.random.default_rng(seed).standard_normal(200))
    return Prediction(
        num_draft_tokens=drafts,
        tau=Fidelities(2, 2, 2),
        speedup=Fidelities(speedup, speedup, speedup),
        speedup_low=float(np.quantile(samples, 0.05)),
        speedup_high=float(np.quantile(samples, 0.95)),
        confidence=0.9,
        speedup_samples=samples,
        rounds_per_prompt=np.array([50.0]),
        num_tokens=100,
        draft_efficiency=50 / (50 * drafts) if drafts else 0.0,
        round_seconds=1.0,
        round_seconds_by_stage={"target": 1.0},
        autoregressive_seconds=1.0,
        autoregressive_seconds_by_stage={"target": 1.0},
        provenance={"measured": 1.0},
    )


def candidate(name: str, speedup: float, drafts: int = 4, **fields: object) -> Candidate:
    seed = fields.pop("seed", 0)
    return Candidate(name, "{}", prediction(speedup, drafts, seed=seed), **fields)  # type: ignore[arg-type]


def test_the_fastest_is_best_and_what_cannot_be_told_apart_is_listed() -> None:
    fast = candidate("fast", 2.0, seed=1)
    close = candidate("close", 1.99, seed=2)
    slow = candidate("slow", 1.5, seed=3)
    made = choose([slow, close, fast])
    assert made.best is fast
    assert made.ranking == (fast, close, slow)
    assert made.indistinguishable == (close,)
    assert made.advice == "speculate"
    # on shared resamples a difference of half a percent is seen
    paired = choose([replace(close, prediction=prediction(1.99, seed=1)), fast])
    assert paired.indistinguishable == ()


def test_speculation_that_does_not_pay_is_not_advised() -> None:
    made = choose([candidate("a", 0.9), candidate("b", 0.99)])
    assert made.best is None and made.advice == "do not speculate"
    assert choose([candidate("a", 1.01)]).advice == "cannot tell"


def test_constraints_refuse_with_a_reason() -> None:
    lossy = candidate("typical", 3.0, lossless=False)
    tree = candidate("tree", 2.5, 16, shape="tree")
    big = candidate("big", 2.2, memory_bytes=5e8)
    chain = candidate("chain", 2.0, memory_bytes=1e7)
    unknown = candidate("unknown", 2.1)
    rules = Constraints(chain_only=True, max_memory_bytes=1e8)
    made = choose([lossy, tree, big, unknown, chain], rules)
    assert made.best is chain
    assert [reason for _, reason in made.refused] == [
        "changes the law of the text",
        "needs tree attention",
        "needs 500 MB beside the target, more than 100 MB",
        "what it needs beside the target was not recorded",
    ]
    wide = choose([tree, chain], Constraints(max_verify=8))
    assert wide.refused[0][1] == "verifies 17 tokens a round, more than 8"
    assert choose([lossy, chain], Constraints(lossless_only=False)).best is lossy
    assert choose([tree], Constraints(max_verify=1)).best is None


@given(st.lists(st.tuples(st.floats(0.5, 3), st.integers(1, 16)), min_size=1, max_size=12))
def test_the_front_holds_exactly_what_nothing_beats_twice(points: list[tuple[float, int]]) -> None:
    candidates = [candidate(str(i), s, n) for i, (s, n) in enumerate(points)]
    front = pareto_front(candidates)
    for one in candidates:
        beaten = any(
            o.speedup >= one.speedup and o.work <= one.work and (o.speedup, o.work) != (
                one.speedup, one.work,
            )
            for o in candidates
        )  # fmt: skip
        same = any((f.speedup, f.work) == (one.speedup, one.work) for f in front)
        assert same == (not beaten)


def test_work_counts_what_the_target_computes_per_token() -> None:
    assert candidate("chain", 2.0, 4).work == pytest.approx((50 * 4 + 50) / 100)


def test_bad_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 candidate, not 0"):
        choose([])
    with pytest.raises(ValueError, match="max_verify"):
        Constraints(max_verify=0)
    with pytest.raises(ValueError, match="max_memory_bytes must be >= 0, not -1"):
        Constraints(max_memory_bytes=-1)
