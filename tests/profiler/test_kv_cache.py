import pytest

from engine.errors import InputError
from engine.model import wrap
from profiler.kv_cache import CacheSample, measure_kv_cache, summary
from profiler.progress import Step
from tests.tiny_models import tiny_gpt2, tiny_llama

PROMPTS = [[1, 2, 3], [4, 5]]


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2], ids=["llama", "gpt2"])
@pytest.mark.parametrize("forward", ["lean", "transformers"])
def test_every_pair_is_kept_and_both_write_the_same_text(make, forward) -> None:  # type: ignore[no-untyped-def]
    steps: list[Step] = []
    target = wrap("tiny", make(), forward=forward)
    samples = measure_kv_cache(target, PROMPTS, (4, 12), repeats=2, report=steps.append)
    assert [(s.repeat, s.new_tokens, s.prompt) for s in samples] == [
        (r, n, p) for r in range(2) for n in (4, 12) for p in range(2)
    ]
    assert all(s.cached_s > 0 and s.naive_s > 0 and s.same_text for s in samples)
    assert steps[-1].done == steps[-1].total == len(samples)
    table = summary(samples)
    assert table.new_tokens.tolist() == [4, 12]
    assert table.pairs.tolist() == [4, 4]
    assert (table.same_text == 1).all()


def test_the_summary_takes_medians_of_paired_ratios() -> None:
    times = [(1.0, 2.0), (2.0, 8.0), (4.0, 12.0)]
    table = summary([CacheSample(8, i, 0, c, n, i > 0) for i, (c, n) in enumerate(times)])
    row = table.iloc[0]
    assert (row.speedup, row.speedup_q25, row.speedup_q75) == (3.0, 2.5, 3.5)
    assert (row.cached_tokens_per_s, row.naive_tokens_per_s) == (4.0, 1.0)
    assert row.same_text == pytest.approx(2 / 3)


def test_nothing_to_measure_and_texts_that_do_not_fit_are_refused() -> None:
    target = wrap("tiny", tiny_llama(context=16))
    with pytest.raises(InputError, match="not 0 prompts, 5 lengths and 3 repeats"):
        measure_kv_cache(target, [])
    with pytest.raises(InputError, match="exceed the context of tiny: 16 tokens"):
        measure_kv_cache(target, PROMPTS, (20,))
