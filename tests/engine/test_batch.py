"""Rows of a batch are independent: each is what it would be alone."""

import math

import pytest
import torch

from engine.batch import decode_batch
from engine.batch_cache import BatchCache, BatchStep
from engine.clock import StageClock
from engine.decode import Request, decode_autoregressive, decode_chain
from engine.drafters.language_model import LanguageModelDrafter
from engine.errors import InputError
from engine.model import Model, wrap
from engine.rules import Rejection
from engine.sampling import Sampling, distribution
from tests import laws
from tests.laws import TableModel, exact_law, target_law
from tests.tiny_models import noisy_copy, tiny_gpt2, tiny_llama, tiny_pair

FAMILIES = ["lean llama", "lean gpt2", "transformers llama", "transformers gpt2"]


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request) -> tuple[Model, Model]:  # type: ignore[no-untyped-def]
    forward, family = request.param.split()
    hf = {"llama": tiny_llama, "gpt2": tiny_gpt2}[family]()
    return wrap("target", hf, forward=forward), wrap("draft", noisy_copy(hf, 0.1), forward=forward)


def requests(sampling: Sampling, rule: str = "rejection") -> list[Request]:
    """Six requests that differ in prompt length, in text length and in seed."""
    return [
        Request([i, 3, 17, 42, 5][: 1 + i % 5], 18 + 7 * i, sampling, seed=i, rule=rule)  # type: ignore[arg-type]
        for i in range(6)
    ]


SAMPLINGS = [Sampling(), Sampling(1.0), Sampling(0.8, 9, 0.9)]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: s.label)
def test_autoregressive_rows_equal_their_texts_alone(pair, sampling: Sampling) -> None:  # type: ignore[no-untyped-def]
    wanted = requests(sampling)
    for got, request in zip(decode_batch(pair[0], None, wanted), wanted, strict=True):
        assert got.rounds == decode_autoregressive(pair[0], request).rounds


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: s.label)
@pytest.mark.parametrize("rule", ["rejection", "block", "match", "coupled"])
def test_chain_rows_equal_their_rounds_alone(pair, sampling: Sampling, rule: str) -> None:  # type: ignore[no-untyped-def]
    """Token for token and round for round, at any temperature: a row keeps its own uniforms."""
    target, draft = pair
    wanted = requests(sampling, rule)
    for got, request in zip(decode_batch(target, draft, wanted, 4), wanted, strict=True):
        alone = decode_chain(target, LanguageModelDrafter(draft), request, 4)
        assert got.rounds == alone.rounds
        if sampling.greedy or rule == "coupled":
            assert got.tokens == decode_autoregressive(target, request).tokens


@pytest.mark.parametrize("num_draft_tokens", [1, 2, 7])
def test_any_draft_length(num_draft_tokens: int) -> None:
    target, draft = tiny_pair()
    wanted = requests(Sampling())
    for got, request in zip(
        decode_batch(target, draft, wanted, num_draft_tokens), wanted, strict=True
    ):
        alone = decode_chain(target, LanguageModelDrafter(draft), request, num_draft_tokens)
        assert got.rounds == alone.rounds


def test_rows_may_be_sampled_and_judged_differently() -> None:
    target, draft = tiny_pair()
    wanted = [
        Request([1, 2], 30),
        Request([1, 2], 30, Sampling(1.0), seed=1),
        Request([1, 2], 20, Sampling(1.0), seed=1, rule="coupled"),
        Request([1, 2], 25, Sampling(0.5), seed=2, rule="block", candidates=8),
        Request([1, 2], 30, Sampling(1.0, top_k=5), seed=3, rule="match"),
    ]
    for got, request in zip(decode_batch(target, draft, wanted, 3), wanted, strict=True):
        alone = decode_chain(target, LanguageModelDrafter(draft), request, 3)
        assert got.rounds == alone.rounds
    for got, request in zip(decode_batch(target, None, wanted), wanted, strict=True):
        assert got.rounds == decode_autoregressive(target, request).rounds


def test_a_row_ends_behind_its_stop_token_and_the_others_go_on() -> None:
    target, draft = tiny_pair()
    wanted = requests(Sampling())
    whole = [decode_autoregressive(target, request).tokens for request in wanted]
    stop = whole[2][9]
    wanted = [Request(r.prompt, r.max_new_tokens, stop_token=stop) for r in wanted]
    for got, text in zip(decode_batch(target, draft, wanted, 4), whole, strict=True):
        assert got.tokens == (text[: text.index(stop) + 1] if stop in text else text)


def test_a_prompt_may_fill_the_context_up_to_the_last_token() -> None:
    target, draft = tiny_pair(context=32)
    wanted = [Request(list(range(20)), 12), Request([5], 31)]
    for got, request in zip(decode_batch(target, draft, wanted, 4), wanted, strict=True):
        assert got.tokens == decode_autoregressive(target, request).tokens


def test_stage_times_of_a_batch_name_every_stage() -> None:
    target, draft = tiny_pair()
    clock = StageClock(target.device)
    got = decode_batch(target, draft, requests(Sampling(1.0)), 4, clock=clock)
    laps = clock.laps()
    stages = {lap.stage for lap in laps}
    assert stages >= {"target", "draft", "draft_sampling", "verification", "rest"}
    longest = max(generation.decode_seconds for generation in got)
    assert math.isclose(sum(lap.seconds for lap in laps), longest, rel_tol=0.05)
    assert all(generation.prefill_seconds > 0 for generation in got[1:])


