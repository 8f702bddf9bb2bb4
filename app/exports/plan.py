"""What should an engine do, said without any engine's words?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from measurements.engines import survival_of_hazards


@dataclass(frozen=True)
class Plan:
    """A method with its number of drafts, what it is predicted to do, and for which batches.

    Attributes
    ----------
    method : str
        As speculens names it.
    num_draft_tokens : int, >= 1
        [tokens]
    origin : str
        Where choice and prediction come from, in words.
    parameters : mapping
        The method's others, as a profile names them.
    hazards : tuple of float, optional
        Acceptance by draft position of real round starts. [unitless]
    tau : float, optional
        Predicted. [tokens/round]
    speedup, speedup_low, speedup_high : float, optional
        Predicted, with its interval. [unitless]
    schedule : tuple of (int, int, int), optional
        First and last batch, and the drafts between; ascending from 1. [sequences, tokens]
    target, draft : str
        What the engine is to load.

    Raises
    ------
    ValueError
        If a number leaves its bound.
    """

    method: str
    num_draft_tokens: int
    origin: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    hazards: tuple[float, ...] | None = None
    tau: float | None = None
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None
    schedule: tuple[tuple[int, int, int], ...] | None = None
    target: str = "TARGET"
    draft: str = "DRAFT"

    def __post_init__(self) -> None:
        if self.num_draft_tokens < 1:
            raise ValueError(
                f"draft tokens per round must be at least 1, not {self.num_draft_tokens}"
            )
        if self.tau is not None and not 1.0 <= self.tau <= self.num_draft_tokens + 1:
            raise ValueError(
                f"tau must be in [1, {self.num_draft_tokens + 1}] tokens per round,"
                f" not {self.tau:g}"
            )

    @property
    def survival(self) -> list[float] | None:
        """P(the first i + 1 drafts are kept), one per draft, rounded as engines print."""
        if self.hazards is None:
            return None
        kept = [round(s, 6) for s in survival_of_hazards(self.hazards[: self.num_draft_tokens])]
        return kept + [0.0] * (self.num_draft_tokens - len(kept))

    @property
    def predicted(self) -> list[str]:
        """The prediction in lines."""
        lines = [f"from {self.origin}"]
        if self.tau is not None:
            lines.append(f"τ {self.tau:.3f} tokens per round, bonus token included")
        if self.survival is not None:
            rates = ", ".join(f"{s:.3f}" for s in self.survival)
            lines.append(f"unconditional acceptance by position {rates}")
        if self.speedup is not None:
            span = ""
            if self.speedup_low is not None and self.speedup_high is not None:
                span = f" ({self.speedup_low:.2f}–{self.speedup_high:.2f})"
            lines.append(f"speedup {self.speedup:.2f}×{span} over the engine's plain decoding")
        if self.schedule is not None:
            parts = [f"batch {low} to {high}: γ = {g}" for low, high, g in self.schedule]
            lines.append("; ".join(parts))
        return lines


@dataclass(frozen=True)
class Export:
    """A plan in one engine's words.

    Attributes
    ----------
    engine : str
    files : mapping of str to JSON-ready object
        File name to content.
    command : tuple of str
        The server's arguments, or code where there is no server.
    rehearsal : mapping, optional
        What makes the engine accept as predicted without a good draft, to test the
        predicted time of a round alone; the text is worthless.
    check : tuple of str
        How to see on the engine whether the prediction holds.
    notes : tuple of str
    """

    engine: str
    files: Mapping[str, Any]
    command: tuple[str, ...]
    check: tuple[str, ...]
    rehearsal: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


NEAREST = {
    "tree": "a chain of the same draft (--method chain)",
    "staged": "a chain of the same draft without its lower level (--method chain)",
    "diffusion": "a chain of a smaller model (--method chain)",
    "ngram": "n-grams of the prompt (--method lookup)",
    "fallback": "n-grams of the prompt (--method lookup)",
    "hydra": "a chain of a smaller model (--method chain)",
    "medusa": "a chain of a smaller model (--method chain)",
    "mtp": "a chain of a smaller model (--method chain)",
    "lookup": "a chain of a smaller model (--method chain)",
}


def refuse_unknown(engine: str, plan: Plan, known: Mapping[str, str]) -> str:
    """The engine's word for the method.

    Raises
    ------
    ValueError
        If the engine has none, naming the nearest it can; or for rules and
        filters, which engines do not take.
    """
    shape = "tree" if {"tree", "nodes"} & plan.parameters.keys() else plan.method
    if shape not in known:
        if shape not in NEAREST:
            raise ValueError(f"--method must be one of chain, {', '.join(NEAREST)}, not '{shape}'")
        raise ValueError(f"{engine} cannot express {shape}; the nearest it can is {NEAREST[shape]}")
    for name in ("rule", "candidates"):
        if name in plan.parameters:
            raise ValueError(
                f"{engine} cannot express {name} {plan.parameters[name]}; the nearest it can is"
                f" plain {shape} (--method {shape} --gamma {plan.num_draft_tokens})"
            )
    return known[shape]


def schedule_ranges(by_batch: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
    """Drafts for batch 1, 2, ... as ranges of equal drafts.

    Examples
    --------
    >>> schedule_ranges([3, 3, 1, 0])
    ((1, 2, 3), (3, 3, 1), (4, 4, 0))
    """
    ranges: list[tuple[int, int, int]] = []
    for batch, drafts in enumerate(by_batch, 1):
        if ranges and ranges[-1][2] == drafts:
            ranges[-1] = (ranges[-1][0], batch, drafts)
        else:
            ranges.append((batch, batch, drafts))
    return tuple(ranges)
