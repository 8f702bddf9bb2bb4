"""Is what we would draft and keep along a text what a decode from there drafts and keeps?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decode import Request, decode_autoregressive
from engine.errors import InputError
from engine.sampling import Sampling
from profiler.server_trace import looked_up, trace_served
from tests.tiny_models import tiny_pair

PROMPTS = [[1, 2, 3, 4], [5, 6], [7, 7, 7]]


def vllm_rule(tokens: list[int], most: int, least: int, drafts: int) -> list[int]:
    """vLLM's proposer as its docstrings say it: the longest n-gram, its earliest place."""
    for n in range(most, least - 1, -1):
        for begin in range(len(tokens) - n):
            if tokens[begin : begin + n] == tokens[-n:]:
                return tokens[begin + n : begin + n + drafts]
    return []


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=12),
    st.lists(st.integers(0, 2), min_size=2, max_size=16),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 5),
)
def test_lookup_is_vllms(
    prompt: list[int], text: list[int], most: int, least: int, drafts: int
) -> None:
    least = min(least, most)
    kept, proposed = looked_up(prompt, text, drafts, (most, least))
    for at in range(1, len(text)):
        wanted = vllm_rule(prompt + text[:at], most, least, drafts)
        agreed = 0
        for drafted, token in zip(wanted, text[at:], strict=False):
            if drafted != token:
                break
            agreed += 1
        assert (kept[at - 1], proposed[at - 1]) == (agreed, len(wanted))


def test_a_draft_model_keeps_what_its_own_greedy_text_says() -> None:
    target, draft = tiny_pair()
    trace = trace_served(target, draft, PROMPTS, 8, 3)
    assert [len(text) for text in trace.tokens] == [11, 11, 11]
    assert trace.lengths.tolist() == [10, 10, 10]
    found = iter(trace.kept.tolist())
    for prompt, text in zip(PROMPTS, trace.tokens, strict=True):
        alone = decode_autoregressive(target, Request(prompt, 11, Sampling(0.0)))
        assert list(text) == list(alone.tokens)
        for at in range(1, len(text)):
            request = Request([*prompt, *text[:at]], 3, Sampling(0.0))
            drafted = decode_autoregressive(draft, request).tokens
            agreed = 0
            while agreed < min(3, len(text) - at) and drafted[agreed] == text[at + agreed]:
                agreed += 1
            assert next(found) == agreed
    assert (trace.proposed == 3).all()


def test_without_a_draft_the_text_is_looked_up() -> None:
    target, _ = tiny_pair()
    trace = trace_served(target, None, PROMPTS[:1], 8, 3, (2, 1))
    kept, proposed = looked_up(PROMPTS[0], trace.tokens[0], 3, (2, 1))
    assert trace.kept.tolist() == kept.tolist()
    assert trace.proposed.tolist() == proposed.tolist()


def test_a_text_beyond_the_context_is_refused() -> None:
    target, draft = tiny_pair()
    with pytest.raises(InputError, match="context"):
        trace_served(target, draft, PROMPTS, target.context, 3)
