import math

import numpy as np
import pytest
import torch

from engine.clock import StageClock
from engine.decode import (
    Request,
    decode_autoregressive,
    decode_chain,
    decode_naive,
    decode_schedule,
)
from engine.drafters.language_model import LanguageModelDrafter
from engine.errors import InputError
from engine.events import Round
from engine.model import Model, wrap
from engine.sampling import Sampling
from engine.trees import Tree
from tests.tiny_models import tiny_llama, tiny_pair

PROMPT = [3, 17, 42, 5, 9]


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def pair(request) -> tuple[Model, Model]:  # type: ignore[no-untyped-def]
    return tiny_pair(request.param)


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(1.0), Sampling(0.8, 9, 0.9)], ids=lambda s: s.label
)
def test_cached_decoding_equals_the_naive_loop_with_the_same_seed(pair, sampling) -> None:  # type: ignore[no-untyped-def]
    request = Request(PROMPT, 40, sampling, seed=3)
    naive = decode_naive(pair[0], request)
    assert decode_autoregressive(pair[0], request).tokens == naive.tokens


@pytest.mark.parametrize("num_draft_tokens", [1, 2, 3, 8, 16])
def test_chain_at_temperature_zero_is_autoregressive_decoding(pair, num_draft_tokens) -> None:  # type: ignore[no-untyped-def]
    target, draft = pair
    for start in range(6):
        request = Request([start, *PROMPT], 48)
        expected = decode_autoregressive(target, request)
        got = decode_chain(target, LanguageModelDrafter(draft), request, num_draft_tokens)
        assert got.tokens == expected.tokens
        assert len(got.rounds) < len(expected.rounds)  # the draft is worth something
        assert max(r.num_accepted for r in got.rounds) > 0


def test_draft_lengths_may_change_every_round_without_changing_the_text(pair) -> None:  # type: ignore[no-untyped-def]
    target, draft = pair
    request = Request(PROMPT, 60)
    lengths = iter(np.random.default_rng(0).integers(0, 6, size=100).tolist())
    got = decode_schedule(
        target, LanguageModelDrafter(draft), request, lambda done: Tree.chain(next(lengths))
    )
    assert got.tokens == decode_autoregressive(target, request).tokens
    assert {r.num_draft_tokens for r in got.rounds} >= {0, 1, 2, 3, 4, 5}


def test_a_draft_equal_to_the_target_is_always_accepted() -> None:
    target = wrap("target", tiny_llama())
    for sampling in (Sampling(), Sampling(1.0)):
        got = decode_chain(target, LanguageModelDrafter(target), Request(PROMPT, 50, sampling), 4)
        assert [r.num_accepted for r in got.rounds] == [4] * 10
        assert got.mean_emitted == 5


SMALL_PROMPT = [x % 8 for x in PROMPT]


def first_tokens(target: Model, draft: Model | None, draws: int, sampling: Sampling) -> np.ndarray:
    """Counts of the joint first two tokens over many seeds, [vocab, vocab]."""
    counts = np.zeros((target.vocab_size, target.vocab_size))
    for seed in range(draws):
        request = Request(SMALL_PROMPT, 2, sampling, seed=seed)
        if draft is None:
            tokens = decode_autoregressive(target, request).tokens
        else:
            tokens = decode_chain(target, LanguageModelDrafter(draft), request, 2).tokens
        counts[tokens[0], tokens[1]] += 1
    return counts


def test_sampled_chain_has_the_law_of_the_target_end_to_end() -> None:
    """Wiring test behind the exact-law test: G statistic against the target's own joint law.

    4,000 draws over 8 x 8 cells; cells expected below 5 are pooled. The 1e-4
    quantile of chi-squared is exceeded by a correct decoder once in 10,000
    seeds; the seeds are fixed, so the test is deterministic.
    """
    from scipy.stats import chi2

    target, draft = tiny_pair(vocab=8, noise=0.6, layers=1)
    sampling, draws = Sampling(1.0), 4000
    with torch.inference_mode():
        first = target.hf(input_ids=torch.tensor([SMALL_PROMPT])).logits[0, -1].double().softmax(-1)
        rows = [
            target.hf(input_ids=torch.tensor([[*SMALL_PROMPT, x]]))
            .logits[0, -1]
            .double()
            .softmax(-1)
            for x in range(8)
        ]
    expected = draws * (first[:, None] * torch.stack(rows)).numpy()

    def statistic(counts: np.ndarray) -> tuple[float, int]:
        large = expected >= 5
        observed = np.append(counts[large], counts[~large].sum())
        wanted = np.append(expected[large], expected[~large].sum())
        return float(((observed - wanted) ** 2 / wanted).sum()), len(wanted) - 1

    value, freedom = statistic(first_tokens(target, draft, draws, sampling))
    assert value < chi2.ppf(1 - 1e-4, freedom)
    # negative control: the draft's own text must be told apart
    value, freedom = statistic(first_tokens(draft, None, draws, sampling))
    assert value > chi2.ppf(1 - 1e-4, freedom)


