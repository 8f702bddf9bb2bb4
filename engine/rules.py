"""How drafted tokens are chosen, and how the target judges them.

A rule does both, because the two must fit: a token drawn from the draft's
distribution is judged by rejection sampling, a token that is merely a guess by
whether the target chooses it too. Every rule but ``Typical`` is lossless: the
text has the law of autoregressive sampling (tests/engine/test_laws.py plays
out all outcomes). Drafters only supply logits and need not know the rule.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Protocol

import torch

from engine.drafters.base import Draft
from engine.errors import InputError
from engine.randomness import Noise, Randomness, Uniforms
from engine.sampling import Sampling, distribution, warped
from engine.verification import (
    Verdict,
    laws_along,
    recursive_rejection,
    recursive_walk,
    typical_acceptance,
    verify_block,
    verify_sampled,
)

RuleName = Literal["rejection", "block", "match", "coupled", "typical"]
RULES: tuple[RuleName, ...] = ("rejection", "block", "match", "coupled", "typical")


@dataclass(frozen=True)
class Choice:
    """Children chosen for some tree positions.

    Attributes
    ----------
    tokens : torch.Tensor [positions, width], int64
        Siblings in the order they were chosen.
    laws : torch.Tensor [positions, vocab] or None
        What they were drawn from, without replacement; None for guesses.
    """

    tokens: torch.Tensor
    laws: torch.Tensor | None


class Rule(Protocol):
    """Chooses drafted tokens and judges them."""

    name: str
    lossless: bool
    guesses: bool  # children are a function of the logits (and known noise): any tree is lossless
    sampling: Sampling

    def begin(self, start: int) -> None:
        """A round begins behind this many generated tokens."""
        ...

    def choose(self, logits: torch.Tensor, depth: int | Sequence[int], width: int) -> Choice:
        """width children for tree positions [n], logits [n, vocab].

        ``depth``: of all positions, or one per position (0: pending).
        """
        ...

    def confidence(self, logits: torch.Tensor, choice: Choice, depth: int) -> list[list[float]]:
        """How likely each chosen child [n, width] is to be kept, by the draft's own lights.

        Where tokens are drawn, it depends on the law alone, never on the tokens.
        """
        ...

    def next_token(self, logits: torch.Tensor) -> torch.Tensor:
        """The target's token [1] without a draft, logits [1, vocab]."""
        ...

    def verify(self, draft: Draft, logits: torch.Tensor) -> Verdict:
        """Judge a draft by the target's logits [1 + tokens, vocab], row 0 the pending token's."""
        ...

    def lower(self, ahead: int = 0) -> "Rule":
        """The rule by which a draft judges what was drafted for it.

        ``ahead``: tokens the draft has behind the pending one when it does.
        """
        ...


def make_rule(
    name: RuleName,
    sampling: Sampling,
    seed: int,
    vocab_size: int,
    device: torch.device,
    *,
    candidates: int | None = None,
) -> Rule:
    """The rule of one request.

    Parameters
    ----------
    name : str
        ``rejection``: speculative sampling, and recursive rejection over
        siblings drawn without replacement. ``block``: block verification of
        chains. ``match``: likeliest tokens as guesses, kept where the target
        samples them. ``coupled``: shared noise. ``typical``: Medusa's lossy rule.
        At temperature 0 all but ``typical`` compare with the target's choice.
    sampling : Sampling
    seed : int
    vocab_size : int
        [tokens]
    device : torch.device
    candidates : int, optional
        Draft only from the draft's so many likeliest tokens.

    Raises
    ------
    InputError
        If the name is unknown or candidates is below 1.
    """
    if name not in RULES:
        raise InputError(f"rule must be one of {', '.join(RULES)}, not '{name}'")
    if candidates is not None and candidates < 1:
        raise InputError(f"candidate tokens must be at least 1, not {candidates}")
    randomness = Uniforms(seed, device)
    if name == "typical":
        return Typical(sampling, randomness)
    if sampling.greedy:
        return Greedy(sampling)
    if name == "match":
        return Match(sampling, randomness)
    if name == "coupled":
        return Coupled(sampling, Noise(seed, vocab_size, device), candidates)
    return Rejection(sampling, randomness, block=name == "block", candidates=candidates)


