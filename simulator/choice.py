"""Which method should run, and is speculation worth it at all?

Chooses among predictions; whoever makes them, for whatever method, decides what
is in the search. Says what it cannot tell apart, and what a constraint cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simulator.checks import one_count, rates
from simulator.intervals import percentile_interval
from simulator.prediction import Prediction

Advice = Literal["speculate", "do not speculate", "cannot tell"]


@dataclass(frozen=True, eq=False)
class Candidate:
    """One setting of the search.

    Attributes
    ----------
    method, parameters : str
        Name, and parameters as canonical JSON.
    prediction : Prediction
        With ``speedup_samples`` on resamples that all candidates share.
    lossless : bool
    shape : str
        ``chain`` or ``tree``.
    memory_bytes : float or None
        Weights and tables beside the target's; None where they were not recorded. [bytes]
    """

    method: str
    parameters: str
    prediction: Prediction
    lossless: bool = True
    shape: Literal["chain", "tree"] = "chain"
    memory_bytes: float | None = None

    @property
    def speedup(self) -> float:
        """L2. [unitless]"""
        return self.prediction.speedup.L2

    @property
    def work(self) -> float:
        """Tokens the target computes per token emitted: what others wait for under load."""
        p = self.prediction
        accepted = p.num_tokens - p.rounds
        drafted = accepted / p.draft_efficiency if p.draft_efficiency > 0 else 0.0
        if p.draft_efficiency == 0:
            drafted = p.num_draft_tokens * p.rounds
        return (drafted + p.rounds) / p.num_tokens


@dataclass(frozen=True)
class Constraints:
    """What a choice must keep to.

    Attributes
    ----------
    lossless_only, chain_only : bool
        ``chain_only`` for engines without tree attention.
    max_verify : int or None, >= 1
        Most tokens a round may have verified, the pending one included. [tokens]
    max_memory_bytes : float or None
        For weights beside the target's. [bytes]

    Raises
    ------
    ValueError
        If a bound is out of range.
    """

    lossless_only: bool = True
    chain_only: bool = False
    max_verify: int | None = None
    max_memory_bytes: float | None = None

    def __post_init__(self) -> None:
        if self.max_verify is not None:
            one_count("max_verify", self.max_verify, 1)
        if self.max_memory_bytes is not None and not self.max_memory_bytes >= 0:
            raise ValueError(f"max_memory_bytes must be >= 0, not {self.max_memory_bytes:g}")

    def refusal(self, candidate: Candidate) -> str | None:
        """Why a candidate may not be chosen; None where it may."""
        if self.lossless_only and not candidate.lossless:
            return "changes the law of the text"
        if self.chain_only and candidate.shape != "chain":
            return "needs tree attention"
        verified = candidate.prediction.num_draft_tokens + 1
        if self.max_verify is not None and verified > self.max_verify:
            return f"verifies {verified} tokens a round, more than {self.max_verify}"
        if self.max_memory_bytes is None:
            return None
        if candidate.memory_bytes is None:
            return "what it needs beside the target was not recorded"
        if candidate.memory_bytes > self.max_memory_bytes:
            return (
                f"needs {candidate.memory_bytes / 1e6:.3g} MB beside the target, more than "
                f"{self.max_memory_bytes / 1e6:.3g} MB"
            )
        return None


@dataclass(frozen=True, eq=False)
class Choice:
    """The outcome of a search.

    Attributes
    ----------
    ranking : tuple of Candidate
        Everything allowed, fastest first; may be empty.
    indistinguishable : tuple of Candidate
        Of those behind the first, the ones whose speedup may as well be as high.
    pareto : tuple of Candidate
        No other is both faster and less work for the target; fastest first.
    refused : tuple of (Candidate, str)
        With the reason.
    advice : str
        ``speculate`` when the first's interval lies above 1, ``do not speculate`` when
        no candidate is predicted above 1, else ``cannot tell``.
    """

    ranking: tuple[Candidate, ...]
    indistinguishable: tuple[Candidate, ...]
    pareto: tuple[Candidate, ...]
    refused: tuple[tuple[Candidate, str], ...]
    advice: Advice

    @property
    def best(self) -> Candidate | None:
        """The fastest; None when speculation does not pay or nothing is allowed."""
        return None if self.advice == "do not speculate" else self.ranking[0]

    def fastest(self, method: str) -> Candidate | None:
        """The fastest allowed setting of one method; None where there is none."""
        return next((one for one in self.ranking if one.method == method), None)


def choose(
    candidates: Sequence[Candidate],
    constraints: Constraints | None = None,
    *,
    confidence: float = 0.9,
) -> Choice:
    """The fastest allowed candidate and how sure that is.

    Parameters
    ----------
    candidates : sequence of Candidate
        Predicted on the same texts and resamples.
    constraints : Constraints, optional
    confidence : float, in (0, 1)
        [unitless]

    Returns
    -------
    Choice

    Raises
    ------
    ValueError
        If there are no candidates, or confidence is out of range.

    Notes
    -----
    Equation (M10.3) in docs/model.md: settings are compared in pairs. Not
    corrected for choosing the best of many.
    """
    if not candidates:
        raise ValueError("a search needs at least 1 candidate, not 0")
    rates("confidence", confidence)
    rules = constraints or Constraints()
    reasons = [(c, rules.refusal(c)) for c in candidates]
    refused = tuple((c, reason) for c, reason in reasons if reason is not None)
    ranking = tuple(
        sorted((c for c, reason in reasons if reason is None), key=lambda c: -c.speedup)
    )
    if not ranking or ranking[0].speedup <= 1:
        return Choice(ranking, (), pareto_front(ranking), refused, "do not speculate")
    first = ranking[0]
    close = tuple(c for c in ranking[1:] if may_be_as_fast(c, first, confidence))
    low = first.prediction.speedup_low
    advice: Advice = "speculate" if low is not None and low > 1 else "cannot tell"
    return Choice(ranking, close, pareto_front(ranking), refused, advice)


def pareto_front(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Those that no other beats both in speedup and in work per token, fastest first."""
    front: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (-c.speedup, c.work)):
        if not front or candidate.work < front[-1].work:
            front.append(candidate)
    return tuple(front)


def may_be_as_fast(other: Candidate, first: Candidate, confidence: float = 0.9) -> bool:
    """Whether the interval of the ratio of two speedups reaches 1; equation (M10.3)."""
    mine, best = other.prediction.speedup_samples, first.prediction.speedup_samples
    if mine is None or best is None:
        return True  # nothing is known about the spread
    ratios = mine / best
    if not (ratios > 0).all():  # stage times so noisy that some resamples add up to nothing
        return True
    _, high = percentile_interval(np.log(ratios), confidence)
    return high >= 0
