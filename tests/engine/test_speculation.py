"""Drafting with a language model in every shape and under every rule, on tiny models."""

import pytest
import torch

from engine.decode import Request, decode_autoregressive, decode_speculative
from engine.drafters.language_model import LanguageModelDrafter
from engine.errors import InputError
from engine.model import Model, wrap
from engine.sampling import Sampling
from engine.trees import Growth, Shape, Tree
from tests.tiny_models import tiny_llama, tiny_pair

PROMPT = [3, 17, 42, 5, 9]
SHAPES: dict[str, Shape] = {
    "chain": Tree.chain(4),
    "binary": Tree.k_ary((2, 2, 2)),
    "uneven": Tree((-1, -1, -1, 0, 0, 1, 3)),
    "grown": Growth(budget=8, depth=4, beam=4, width=3),
}


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def pair(request) -> tuple[Model, Model]:  # type: ignore[no-untyped-def]
    return tiny_pair(request.param, noise=0.2)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_temperature_zero_is_autoregressive_decoding(pair, shape: Shape) -> None:  # type: ignore[no-untyped-def]
    target, draft = pair
    drafter = LanguageModelDrafter(draft)
    for start in range(5):
        request = Request([start, *PROMPT], 40)
        got = decode_speculative(target, drafter, request, shape)
        assert got.tokens == decode_autoregressive(target, request).tokens
        assert got.mean_emitted > 1


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    "sampling", [Sampling(0.7), Sampling(1.0), Sampling(1.0, 8)], ids=lambda s: s.label
)
def test_coupled_decoding_is_autoregressive_sampling_with_the_same_seed(  # type: ignore[no-untyped-def]
    pair, sampling: Sampling, shape: Shape
) -> None:
    target, draft = pair
    for seed in range(4):
        request = Request(PROMPT, 40, sampling, seed=seed, rule="coupled")
        alone = decode_autoregressive(target, request)
        got = decode_speculative(target, LanguageModelDrafter(draft), request, shape)
        assert got.tokens == alone.tokens
        assert got.mean_emitted > 1.1
    other = decode_autoregressive(target, Request(PROMPT, 40, sampling, seed=99, rule="coupled"))
    assert other.tokens != alone.tokens


@pytest.mark.parametrize("name", ["rejection", "block", "match", "typical"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_rule_and_shape_decodes_in_step_with_its_caches(  # type: ignore[no-untyped-def]
    name: str, shape: Shape
) -> None:
    """A draft equal to the target must stay in step: its own choice is always among the drafts."""
    if name == "block" and not (isinstance(shape, Tree) and shape.is_chain):
        return
    model = wrap("both", tiny_llama())
    request = Request(PROMPT, 60, Sampling(0.5), seed=1, rule=name)  # type: ignore[arg-type]
    got = decode_speculative(model, LanguageModelDrafter(model), request, shape)
    assert len(got.tokens) == 60
    starts = [r.start for r in got.rounds]
    assert starts == [sum(len(r.tokens) for r in got.rounds[:i]) for i in range(len(starts))]
    if name in ("rejection", "block") and isinstance(shape, Tree):
        full = [r.num_accepted for r in got.rounds[:-2]]
        assert set(full) == {shape.depth}


def test_more_branches_accept_more(pair) -> None:  # type: ignore[no-untyped-def]
    target, draft = tiny_pair("llama", noise=0.6)
    taus = []
    for shape in (Tree.chain(3), Tree.k_ary((2, 2, 2)), Tree.k_ary((4, 4, 4))):
        rounds = tokens = 0
        for start in range(8):
            got = decode_speculative(
                target, LanguageModelDrafter(draft), Request([start, *PROMPT], 60), shape
            )
            rounds, tokens = rounds + len(got.rounds), tokens + len(got.tokens)
        taus.append(tokens / rounds)
    assert taus == sorted(taus)
    assert taus[2] > taus[0] * 1.1


def test_provenance_and_what_was_rejected(pair) -> None:  # type: ignore[no-untyped-def]
    target, draft = pair
    shape = Tree.k_ary((2, 2))
    got = decode_speculative(target, LanguageModelDrafter(draft), Request(PROMPT, 30), shape)
    for r in got.rounds:
        assert len(r.provenance) == len(r.tokens)
        assert r.provenance[:-1] == ("draft",) * r.num_accepted
        assert len(r.rejected) == r.num_draft_tokens - r.num_accepted
        if r.num_draft_tokens == len(shape):
            last = "bonus" if r.num_accepted == shape.depth else "recovered"
            assert r.provenance[-1] == last


def test_a_tree_larger_than_the_context_is_refused(pair) -> None:  # type: ignore[no-untyped-def]
    target, draft = pair
    with pytest.raises(InputError, match="a tree of 340 tokens does not fit the context"):
        decode_speculative(
            target, LanguageModelDrafter(draft), Request(PROMPT, 4), Tree.k_ary((4, 4, 4, 4))
        )
    with pytest.raises(InputError, match="draft tokens per round must be at least 1, not 0"):
        decode_speculative(target, LanguageModelDrafter(draft), Request(PROMPT, 4), Tree(()))


def test_two_samples_of_a_grown_tree_agree_with_sampling() -> None:
    """End to end through real models: first three tokens, chi-square, false alarm 1e-6."""
    from scipy import stats

    target, draft = tiny_pair("llama", noise=0.5, vocab=4)
    prompt = [1, 2, 3]
    draws = 1500
    counts = torch.zeros(2, 4**3)
    for seed in range(draws):
        request = Request(prompt, 3, Sampling(1.0), seed=seed)
        other = Request(prompt, 3, Sampling(1.0), seed=10**6 + seed)
        got = decode_speculative(
            target, LanguageModelDrafter(draft), request, Growth(4, 2, beam=3, width=2)
        )
        for row, tokens in enumerate((got.tokens, decode_autoregressive(target, other).tokens)):
            counts[row, tokens[0] * 16 + tokens[1] * 4 + tokens[2]] += 1
    seen = counts[:, counts.sum(0) > 20].numpy()
    assert stats.chi2_contingency(seen).pvalue > 1e-6
