"""All outcomes of a decode with their exact probabilities, on models small enough to enumerate.

The engine's random decisions go through one object (engine/randomness.py). Here
that object follows a script of outcomes; running the same program under every
script gives the exact law of what it returns.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Hashable
from functools import cache

import numpy as np
import torch

from engine.cache import KVCache
from engine.decode import Request, decode_autoregressive, decode_speculative
from engine.drafters.base import Drafter
from engine.masks import Layout
from engine.randomness import Randomness, draw_in_turn
from engine.rules import Rejection, Rule
from engine.sampling import Sampling, distribution
from engine.trees import Shape

VOCAB = 3
PROMPT = [1, 0]


class Branching:
    """Randomness that follows a script and notes every decision it met."""

    def __init__(self, script: list[int]) -> None:
        self.script = script
        self.decisions: list[tuple[list[float], int]] = []

    def draw(self, probs: torch.Tensor) -> torch.Tensor:
        """One decision per row, over the tokens with mass."""
        return torch.tensor([self._draw(row) for row in probs.double().tolist()])

    def draw_distinct(self, probs: torch.Tensor, width: int) -> torch.Tensor:
        """One decision per row and rank."""
        return draw_in_turn(self, probs, width)

    def accept(self, chances: torch.Tensor) -> torch.Tensor:
        """One decision per entry that is not certain."""
        result = []
        for chance in chances.double().tolist():
            certain = chance <= 0 or chance >= 1
            result.append(chance >= 1 if certain else self._decide([chance, 1 - chance]) == 0)
        return torch.tensor(result)

    def accept_one(self, chance: float) -> bool:
        """One decision unless it is certain."""
        return bool(self.accept(torch.tensor([chance], dtype=torch.float64)))

    def _draw(self, row: list[float]) -> int:
        total = math.fsum(row)
        if total == 0:
            return len(row) - 1  # what engine.sampling.draw gives where there is no mass
        return self._decide([weight / total for weight in row])

    def _decide(self, weights: list[float]) -> int:
        place = len(self.decisions)
        if place < len(self.script):
            outcome = self.script[place]
        else:
            outcome = next((i for i, w in enumerate(weights) if w > 0), 0)
        self.decisions.append((weights, outcome))
        return outcome


def exact_law(program: Callable[[Randomness], Hashable]) -> dict[Hashable, float]:
    """Probability of everything a program can return; they add up to 1."""
    law: dict[Hashable, float] = defaultdict(float)
    script: list[int] | None = []
    while script is not None:
        source = Branching(script)
        outcome = program(source)
        law[outcome] += math.prod(weights[chosen] for weights, chosen in source.decisions)
        script = _next_script(source.decisions)
    assert abs(sum(law.values()) - 1) < 1e-12
    return dict(law)


def _next_script(decisions: list[tuple[list[float], int]]) -> list[int] | None:
    """The next branch in depth-first order, or None behind the last."""
    for place in reversed(range(len(decisions))):
        weights, chosen = decisions[place]
        for other in range(chosen + 1, len(weights)):
            if weights[other] > 0:
                return [c for _, c in decisions[:place]] + [other]
    return None


class TableModel:
    """A language model that is a random table: float64 logits for every context.

    It keeps its tokens in an ordinary KVCache (as keys, their positions as
    values) and reads each row's context through the mask, so masks, positions,
    commit and rollback are tested with it.
    """

    context = 64
    dtype = torch.float64
    device = torch.device("cpu")
    tokenizer = None

    def __init__(self, seed: int, vocab_size: int = VOCAB, spread: float = 1.5) -> None:
        self.name, self.seed = f"table{seed}", seed
        self.vocab_size, self.spread = vocab_size, spread

    def new_cache(self, capacity: int, spare: int = 0) -> KVCache:
        return KVCache(1, 1, 1, capacity + spare, dtype=torch.float64, device=self.device)

    def logits(self, tokens: tuple[int, ...]) -> torch.Tensor:
        """Logits [vocab] behind a text."""
        return _table_row(self.seed, self.vocab_size, self.spread, tokens)

    def features(self, tokens: tuple[int, ...]) -> torch.Tensor:
        """Something [4] that depends on the whole text, as a hidden state does."""
        return _table_row(self.seed + 1000, 4, 1.0, tokens)

    def forward(
        self, tokens: torch.Tensor, cache: KVCache, num_logits: int, layout: Layout | None = None
    ) -> torch.Tensor:
        return self.forward_with_features(tokens, cache, num_logits, layout)[0]

    def forward_with_features(
        self, tokens: torch.Tensor, cache: KVCache, num_logits: int, layout: Layout | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        cache.require(len(tokens))
        past, n = cache.length, len(tokens)
        if layout is None:
            positions = torch.arange(past, past + n)
            seen = torch.ones(n, past + n, dtype=torch.bool).tril(past)
        else:
            positions, seen = layout.positions, layout.mask == 0
        keys, values = cache.write(
            0, tokens.double()[None, None, :, None], positions.double()[None, None, :, None]
        )
        cache.advance(n)
        held, where = keys[0, 0, :, 0].long(), values[0, 0, :, 0].long()
        texts = []
        for row in range(n):
            order = sorted(torch.nonzero(seen[row])[:, 0].tolist(), key=lambda i: int(where[i]))
            assert [int(where[i]) for i in order] == list(range(len(order))), "a position twice"
            texts.append(tuple(int(held[i]) for i in order))
        logits = torch.stack([self.logits(text) for text in texts])
        return logits[n - num_logits :], torch.stack([self.features(text) for text in texts])


@cache
def _table_row(seed: int, size: int, spread: float, tokens: tuple[int, ...]) -> torch.Tensor:
    rng = np.random.default_rng((seed, *tokens, len(tokens)))
    return torch.from_numpy(spread * rng.standard_normal(size))


def target_law(
    target: TableModel, num_tokens: int, sampling: Sampling
) -> dict[tuple[int, ...], float]:
    """Law of the first tokens of ancestral sampling, by the chain rule."""
    law = {}
    for text in itertools.product(range(target.vocab_size), repeat=num_tokens):
        probability = 1.0
        for i, token in enumerate(text):
            logits = target.logits((*PROMPT, *text[:i]))
            probability *= float(distribution(logits[None], sampling)[0, token])
        law[text] = probability
    return law


def largest_error(
    target: TableModel,
    make_drafter: Callable[[], Drafter],
    shape: Shape,
    num_tokens: int,
    sampling: Sampling,
    make_rule: Callable[[Randomness], Rule] | None = None,
) -> float:
    """Largest difference between the engine's law over texts and the target's.

    Parameters
    ----------
    target : TableModel
    make_drafter : callable
        A fresh drafter for every branch.
    shape : Tree or Growth
    num_tokens : int
        Length of the texts; more than one round's worth tests what is carried over. [tokens]
    sampling : Sampling
    make_rule : callable, optional
        From a source of randomness; ``Rejection`` by default.
    """
    request = Request(PROMPT, num_tokens, sampling)
    rule = make_rule or (lambda randomness: Rejection(sampling, randomness))

    def program(randomness: Randomness) -> tuple[int, ...]:
        generation = decode_speculative(
            target, make_drafter(), request, shape, rule=rule(randomness)
        )
        return tuple(generation.tokens)

    ours, wanted = exact_law(program), target_law(target, num_tokens, sampling)
    return max(abs(ours.get(text, 0.0) - wanted[text]) for text in wanted)


def autoregressive_error(target: TableModel, num_tokens: int, sampling: Sampling) -> float:
    """The same for the plain loop."""
    request = Request(PROMPT, num_tokens, sampling)
    ours = exact_law(
        lambda randomness: tuple(
            decode_autoregressive(target, request, rule=Rejection(sampling, randomness)).tokens
        )
    )
    wanted = target_law(target, num_tokens, sampling)
    return max(abs(ours.get(text, 0.0) - wanted[text]) for text in wanted)
