"""Windows of drafts that are drawn: the engine's rounds, every draft and every coin enumerated."""

from collections.abc import Callable

import numpy as np
import pytest

from engine.decode import Request, decode_speculative
from engine.drafters.base import Drafter
from engine.drafters.diffusion import DiffusionDrafter
from engine.drafters.language_model import LanguageModelDrafter
from engine.drafters.lookup import LookupDrafter
from engine.drafters.ngram import NgramDrafter
from engine.drafters.staged import StagedDrafter
from engine.randomness import Randomness
from engine.rules import Rejection, RuleName
from engine.sampling import Sampling
from engine.trees import Shape, Tree
from profiler.methods import Method
from profiler.own_text import write_alone
from profiler.position_laws import PositionLaws
from profiler.windows import Window, is_exact, method_windows
from tests.engine.test_diffusion import Oracle
from tests.engine.test_heads import drafter_of, toy_heads
from tests.engine.test_ngram import small_ngram
from tests.laws import PROMPT, Branching, TableModel, exact_law

VOCAB, LENGTH = 3, 3
PLAIN, WARPED = Sampling(1.0), Sampling(0.7, top_k=2)
PAIRS = Tree((-1, -1, 0, 0))  # both children of the first child, none of the second
TARGET = TableModel(1)


def model() -> TableModel:
    return TableModel(101)


def diffusion(steps: int, acceptance: str = "left_to_right") -> DiffusionDrafter:
    return DiffusionDrafter(Oracle(model()), steps, acceptance)  # type: ignore[arg-type]


Make = Callable[[], Drafter]
CASES: dict[str, tuple[Make, Shape, RuleName]] = {
    "chain": (lambda: LanguageModelDrafter(model()), Tree.chain(2), "rejection"),  # type: ignore[arg-type]
    "block": (lambda: LanguageModelDrafter(model()), Tree.chain(2), "block"),  # type: ignore[arg-type]
    "tree": (lambda: LanguageModelDrafter(model()), PAIRS, "rejection"),  # type: ignore[arg-type]
    "n-gram": (lambda: NgramDrafter(small_ngram(VOCAB), sampled=True), PAIRS, "rejection"),
    "n-gram, block": (
        lambda: NgramDrafter(small_ngram(VOCAB), sampled=True), Tree.chain(2), "block",
    ),
    "n-gram guesses": (lambda: NgramDrafter(small_ngram(VOCAB)), PAIRS, "rejection"),
    "lookup": (LookupDrafter, Tree.chain(2), "rejection"),
    "medusa": (lambda: drafter_of(toy_heads("medusa", 3)), PAIRS, "rejection"),
    "medusa, block": (lambda: drafter_of(toy_heads("medusa", 3)), Tree.chain(2), "block"),
    "hydra": (lambda: drafter_of(toy_heads("hydra", 3)), PAIRS, "rejection"),
    "mtp": (lambda: drafter_of(toy_heads("mtp", 3)), PAIRS, "rejection"),
    "diffusion": (lambda: diffusion(1), PAIRS, "rejection"),
    "diffusion, two steps": (lambda: diffusion(2), Tree.chain(2), "rejection"),
    "diffusion, hybrid": (lambda: diffusion(2, "hybrid"), Tree.chain(2), "rejection"),
}  # fmt: skip
STAGED: dict[str, tuple[Make, Shape, RuleName]] = {
    "staged": (
        lambda: StagedDrafter(TableModel(101, 2), LookupDrafter(), Tree.chain(1)),  # type: ignore[arg-type]
        Tree.chain(2), "rejection",
    ),
    "staged tree": (
        lambda: StagedDrafter(TableModel(101, 2), LookupDrafter(), Tree.chain(1)),  # type: ignore[arg-type]
        Tree((-1, -1, 0)), "rejection",
    ),
}  # fmt: skip


def starts_by_text(
    target: TableModel, make: Make, shape: Shape, rule: RuleName, sampling: Sampling
) -> dict[tuple[int, ...], np.ndarray]:
    """P(a round starts at t | text) [LENGTH] of every text, from all the engine's outcomes."""
    request = Request(PROMPT, LENGTH, sampling)

    def program(randomness: Randomness) -> tuple[tuple[int, ...], tuple[int, ...]]:
        judge = Rejection(sampling, randomness, block=rule == "block")
        done = decode_speculative(target, make(), request, shape, rule=judge)  # type: ignore[arg-type]
        return tuple(done.tokens), tuple(r.start for r in done.rounds)

    weight: dict[tuple[int, ...], float] = {}
    starts: dict[tuple[int, ...], np.ndarray] = {}
    for (text, begun), chance in exact_law(program).items():  # type: ignore[misc]
        weight[text] = weight.get(text, 0.0) + chance
        row = starts.setdefault(text, np.zeros(LENGTH))
        row[list(begun)] += chance
    return {text: starts[text] / total for text, total in weight.items() if total > 0}


def renewal(windows: list[Window]) -> np.ndarray:
    """P(a round starts at t) [num_positions], one round after the other."""
    start = np.zeros(len(windows) + 1)
    start[0] = 1.0
    for position, window in enumerate(windows):
        exactly = -np.diff([*window.survival, 0.0])
        for kept, chance in enumerate(exactly):
            if chance > 0:
                start[position + kept + 1] += start[position] * chance
    return start[:-1]


def windows_along(
    target: TableModel, method: Method, text: tuple[int, ...], sampling: Sampling
) -> list[Window]:
    request = Request(PROMPT, LENGTH, sampling)
    script = Rejection(sampling, Branching(list(text)))
    own = write_alone(target, request, script)  # type: ignore[arg-type]
    assert tuple(own.tokens.tolist()) == text
    return list(method_windows(target, method, PositionLaws(own, 2)))  # type: ignore[arg-type]


@pytest.mark.parametrize("sampling", [PLAIN, WARPED], ids=lambda s: s.label)
@pytest.mark.parametrize("case", [*CASES, *STAGED])
def test_starts_given_any_text_are_the_engines(case: str, sampling: Sampling) -> None:
    target = TARGET if case in CASES else TableModel(1, 2)
    make, shape, rule = {**CASES, **STAGED}[case]
    method = Method(case, {}, make(), shape, rule)
    assert is_exact(method, Request(PROMPT, LENGTH, sampling))
    wanted = starts_by_text(target, make, shape, rule, sampling)
    assert len(wanted) > 3
    for text, starts in wanted.items():
        got = renewal(windows_along(target, method, text, sampling))
        assert got == pytest.approx(starts, abs=1e-9), text


def test_block_windows_are_not_those_of_token_by_token_judging() -> None:
    """Negative control of the test above: the wrong rule's windows miss."""
    make, shape, _ = CASES["block"]
    wrong = Method("chain", {}, make(), shape, "rejection")
    wanted = starts_by_text(TARGET, make, shape, "block", PLAIN)
    misses = [
        np.abs(renewal(windows_along(TARGET, wrong, text, PLAIN)) - starts).max()
        for text, starts in wanted.items()
    ]
    assert max(misses) > 0.01