def test_every_token_carries_its_provenance(pair) -> None:  # type: ignore[no-untyped-def]
    target, draft = pair
    got = decode_chain(target, LanguageModelDrafter(draft), Request(PROMPT, 40), 3)
    assert [t for t, _ in got.with_provenance()] == got.tokens
    for r in got.rounds[:-1]:
        last = "bonus" if r.num_accepted == r.num_draft_tokens else "recovered"
        assert r.provenance == (*["draft"] * r.num_accepted, last)
        assert len(r.rejected) == r.num_draft_tokens - r.num_accepted
    plain = decode_autoregressive(target, Request(PROMPT, 3))
    assert [p for _, p in plain.with_provenance()] == ["target"] * 3


def test_decoding_ends_behind_the_stop_token(pair) -> None:  # type: ignore[no-untyped-def]
    target, draft = pair
    whole = decode_autoregressive(target, Request(PROMPT, 40)).tokens
    stop = whole[12]
    expected = whole[: whole.index(stop) + 1]
    request = Request(PROMPT, 40, stop_token=stop)
    assert decode_autoregressive(target, request).tokens == expected
    assert decode_naive(target, request).tokens == expected
    for gamma in (1, 4, 9):
        got = decode_chain(target, LanguageModelDrafter(draft), request, gamma)
        assert got.tokens == expected
        assert len(list(got.with_provenance())) == len(expected)


def test_the_last_round_drafts_no_more_than_is_wanted(pair) -> None:  # type: ignore[no-untyped-def]
    target, draft = pair
    for wanted in (1, 2, 5, 6, 7):
        got = decode_chain(target, LanguageModelDrafter(draft), Request(PROMPT, wanted), 5)
        assert len(got.tokens) == wanted
        assert all(r.num_draft_tokens <= wanted - r.start - 1 for r in got.rounds)


def test_a_listener_sees_every_round_and_can_stop(pair) -> None:  # type: ignore[no-untyped-def]
    target, draft = pair
    seen: list[Round] = []

    def listen(done: Round) -> bool:
        seen.append(done)
        return len(seen) < 3

    got = decode_chain(target, LanguageModelDrafter(draft), Request(PROMPT, 40), 2, on_round=listen)
    assert got.rounds == seen
    assert len(seen) == 3


def test_stage_times_account_for_the_decode_and_name_every_stage(pair) -> None:  # type: ignore[no-untyped-def]
    target, draft = pair
    clock = StageClock(target.device)
    got = decode_chain(target, LanguageModelDrafter(draft), Request(PROMPT, 40), 4, clock=clock)
    laps = clock.laps()
    rounds = [r for r in got.rounds if r.num_draft_tokens]
    assert sum(lap.stage == "verification" for lap in laps) == len(rounds)
    assert sum(lap.stage == "draft" for lap in laps) == sum(r.num_draft_tokens for r in rounds)
    assert [lap.num_tokens for lap in laps if lap.stage == "target"] == [
        r.num_draft_tokens + 1 for r in got.rounds
    ]
    # a first draft call takes two tokens exactly after a fully accepted round
    full = sum(r.num_accepted == r.num_draft_tokens for r in rounds[:-1])
    assert sum(lap.stage == "draft" and lap.num_tokens == 2 for lap in laps) == full
    assert math.isclose(sum(lap.seconds for lap in laps), got.decode_seconds, rel_tol=0.05)


def test_a_single_token_prompt_decodes(pair) -> None:  # type: ignore[no-untyped-def]
    target, draft = pair
    request = Request([7], 20)
    got = decode_chain(target, LanguageModelDrafter(draft), request, 3)
    assert got.tokens == decode_naive(target, request).tokens


def test_bad_requests_are_refused_with_value_and_bound() -> None:
    target, draft = tiny_pair(context=32)
    drafter = LanguageModelDrafter(draft)
    with pytest.raises(InputError, match="draft tokens per round must be at least 1, not 0"):
        decode_chain(target, drafter, Request(PROMPT, 4), 0)
    with pytest.raises(InputError, match="prompt of 5 tokens and 28 new ones exceed the context"):
        decode_autoregressive(target, Request(PROMPT, 28))
    with pytest.raises(InputError, match="the prompt has no tokens"):
        Request([], 4)
    with pytest.raises(InputError, match="new tokens must be at least 1, not 0"):
        Request(PROMPT, 0)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(1.0)], ids=lambda s: s.label)
def test_logits_that_are_not_finite_stop_the_decode(sampling: Sampling) -> None:
    broken, (_, draft) = tiny_llama(), tiny_pair()
    with torch.no_grad():
        broken.lm_head.weight[5] = math.nan
    target = wrap("target", broken)
    with pytest.raises(InputError, match="target returned logits that are not finite"):
        decode_autoregressive(target, Request(PROMPT, 4, sampling))
    with pytest.raises(InputError, match="target returned logits that are not finite"):
        decode_chain(target, LanguageModelDrafter(draft), Request(PROMPT, 4, sampling), 2)
