"""What did the n-gram beneath the draft save, and what did it cost, in target steps?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from measurements.schema import Cell
from simulator import cost_ratio_for_gain, lower_acceptance_rate, staged_gain

if TYPE_CHECKING:
    from profiler.runs import Run

LOWER = 3
"""Tokens the n-gram proposes to the draft at a time. [tokens]"""
PAPER_COST_RATIO = 40 / 762
"""Weights of the paper's draft over its oracle's; more where launches count. [unitless]"""
PAPER_GAIN = 1.36
"""Staged over speculative in Table 2 of arXiv:2308.04623, both samplings. [unitless]"""


@dataclass(frozen=True)
class Drafting:
    """What drafting took over all decodes of a setting.

    Attributes
    ----------
    rounds, drafted, calls : int
        Of the target, tokens, and forwards of the draft.
    seconds : float
        All decoding. [s]
    call_s : float
        Mean of a draft call. [s]
    beside_s : float
        Choosing tokens and the n-gram, in all. [s]
    """

    rounds: int
    drafted: int
    calls: int
    seconds: float
    call_s: float
    beside_s: float

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Drafting:
        """Added up over decodes."""
        spent: dict[str, float] = {}
        for run in runs:
            for stage, seconds in run.stage_seconds.items():
                spent[stage] = spent.get(stage, 0.0) + seconds
        beside = (v for s, v in spent.items() if s == "draft_sampling" or s.startswith("ngram"))
        calls = number_of_calls(runs, "draft")
        return cls(
            rounds=sum(run.num_rounds for run in runs),
            drafted=sum(run.num_drafted for run in runs),
            calls=calls,
            seconds=sum(run.seconds for run in runs),
            call_s=spent["draft"] / calls,
            beside_s=sum(beside),
        )


def staging_row(
    plain: Sequence[Run], staged: Sequence[Run], num_draft_tokens: int, step_s: float
) -> dict[str, Cell]:
    """The same chain without and with a level beneath the draft.

    Parameters
    ----------
    plain, staged : sequence of Run
    num_draft_tokens : int
        Of both chains. [tokens]
    step_s : float
        A plain step. [s]

    Returns
    -------
    dict
        What (M5.4) in docs/model.md takes, in target steps, and what it predicts.
    """
    alone, under = Drafting.of(plain), Drafting.of(staged)
    calls_per_token = under.calls / under.drafted
    drafted = alone.drafted / alone.rounds  # below gamma at the end of texts
    rest_s = (alone.seconds - alone.call_s * alone.calls) / alone.rounds
    extra_s = drafted * (under.beside_s / under.drafted - alone.beside_s / alone.drafted)
    row: dict[str, Cell] = {
        "cost_ratio": alone.call_s / step_s,
        "drafting_share": (alone.calls * alone.call_s + alone.beside_s) / alone.seconds,
        "calls_per_token": calls_per_token,
        "lower_acceptance_rate": lower_acceptance_rate(
            min(1.0, calls_per_token), num_draft_tokens, LOWER
        ),
        "call_growth": under.call_s / alone.call_s,
        "drafted_per_round": drafted,
        "rest_steps": rest_s / step_s,
        "extra_steps": extra_s / step_s,
    }
    return row | {
        "predicted_gain": gain(row, alone.call_s / step_s),
        "gain_at_paper_c": gain(row, PAPER_COST_RATIO),
        "c_for_paper_gain": cost_ratio_for_gain(PAPER_GAIN, *_work(row), **_costs(row)),
    }


def gain(row: Mapping[str, Any], cost_ratio: float) -> float:
    """What staging is worth at another cost ratio, all else as in a ``staging_row``."""
    return float(staged_gain(cost_ratio, *_work(row), **_costs(row)))


def number_of_calls(runs: Sequence[Run], stage: str) -> int:
    """Forwards of a stage over decodes."""
    return sum(call.number for run in runs for call in run.calls if call.stage == stage)


def _work(row: Mapping[str, Any]) -> tuple[float, float]:
    """Drafted tokens of a round, and the staged draft's calls for them."""
    return row["drafted_per_round"], row["drafted_per_round"] * row["calls_per_token"]


def _costs(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        "verification": row["rest_steps"],
        "call_growth": row["call_growth"],
        "extra": row["extra_steps"],
    }
