"""Toy decoders small enough to enumerate: the exact truth for the simulator's tests.

A pair of first-order Markov chains stands for target p and draft q. Written
from the algorithm (Leviathan et al., arXiv:2211.17192, algorithm 1), not from
the simulator's formulas.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

Text = tuple[int, ...]


@dataclass(frozen=True)
class MarkovPair:
    """Next-token tables, both [vocab, vocab]: row = last token, column = next."""

    target: np.ndarray
    draft: np.ndarray

    @property
    def vocab(self) -> int:
        return self.target.shape[0]


def random_pair(vocab: int, rng: np.random.Generator, agreement: float = 0.5) -> MarkovPair:
    """A target and a draft that is partly the target."""
    target = rng.dirichlet(np.full(vocab, 0.7), size=vocab)
    other = rng.dirichlet(np.full(vocab, 0.7), size=vocab)
    return MarkovPair(target, agreement * target + (1 - agreement) * other)


def texts(pair: MarkovPair, first: int, length: int) -> Iterator[tuple[Text, float]]:
    """Every text of a length behind the token ``first``, with the target's probability."""
    for text in product(range(pair.vocab), repeat=length):
        steps = zip((first, *text), text, strict=False)
        yield text, float(np.prod([pair.target[a, b] for a, b in steps]))


def accept_probs(pair: MarkovPair, first: int, text: Text) -> np.ndarray:
    """min(1, q/p) of every token of a text, as a trace logs it."""
    p = np.array([pair.target[a, b] for a, b in zip((first, *text), text, strict=False)])
    q = np.array([pair.draft[a, b] for a, b in zip((first, *text), text, strict=False)])
    return np.minimum(1.0, q / p)


def speculative_law(
    pair: MarkovPair, first: int, length: int, gamma: int, *, residual: bool = True
) -> dict[Text, tuple[float, np.ndarray]]:
    """Joint law of text and round starts, every draft and every coin enumerated.

    Maps each text to its probability and to P(text, a round starts at t)
    [length]. ``residual=False`` recovers from p instead of the residual: a
    wrong algorithm, for negative controls.
    """
    return decode_law(
        lambda last, room: _round(pair, last, min(gamma, room), residual), first, length
    )


def decode_law(
    one_round: Callable[[int, int], Iterable[tuple[Text, float]]], first: int, length: int
) -> dict[Text, tuple[float, np.ndarray]]:
    """Joint law of text and round starts of any method.

    one_round(last, room) yields the outcomes (emitted tokens, probability) of
    a round behind the token ``last`` that may draft up to ``room`` tokens.
    """
    law: dict[Text, tuple[float, np.ndarray]] = {}

    def play(text: Text, weight: float, starts: tuple[int, ...]) -> None:
        if len(text) == length:
            total, by_start = law.get(text, (0.0, np.zeros(length)))
            by_start = by_start.copy()
            by_start[list(starts)] += weight
            law[text] = (total + weight, by_start)
            return
        begun = (*starts, len(text))
        for emitted, share in one_round((first, *text)[-1], length - len(text) - 1):
            play(text + emitted, weight * share, begun)

    play((), 1.0, ())
    return law


def _round(
    pair: MarkovPair, last: int, drafts: int, residual: bool
) -> Iterator[tuple[Text, float]]:
    """Outcomes of one round behind a token: emitted tokens and probability."""
    p, q = pair.target[last], pair.draft[last]
    if drafts == 0:
        yield from (((token,), float(p[token])) for token in range(pair.vocab))
        return
    left = np.maximum(p - q, 0.0) if residual else p
    for drafted in range(pair.vocab):
        kept = min(1.0, p[drafted] / q[drafted])
        for emitted, share in _round(pair, drafted, drafts - 1, residual):
            yield (drafted, *emitted), float(q[drafted] * kept * share)
        if kept < 1.0:
            for token in np.flatnonzero(left):
                yield (int(token),), float(q[drafted] * (1 - kept) * left[token] / left.sum())


def greedy_rounds(agrees: np.ndarray, gamma: int) -> int:
    """Rounds of greedy chain drafting, walked token by token.

    agrees[t] says whether the draft's choice at t is the target's.
    """
    position, rounds = 0, 0
    while position < len(agrees):
        kept = 0
        while kept < gamma and position + kept < len(agrees) - 1 and agrees[position + kept]:
            kept += 1
        position += kept + 1
        rounds += 1
    return rounds
