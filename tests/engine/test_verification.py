"""Rules on single drafts; their laws are in test_laws.py."""

import itertools

import pytest
import torch

from engine.drafters.base import Draft
from engine.randomness import Noise, Uniforms, draw_in_turn
from engine.rules import RULES, Coupled, Greedy, Match, Rejection, make_rule
from engine.sampling import Sampling, distribution
from engine.trees import Tree
from engine.verification import recursive_rejection, verify_block, verify_sampled

CPU = torch.device("cpu")
VOCAB = 5
TREE = Tree((-1, -1, 0, 0, 1))


def rule(name: str, sampling: Sampling, seed: int = 0):  # type: ignore[no-untyped-def]
    return make_rule(name, sampling, seed, VOCAB, CPU)  # type: ignore[arg-type]


def logits(rows: int, seed: int = 5) -> torch.Tensor:
    return torch.randn(rows, VOCAB, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("drafted", itertools.product(range(3), repeat=2))
def test_greedy_keeps_the_longest_agreeing_prefix_and_adds_the_targets_choice(drafted) -> None:  # type: ignore[no-untyped-def]
    rows = torch.full((3, VOCAB), -1.0)
    rows[0, 2], rows[1, 0], rows[2, 1] = 1.0, 1.0, 1.0  # the target says 2, 0, 1
    verdict = Greedy(Sampling()).verify(Draft(torch.tensor(drafted), Tree.chain(2)), rows)
    expected = {(2, 0): ([0, 1], 1)}.get(drafted, ([0], 0) if drafted[0] == 2 else ([], 2))
    assert (verdict.path, verdict.token) == expected
    assert verdict.pending.tolist() == [verdict.token]
    assert verdict.drafted == list(drafted)


def test_greedy_walks_a_tree_along_the_targets_choices() -> None:
    rows = torch.zeros(6, VOCAB)
    for position, choice in enumerate([4, 0, 3, 1, 2, 0]):
        rows[position, choice] = 1.0
    draft = Draft(torch.tensor([1, 4, 0, 2, 3]), TREE)  # 4 is accepted, then 3 below it
    verdict = Greedy(Sampling()).verify(draft, rows)
    assert verdict.path == [1, 4]
    assert verdict.token == 0


@pytest.mark.parametrize("name", ["rejection", "block", "match", "coupled"])
def test_equal_laws_keep_every_token_of_a_chain(name: str) -> None:
    sampling = Sampling(1.0)
    rows = logits(4)
    if name == "match":  # a guess is kept where the target samples it: a point mass always is
        rows = torch.where(rows == rows.amax(-1, keepdim=True), 100.0, -100.0)
    for seed in range(20):
        chosen = rule(name, sampling, seed)
        chosen.begin(7)
        choices = [chosen.choose(rows[i : i + 1], i, 1) for i in range(3)]
        laws = [c.laws for c in choices if c.laws is not None]
        tokens = torch.cat([c.tokens[:, 0] for c in choices])
        draft = Draft(tokens, Tree.chain(3), torch.cat(laws) if laws else None)
        assert chosen.verify(draft, rows).path == [0, 1, 2]


def test_one_child_per_node_is_the_chain_rule() -> None:
    target, laws = distribution(logits(4), Sampling(1.0)), distribution(logits(3, 9), Sampling(1.0))
    for seed in range(50):
        tokens = Uniforms(seed, CPU).draw(laws)
        kept, pending, _ = verify_sampled(tokens, laws, target, Uniforms(seed, CPU))
        # the tree judges each depth by its own uniform as well, in the same order
        verdict = recursive_rejection(
            Draft(tokens, Tree.chain(3), laws), target, Uniforms(seed, CPU)
        )
        assert len(verdict.path) == int(kept)
        assert verdict.token == int(pending)


def test_block_verification_of_one_token_is_the_token_rule() -> None:
    target, laws = distribution(logits(2), Sampling(1.0)), distribution(logits(1, 9), Sampling(1.0))
    for seed in range(50):
        tokens = Uniforms(seed, CPU).draw(laws)
        one = verify_sampled(tokens, laws, target, Uniforms(seed, CPU))
        other = verify_block(tokens, laws, target, Uniforms(seed, CPU))
        assert [int(t) for t in one] == [int(t) for t in other]


def test_siblings_are_different_tokens_of_the_filtered_law() -> None:
    rows = logits(64)
    for candidates in (None, 3):
        chosen = make_rule("rejection", Sampling(1.0), 0, VOCAB, CPU, candidates=candidates)
        choice = chosen.choose(rows, 0, 3)
        assert all(len(set(row)) == 3 for row in choice.tokens.tolist())
        assert choice.laws is not None
        assert choice.laws.sum(-1).allclose(torch.ones(64).double())
        assert ((choice.laws > 0).sum(-1) == (candidates or VOCAB)).all()
        assert (choice.laws.gather(1, choice.tokens) > 0).all()


@pytest.mark.parametrize("sampling", [Sampling(1.0), Sampling(1.0, top_k=2), Sampling(0.1)])
def test_drawing_siblings_at_once_is_drawing_them_in_turn(sampling: Sampling) -> None:
    laws = distribution(logits(200), sampling)
    at_once = Uniforms(3, CPU).draw_distinct(laws, 4)
    in_turn = draw_in_turn(Uniforms(3, CPU), laws, 4)
    left = laws.clone()
    for rank in range(4):  # where nothing is left to draw, whatever comes is never kept
        some = left.sum(-1) > 1e-12
        assert torch.equal(at_once[some, rank], in_turn[some, rank])
        left = left.scatter(1, at_once[:, rank : rank + 1], 0.0)
    assert some.any() or sampling.top_k == 2


def test_coupled_children_are_the_winners_under_the_noise_of_their_position() -> None:
    chosen = rule("coupled", Sampling(1.0), seed=3)
    assert isinstance(chosen, Coupled)
    chosen.begin(10)
    rows = logits(2)
    first = chosen.choose(rows, 2, 2).tokens
    noise = Noise(3, VOCAB, CPU).at(12)
    assert torch.equal(first, (rows.log_softmax(-1) + noise).topk(2).indices)
    chosen.begin(12)
    assert torch.equal(
        chosen.choose(rows, 0, 2).tokens, first
    )  # the position counts, not the round
    assert chosen.next_token(rows[:1]).tolist() == first[:1, 0].tolist()


def test_noise_is_gumbel_and_depends_on_seed_and_position_alone() -> None:
    noise = Noise(1, 20_000, CPU)
    sample = noise.at(3).sort().values
    empirical = (torch.arange(20_000) + 0.5) / 20_000
    law = torch.exp(-torch.exp(-sample))
    # Kolmogorov-Smirnov, false alarm 1e-6: sqrt(ln(2e6) / 2 / n)
    assert (law - empirical).abs().max() < (14.51 / 2 / 20_000) ** 0.5
    assert torch.equal(noise.at(3), Noise(1, 20_000, CPU).at(3))
    assert not torch.equal(noise.at(3), noise.at(4))
    assert not torch.equal(noise.at(3), Noise(2, 20_000, CPU).at(3))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["greedy", *RULES])
