"""The acceptance rules have exactly the target's output law.

Randomness is an argument of the rules, so the law can be computed without
sampling: between breakpoints of the uniforms a rule is constant. The grid
below holds every breakpoint that any correct or wrong rule here can have; one
evaluation of the engine's own code per cell, weighted by the cell's volume,
integrates the uniforms out exactly.
"""

import itertools
from collections.abc import Callable

import pytest
import torch

from engine.sampling import Sampling, distribution, draw
from engine.verification import verify_greedy, verify_sampled

VOCAB = 3
GAMMA = 2
Rule = Callable[..., torch.Tensor]


def tables(seed: int, sampling: Sampling) -> tuple[dict, dict]:
    """Random context-dependent target and draft laws: context tuple -> probabilities [VOCAB]."""
    generator = torch.Generator().manual_seed(seed)
    contexts = [c for n in range(GAMMA + 1) for c in itertools.product(range(VOCAB), repeat=n)]

    def law() -> torch.Tensor:
        logits = 1.5 * torch.randn(VOCAB, generator=generator, dtype=torch.float64)
        return distribution(logits, sampling)

    return {c: law() for c in contexts}, {c: law() for c in contexts}


def cells(breakpoints: list[float]) -> list[tuple[float, float]]:
    """(midpoint, width) of the cells that the breakpoints cut [0, 1) into."""
    edges = sorted({0.0, 1.0, *(b for b in breakpoints if 0 < b < 1)})
    return [((a + b) / 2, b - a) for a, b in itertools.pairwise(edges)]


def emitted_law(rule: Rule, target: dict, draft: dict) -> dict[tuple[int, ...], float]:
    """Joint law of the first GAMMA + 1 tokens: one round, completed from the target."""
    law = dict.fromkeys(itertools.product(range(VOCAB), repeat=GAMMA + 1), 0.0)
    for drafted in itertools.product(range(VOCAB), repeat=GAMMA):
        q = torch.stack([draft[drafted[:i]] for i in range(GAMMA)])
        p = torch.stack([target[drafted[:i]] for i in range(GAMMA + 1)])
        weight = float(torch.tensor([q[i, x] for i, x in enumerate(drafted)]).prod())
        if weight == 0:
            continue
        for (kept, token), share in round_law(rule, torch.tensor(drafted), q, p).items():
            prefix = (*drafted[:kept], token)
            for rest in itertools.product(range(VOCAB), repeat=GAMMA - kept):
                tail = 1.0
                for i, x in enumerate(rest):
                    tail *= float(target[prefix + rest[:i]][x])
                law[prefix + rest] += weight * share * tail
    return law


def round_law(
    rule: Rule, drafted: torch.Tensor, q: torch.Tensor, p: torch.Tensor
) -> dict[tuple[int, int], float]:
    """Law of (num_accepted, next token) of one round, uniforms integrated out."""
    ratios = [[float(p[i, x] / q[i, x])] for i, x in enumerate(drafted.tolist())]
    rows = [*p, *q, *(p[:-1] - q).clamp(min=0)]
    next_breaks = [float(b) for r in rows if r.sum() > 0 for b in r.cumsum(0) / r.sum()]
    grids = [cells(r) for r in ratios] + [cells(next_breaks)]
    result: dict[tuple[int, int], float] = {}
    for combination in itertools.product(*grids):
        *accept, last = (torch.tensor([m], dtype=torch.float64) for m, _ in combination)
        volume = 1.0
        for _, width in combination:
            volume *= width
        kept, token, finite = rule(drafted, q, p, torch.cat(accept), last).tolist()
        assert finite == 1
        result[kept, token] = result.get((kept, token), 0.0) + volume
    return result


def target_law(target: dict) -> dict[tuple[int, ...], float]:
    law = {}
    for sequence in itertools.product(range(VOCAB), repeat=GAMMA + 1):
        probability = 1.0
        for i, x in enumerate(sequence):
            probability *= float(target[sequence[:i]][x])
        law[sequence] = probability
    return law


def largest_difference(rule: Rule, target: dict, draft: dict) -> float:
    ours, wanted = emitted_law(rule, target, draft), target_law(target)
    return max(abs(ours[s] - wanted[s]) for s in wanted)


def without_residual(drafted, q, p, accept, last) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """The classic mistake: after a rejection draw from the target itself."""
    kept = verify_sampled(drafted, q, p, accept, last)[:1]
    return torch.cat([kept, draw(p.index_select(0, kept), last), torch.ones(1, dtype=torch.int64)])


SAMPLINGS = [Sampling(1.0), Sampling(0.6), Sampling(1.0, top_k=2), Sampling(1.2, top_p=0.8)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: s.label)
def test_speculative_sampling_has_the_targets_law_exactly(sampling: Sampling, seed: int) -> None:
    assert largest_difference(verify_sampled, *tables(seed, sampling)) < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_the_test_rejects_a_rule_without_the_residual_step(seed: int) -> None:
    assert largest_difference(without_residual, *tables(seed, Sampling(1.0))) > 1e-3


def test_identical_laws_accept_everything() -> None:
    target, _ = tables(0, Sampling(1.0))
    drafted = torch.tensor([0, 1])
    q = torch.stack([target[()], target[(0,)]])
    p = torch.stack([target[()], target[(0,)], target[(0, 1)]])
    law = round_law(verify_sampled, drafted, q, p)
    assert {kept for kept, _ in law} == {GAMMA}


@pytest.mark.parametrize("drafted", itertools.product(range(VOCAB), repeat=GAMMA))
def test_greedy_rule_is_the_sampled_rule_at_temperature_zero(drafted: tuple[int, ...]) -> None:
    logits = torch.randn(GAMMA + 1, VOCAB, generator=torch.Generator().manual_seed(5))
    p = distribution(logits.double(), Sampling())
    tokens = torch.tensor(drafted)
    q = torch.nn.functional.one_hot(tokens, VOCAB).double()
    half = torch.full((GAMMA,), 0.5, dtype=torch.float64)
    expected = verify_sampled(tokens, q, p, half, half[:1])
    assert verify_greedy(tokens, logits).tolist() == expected.tolist()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_logits_that_are_not_finite_are_flagged(bad: float) -> None:
    logits = torch.zeros(GAMMA + 1, VOCAB)
    logits[1, 2] = bad
    assert verify_greedy(torch.tensor([0, 0]), logits)[2] == 0
