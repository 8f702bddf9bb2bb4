"""Round starts along a trace: exact laws, enumeration, and a second implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.acceptance import expected_emitted_tokens
from simulator.chains import chain_windows
from simulator.replay import kept_survival, replay_chain, replay_chain_naive, replay_windows
from simulator.rounds import simulate_chain
from tests.oracles import (
    MarkovPair,
    accept_probs,
    greedy_rounds,
    random_pair,
    speculative_law,
    texts,
)

GAMMA = st.integers(0, 12)


def prompts_of(values):
    return st.lists(st.lists(values, min_size=1, max_size=10), min_size=1, max_size=4)


def flat(prompts):
    return np.concatenate(prompts), [len(p) for p in prompts]


@given(prompts_of(st.floats(0, 1)), GAMMA)
def test_banded_solve_equals_the_renewal_process(prompts, gamma):
    fast, naive = replay_chain(*flat(prompts), gamma), replay_chain_naive(*flat(prompts), gamma)
    assert fast.start_prob == pytest.approx(naive.start_prob, abs=1e-12)
    assert fast.after_full_prob == pytest.approx(naive.after_full_prob, abs=1e-12)
    assert (fast.num_drafted == naive.num_drafted).all()


@given(prompts_of(st.sampled_from([0.0, 1.0])), GAMMA)
def test_greedy_rounds_are_counted_exactly(prompts, gamma):
    """At temperature 0 the expectation is the count: equality of floats, no tolerance."""
    rounds = replay_chain(*flat(prompts), gamma).rounds_per_prompt
    assert rounds.tolist() == [greedy_rounds(np.array(p) == 1, gamma) for p in prompts]


def test_greedy_rounds_stay_exact_over_long_texts():
    rng = np.random.default_rng(5)
    lengths = rng.integers(1, 4000, size=30)
    agrees = (rng.random(lengths.sum()) < 0.8).astype(float)
    for gamma in (1, 3, 8, 16):
        rounds = replay_chain(agrees, lengths, gamma).rounds_per_prompt
        parts = np.split(agrees == 1, np.cumsum(lengths)[:-1])
        assert rounds.tolist() == [greedy_rounds(part, gamma) for part in parts]


@given(prompts_of(st.floats(0, 1)), GAMMA)
def test_every_position_lies_in_exactly_one_round(prompts, gamma):
    """sum over j <= gamma of v[t-j] S(t-j, j) = 1, checked on the naive solution."""
    for prompt in prompts:
        v = replay_chain_naive(prompt, [len(prompt)], gamma).start_prob
        for t in range(len(prompt)):
            inside = [v[t - j] * np.prod(prompt[t - j : t]) for j in range(min(gamma, t) + 1)]
            assert sum(inside) == pytest.approx(1.0, abs=1e-12)


@given(prompts_of(st.floats(0, 1)), GAMMA)
def test_rounds_lie_between_all_full_and_one_per_token(prompts, gamma):
    replay = replay_chain(*flat(prompts), gamma)
    for length, rounds in zip(replay.lengths, replay.rounds_per_prompt, strict=True):
        assert np.ceil(length / (gamma + 1)) - 1e-9 <= rounds <= length + 1e-9
    assert 0.0 <= replay.draft_efficiency <= 1.0 + 1e-12


@given(prompts_of(st.floats(0, 1)), GAMMA)
def test_more_drafts_or_more_acceptance_never_take_more_rounds(prompts, gamma):
    accept, lengths = flat(prompts)
    rounds = replay_chain(accept, lengths, gamma).rounds_per_prompt
    longer = replay_chain(accept, lengths, gamma + 1).rounds_per_prompt
    easier = replay_chain(np.sqrt(accept), lengths, gamma).rounds_per_prompt
    assert (longer <= rounds + 1e-9).all()
    assert (easier <= rounds + 1e-9).all()


@given(prompts_of(st.floats(0, 1)), GAMMA)
def test_prompts_do_not_touch_each_other(prompts, gamma):
    together = replay_chain(*flat(prompts), gamma)
    alone = [replay_chain(p, [len(p)], gamma) for p in prompts]
    assert (together.start_prob == np.concatenate([r.start_prob for r in alone])).all()
    assert (together.after_full_prob == np.concatenate([r.after_full_prob for r in alone])).all()


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12), GAMMA)
def test_what_comes_later_does_not_move_a_start(prompt, gamma):
    """A text cut at N has the starts of the longer text: the cap near the end changes none."""
    half = len(prompt) // 2
    whole, cut = (
        replay_chain(prompt, [len(prompt)], gamma),
        replay_chain(prompt[:half], [half], gamma),
    )
    assert cut.start_prob == pytest.approx(whole.start_prob[:half], abs=1e-12)


def test_limits():
    assert replay_chain(np.ones(12), [12], 3).expected_rounds == 3
    assert replay_chain(np.zeros(12), [12], 3).expected_rounds == 12
    assert replay_chain(np.full(12, 0.4), [12], 0).expected_rounds == 12
    assert (replay_chain([0.5], [1], 4).num_drafted == [0]).all()


def test_long_constant_text_approaches_the_closed_form():
    """Ends matter by O(gamma / N): 1e-3 at N = 20000 and gamma = 5."""
    tau = replay_chain(np.full(20_000, 0.7), [20_000], 5).tau
    assert tau == pytest.approx(expected_emitted_tokens(0.7, 5), rel=1e-3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gamma", [1, 2, 4])
def test_starts_follow_the_enumerated_algorithm(seed, gamma):
    """Given the text, P(start at t) equals that of speculative sampling, exactly.

    Every draft and every coin of the real algorithm on a toy pair is
    enumerated; the joint law of text and starts is P(text) * start_prob(text).
    """
    pair = random_pair(3, np.random.default_rng(seed))
    law = speculative_law(pair, 0, 4, gamma)
    for text, probability in texts(pair, 0, 4):
        total, by_start = law[text]
        assert total == pytest.approx(probability, abs=1e-13)
        v = replay_chain(accept_probs(pair, 0, text), [4], gamma).start_prob
        assert by_start == pytest.approx(probability * v, abs=1e-13)


def test_negative_control_wrong_residual_is_rejected():
    """Recovering from p instead of the residual must break the law just tested."""
    pair = random_pair(3, np.random.default_rng(0))
    law = speculative_law(pair, 0, 3, 2, residual=False)
    worst = max(abs(law[text][0] - probability) for text, probability in texts(pair, 0, 3))
    assert worst > 1e-3


def test_negative_control_acceptance_of_the_draft_token_is_rejected():
    """min(1, p/q) instead of min(1, q/p) must disagree with the enumeration."""
    pair = random_pair(3, np.random.default_rng(0))
    swapped = MarkovPair(pair.draft, pair.target)
    law = speculative_law(pair, 0, 4, 2)
    worst = 0.0
    for text, probability in texts(pair, 0, 4):
        v = replay_chain(accept_probs(swapped, 0, text), [4], 2).start_prob
        worst = max(worst, float(abs(law[text][1] - probability * v).max()))
    assert worst > 1e-3


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_played_out_rounds_average_to_the_expectation(seed):
    """n = 4000 decodes; 5 standard errors of the sample mean: false alarm 6e-7 per prompt."""
    rng = np.random.default_rng(seed)
    accept, lengths = rng.random(60) ** 0.5, [25, 35]
    played = simulate_chain(accept, lengths, 4, rng=rng, repeats=4000)
    expected = replay_chain(accept, lengths, 4).rounds_per_prompt
    error = played.std(axis=0, ddof=1) / np.sqrt(4000)
    assert (abs(played.mean(axis=0) - expected) <= 5 * error).all()


def test_after_full_counts_rounds_that_follow_a_full_one():
    replay = replay_chain([1, 1, 1, 1, 0, 1], [6], 1)
    assert replay.start_prob.tolist() == [1, 0, 1, 0, 1, 1]
    assert replay.after_full_prob.tolist() == [0, 0, 1, 0, 1, 0]


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"accept_prob must be in \[0, 1\], not 1.5"):
        replay_chain([1.5], [1], 2)
    with pytest.raises(ValueError, match="num_draft_tokens must be finite and >= 0, not -1"):
        replay_chain([0.5], [1], -1)
    with pytest.raises(ValueError, match="num_draft_tokens must be one number, not 2 numbers"):
        replay_chain([0.5], [1], [1, 2])
    with pytest.raises(ValueError, match="lengths must be a non-empty list"):
        replay_chain([], [], 2)


def test_survival_at_starts_adds_up_to_tau() -> None:
    rng = np.random.default_rng(3)
    windows = chain_windows(rng.uniform(size=40), [15, 25], 4)
    survival = kept_survival(windows)
    assert (np.diff(survival) <= 0).all()
    assert 1 + survival.sum() == pytest.approx(replay_windows(windows).tau)