@pytest.mark.parametrize("tree", [Tree.chain(2), Tree((-1, -1))], ids=["chain", "tree"])
def test_logits_that_are_not_finite_are_flagged(name: str, tree: Tree, bad: float) -> None:
    if name == "block" and not tree.is_chain:
        pytest.skip("block verification judges chains")
    chosen = Greedy(Sampling()) if name == "greedy" else rule(name, Sampling(1.0))
    rows = torch.zeros(3, VOCAB)
    rows[0, 2] = bad
    laws = torch.full((2, VOCAB), 1 / VOCAB)
    draft = Draft(torch.tensor([0, 1]), tree, laws if isinstance(chosen, Rejection) else None)
    assert not chosen.verify(draft, rows).finite


def test_uniforms_accept_with_the_given_chance_and_are_reproducible() -> None:
    chances = torch.tensor([0.0, 0.3, 1.0, 1.7]).repeat(20_000).double()
    got = Uniforms(0, CPU).accept(chances).view(-1, 4).double().mean(0)
    assert got[[0, 2, 3]].tolist() == [0, 1, 1]
    assert abs(float(got[1]) - 0.3) < 5 * (0.3 * 0.7 / 20_000) ** 0.5  # false alarm 6e-7
    one, two = Uniforms(4, CPU), Uniforms(4, CPU)
    law = distribution(logits(3), Sampling(1.0))
    for _ in range(500):  # across chunks
        assert torch.equal(one.draw(law), two.draw(law))


def test_a_guess_under_rejection_is_judged_by_sample_and_match() -> None:
    rows = logits(2)
    draft = Draft(torch.tensor([1]), Tree.chain(1))
    for seed in range(20):
        ours = Rejection(Sampling(1.0), Uniforms(seed, CPU)).verify(draft, rows)
        theirs = Match(Sampling(1.0), Uniforms(seed, CPU)).verify(draft, rows)
        assert (ours.path, ours.token) == (theirs.path, theirs.token)
