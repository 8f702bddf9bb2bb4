"""As which child a token came: enumeration of all draws, limits, sampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.child_acceptance import accept_by_rank, sampled_accept_by_rank


def laws(seed, vocab):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(vocab, 0.6)), rng.dirichlet(np.full(vocab, 0.6))


def enumerated(p, q, width):
    """P(token x emitted as child k) [vocab, width] and P(x emitted) [vocab], every draw played."""
    mass, emitted = np.zeros((len(p), width)), np.zeros(len(p))

    def judge(rank, r, left, weight):
        if rank == width or left.sum() == 0:
            emitted[:] += weight * r
            return
        law = left / left.sum()
        rest = np.maximum(r - law, 0)
        for x in np.flatnonzero(law):
            kept = min(1.0, r[x] / law[x])
            mass[x, rank] += weight * law[x] * kept
            emitted[x] += weight * law[x] * kept
            if kept < 1:
                later = law.copy()
                later[x] = 0
                judge(rank + 1, rest / rest.sum(), later, weight * law[x] * (1 - kept))

    judge(0, p, q, 1.0)
    return mass, emitted


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_child_follows_the_enumerated_draws(seed, width):
    p, q = laws(seed, 5)
    mass, emitted = enumerated(p, q, width)
    assert emitted == pytest.approx(p, abs=1e-13)  # the rule is lossless
    for token in range(5):
        ours = accept_by_rank(p, q, token, width)
        assert ours == pytest.approx(mass[token] / p[token], rel=1e-10, abs=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_the_first_child_is_a_chain(seed):
    p, q = laws(seed, 6)
    for token in np.flatnonzero(p):
        chain = min(1, q[token] / p[token])
        assert accept_by_rank(p, q, int(token), 3)[0] == pytest.approx(chain, rel=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_children_are_shares_and_more_children_change_none(seed):
    p, q = laws(seed, 4)
    token = int(np.argmax(p))
    four = accept_by_rank(p, q, token, 4)
    assert (four >= 0).all() and four.sum() <= 1 + 1e-9
    for width in (1, 2, 3):
        assert accept_by_rank(p, q, token, width) == pytest.approx(four[:width], abs=1e-12)


def test_two_children_cover_a_draft_of_two_tokens():
    """If q has two tokens in its support, two draws take all their probability in p."""
    p, q = np.array([0.1, 0.9]), np.array([0.7, 0.3])
    for token in (0, 1):
        assert accept_by_rank(p, q, token, 2).sum() == pytest.approx(1.0, abs=1e-12)


def test_equal_laws_never_need_a_second_child():
    p, _ = laws(0, 5)
    assert accept_by_rank(p, p, 1, 3).tolist() == [1, 0, 0]


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_sampled_siblings_average_to_the_recursion(seed):
    """n = 400 rows; 6 standard errors of the mean (2e-9 a value), 1e-9 where there is no spread."""
    p, q = laws(seed, 6)
    token = int(np.argmax(p))
    rows = sampled_accept_by_rank(p, q, token, 3, repeats=400, rng=np.random.default_rng(seed))
    error = rows.std(axis=0, ddof=1) / 20
    exact = accept_by_rank(p, q, token, 3)
    assert (abs(rows.mean(axis=0) - exact) <= 6 * error + 1e-9).all()


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"target_law must sum to 1, not 0\.9"):
        accept_by_rank([0.5, 0.4], [0.5, 0.5], 0, 1)
    with pytest.raises(ValueError, match="token 1 is never emitted"):
        accept_by_rank([1.0, 0.0], [0.5, 0.5], 1, 1)
    with pytest.raises(ValueError, match="width must be finite and >= 1, not 0"):
        accept_by_rank([1.0, 0.0], [0.5, 0.5], 0, 0)
    with pytest.raises(ValueError, match="target_law has shape"):
        accept_by_rank([1.0], [0.5, 0.5], 0, 1)
