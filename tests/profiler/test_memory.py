"""What drafters keep beside the target."""

import pytest
import torch

from engine.drafters.fallback import FallbackDrafter
from engine.drafters.language_model import LanguageModelDrafter
from engine.drafters.lookup import LookupDrafter
from engine.drafters.ngram import NgramDrafter
from engine.drafters.staged import StagedDrafter
from engine.errors import InputError
from engine.heads.loading import KINDS
from engine.heads.target_ends import TargetEnds
from profiler.memory import drafter_bytes, peak_memory
from tests.engine.test_heads import drafter_of, random_heads
from tests.engine.test_ngram import small_ngram
from tests.tiny_models import tiny_pair


def test_levels_add_up_and_lookup_is_free() -> None:
    _, draft = tiny_pair()
    ngram = NgramDrafter(small_ngram(64))
    assert drafter_bytes(LookupDrafter()) == 0
    assert drafter_bytes(LanguageModelDrafter(draft)) == draft.weight_bytes > 0
    table = drafter_bytes(ngram)
    assert table > 0
    both = FallbackDrafter(LookupDrafter(min_ngram=2), ngram)
    assert drafter_bytes(StagedDrafter(draft, both)) == draft.weight_bytes + table


@pytest.mark.parametrize("kind", KINDS)
def test_heads_count_their_own_parameters_not_the_targets(kind: str) -> None:
    target, _ = tiny_pair()
    heads = random_heads(kind, TargetEnds.of(target))
    expected = sum(p.numel() * p.element_size() for p in heads.parameters())
    assert drafter_bytes(drafter_of(heads)) == expected
    assert 0 < expected < 40 * target.weight_bytes


def test_a_drafter_it_does_not_know_is_refused() -> None:
    class Other:
        level, needs_features = "other", False

    with pytest.raises(InputError, match="memory of drafter 'other' is not known"):
        drafter_bytes(Other())  # type: ignore[arg-type]


def test_peak_memory_counts_what_was_given_back() -> None:
    held = torch.ones(1 << 24)  # 64 MiB
    size = held.numel() * held.element_size()
    del held
    peak, counted_by = peak_memory(torch.device("cpu"))
    assert counted_by == "process"
    assert peak >= size
    again = torch.ones((peak + size) // 4)  # more than ever
    del again
    assert peak_memory(torch.device("cpu"))[0] >= peak + size
