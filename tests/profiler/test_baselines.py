"""Transformers' own decoding as a measured engine, on tiny random models."""

import pytest
import torch

from engine.clock import StageClock
from engine.decode import Request, decode_autoregressive, decode_chain
from engine.drafters.language_model import LanguageModelDrafter
from engine.errors import InputError
from engine.events import Round
from engine.model import Model, wrap
from engine.sampling import Sampling
from profiler.baselines import TransformersEngine
from tests.tiny_models import noisy_copy, tiny_llama, tiny_pair

PROMPT = [5, 9, 2, 7, 5, 9, 2, 11, 30, 5, 9]
WANTED = 40


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def pair(request: pytest.FixtureRequest) -> tuple[Model, Model]:
    return tiny_pair(request.param, noise=0.3)


def test_greedy_texts_and_rounds_equal_this_engines(pair: tuple[Model, Model]) -> None:
    target, draft = pair
    engine, request = TransformersEngine.of(*pair), Request(PROMPT, WANTED)
    alone = decode_autoregressive(target, request)
    plain = engine.decode(request)
    assert plain.tokens == alone.tokens
    assert len(plain.rounds) == WANTED
    for length in (1, 3, 6):
        ours = decode_chain(target, LanguageModelDrafter(draft), request, length)
        theirs = engine.decode(request, "chain", length)
        assert theirs.tokens == alone.tokens
        assert [(r.start, r.num_draft_tokens, r.num_accepted) for r in theirs.rounds] == [
            (r.start, r.num_draft_tokens, r.num_accepted) for r in ours.rounds
        ]
        assert [p for _, p in theirs.with_provenance()] == [p for _, p in ours.with_provenance()]
    copied = engine.decode(request, "lookup", 5)
    assert copied.tokens == alone.tokens
    assert any(r.num_accepted > 0 for r in copied.rounds)


def test_no_token_of_a_text_is_taken_for_padding() -> None:
    """With token 0 as padding the assistant would not see the zeros of this prompt."""
    target, draft = tiny_pair(noise=0.3)
    request = Request([5, 0, 0, 9, 0, 7, 0], WANTED)
    ours = decode_chain(target, LanguageModelDrafter(draft), request, 3)
    theirs = TransformersEngine.of(target, draft).decode(request, "chain", 3)
    assert [r.num_accepted for r in theirs.rounds] == [r.num_accepted for r in ours.rounds]


def test_rounds_are_forwards_of_the_target(pair: tuple[Model, Model]) -> None:
    engine = TransformersEngine.of(*pair)
    seen: list[int] = []
    hook = engine.target.register_forward_pre_hook(
        lambda module, inputs, named: seen.append(named["input_ids"].shape[1]), with_kwargs=True
    )
    try:
        made = engine.decode(Request(PROMPT, WANTED), "chain", 4)
    finally:
        hook.remove()
    drafted = [r.num_draft_tokens for r in made.rounds]
    assert seen == [len(PROMPT) + drafted[0], *(1 + length for length in drafted[1:])]


def test_the_models_own_generation_settings_do_not_count() -> None:
    quiet = tiny_llama()
    request = Request(PROMPT, WANTED)
    alone = decode_autoregressive(wrap("target", quiet), request).tokens
    loud = tiny_llama()
    loud.generation_config.update(
        eos_token_id=alone[3], repetition_penalty=3.0, do_sample=True, top_k=1, temperature=0.3,
        num_assistant_tokens=1, assistant_confidence_threshold=0.9, max_length=5,
    )  # fmt: skip
    draft = noisy_copy(loud, 0.3)
    before = loud.generation_config.to_dict(), draft.generation_config.to_dict()
    engine = TransformersEngine.of(wrap("target", loud), wrap("draft", draft))
    assert engine.decode(request).tokens == alone
    made = engine.decode(request, "chain", 5)
    assert made.tokens == alone
    for r in made.rounds:  # none cut, none rescheduled
        assert r.num_draft_tokens == min(5, WANTED - r.start - 1)
    assert (loud.generation_config.to_dict(), draft.generation_config.to_dict()) == before
    sampled = Request(PROMPT, 200, Sampling(1.5))
    assert len(set(engine.decode(sampled).tokens)) > 10  # neither its top-k 1 nor its 0.3


def test_sampling_takes_the_requests_seed_and_leaves_the_global_state() -> None:
    engine = TransformersEngine.of(*tiny_pair(noise=0.3))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    request = Request(PROMPT, WANTED, Sampling(1.0), seed=7)
    for kind, length in (("autoregressive", 0), ("chain", 3), ("lookup", 3)):
        first, again = (engine.decode(request, kind, length) for _ in range(2))
        assert first.tokens == again.tokens and len(first.tokens) == WANTED
    assert torch.equal(torch.get_rng_state(), state)
    other = Request(PROMPT, WANTED, Sampling(1.0), seed=8)
    assert engine.decode(other).tokens != engine.decode(request).tokens
    # top-k 1 is greedy whatever the temperature: the default of 50 would not be
    narrow = Request(PROMPT, WANTED, Sampling(2.0, top_k=1), seed=3)
    greedy = engine.decode(Request(PROMPT, WANTED)).tokens
    assert engine.decode(narrow).tokens == greedy


def test_stages_leave_nothing_out(pair: tuple[Model, Model]) -> None:
    engine = TransformersEngine.of(*pair)
    for kind, length, stages in (
        ("autoregressive", 0, {"commit", "target", "sampling"}),
        ("chain", 3, {"draft", "draft_sampling", "target", "verification"}),
    ):
        clock = StageClock(torch.device("cpu"))
        made = engine.decode(Request(PROMPT, WANTED), kind, length, clock=clock)
        laps = [lap for lap in clock.laps() if 1 <= lap.round < len(made.rounds) - 1]
        named = sum(lap.seconds for lap in laps if lap.stage != "rest")
        assert {lap.stage for lap in laps} - {"rest"} == stages
        assert named > 0.9 * sum(lap.seconds for lap in laps)
        drafts = [lap for lap in laps if lap.stage == "draft"]
        assert len(drafts) == sum(r.num_draft_tokens for r in made.rounds[1:-1])


def test_a_decode_can_be_ended_early_and_leaves_no_hook(pair: tuple[Model, Model]) -> None:
    engine = TransformersEngine.of(*pair)
    rounds: list[Round] = []

    def three(done: Round) -> bool:
        rounds.append(done)
        return len(rounds) < 3

    made = engine.decode(Request(PROMPT, WANTED), "chain", 2, on_round=three)
    assert made.rounds == rounds and len(rounds) == 3
    assert made.prefill_seconds + made.decode_seconds > 0
    for model in (engine.target, engine.draft):
        assert not model._forward_hooks and not model._forward_pre_hooks


def test_bad_requests_are_refused(pair: tuple[Model, Model]) -> None:
    engine = TransformersEngine.of(*pair)
    with pytest.raises(InputError, match="at least 6 with 4 drafts, not 5"):
        engine.decode(Request(PROMPT, 5), "chain", 4)
    with pytest.raises(InputError, match="draft tokens per round must be at least 1, not 0"):
        engine.decode(Request(PROMPT, 5), "chain", 0)
