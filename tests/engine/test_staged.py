"""Staged drafting: exact laws at any depth, the same drafts as without a lower level, in step."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch

from engine.clock import StageClock
from engine.decode import Request, decode_autoregressive, decode_schedule, decode_speculative
from engine.drafters.base import Rewindable
from engine.drafters.fallback import FallbackDrafter
from engine.drafters.language_model import LanguageModelDrafter
from engine.drafters.lookup import LookupDrafter
from engine.drafters.ngram import NgramDrafter
from engine.drafters.staged import StagedDrafter
from engine.errors import InputError
from engine.events import Generation, Round
from engine.katz import KatzTrigram
from engine.model import Model, wrap
from engine.randomness import Randomness
from engine.rules import Match, Rejection, RuleName
from engine.sampling import Sampling, distribution
from engine.training.ngram import build_ngram
from engine.trees import Growth, Shape, Tree
from engine.verification import Verdict
from tests.engine.test_ngram import small_ngram
from tests.laws import PROMPT, TableModel, exact_law, largest_error
from tests.tiny_models import noisy_copy, tiny_gpt2, tiny_llama

EXACT = 1e-12
PLAIN = Sampling(1.0)
VOCAB = 2  # two levels of random decisions: a smaller vocabulary keeps the enumeration small

Lower = Callable[[int], Rewindable]


def table(seed: int) -> TableModel:
    return TableModel(seed, VOCAB)


def lm(seed: int) -> LanguageModelDrafter:
    return LanguageModelDrafter(table(seed + 200), "draft2")  # type: ignore[arg-type]


def ngram(seed: int, sampled: bool = False) -> NgramDrafter:
    return NgramDrafter(small_ngram(VOCAB, seed), sampled=sampled)


LOWERS: dict[str, Lower] = {
    "lookup": lambda seed: LookupDrafter(),
    "n-gram": ngram,
    "lookup, else n-gram": lambda seed: FallbackDrafter(LookupDrafter(min_ngram=2), ngram(seed)),
    "n-gram, sampled": lambda seed: ngram(seed, True),
    "model": lm,
}


def staged(
    seed: int, lower: Rewindable, lower_shape: Shape | None = None, level: str = "draft"
) -> StagedDrafter:
    salt = 100 if level == "draft" else 150
    return StagedDrafter(table(seed + salt), lower, lower_shape, level)  # type: ignore[arg-type]


def error(
    seed: int,
    make: Callable[[], Rewindable],
    shape: Shape,
    num_tokens: int,
    sampling: Sampling = PLAIN,
    rule: Callable[[Randomness], Rejection | Match] | None = None,
) -> float:
    return largest_error(table(seed), make, shape, num_tokens, sampling, rule)


# every outcome


@pytest.mark.parametrize("lower", LOWERS.values(), ids=LOWERS)
def test_two_levels_chain(lower: Lower) -> None:
    for seed in range(3):
        assert error(seed, lambda s=seed: staged(s, lower(s)), Tree.chain(2), 3) < EXACT
    # long enough for the lower level to draft two tokens at a time
    assert error(0, lambda: staged(0, lower(0), Tree.chain(2)), Tree.chain(3), 4) < EXACT


@pytest.mark.parametrize("below", [Tree((-1, -1)), Growth(3, 2, 2, 2)], ids=["tree", "grown"])
def test_the_lower_level_may_draft_trees(below: Shape) -> None:
    assert error(0, lambda: staged(0, ngram(0, True), below), Tree.chain(2), 3) < EXACT
    assert error(0, lambda: staged(0, lm(0), below), Tree.chain(2), 3) < EXACT


@pytest.mark.parametrize("sampling", [Sampling(0.6), Sampling(1.2, top_p=0.8)], ids=str)
def test_warped_laws(sampling: Sampling) -> None:
    assert error(1, lambda: staged(1, lm(1)), Tree.chain(2), 3, sampling) < EXACT
    assert error(1, lambda: staged(1, ngram(1)), Tree((-1, -1, 0)), 3, sampling) < EXACT


@pytest.mark.parametrize("lower", ["lookup", "model"])
def test_three_levels_chain(lower: str) -> None:
    def make() -> StagedDrafter:
        middle = staged(0, replace_level(LOWERS[lower](0)), Tree.chain(1), "draft2")
        return staged(0, middle, Tree.chain(2))

    assert error(0, make, Tree.chain(3), 4) < EXACT


def replace_level(drafter: Rewindable) -> Rewindable:
    drafter.level = "lowest"
    return drafter


TREES: dict[str, Shape] = {
    "uneven": Tree((-1, -1, 0)),
    "two levels": Tree((-1, -1, 0, 1)),
    "three levels": Tree((-1, -1, 0, 2)),
    "grown": Growth(budget=3, depth=2, beam=2, width=2),
}


@pytest.mark.parametrize("shape", TREES.values(), ids=TREES)
@pytest.mark.parametrize("lower", LOWERS.values(), ids=LOWERS)
def test_two_levels_tree(lower: Lower, shape: Shape) -> None:
    for below in (Tree.chain(2), Tree((-1, -1))):
        assert error(0, lambda b=below: staged(0, lower(0), b), shape, 3) < EXACT


@pytest.mark.parametrize("shape", TREES.values(), ids=TREES)
def test_three_levels_tree(shape: Shape) -> None:
    def make() -> StagedDrafter:
        return staged(1, staged(1, replace_level(lm(1)), Tree.chain(1), "draft2"), Tree.chain(2))

    assert error(1, make, shape, 3) < EXACT


def test_more_tokens_than_two() -> None:
    """Vocabulary 3, where siblings do not exhaust what there is."""
    target, draft = TableModel(3), TableModel(103)

    def make() -> StagedDrafter:
        return StagedDrafter(draft, NgramDrafter(small_ngram(3)), Tree((-1, -1)))  # type: ignore[arg-type]

    assert largest_error(target, make, Tree((-1, -1, 0)), 3, PLAIN) < EXACT
    assert largest_error(target, make, Tree.chain(2), 3, PLAIN) < EXACT


@pytest.mark.parametrize("shape", [Tree.chain(3), Tree((-1, -1, 0))], ids=["chain", "tree"])
def test_sample_and_match(shape: Shape) -> None:
    for lower in LOWERS.values():
        make = lambda low=lower: staged(2, low(2))  # noqa: E731
        assert error(2, make, shape, 3, PLAIN, lambda r: Match(PLAIN, r)) < EXACT


@pytest.mark.parametrize("candidates", [None, 1, 2])
@pytest.mark.parametrize("lower", LOWERS.values(), ids=LOWERS)
def test_the_drafts_law_is_untouched(lower: Lower, candidates: int | None) -> None:
    """What the staged draft proposes is drawn from the draft's own law, filter included."""
    draft_model, sampling = TableModel(7, 3), Sampling(0.8)
    filtered = Sampling(0.8, top_k=candidates)

    def program(randomness: Randomness) -> tuple[int, ...]:
        low = lower(0)
        if isinstance(low, NgramDrafter):
            low = NgramDrafter(small_ngram(3), sampled=low.sampled)
        elif isinstance(low, FallbackDrafter):
            low = FallbackDrafter(LookupDrafter(min_ngram=2), NgramDrafter(small_ngram(3)))
        elif isinstance(low, LanguageModelDrafter):
            low = LanguageModelDrafter(TableModel(8, 3), "draft2")  # type: ignore[arg-type]
        drafter = StagedDrafter(draft_model, low)  # type: ignore[arg-type]
        rule = Rejection(sampling, randomness, candidates=candidates)
        drafter.start(PROMPT, 20)
        draft = drafter.propose(torch.tensor(PROMPT[-1:]), Tree.chain(3), rule, None)
        text = [*PROMPT, *draft.tokens.tolist()]
        assert draft.laws is not None and len(draft.sources) == 3
        for i in range(3):
            law = distribution(draft_model.logits(tuple(text[: 2 + i]))[None], filtered)
            assert torch.equal(draft.laws[i], law[0])
        return tuple(text[2:])

    for text, chance in exact_law(program).items():
        wanted = 1.0
        for i, token in enumerate(text):  # type: ignore[arg-type, var-annotated]
            logits = draft_model.logits((*PROMPT, *text[:i]))  # type: ignore[index]
            wanted *= float(distribution(logits[None], filtered)[0, token])
        assert chance == pytest.approx(wanted, abs=EXACT)


