"""What does a serving engine's file say about acceptance and speed, in one set of words?

Every importer ends here. Engines mean different things by "acceptance length"
and "acceptance rate"; a report has one meaning for each field, and keeps the
source's own words beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Averaged = Literal["rounds", "requests", "latest interval"]
ROUNDING = 0.006
"""Engines print two or three decimals; what should agree may differ by that. [tokens/round]"""


@dataclass(frozen=True)
class EngineReport:
    """Acceptance and timing of one run of one engine, normalised.

    Attributes
    ----------
    source : str
        File and, where it holds several runs, which of them.
    format : str
        As ``measurements.engines.formats`` names it.
    definition : str
        How the source defines what tau was made from, in words.
    tau : float, in [1, num_draft_tokens + 1]
        Mean tokens a round emits, the recovered or bonus token counted. 1 for
        decoding without drafts. [tokens/round]
    averaged : "rounds", "requests" or "latest interval"
        What tau is a mean over.
    num_draft_tokens : int, optional
        Most tokens drafted per round; 0 without drafts. For a tree: its depth.
        [tokens]
    hazards : tuple of float, optional
        Acceptance by draft position, given that the position is reached;
        shorter than num_draft_tokens where no round got that far. [unitless]
    rounds, drafted_tokens, accepted_tokens, tokens, num_requests : int, optional
        Rounds that drafted; tokens proposed, kept, and emitted in all.
    mean_of_requests : float, optional
        Mean over requests of each one's tau, short ones counting as much as
        long ones. [tokens/round]
    tokens_per_second : float, optional
        Of all sequences together. [tokens/s]
    seconds_per_output_token : float, optional
        Between the tokens of one sequence, its first one's wait excluded. [s]
    round_seconds : float, optional
        [s]
    request_seconds : float, optional
        Mean of a request from its arrival to its last token. [s]
    steps : int, optional
        Of all sequences behind their prefills, those without drafts counted. [rounds]
    batch : float, optional
        Sequences that ran at once. [sequences]
    turn : str, optional
        Shared by runs that were made in turn on several servers.
    tree : bool
        Drafts form a tree: no chain explains tau.
    lengths_vary : bool
        Some rounds drafted fewer than num_draft_tokens: no chain of that length
        explains tau.
    emitted : tuple of tuple of int, optional
        Per request and output position: tokens a round emits that starts
        there. [tokens]
    engine, version, model : str, optional
        As far as the source says.
    notes : tuple of str
        What to know before using the numbers.

    Raises
    ------
    ValueError
        If a number leaves its bound or two contradict each other.
    """

    source: str
    format: str
    definition: str
    tau: float
    averaged: Averaged = "rounds"
    num_draft_tokens: int | None = None
    hazards: tuple[float, ...] | None = None
    rounds: int | None = None
    drafted_tokens: int | None = None
    accepted_tokens: int | None = None
    tokens: int | None = None
    num_requests: int | None = None
    mean_of_requests: float | None = None
    tokens_per_second: float | None = None
    seconds_per_output_token: float | None = None
    round_seconds: float | None = None
    request_seconds: float | None = None
    steps: int | None = None
    batch: float | None = None
    turn: str | None = None
    tree: bool = False
    lengths_vary: bool = False
    emitted: tuple[tuple[int, ...], ...] | None = None
    engine: str | None = None
    version: str | None = None
    model: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        most = math.inf if self.num_draft_tokens is None else self.num_draft_tokens + 1
        if not 1.0 <= self.tau <= most + ROUNDING:
            raise ValueError(f"tau must be in [1, {most:g}] tokens per round, not {self.tau:g}")
        if self.hazards is not None:
            self._check_hazards(self.hazards, most)
        if self.accepted_tokens is not None and self.drafted_tokens is not None:
            _refuse_above("accepted_tokens", self.accepted_tokens, self.drafted_tokens)
        times = (
            "tokens_per_second",
            "seconds_per_output_token",
            "round_seconds",
            "request_seconds",
        )
        for name in (*times, "batch"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be finite and > 0, not {value:g}")

    def _check_hazards(self, hazards: tuple[float, ...], most: float) -> None:
        if bad := [h for h in hazards if not 0.0 <= h <= 1.0]:
            raise ValueError(f"acceptance by position must be in [0, 1], not {bad[0]:g}")
        _refuse_above("positions", len(hazards), most - 1)
        implied = tau_of_hazards(hazards)
        whole = self.averaged == "rounds" and not self.lengths_vary
        if whole and abs(implied - self.tau) > ROUNDING * (1 + len(hazards)):
            raise ValueError(
                f"acceptance by position adds up to {implied:.4g} tokens per round,"
                f" not to {self.tau:.4g}: definitions are mixed or positions are missing"
            )

    @property
    def speculative(self) -> bool:
        """Whether anything was drafted."""
        return self.num_draft_tokens != 0


def _refuse_above(name: str, value: float, bound: float) -> None:
    if value > bound:
        raise ValueError(f"{name} must be at most {bound:g}, not {value:g}")


def hazards_from_survival(survival: Sequence[float]) -> tuple[float, ...]:
    """Conditional acceptance by position from unconditional.

    Parameters
    ----------
    survival : sequence of float, in [0, 1], non-increasing
        P(the first i + 1 drafts of a round are all kept). [unitless]

    Returns
    -------
    tuple of float
        Cut behind the last position that any round reached. [unitless]

    Raises
    ------
    ValueError
        If an entry leaves [0, 1] or rises above the one before it.

    Examples
    --------
    >>> hazards_from_survival([0.8, 0.4, 0.0, 0.0])
    (0.8, 0.5, 0.0)
    """
    for position, (before, after) in enumerate(pairwise([1.0, *survival])):
        if not 0.0 <= after <= before:
            raise ValueError(
                f"unconditional acceptance at position {position} must be in [0, {before:g}],"
                f" what the position before it has, not {after:g}"
            )
    pairs = pairwise([1.0, *survival])
    return tuple(after / before for before, after in pairs if before > 0)


def hazards_from_counts(kept: Sequence[int]) -> tuple[float, ...]:
    """Conditional acceptance by position from how many rounds kept how many drafts.

    Parameters
    ----------
    kept : sequence of int, >= 0
        Entry n: rounds that kept exactly n drafts, up to the most a round drafts.

    Returns
    -------
    tuple of float
        [unitless]

    Raises
    ------
    ValueError
        If no round is counted.

    Examples
    --------
    >>> hazards_from_counts([2, 3, 5])
    (0.8, 0.625)
    """
    rounds = sum(kept)
    if rounds < 1:
        raise ValueError("a histogram of kept drafts must count >= 1 round, not 0")
    return hazards_from_survival([sum(kept[n:]) / rounds for n in range(1, len(kept))])


def tau_of_hazards(hazards: Sequence[float]) -> float:
    """Mean tokens a round emits, (M2.3) in docs/model.md. [tokens/round]

    Examples
    --------
    >>> tau_of_hazards((0.8, 0.625))
    2.3
    """
    tau, survival = 1.0, 1.0
    for hazard in hazards:
        survival *= hazard
        tau += survival
    return tau


def survival_of_hazards(hazards: Sequence[float]) -> tuple[float, ...]:
    """Unconditional acceptance by position: what vLLM calls per-position rates. [unitless]

    Examples
    --------
    >>> survival_of_hazards((0.8, 0.625))
    (0.8, 0.5)
    """
    survival, each = 1.0, []
    for hazard in hazards:
        survival *= hazard
        each.append(survival)
    return tuple(each)
