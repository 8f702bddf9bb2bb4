"""As which child did a token come? Against enumeration, limits and the simulator's account."""

import numpy as np
import pytest
import torch

from profiler.kept_children import kept_child_chances
from simulator.child_acceptance import accept_by_rank

SPREAD = 1.2


def random_laws(seed: int, vocab: int, rows: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = SPREAD * torch.randn(2, rows, vocab, generator=generator, dtype=torch.float64)
    p, q = logits.softmax(-1)
    return p, q


def enumerated(p: np.ndarray, q: np.ndarray, token: int, width: int) -> list[float]:
    """P(child k is the token and is kept)/p(token), every sequence of siblings played."""
    chances = [0.0] * width

    def play(r: np.ndarray, q: np.ndarray, rank: int, weight: float) -> None:
        if rank == width or q.sum() == 0:
            return
        law = q / q.sum()
        rest = np.maximum(r - law, 0)
        rest = rest / rest.sum() if rest.sum() > 0 else r
        for child in np.flatnonzero(law):
            kept = min(1.0, r[child] / law[child])
            if child == token:
                chances[rank] += weight * law[child] * kept
            left = law.copy()
            left[child] = 0
            play(rest, left, rank + 1, weight * law[child] * (1 - kept))

    play(p, q, 0, 1.0)
    return [chance / p[token] for chance in chances]


@pytest.mark.parametrize("seed", range(6))
def test_two_children_are_exact(seed: int) -> None:
    p, q = random_laws(seed, 5)
    for token in range(5):
        got = kept_child_chances(p, q, torch.tensor([token]), 2, torch.Generator())[0]
        assert got.numpy() == pytest.approx(
            enumerated(p[0].numpy(), q[0].numpy(), token, 2), abs=1e-12
        )


def test_more_children_are_unbiased() -> None:
    """Means of many rows within five standard errors; the third child's law is never exact."""
    for seed in range(4):
        p, q = random_laws(seed, 6)
        for token in range(6):
            many = 800
            rows = kept_child_chances(
                p.expand(many, -1),
                q.expand(many, -1),
                torch.full((many,), token),
                4,
                torch.Generator().manual_seed(seed),
                repeats=4,
            ).numpy()
            wanted = enumerated(p[0].numpy(), q[0].numpy(), token, 4)
            error = rows.std(axis=0, ddof=1) / np.sqrt(many)
            assert (np.abs(rows.mean(axis=0) - wanted) <= 5 * error + 1e-12).all()
            assert error.max() < 0.01


def test_the_simulator_says_the_same() -> None:
    """Two packages, one formula each; large vocabularies and a draft that lacks the token too."""
    p, q = random_laws(7, 300, rows=40)
    q = torch.where(q < q.median(-1, keepdim=True).values, 0.0, q)
    q /= q.sum(-1, keepdim=True)
    tokens = p.multinomial(1, generator=torch.Generator().manual_seed(0))[:, 0]
    got = kept_child_chances(p, q, tokens, 2, torch.Generator()).numpy()
    assert (got[:, 0] == 0).any()
    for row, token in enumerate(tokens.tolist()):
        wanted = accept_by_rank(p[row].numpy(), q[row].numpy(), token, 2)
        assert got[row] == pytest.approx(wanted, abs=1e-10)


def test_limits() -> None:
    p, q = random_laws(1, 8)
    token = torch.tensor([3])
    same = kept_child_chances(p, p, token, 4, torch.Generator())[0].tolist()
    assert same == [1.0, 0.0, 0.0, 0.0]
    certain = torch.zeros_like(q)
    certain[0, 5] = 1.0  # a draft sure of another token: nothing is left for later children
    assert kept_child_chances(p, certain, token, 4, torch.Generator())[0].tolist() == [0.0] * 4
    narrow = kept_child_chances(p.float(), q.float(), token, 3, torch.Generator().manual_seed(0))
    wide = kept_child_chances(p, q, token, 3, torch.Generator().manual_seed(0))
    assert narrow.dtype == torch.float64
    assert torch.allclose(narrow, wide, atol=1e-5)


def test_of_two_tokens_one_of_two_children_is_kept() -> None:
    """Law: the second child is all that the draft has left, and all that the residual has."""
    p, q = random_laws(2, 2, rows=300)
    rows = kept_child_chances(p, q, torch.zeros(300, dtype=torch.int64), 2, torch.Generator())
    assert rows.sum(1).numpy() == pytest.approx(1.0, abs=1e-12)


def test_bad_input_is_refused() -> None:
    p, q = random_laws(0, 4)
    token = torch.tensor([0])
    with pytest.raises(ValueError, match="width must be at least 1, not 0"):
        kept_child_chances(p, q, token, 0, torch.Generator())
    with pytest.raises(ValueError, match="repeats must be at least 1, not 0"):
        kept_child_chances(p, q, token, 2, torch.Generator(), 0)
    p[0, 0] = 0
    with pytest.raises(ValueError, match="whose probability is 0"):
        kept_child_chances(p, q, token, 2, torch.Generator())
