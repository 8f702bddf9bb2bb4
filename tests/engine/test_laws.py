"""Every method has exactly the target's law over texts; every outcome is played out.

The whole engine runs: the loop, the drafter with its cache, the rule. Three
tokens are more than one round, so what a round leaves behind is tested too.
"""

import pytest
import torch

from engine import verification
from engine.drafters.language_model import LanguageModelDrafter
from engine.rules import Match, Rejection, Typical
from engine.sampling import Sampling, distribution
from engine.trees import Growth, Shape, Tree
from engine.verification import Kept
from tests import laws
from tests.laws import TableModel, autoregressive_error, exact_law, largest_error

SAMPLINGS = [Sampling(1.0), Sampling(0.6), Sampling(1.0, top_k=2), Sampling(1.2, top_p=0.8)]
PLAIN = Sampling(1.0)
EXACT = 1e-12

TREES: dict[str, Shape] = {
    "two siblings": Tree((-1, -1)),
    "three siblings": Tree((-1, -1, -1)),
    "uneven": Tree((-1, -1, 0)),
    "two levels": Tree((-1, -1, 0, 1)),
    "grown": Growth(budget=3, depth=2, beam=2, width=2),
}


@pytest.fixture(params=["walk", "device"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged along the walk, as on a CPU, and all at once, as where reading is dear."""
    monkeypatch.setattr("engine.rules.reads_are_free", lambda tensor: request.param == "walk")


def drafter(seed: int) -> LanguageModelDrafter:
    return LanguageModelDrafter(TableModel(seed + 100))  # type: ignore[arg-type]


def error(
    seed: int, shape: Shape, num_tokens: int = 3, sampling: Sampling = PLAIN, rule=None
) -> float:  # type: ignore[no-untyped-def]
    return largest_error(TableModel(seed), lambda: drafter(seed), shape, num_tokens, sampling, rule)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: s.label)
def test_autoregressive_decoding(sampling: Sampling) -> None:
    assert autoregressive_error(TableModel(0), 3, sampling) < EXACT


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: s.label)
def test_chain(sampling: Sampling, seed: int, reading: None) -> None:
    assert error(seed, Tree.chain(2), 3, sampling) < EXACT


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sampling", SAMPLINGS[:3], ids=lambda s: s.label)
def test_block_verification(sampling: Sampling, seed: int) -> None:
    def rule(randomness):  # type: ignore[no-untyped-def]
        return Rejection(sampling, randomness, block=True)

    assert error(seed, Tree.chain(2), 3, sampling, rule) < EXACT


@pytest.mark.parametrize("candidates", [1, 2])
def test_drafting_only_the_likeliest_candidates(candidates: int, reading: None) -> None:
    def rule(randomness):  # type: ignore[no-untyped-def]
        return Rejection(PLAIN, randomness, candidates=candidates)

    assert error(1, Tree.chain(2), 3, PLAIN, rule) < EXACT
    assert error(1, Tree((-1, -1, 0)), 3, PLAIN, rule) < EXACT


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", TREES.values(), ids=TREES)
def test_tree_drawn_without_replacement(shape: Shape, seed: int, reading: None) -> None:
    assert error(seed, shape, 2) < EXACT


def test_tree_drawn_without_replacement_over_two_rounds(reading: None) -> None:
    assert error(0, Tree((-1, -1)), 3) < EXACT
    assert error(0, Tree((-1, -1)), 3, Sampling(1.0, top_k=2)) < EXACT


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [Tree.chain(2), *TREES.values()], ids=["chain", *TREES])
def test_sample_and_match(shape: Shape, seed: int, reading: None) -> None:
    def rule(randomness):  # type: ignore[no-untyped-def]
        return Match(PLAIN, randomness)

    assert error(seed, shape, 2, PLAIN, rule) < EXACT
    if not isinstance(shape, Growth) and len(shape) == 2:
        assert error(seed, shape, 3, PLAIN, rule) < EXACT


# negative controls: the same tests must reject rules that are nearly right


def _without_residual(tokens, laws_, target, randomness) -> Kept:  # type: ignore[no-untyped-def]
    """The classic mistake: after a rejection draw from the target itself."""
    p_x = target[:-1].gather(1, tokens[:, None])[:, 0]
    q_x = laws_.gather(1, tokens[:, None])[:, 0]
    kept = randomness.accept(p_x / q_x).cumprod(0).sum().reshape(1)
    return kept, randomness.draw(target.index_select(0, kept)), torch.ones(1, dtype=torch.int64)


@pytest.mark.parametrize("shape", [Tree.chain(2), Tree((-1, -1))], ids=["chain", "tree"])
def test_a_walk_without_the_residual_step_is_rejected(
    shape: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = verification._first_kept
    monkeypatch.setattr(
        "engine.verification._first_kept",
        lambda s, d, r, q, random: (judge(s, d, r, q, random)[0], r),
    )
    assert error(0, shape, 2) > 1e-3


def test_a_chain_without_the_residual_step_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.rules.reads_are_free", lambda tensor: False)
    monkeypatch.setattr("engine.rules.verify_sampled", _without_residual)
    assert error(0, Tree.chain(2)) > 1e-3


def test_siblings_drawn_with_replacement_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(Rejection):
        def choose(self, logits, depth, width):  # type: ignore[no-untyped-def]
            choice = super().choose(logits, depth, 1)
            again = [self.randomness.draw(choice.laws) for _ in range(width - 1)]
            tokens = torch.stack([choice.tokens[:, 0], *again], dim=1)
            return type(choice)(tokens, choice.laws)

    assert error(0, Tree((-1, -1)), 2, PLAIN, lambda r: Careless(PLAIN, r)) > 1e-3


def test_block_verification_that_keeps_every_prefix_test_of_tokens_is_rejected() -> None:
    class Mixed(Rejection):
        """Judges tokens one by one, but draws the next token as block verification does."""

        def verify(self, draft, logits):  # type: ignore[no-untyped-def]
            draft = type(draft)(draft.tokens, draft.tree, draft.laws.roll(1, dims=1))
            return super().verify(draft, logits)

    assert error(0, Tree.chain(2), 3, PLAIN, lambda r: Mixed(PLAIN, r, block=True)) > 1e-3


def test_typical_acceptance_is_not_lossless() -> None:
    assert error(0, Tree.chain(2), 3, PLAIN, lambda r: Typical(PLAIN, r, 0.3, 0.5)) > 1e-2


def test_enumeration_finds_the_law_of_a_known_program() -> None:
    law = exact_law(
        lambda r: (int(r.draw(torch.tensor([[0.2, 0.8]]))), bool(r.accept(torch.tensor([0.25]))))
    )
    assert law == pytest.approx(
        {(0, True): 0.05, (0, False): 0.15, (1, True): 0.2, (1, False): 0.6}
    )


def accepted(seed: int, shape: Shape, block: bool = False) -> float:
    """Expected accepted tokens of the first round."""
    target = TableModel(seed)
    request = laws.Request(laws.PROMPT, 4, PLAIN)

    def program(randomness):  # type: ignore[no-untyped-def]
        rule = Rejection(PLAIN, randomness, block=block)
        rounds: list[int] = []

        def stop(done) -> bool:  # type: ignore[no-untyped-def]
            rounds.append(done.num_accepted)
            return False

        laws.decode_speculative(target, drafter(seed), request, shape, rule=rule, on_round=stop)
        return rounds[0]

    return sum(kept * chance for kept, chance in exact_law(program).items())  # type: ignore[operator]


@pytest.mark.parametrize("seed", range(4))
def test_acceptance_is_what_theory_says(seed: int) -> None:
    target, draft = TableModel(seed), TableModel(seed + 100)
    p = distribution(target.logits(tuple(laws.PROMPT))[None], PLAIN)[0]
    q = distribution(draft.logits(tuple(laws.PROMPT))[None], PLAIN)[0]
    overlap = float(torch.minimum(p, q).sum())
    assert accepted(seed, Tree.chain(1)) == pytest.approx(overlap, abs=1e-12)
    # block verification: never fewer, equal for one token (arXiv:2403.10444)
    assert accepted(seed, Tree.chain(1), block=True) == pytest.approx(overlap, abs=1e-12)
    assert accepted(seed, Tree.chain(3), block=True) >= accepted(seed, Tree.chain(3)) - 1e-12
    # siblings: more is better, and as many as the vocabulary always contain the token
    two, three = accepted(seed, Tree((-1, -1))), accepted(seed, Tree((-1, -1, -1)))
    assert overlap - 1e-12 <= two <= three + 1e-12
    assert three == pytest.approx(1.0, abs=1e-12)
