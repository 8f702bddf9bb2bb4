"""Does a drafter with another behind it keep the target's law, and ask each as deep as wanted?"""

from dataclasses import replace

import pytest
import torch

from engine.decode import Request, decode_autoregressive, decode_speculative
from engine.drafters.fallback import FallbackDrafter
from engine.drafters.language_model import LanguageModelDrafter
from engine.drafters.lookup import LookupDrafter
from engine.errors import InputError
from engine.sampling import Sampling
from engine.trees import Tree
from tests.engine.test_staged import pair
from tests.laws import TableModel, largest_error

EXACT = 1e-12


def copied(seed: int, second_depth: int | None = 1) -> FallbackDrafter:
    model = LanguageModelDrafter(TableModel(seed + 100))  # type: ignore[arg-type]
    return FallbackDrafter(LookupDrafter(), model, second_depth=second_depth)


@pytest.mark.parametrize(
    "sampling", [Sampling(1.0), Sampling(0.6), Sampling(1.2, top_p=0.8)], ids=str
)
@pytest.mark.parametrize("second_depth", [None, 1])
def test_texts_have_the_targets_law(sampling: Sampling, second_depth: int | None) -> None:
    def drafter() -> FallbackDrafter:
        return copied(0, second_depth)

    assert largest_error(TableModel(0), drafter, Tree.chain(2), 3, sampling, None) < EXACT


def test_a_copy_that_claims_to_be_drawn_is_noticed() -> None:
    class Claiming(LookupDrafter):
        def propose(self, *arguments):  # type: ignore[no-untyped-def]
            draft = super().propose(*arguments)
            return draft and replace(draft, laws=torch.full((len(draft.tree), 3), 1 / 3))

    def drafter() -> FallbackDrafter:
        return FallbackDrafter(Claiming(), copied(0).second)

    assert largest_error(TableModel(0), drafter, Tree.chain(2), 3, Sampling(1.0), None) > 1e-3


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rounds_of_either_drafter_hold_the_same_text(temperature: float) -> None:
    target, draft, _ = pair("llama")
    drafter = FallbackDrafter(
        LookupDrafter(min_ngram=2), LanguageModelDrafter(draft), second_depth=2
    )
    request = Request([1, 2, 3, 1, 2], 60, Sampling(temperature), seed=3, rule="coupled")
    done = decode_speculative(target, drafter, request, Tree.chain(5))
    assert done.tokens == decode_autoregressive(target, request).tokens
    sizes = {r.num_draft_tokens for r in done.rounds}
    assert {2, 5} <= sizes  # the model's, and a copy's
    # whoever drafted, both hold the same text
    held = len(drafter.first._text)
    assert drafter.first._text == [*request.prompt, *done.tokens][:held]
    assert drafter.second.cache.length + len(drafter.second._behind) == held
    assert held >= len(request.prompt) + len(done.tokens) - 6


def test_the_second_is_asked_only_so_deep() -> None:
    asked: list[int] = []

    class Watched(LanguageModelDrafter):
        def propose(self, pending, shape, rule, clock):  # type: ignore[no-untyped-def]
            asked.append(shape.depth)
            return super().propose(pending, shape, rule, clock)

    target, draft, _ = pair("llama")
    drafter = FallbackDrafter(LookupDrafter(min_ngram=3), Watched(draft), second_depth=3)
    decode_speculative(target, drafter, Request([5, 6, 7], 30), Tree.chain(6))
    assert asked and max(asked) == 3


def test_a_depth_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1, not 0"):
        copied(0, 0)
