"""Windows of chains: each rule against all outcomes of its algorithm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.chains import block_windows, chain_windows, parallel_windows
from simulator.replay import replay_windows
from tests.oracles import MarkovPair, decode_law, random_pair, texts
from tests.round_laws import block_round

RATIOS = st.lists(st.floats(0, 1e300), min_size=1, max_size=12)
GAMMA = st.integers(0, 8)


def ratios(pair: MarkovPair, first: int, text: tuple[int, ...]) -> np.ndarray:
    pairs = list(zip((first, *text), text, strict=False))
    return np.array([pair.draft[a, b] / pair.target[a, b] for a, b in pairs])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gamma", [1, 2, 3])
def test_block_starts_follow_the_enumerated_algorithm(seed, gamma):
    """Given the text, P(start at t) equals that of block verification, exactly."""
    pair = random_pair(3, np.random.default_rng(seed), agreement=0.3)
    law = decode_law(lambda last, room: block_round(pair, last, min(gamma, room)), 0, 4)
    for text, probability in texts(pair, 0, 4):
        total, by_start = law[text]
        assert total == pytest.approx(probability, abs=1e-13)
        v = replay_windows(block_windows(ratios(pair, 0, text), [4], gamma)).start_prob
        assert by_start == pytest.approx(probability * v, abs=1e-13)


def test_negative_control_a_wrong_residual_is_rejected():
    pair = random_pair(3, np.random.default_rng(0), agreement=0.3)
    law = decode_law(lambda last, room: block_round(pair, last, min(2, room), weighted=False), 0, 4)
    worst = max(abs(law[text][0] - probability) for text, probability in texts(pair, 0, 4))
    assert worst > 1e-4


def test_negative_control_token_windows_are_not_block_windows():
    pair = random_pair(3, np.random.default_rng(0), agreement=0.3)
    law = decode_law(lambda last, room: block_round(pair, last, min(3, room)), 0, 4)
    worst = 0.0
    for text, probability in texts(pair, 0, 4):
        clipped = np.minimum(1, ratios(pair, 0, text))
        v = replay_windows(chain_windows(clipped, [4], 3)).start_prob
        worst = max(worst, float(abs(law[text][1] - probability * v).max()))
    assert worst > 1e-4


@given(RATIOS, GAMMA)
def test_block_never_keeps_less_than_token_by_token(ratio, gamma):
    block = block_windows(ratio, [len(ratio)], gamma).survival
    token = chain_windows(np.minimum(1, ratio), [len(ratio)], gamma).survival
    assert (block >= token - 1e-12).all()
    assert block[:, :2] == pytest.approx(token[:, :2], abs=1e-12)  # equal for one draft


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=12), GAMMA)
def test_rules_agree_exactly_at_temperature_zero(ratio, gamma):
    block = block_windows(ratio, [len(ratio)], gamma).survival
    assert (block == chain_windows(ratio, [len(ratio)], gamma).survival).all()


@given(RATIOS, GAMMA)
def test_block_is_the_least_cumulative_product(ratio, gamma):
    survival = block_windows(np.minimum(ratio, 10), [len(ratio)], gamma).survival
    for s in range(len(ratio)):
        products = [1.0, *np.cumprod(np.minimum(ratio, 10)[s : len(ratio) - 1])]
        for j in range(min(gamma, len(ratio) - s - 1) + 1):
            assert survival[s, j] == pytest.approx(min(products[: j + 1]), abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), GAMMA)
def test_a_table_without_horizons_is_a_chain(accept, gamma):
    table = np.zeros((len(accept), gamma))
    for j in range(gamma):
        table[: max(len(accept) - j, 0), j] = accept[j:]
    parallel, chain = (
        parallel_windows(table, [len(accept)]),
        chain_windows(accept, [len(accept)], gamma),
    )
    assert parallel.survival == pytest.approx(chain.survival, abs=1e-15)
    assert (parallel.num_drafted == chain.num_drafted).all()


def parallel_round(target, heads, last, drafts):
    """Heads that see the token before the round only, judged token by token."""

    def play(context, ahead, emitted, weight):
        p = target[context]
        if ahead == drafts:
            for y in range(len(p)):
                yield (*emitted, y), weight * float(p[y])
            return
        q = heads[ahead][last]
        for x in range(len(p)):
            kept = q[x] * min(1.0, p[x] / q[x])
            yield from play(x, ahead + 1, (*emitted, x), weight * float(kept))
        residual = np.maximum(p - q, 0)  # its mass is the chance of a rejection
        for y in np.flatnonzero(residual):
            yield (*emitted, int(y)), weight * float(residual[y])

    yield from play(last, 0, (), 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_parallel_starts_follow_the_enumerated_algorithm(seed):
    rng = np.random.default_rng(seed)
    target = rng.dirichlet(np.ones(3), size=3)
    heads = rng.dirichlet(np.ones(3), size=(2, 3))
    pair = MarkovPair(target, target)
    law = decode_law(lambda last, room: parallel_round(target, heads, last, min(2, room)), 0, 4)
    for text, probability in texts(pair, 0, 4):
        contexts = (0, *text)
        table = np.zeros((4, 2))
        for s in range(4):
            for j in range(min(2, 4 - s)):
                p = target[contexts[s + j], text[s + j]]
                table[s, j] = min(1, heads[j][contexts[s], text[s + j]] / p)
        total, by_start = law[text]
        v = replay_windows(parallel_windows(table, [4])).start_prob
        assert total == pytest.approx(probability, abs=1e-13)
        assert by_start == pytest.approx(probability * v, abs=1e-13)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="probability_ratio must be finite and >= 0, not -1"):
        block_windows([-1.0], [1], 2)
    with pytest.raises(ValueError, match=r"accept_prob must be \[num_positions, horizon\]"):
        parallel_windows([0.5], [1])