# negative controls


def test_handing_up_the_lower_levels_laws_is_noticed() -> None:
    class Careless(StagedDrafter):
        def propose(self, pending, shape, rule, clock):  # type: ignore[no-untyped-def]
            draft = super().propose(pending, shape, rule, clock)
            lower_laws = draft.laws.roll(1, dims=1)
            return replace(draft, laws=lower_laws)

    make = lambda: Careless(table(100), lm(0))  # type: ignore[arg-type]  # noqa: E731
    assert error(0, make, Tree.chain(2), 3) > 1e-3


def test_handing_up_guesses_as_draws_is_noticed() -> None:
    """The draft's law beside tokens the n-gram chose: as if the draft had not judged them."""

    class Gullible(StagedDrafter):
        def _judge(self, guess, pending, judge, clock):  # type: ignore[no-untyped-def]
            judge.verify = self._keep_all(judge)
            return super()._judge(guess, pending, judge, clock)

        def _keep_all(self, judge):  # type: ignore[no-untyped-def]
            def verify(draft, logits):  # type: ignore[no-untyped-def]
                last = judge.next_token(logits[-1:])
                drafted = draft.tokens.tolist()
                laws = tuple(distribution(logits, judge.sampling).split(1))
                return Verdict(list(range(len(drafted))), drafted, int(last), last, True, laws)

            return verify

    make = lambda: Gullible(table(100), ngram(0), Tree.chain(1))  # type: ignore[arg-type]  # noqa: E731
    assert error(0, make, Tree.chain(2), 3) > 1e-3


