"""Acceptance by draft position, estimated from a trace."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.acceptance import expected_emitted_from_hazards
from simulator.hazards import (
    emitted_tokens_by_prompt,
    hazards_from_trace,
    pooled_emitted_tokens,
    survival_products,
)
from simulator.replay import replay_chain
from tests.oracles import accept_probs, random_pair

PROMPTS = st.lists(
    st.lists(st.sampled_from([0.0, 0.2, 0.7, 1.0]), min_size=1, max_size=9), min_size=1, max_size=4
)


def naive_hazards(prompts, gamma):
    reached, kept = np.zeros(gamma), np.zeros(gamma)
    for prompt in prompts:
        for start in range(len(prompt)):
            weight = 1.0
            for j in range(min(gamma, len(prompt) - start)):
                reached[j] += weight
                weight *= prompt[start + j]
                kept[j] += weight
    return np.array([k / r if r > 0 else 0.0 for k, r in zip(kept, reached, strict=True)])


@given(PROMPTS, st.integers(0, 11))
def test_hazards_equal_the_loop_over_starts(prompts, gamma):
    fast = hazards_from_trace(np.concatenate(prompts), [len(p) for p in prompts], gamma)
    assert fast == pytest.approx(naive_hazards(prompts, gamma), abs=1e-12)


@given(PROMPTS, st.integers(0, 11))
def test_each_prompt_is_estimated_alone(prompts, gamma):
    fast = emitted_tokens_by_prompt(np.concatenate(prompts), [len(p) for p in prompts], gamma)
    alone = [expected_emitted_from_hazards(naive_hazards([p], gamma)) for p in prompts]
    assert fast == pytest.approx(np.array(alone), abs=1e-12)


def test_constant_acceptance_has_constant_hazards():
    hazards = hazards_from_trace(np.full(50, 0.6), [20, 30], 8)
    assert hazards == pytest.approx(np.full(8, 0.6), rel=1e-12)


def test_no_round_reaches_beyond_the_longest_prompt():
    assert (hazards_from_trace(np.ones(5), [2, 3], 6) == [1, 1, 1, 0, 0, 0]).all()


def test_products_stop_at_the_end_of_a_prompt():
    products = survival_products(np.full(5, 0.5), np.array([2, 3]), 3)
    expected = [[1, 1, 1, 1, 1], [0.5] * 5, [0.25, 0, 0.25, 0.25, 0], [0, 0, 0.125, 0, 0]]
    assert (products == expected).all()


def test_uniform_starts_flatter_where_hard_tokens_come_in_runs():
    """Rounds start behind rejections; on correlated text that makes L1 too high.

    Sticky Markov text: hard tokens follow hard tokens. Both estimates are exact
    for the same long trace, so only the sign is checked.
    """
    rng = np.random.default_rng(0)
    pair = random_pair(2, rng)
    sticky = np.array([[0.95, 0.05], [0.10, 0.90]])
    draft = np.array([[0.95, 0.05], [0.9, 0.1]])
    pair = type(pair)(sticky, draft)
    text, last = [], 0
    for uniform in rng.random(20_000):
        last = int(uniform > sticky[last, 0])
        text.append(last)
    trace = accept_probs(pair, 0, tuple(text))
    uniform_tau = expected_emitted_from_hazards(hazards_from_trace(trace, [len(text)], 4))
    assert uniform_tau > 1.1 * replay_chain(trace, [len(text)], 4).tau


def test_pooling_is_tokens_over_rounds():
    assert pooled_emitted_tokens([1.0, 4.0], [10, 40]) == pytest.approx(50 / 20)
    assert pooled_emitted_tokens([2.5], [7]) == 2.5


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="lengths add up to 3 tokens, but there are 4 positions"):
        hazards_from_trace(np.ones(4), [3], 2)
    with pytest.raises(ValueError, match="lengths must be finite and >= 1, not 0"):
        hazards_from_trace(np.ones(4), [4, 0], 2)
    with pytest.raises(ValueError, match=r"tau_by_prompt must be >= 1, not 0\.5"):
        pooled_emitted_tokens([0.5], [4])
    with pytest.raises(ValueError, match="shape"):
        pooled_emitted_tokens([1.0, 2.0], [4])