def test_bad_batches_are_refused_with_value_and_bound() -> None:
    target, draft = tiny_pair(context=32)
    fits = Request([1, 2], 4)
    with pytest.raises(InputError, match="a batch needs at least 1 request, not 0"):
        decode_batch(target, None, [])
    with pytest.raises(InputError, match="draft tokens per round must be at least 1, not 0"):
        decode_batch(target, draft, [fits])
    with pytest.raises(InputError, match="without a draft, draft tokens must be 0, not 3"):
        decode_batch(target, None, [fits], 3)
    with pytest.raises(InputError, match="prompt of 30 tokens and 3 new ones exceed the context"):
        decode_batch(target, draft, [fits, Request([1] * 30, 3)], 3)
    broken = tiny_llama()
    with torch.no_grad():
        broken.lm_head.weight[5] = math.nan
    for requests_, other, length in [([fits, fits], None, 0), ([fits, fits], draft, 2)]:
        with pytest.raises(InputError, match="returned logits that are not finite"):
            decode_batch(wrap("broken", broken), other, requests_, length)


def test_a_cache_keeps_rows_apart_when_one_leaves() -> None:
    model = wrap("tiny", tiny_llama())
    cache = BatchCache(model.new_cache(1), 3, 12)
    cache.lengths = [2, 5, 4]
    cache.both.copy_(torch.arange(3.0)[:, None, None, None].expand_as(cache.both))
    cache.drop(0)
    assert cache.lengths == [4, 5]
    assert cache.both[0, 0, :, 0, 0, 0].tolist() == [2, 1]
    assert cache.both[1, 1, 0, 1, :5, 3].tolist() == [2, 2, 2, 2, 0]
    with pytest.raises(InputError, match="8 tokens do not fit: the longest row holds 5 of 12"):
        BatchStep(cache, 8)
    with pytest.raises(InputError, match="a batch needs at least 1 row, not 0"):
        BatchCache(model.new_cache(1), 0, 12)


class BatchTable(TableModel):
    """A table that answers for several rows, through the cache and the mask of a batch."""

    @property
    def run(self) -> "BatchTable":
        return self

    def forward_batch(self, tokens: torch.Tensor, step: BatchStep) -> torch.Tensor:
        rows, n = tokens.shape
        keys, values = step.write(
            0, tokens.double()[:, None, :, None], step.positions.double()[:, None, :, None]
        )
        logits = torch.zeros(rows, n, self.vocab_size, dtype=torch.float64)
        for row in range(rows):
            for i in range(n):
                seen = (step.mask[row, 0, i] == 0).nonzero()[:, 0].tolist()
                assert values[row, 0, seen, 0].tolist() == list(range(len(seen)))
                text = tuple(int(token) for token in keys[row, 0, seen, 0])
                logits[row, i] = self.logits(text)
        return logits


@pytest.mark.parametrize("block", [False, True], ids=["token", "block"])
@pytest.mark.parametrize("sampling", [Sampling(1.0), Sampling(1.0, top_k=2)], ids=lambda s: s.label)
@pytest.mark.parametrize("seed", range(3))
def test_a_row_has_the_targets_law_while_another_is_there(
    seed: int, sampling: Sampling, block: bool
) -> None:
    """Every outcome of row 1 is played out; row 0 is longer, has its own dice, and goes on."""
    assert law_error(seed, sampling, block) < 1e-12


def test_a_row_judged_by_its_neighbours_drafts_is_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import engine.batch

    honest = engine.batch.choose_each

    def swapped(rules, logits, depth):  # type: ignore[no-untyped-def]
        tokens, given = honest(rules, logits, depth)
        return tokens, given[::-1]

    monkeypatch.setattr(engine.batch, "choose_each", swapped)
    assert law_error(0, Sampling(1.0), False) > 1e-3


def law_error(seed: int, sampling: Sampling, block: bool) -> float:
    target, draft = BatchTable(seed), BatchTable(seed + 100)
    other = Request([2, 0, 1], 4, sampling, seed=7)
    request = Request(laws.PROMPT, 3, sampling)

    def program(randomness):  # type: ignore[no-untyped-def]
        from engine.decode import rule_of

        rules = [rule_of(target, other), Rejection(sampling, randomness, block=block)]
        return tuple(decode_batch(target, draft, [other, request], 2, rules=rules)[1].tokens)

    ours, wanted = exact_law(program), target_law(target, 3, sampling)
    return max(abs(ours.get(text, 0.0) - wanted[text]) for text in wanted)


def test_the_law_of_an_autoregressive_row() -> None:
    target, sampling = BatchTable(0), Sampling(0.7)
    other, request = Request([2, 0, 1], 4, sampling, seed=7), Request(laws.PROMPT, 1, sampling)

    def program(randomness):  # type: ignore[no-untyped-def]
        rules = [Rejection(sampling, laws.Branching([])), Rejection(sampling, randomness)]
        return decode_batch(target, None, [other, request], rules=rules)[1].tokens[0]

    law = exact_law(program)
    p = distribution(target.logits(tuple(laws.PROMPT))[None], sampling)[0]
    assert max(abs(law[token] - float(p[token])) for token in range(3)) < 1e-12