def test_taking_the_guess_for_the_choice_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a tree: the lower level's guess replaces the child the rule drew."""
    from engine.drafters import staged_tree

    choose = staged_tree._choose

    def hasty(rows, tree, rule, group, row_of, laws, law_of):  # type: ignore[no-untyped-def]
        chosen = choose(rows, tree, rule, group, row_of, laws, law_of)
        for node in chosen:
            above = row_of[tree.parents[node]]
            guesses = [token for (row, token) in rows.below if row == above]
            if guesses and len(tree.children[tree.parents[node]]) == 1:
                chosen[node] = guesses[0]
        return chosen

    monkeypatch.setattr(staged_tree, "_choose", hasty)
    make = lambda: staged(0, ngram(0))  # noqa: E731
    # two children of the first child, so that the tree is no chain and the first has no sibling
    assert error(0, make, Tree((-1, 0, 0)), 3) > 1e-3


# the same drafts, fewer calls


@cache
def pair(family: str) -> tuple:
    target = (tiny_llama if family == "llama" else tiny_gpt2)(layers=2)
    return (
        wrap("target", target),
        wrap("draft", noisy_copy(target, 0.1)),
        wrap("lower", noisy_copy(target, 0.2, seed=2)),
    )


@cache
def trigram_of(draft: Model) -> KatzTrigram:
    texts = decode_autoregressive(draft, Request([1, 2, 3], 200)).tokens
    return build_ngram([torch.tensor([[1, 2, 3, *texts]]).numpy()], 64)


def stack(name: str, draft, lower) -> StagedDrafter:  # type: ignore[no-untyped-def]
    trigram = trigram_of(draft)
    if name == "n-gram":
        return StagedDrafter(draft, NgramDrafter(trigram))
    if name == "n-gram trees":
        return StagedDrafter(draft, NgramDrafter(trigram, sampled=True), Tree.k_ary((3, 1)))
    if name == "lookup":
        return StagedDrafter(draft, LookupDrafter(), Tree.chain(2))
    if name == "model":
        return StagedDrafter(draft, LanguageModelDrafter(lower, "draft2"))
    below = StagedDrafter(lower, NgramDrafter(trigram), level="draft2")
    return StagedDrafter(draft, below, Tree.chain(4))