_Seen = tuple[int, torch.Tensor, bool, torch.Tensor | None]
"""A target's choice: id, tensor [1], whether its logits were finite, law [1, vocab] if drawn."""


class _Guessing:
    """Shared by the rules whose drafts are guesses: keep what the target chooses too."""

    lossless = True
    guesses = True

    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling
        self.start = 0

    def begin(self, start: int) -> None:
        """A round begins behind this many generated tokens."""
        self.start = start

    def choose(self, logits: torch.Tensor, depth: int | Sequence[int], width: int) -> Choice:
        """The likeliest tokens."""
        return Choice(_likeliest(logits, width), None)

    def confidence(self, logits: torch.Tensor, choice: Choice, depth: int) -> list[list[float]]:
        """The draft's probability of each token [n, width]."""
        return logits.float().softmax(-1).gather(1, choice.tokens).tolist()

    def next_token(self, logits: torch.Tensor) -> torch.Tensor:
        """The target's choice [1]."""
        return self._choices(logits, (0,))[0]

    def verify(self, draft: Draft, logits: torch.Tensor) -> Verdict:
        """Walk down the tree along the target's choices."""
        drafted, choice_at = self._reader(draft, logits)
        path: list[int] = []
        laws: list[torch.Tensor] = []
        position, all_finite = 0, True
        while True:
            wanted, pending, finite, law = choice_at(position)
            all_finite = all_finite and finite
            laws += [] if law is None else [law]
            below = draft.tree.children.get(position - 1, ())
            child = next((c for c in below if drafted[c] == wanted), None)
            if child is None:
                return Verdict(path, drafted, wanted, pending, all_finite, tuple(laws))
            path.append(child)
            position = child + 1

    def _reader(
        self, draft: Draft, logits: torch.Tensor
    ) -> tuple[list[int], Callable[[int], "_Seen"]]:
        """Drafted ids, and what the target chooses at a position.

        All are read at once, or chosen when asked for where reading costs nothing.
        """
        depths = (0, *draft.tree.depths)
        if reads_are_free(logits):

            def choose(at: int) -> _Seen:
                row = logits[at : at + 1]
                choice, law = self._choices(row, depths[at : at + 1])
                return int(choice), choice, math.isfinite(float(row.amax())), law

            return draft.tokens.tolist(), choose
        choices, laws = self._choices(logits, depths)
        ids, seen, drafted = _read(choices, logits.amax(dim=-1).isfinite(), draft.tokens)

        def look_up(at: int) -> _Seen:
            law = None if laws is None else laws[at : at + 1]
            return ids[at], choices[at : at + 1], bool(seen[at]), law

        return drafted, look_up

    def _choices(
        self, logits: torch.Tensor, depths: tuple[int, ...]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The target's tokens [n], and the laws [n, vocab] they were drawn from if they were."""
        raise NotImplementedError


class Greedy(_Guessing):
    """Temperature 0: the target's choice is its likeliest token."""

    name = "greedy"

    def _choices(self, logits: torch.Tensor, depths: tuple[int, ...]) -> tuple[torch.Tensor, None]:
        return logits.argmax(dim=-1), None

    def lower(self, ahead: int = 0) -> "Greedy":
        """The same."""
        return self


class Match(_Guessing):
    """Sample-and-match: the target samples at every position, guesses that agree are kept.

    Whatever the guesses, what is emitted was sampled from the target. A guess
    x is kept with probability p(x), siblings with the sum of theirs.
    """

    name = "match"

    def __init__(self, sampling: Sampling, randomness: Randomness) -> None:
        super().__init__(sampling)
        self.randomness = randomness

    def _choices(
        self, logits: torch.Tensor, depths: tuple[int, ...]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        law = distribution(logits, self.sampling)
        return self.randomness.draw(law), law

    def lower(self, ahead: int = 0) -> Greedy:
        """Guesses are the draft's likeliest tokens: greedy decoding."""
        return Greedy(Sampling())


class Coupled(_Guessing):
    """Target and draft take argmax(log prob + the same Gumbel noise per position).

    The text equals autoregressive sampling with the same seed and rule, token
    for token, whatever the draft. Knowing the noise, the draft's children are
    the tokens with the largest log prob + noise.
    """

    name = "coupled"

    def __init__(
        self,
        sampling: Sampling,
        noise: Noise,
        candidates: int | None = None,
    ) -> None:
        super().__init__(sampling)
        self.noise, self.drafting = noise, sampling.narrowed(candidates)

    def choose(self, logits: torch.Tensor, depth: int | Sequence[int], width: int) -> Choice:
        """The tokens that win under the noise of the position they are drafted for."""
        depths = (depth,) if isinstance(depth, int) else depth
        return Choice(_likeliest(self._perturbed(logits, self.drafting, depths), width), None)

    def confidence(self, logits: torch.Tensor, choice: Choice, depth: int) -> list[list[float]]:
        """Softmax of log prob + noise: a rough guide to which token wins at the target."""
        scores = self._perturbed(logits, self.sampling, (depth,))
        return scores.softmax(-1).gather(1, choice.tokens).tolist()

    def _choices(self, logits: torch.Tensor, depths: tuple[int, ...]) -> tuple[torch.Tensor, None]:
        return self._perturbed(logits, self.sampling, depths).argmax(dim=-1), None

    def _perturbed(
        self, logits: torch.Tensor, sampling: Sampling, depths: Sequence[int]
    ) -> torch.Tensor:
        """Log prob + noise up to a constant per row, float64; what is filtered out never wins."""
        noise = torch.stack([self.noise.at(self.start + depth) for depth in depths])
        return warped(logits, sampling) + noise

    def lower(self, ahead: int = 0) -> "Coupled":
        """The same noise, one level down; a draft's own tokens pass its filter."""
        below = Coupled(self.drafting, self.noise)
        below.start = self.start + ahead
        return below


class Rejection:
    """Speculative sampling: accept with min(1, p/q), else draw from what p has more than q.

    Siblings are drawn without replacement and judged in turn (recursive
    rejection). With ``block`` a chain is judged as a whole (block
    verification), which keeps at least as many tokens on average.
    """

    lossless = True
    guesses = False

    def __init__(
        self,
        sampling: Sampling,
        randomness: Randomness,
        *,
        block: bool = False,
        candidates: int | None = None,
    ) -> None:
        self.sampling, self.drafting = sampling, sampling.narrowed(candidates)
        self.randomness, self.block, self.candidates = randomness, block, candidates
        self.name = "block" if block else "rejection"

    def begin(self, start: int) -> None:
        """Nothing to note: no decision depends on the position."""

    def choose(self, logits: torch.Tensor, depth: int | Sequence[int], width: int) -> Choice:
        """Draw width tokens without replacement from each row's law."""
        laws = distribution(logits, self.drafting)
        return Choice(self.randomness.draw_distinct(laws, width), laws)

    def confidence(self, logits: torch.Tensor, choice: Choice, depth: int) -> list[list[float]]:
        """Expected law of a drawn token, sum of squares, times the mass earlier siblings leave."""
        assert choice.laws is not None
        norms: list[float] = torch.linalg.vector_norm(choice.laws, dim=-1).tolist()
        width = choice.tokens.shape[1]
        return [[norm**2 * (1 - norm**2) ** rank for rank in range(width)] for norm in norms]

    def next_token(self, logits: torch.Tensor) -> torch.Tensor:
        """A draw [1] from the target."""
        return self.randomness.draw(distribution(logits, self.sampling))

    def verify(self, draft: Draft, logits: torch.Tensor) -> Verdict:
        """Judge a chain or a tree; a guess (no laws) counts as drawn from a point mass."""
        if draft.laws is None:
            return Match(self.sampling, self.randomness).verify(draft, logits)
        if self.block and not draft.tree.is_chain:
            raise InputError("block verification judges chains, not trees")
        if not self.block and reads_are_free(logits):
            return recursive_walk(
                draft, lambda at: distribution(logits[at : at + 1], self.sampling), self.randomness
            )
        p = distribution(logits, self.sampling)
        if not draft.tree.is_chain:
            return recursive_rejection(draft, p, self.randomness)
        judge = verify_block if self.block else verify_sampled
        kept, pending, finite = judge(draft.tokens, draft.token_laws(), p, self.randomness)
        num_kept, token, fine, *drafted = torch.cat([kept, pending, finite, draft.tokens]).tolist()
        path = list(range(num_kept))
        return Verdict(path, drafted, token, pending, bool(fine), laws_along(path, p))

    def lower(self, ahead: int = 0) -> "Rejection":
        """A draft's own tokens are drawn from its law, filter included."""
        return Rejection(self.drafting, self.randomness)


class Typical:
    """Medusa's typical acceptance: keeps what the target finds plausible. NOT lossless."""

    name = "typical"
    lossless = False
    guesses = True

    def __init__(
        self, sampling: Sampling, randomness: Randomness, epsilon: float = 0.09, delta: float = 0.3
    ) -> None:
        self.sampling, self.randomness = sampling, randomness
        self.epsilon, self.delta = epsilon, delta

    def begin(self, start: int) -> None:
        """Nothing to note: no decision depends on the position."""

    def choose(self, logits: torch.Tensor, depth: int | Sequence[int], width: int) -> Choice:
        """The likeliest tokens."""
        return Choice(_likeliest(logits, width), None)

    def confidence(self, logits: torch.Tensor, choice: Choice, depth: int) -> list[list[float]]:
        """The draft's probability of each token [n, width]."""
        return logits.float().softmax(-1).gather(1, choice.tokens).tolist()

    def next_token(self, logits: torch.Tensor) -> torch.Tensor:
        """A draw [1] from the target."""
        return self.randomness.draw(distribution(logits, self.sampling))

    def verify(self, draft: Draft, logits: torch.Tensor) -> Verdict:
        """Keep the longest plausible path."""

        def law(positions: list[int]) -> torch.Tensor:
            return distribution(logits[positions], self.sampling)

        def plain(positions: list[int]) -> torch.Tensor:
            return logits[positions].float().softmax(-1)

        judged_by = plain if self.sampling.greedy else law
        return typical_acceptance(
            draft, law, self.randomness, self.epsilon, self.delta, judged_by=judged_by
        )

    def lower(self, ahead: int = 0) -> Greedy:
        """Guesses are the draft's likeliest tokens: greedy decoding."""
        return Greedy(Sampling())


def reads_are_free(tensor: torch.Tensor) -> bool:
    """True on a CPU, where looking at a value does not wait for a device."""
    return tensor.device.type == "cpu"


def _likeliest(scores: torch.Tensor, width: int) -> torch.Tensor:
    """Tokens [n, width] of the largest scores [n, vocab], best first."""
    if width == 1:
        return scores.argmax(dim=-1, keepdim=True)
    return scores.topk(width, dim=-1).indices


def _read(*tensors: torch.Tensor) -> list[list[int]]:
    """Several integer vectors in one transfer to the host."""
    values = torch.cat([t.long() for t in tensors]).tolist()
    ends = list(accumulate(t.shape[0] for t in tensors))
    return [values[end - t.shape[0] : end] for t, end in zip(tensors, ends, strict=True)]
