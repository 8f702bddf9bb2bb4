"""Easy and hard stretches: moments, limits, enumeration of states, and played texts."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measurements import DATA, load_profile, scan
from simulator.acceptance import expected_emitted_tokens
from simulator.method_rounds import simulate_two_state_text
from simulator.profile_tables import read_trace
from simulator.replay import replay_chain
from simulator.two_state import TwoStateText, fit_two_state, two_state_emitted_tokens

GAMMA = st.integers(0, 12)


@st.composite
def two_state_texts(draw):
    mean = draw(st.floats(0, 1))
    variance = draw(st.floats(0, 1)) * mean * (1 - mean)
    return TwoStateText(mean, variance, draw(st.floats(0, 0.99)))


@given(two_state_texts())
def test_states_have_the_moments_they_were_made_from(text):
    shares = np.array([text.easy_share, 1 - text.easy_share])
    easy, hard = text.rates
    assert 0 <= hard <= easy <= 1
    assert shares @ text.rates == pytest.approx(text.mean, abs=1e-7)
    assert shares @ (text.rates - text.mean) ** 2 == pytest.approx(text.variance, abs=1e-7)
    assert text.transitions.sum(axis=1) == pytest.approx([1, 1])
    assert shares @ text.transitions == pytest.approx(shares)
    assert np.linalg.eigvals(text.transitions).min() == pytest.approx(text.correlation, abs=1e-7)


@given(two_state_texts(), GAMMA)
def test_tokens_lie_between_a_step_and_a_full_round(text, gamma):
    assert -1e-9 <= two_state_emitted_tokens(text, gamma) - 1 <= gamma + 1e-9


@given(st.floats(0, 1), st.floats(0, 0.99), GAMMA)
def test_without_variance_it_is_the_closed_form(mean, correlation, gamma):
    tau = two_state_emitted_tokens(TwoStateText(mean, 0.0, correlation), gamma)
    assert tau == pytest.approx(expected_emitted_tokens(mean, gamma), rel=1e-12)


@given(two_state_texts(), GAMMA)
def test_without_correlation_it_is_the_closed_form(text, gamma):
    free = TwoStateText(text.mean, text.variance, 0.0)
    tau = two_state_emitted_tokens(free, gamma)
    assert tau == pytest.approx(expected_emitted_tokens(text.mean, gamma), rel=1e-9)


def test_frozen_states_are_a_mixture_of_prompts():
    """Correlation 1 - 1e-12: texts easy or hard throughout, tokens over rounds pooled."""
    text = TwoStateText(0.7, 0.04, 1 - 1e-12)
    easy, hard = (float(expected_emitted_tokens(rate, 5)) for rate in text.rates)
    pooled = 1 / (0.5 / easy + 0.5 / hard)
    assert two_state_emitted_tokens(text, 5) == pytest.approx(pooled, rel=1e-4)


@pytest.mark.parametrize("gamma", [1, 2, 3])
def test_the_matrix_product_equals_the_sum_over_all_paths(gamma):
    """Rounds as a Markov chain whose every path of states and coins is enumerated."""
    text = TwoStateText(0.6, 0.05, 0.7)
    kernel, emitted = np.zeros((2, 2)), np.zeros(2)
    for first in range(2):
        for path in product(range(2), repeat=gamma + 1):
            states = (first, *path)
            for kept in range(gamma + 1):
                chance = np.prod([text.rates[states[i]] for i in range(kept)])
                chance *= 1 if kept == gamma else 1 - text.rates[states[kept]]
                chance *= np.prod([text.transitions[a, b] for a, b in pairwise(states)])
                kernel[first, states[kept + 1]] += chance
                emitted[first] += chance * (kept + 1)
    stationary = np.linalg.matrix_power(kernel, 500)[0]
    assert two_state_emitted_tokens(text, gamma) == pytest.approx(stationary @ emitted)


@pytest.mark.parametrize("gamma", [1, 4, 9])
def test_replay_of_a_played_text_agrees(gamma):
    """40 texts of 4000 tokens; 5 standard errors between texts, and 1 % for their ends."""
    rng = np.random.default_rng(gamma)
    text = TwoStateText(0.75, 0.04, 0.9)
    taus = [
        replay_chain(simulate_two_state_text(text, 4000, rng=rng), [4000], gamma).tau
        for _ in range(40)
    ]
    exact = two_state_emitted_tokens(text, gamma)
    error = np.std(taus, ddof=1) / np.sqrt(40)
    assert abs(np.mean(taus) - exact) <= 5 * error + 0.001 * exact
    independent = expected_emitted_tokens(0.75, gamma)
    assert gamma == 1 or abs(np.mean(taus) - independent) > 5 * error + 0.001 * exact  # control


def test_the_fit_recovers_the_text_that_wrote_a_trace():
    """200,000 tokens: moments within 0.02, from the spread over seeds (0.004 at most)."""
    text = TwoStateText(0.7, 0.06, 0.85)
    played = simulate_two_state_text(text, 200_000, rng=np.random.default_rng(1))
    fitted = fit_two_state(played, [200_000])
    assert fitted.mean == pytest.approx(text.mean, abs=0.02)
    assert fitted.variance == pytest.approx(text.variance, abs=0.02)
    assert fitted.correlation == pytest.approx(text.correlation, abs=0.02)


def test_independent_acceptance_has_no_local_rate():
    rng = np.random.default_rng(2)
    fitted = fit_two_state(rng.random(50_000) < 0.6, [500] * 100)
    tau = two_state_emitted_tokens(fitted, 6)
    assert tau == pytest.approx(expected_emitted_tokens(0.6, 6), rel=0.01)


def test_prompts_do_not_touch_each_other_in_the_fit():
    """Two texts in a row, all easy and all hard: the step between them is not a distance."""
    fitted = fit_two_state([1.0] * 50 + [0.0] * 50, [50, 50])
    assert fitted.variance == pytest.approx(0.25) and fitted.correlation > 0.99


@pytest.mark.parametrize("greedy", [True, False])
def test_it_removes_most_of_the_independent_bias_on_recorded_traces(greedy):
    """Against replay, gamma = 1 ... 12: at most 60 % of the closed form's mean error is left."""
    path, record = next((p, r) for p, r in scan(DATA).profiles if r.complete)
    info = next(t for t in record.traces if (t.sampling.temperature == 0) == greedy)
    table = load_profile(path).trace(info.sampling)
    trace = read_trace(table)
    text = fit_two_state(trace.accept_prob, trace.lengths)
    closed, alternating = [], []
    for gamma in range(1, 13):
        exact = replay_chain(trace.accept_prob, trace.lengths, gamma).tau
        closed.append(abs(expected_emitted_tokens(trace.acceptance_rate, gamma) / exact - 1))
        alternating.append(abs(two_state_emitted_tokens(text, gamma) / exact - 1))
    assert np.mean(alternating) < 0.6 * np.mean(closed)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"variance must be in \[0, 0.21\], not 0.3"):
        TwoStateText(0.7, 0.3, 0.5)
    with pytest.raises(ValueError, match=r"correlation must be in \[0, 1\), not 1"):
        TwoStateText(0.7, 0.1, 1.0)
    with pytest.raises(ValueError, match="prompts must have at least 3 tokens, not 2"):
        fit_two_state([0.5, 0.5], [2])