STACKS = ["n-gram", "n-gram trees", "lookup", "model", "three levels"]
SHAPES: dict[str, Shape] = {
    "chain": Tree.chain(6),
    "one": Tree.chain(1),
    "tree": Tree.of((-1, -1, -1, 0, 0, 1, 3, 3, 6, 8)),
    "k-ary": Tree.k_ary((2, 2, 1, 1)),
    "grown": Growth(budget=10, depth=5, beam=4, width=3),
}


def without_provenance(generation: Generation) -> list[Round]:
    return [replace(done, provenance=()) for done in generation.rounds]


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", STACKS)
def test_rounds_are_those_of_the_draft_alone(name: str, shape: Shape, temperature: float) -> None:
    """Greedy and coupled drafts are functions of the text: staging changes their cost only."""
    target, draft, lower = pair("llama")
    drafter = stack(name, draft, lower)
    for prompt in ([1, 2, 3], [4]):
        request = Request(prompt, 50, Sampling(temperature), seed=2, rule="coupled")
        ours = decode_speculative(target, drafter, request, shape)
        alone = decode_speculative(target, LanguageModelDrafter(draft), request, shape)
        assert ours.tokens == decode_autoregressive(target, request).tokens
        assert without_provenance(ours) == without_provenance(alone)


@pytest.mark.parametrize("rule", ["match", "typical", "rejection", "block"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_greedy_text_is_the_autoregressive_one(family: str, rule: RuleName) -> None:
    target, draft, lower = pair(family)
    request = Request([5, 6, 7], 30, rule=rule)
    wanted = decode_autoregressive(target, Request([5, 6, 7], 30)).tokens
    for name in STACKS[1:]:
        for shape in (SHAPES["chain"], SHAPES["tree"]):
            drafter = stack(name, draft, lower)
            ours = decode_speculative(target, drafter, request, shape).tokens
            assert rule == "typical" or ours == wanted


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("rule", ["rejection", "coupled"])
def test_all_levels_hold_the_same_text(
    name: str, shape: Shape, temperature: float, rule: RuleName
) -> None:
    """After every round: caches and n-gram contexts are what a fresh start would make them."""
    target, draft, lower = pair("llama")
    drafter = stack(name, draft, lower)
    request = Request([1, 2, 3], 40, Sampling(temperature), seed=1, rule=rule)
    text = list(request.prompt)

    def check(done: Round) -> None:
        text.extend(done.tokens)
        held(drafter, text[:-1])

    decode_speculative(target, drafter, request, shape, on_round=check)


def held(drafter: object, text: list[int]) -> None:
    """Assert that a drafter, and all below it, hold exactly this text."""
    if isinstance(drafter, NgramDrafter | LookupDrafter):
        assert drafter._text == text
        return
    assert isinstance(drafter, StagedDrafter | LanguageModelDrafter)
    behind = torch.cat([torch.empty(0, dtype=torch.int64), *drafter._behind]).tolist()
    assert drafter.cache.length + len(behind) == len(text)
    assert text[len(text) - len(behind) :] == behind
    ran = text[: drafter.cache.length]
    fresh = drafter.model.new_cache(len(ran))
    drafter.model.forward(torch.tensor(ran), fresh, 0)
    keys = drafter.cache.keys[..., : len(ran), :]
    torch.testing.assert_close(keys, fresh.keys, atol=1e-4, rtol=1e-4)
    if isinstance(drafter, StagedDrafter):
        held(drafter.lower, text)


def test_a_lower_level_that_knows_the_draft_saves_its_calls() -> None:
    target, draft, _ = pair("llama")
    same = LanguageModelDrafter(draft, "draft2")
    chain = StagedDrafter(draft, same, Tree.chain(5))
    decode_speculative(target, chain, Request([1, 2, 3], 60), Tree.chain(6))
    counts = chain.statistics
    # five guesses and the draft's own token behind them: six tokens in one call
    assert counts["draft"].proposed >= 5.5 * counts["draft"].calls
    assert counts["draft2"].accepted == counts["draft2"].proposed

    tree = StagedDrafter(draft, LanguageModelDrafter(draft, "draft2"), Tree.k_ary((2, 2, 1, 1)))
    shape = Tree.k_ary((2, 2, 1, 1, 1))
    rounds = decode_speculative(target, tree, Request([1, 2, 3], 31), shape).rounds
    drafted = sum(done.num_draft_tokens > 0 for done in rounds)
    assert tree.statistics["draft"].calls == drafted  # the whole tree in one call


def test_provenance_and_counts_add_up() -> None:
    target, draft, lower = pair("llama")
    for shape in (SHAPES["chain"], SHAPES["tree"]):
        drafter = stack("three levels", draft, lower)
        done = decode_speculative(target, drafter, Request([1, 2, 3], 100), shape)
        counts = drafter.statistics
        assert list(counts) == ["draft", "draft2", "ngram"]
        sources = [source for _, source in done.with_provenance()]
        assert set(sources) <= {"draft", "draft2", "ngram", "bonus", "recovered", "target"}
        assert counts["draft"].proposed == sum(r.num_draft_tokens for r in done.rounds)
        assert counts["draft"].accepted == sum(r.num_accepted for r in done.rounds)
        assert counts["draft2"].accepted <= counts["draft2"].proposed
        assert {"draft", "draft2"} & set(sources)
    chain = stack("n-gram", draft, lower)
    done = decode_speculative(target, chain, Request([1, 2, 3], 100), SHAPES["chain"])
    assert "ngram" in {source for _, source in done.with_provenance()}


def test_stage_times_carry_the_levels_names() -> None:
    target, draft, lower = pair("llama")
    for shape in (SHAPES["chain"], SHAPES["tree"]):
        clock = StageClock(target.device)
        drafter = stack("three levels", draft, lower)
        decode_speculative(target, drafter, Request([1, 2, 3], 30), shape, clock=clock)
        stages = {lap.stage for lap in clock.laps()}
        assert {"target", "draft", "draft2", "ngram", "verification"} <= stages


def test_skips_reach_every_level() -> None:
    """A schedule that drafts nothing now and then."""
    target, draft, lower = pair("llama")
    request = Request([1, 2, 3], 60)
    wanted = decode_autoregressive(target, request).tokens
    for name in STACKS:
        drafter = stack(name, draft, lower)
        ours = decode_schedule(
            target, drafter, request, lambda start: Tree.chain(0 if start % 3 else 4)
        )
        assert ours.tokens == wanted


# refusals


def test_bad_stacks_are_refused() -> None:
    _, draft, lower = pair("llama")
    below = LanguageModelDrafter(lower, "draft")
    with pytest.raises(InputError, match="two levels of the stack are called 'draft'"):
        StagedDrafter(draft, below)
    middle = StagedDrafter(lower, LookupDrafter(), level="draft2")
    with pytest.raises(InputError, match="two levels of the stack are called 'lookup'"):
        StagedDrafter(draft, middle, level="lookup")
    with pytest.raises(InputError, match="at least 1 token, not 0"):
        StagedDrafter(draft, LookupDrafter(), Tree(()))
    wants = LookupDrafter()
    wants.needs_features = True
    with pytest.raises(InputError, match="wants hidden states"):
        StagedDrafter(draft, wants)
    with pytest.raises(InputError, match="not started"):
        assert StagedDrafter(draft, LookupDrafter()).cache


def test_logits_that_are_not_finite_are_refused() -> None:
    target, _, _ = pair("llama")
    draft = wrap("draft", tiny_llama(seed=3))
    drafter = stack("n-gram", draft, None)
    with torch.no_grad():
        draft.hf.model.norm.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="draft returned logits that are not finite"):
        decode_speculative(target, drafter, Request([1, 2, 3], 20), Tree.chain(4))
