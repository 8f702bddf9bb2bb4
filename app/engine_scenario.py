"""What does an engine's own report mean for the choice of drafts? JSON-ready; no printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from measurements.engines import EngineReport
from simulator.emitted_trace import emitted_windows
from simulator.implied_rates import (
    implied_acceptance_rate,
    implied_draft_cost,
    speedups_by_drafts,
)
from simulator.optimise import CANDIDATES
from simulator.replay import replay_windows
from simulator.required_rates import required_cost_ratio


@dataclass(frozen=True)
class Costs:
    """What a user knows or assumes about times; None where it is not known.

    Attributes
    ----------
    cost_ratio : float or None, >= 0
        One draft step / one target step. [unitless]
    verify_slope : float, >= 0
        Extra target time per drafted token, in target steps. [unitless]
    host_share : float, in [0, 1)
        Of an autoregressive step. [unitless]
    baseline_seconds : float or None, > 0
        Per output token of the same engine without drafts, at the same load. [s]
    """

    cost_ratio: float | None = None
    verify_slope: float = 0.0
    host_share: float = 0.0
    baseline_seconds: float | None = None

    @property
    def extras(self) -> dict[str, float]:
        """As the simulator's functions take them."""
        return {"verify_slope": self.verify_slope, "host_share": self.host_share}


def scenarios(reports: Sequence[EngineReport], costs: Costs) -> list[dict[str, Any]]:
    """One scenario per report, those without drafts serving as baselines of the others.

    Raises
    ------
    ValueError
        If a cost leaves its bound.
    """
    return [_scenario(report, costs, _baseline(report, reports, costs)) for report in reports]


def with_drafts(report: EngineReport, num_draft_tokens: int | None) -> EngineReport:
    """The report with a number of drafts that its source leaves out.

    Raises
    ------
    ValueError
        If the source states another number, or tau needs more drafts.
    """
    known = report.num_draft_tokens
    if num_draft_tokens is None or known in (0, num_draft_tokens):
        return report
    lower_bound = report.format in ("answers", "model-optimizer", "emitted-trace")
    if known is not None and not (lower_bound and num_draft_tokens > known):
        more = "at least " if lower_bound else ""
        raise ValueError(
            f"{report.source} says {more}{known} draft tokens per round, not {num_draft_tokens}"
        )
    return replace(report, num_draft_tokens=num_draft_tokens)


def _scenario(report: EngineReport, costs: Costs, baseline_seconds: float | None) -> dict[str, Any]:
    """Everything that one report says, predicts and lacks."""
    gamma = report.num_draft_tokens
    alpha = None
    if gamma and not report.tree and not report.lengths_vary:
        alpha = float(implied_acceptance_rate(min(report.tau, gamma + 1.0), gamma))
    measured = _measured(report, costs, baseline_seconds)
    row = {
        "source": report.source,
        "format": report.format,
        "definition": report.definition,
        "engine": report.engine,
        "version": report.version,
        "model": report.model,
        "tau": report.tau,
        "averaged": report.averaged,
        "mean_of_requests": report.mean_of_requests,
        "num_draft_tokens": gamma,
        "tree": report.tree,
        "hazards": None if report.hazards is None else list(report.hazards),
        "acceptance_rate": alpha,
        "rounds": report.rounds,
        "num_requests": report.num_requests,
        "batch": report.batch,
        "tokens_per_second": report.tokens_per_second,
        "seconds_per_output_token": report.seconds_per_output_token,
        "round_seconds": report.round_seconds,
        "request_seconds": report.request_seconds,
        "measured": measured,
        "predicted": _predicted(report, alpha, costs),
        "break_even": _break_even(report, alpha, costs),
        "notes": list(report.notes),
    }
    return row | {"missing": _missing(report, costs, row)}


def _baseline(report: EngineReport, reports: Sequence[EngineReport], costs: Costs) -> float | None:
    """Seconds per output token without drafts, at the report's batch: the median of runs. [s]"""
    if costs.baseline_seconds is not None:
        return costs.baseline_seconds
    plain = [
        other.seconds_per_output_token
        for other in reports
        if not other.speculative
        and other.seconds_per_output_token is not None
        and (other.batch, other.model) == (report.batch, report.model)
    ]
    return float(np.median(plain)) if plain else None


def _measured(
    report: EngineReport, costs: Costs, baseline_seconds: float | None
) -> dict[str, float] | None:
    """Speedup over the baseline, and what a drafted token cost if a chain was drafted."""
    seconds, gamma = report.seconds_per_output_token, report.num_draft_tokens
    if seconds is None or baseline_seconds is None or not report.speculative:
        return None
    speedup = baseline_seconds / seconds
    found = {"speedup": speedup, "round_steps": report.tau / speedup}
    if gamma and not report.tree:
        cost = implied_draft_cost(report.tau, gamma, speedup, host_share=costs.host_share)
        found["draft_cost"] = float(cost)
    return found


def _predicted(
    report: EngineReport, alpha: float | None, costs: Costs
) -> dict[str, dict[str, Any]] | None:
    """Speedup at the report's own number of drafts and at the best, by fidelity."""
    if costs.cost_ratio is None or report.tree or not report.num_draft_tokens:
        return None
    found, own = {}, report.num_draft_tokens
    if alpha is not None:
        gammas = sorted({*CANDIDATES, own})
        table = speedups_by_drafts(alpha, costs.cost_ratio, gammas, **costs.extras)
        found["L0"] = _best(gammas, table, own)
    if report.hazards:
        gammas = list(range(1, len(report.hazards) + 1))
        table = speedups_by_drafts(report.hazards, costs.cost_ratio, gammas, **costs.extras)
        found["L1"] = _best(gammas, table, own)
    if report.emitted is not None and own:
        lengths = [len(text) for text in report.emitted]
        flat = np.concatenate(report.emitted)
        gammas = list(range(1, own + 1))
        tau = [replay_windows(emitted_windows(flat, lengths, g)).tau for g in gammas]
        costs_of = 1.0 / speedups_by_drafts(0.0, costs.cost_ratio, gammas, **costs.extras)
        found["L2"] = _best(gammas, np.array(tau) / costs_of, own)
    return found or None


def _best(gammas: Sequence[int], speedups: np.ndarray, own: int) -> dict[str, Any]:
    at = int(np.argmax(speedups))
    return {
        "best_num_draft_tokens": int(gammas[at]),
        "best_speedup": float(speedups[at]),
        "speedup": float(speedups[gammas.index(own)]) if own in gammas else None,
        "measured_up_to": own,
    }


def _break_even(
    report: EngineReport, alpha: float | None, costs: Costs
) -> dict[str, float | None] | None:
    """Dearest round and dearest draft step at which speculation still pays."""
    if not report.speculative:
        return None
    found: dict[str, float | None] = {"round_steps": report.tau, "cost_ratio": None}
    gamma = report.num_draft_tokens
    if gamma and not report.tree:
        free = float(implied_draft_cost(report.tau, gamma, 1.0, host_share=costs.host_share))
        found["cost_ratio"] = max(free - costs.verify_slope, 0.0)
    acceptance = report.hazards or alpha
    if acceptance is not None and not report.tree:
        candidates = range(1, len(report.hazards) + 1) if report.hazards else CANDIDATES
        needed = required_cost_ratio(acceptance, 1.0, candidates, **costs.extras)
        found["cost_ratio_at_best"] = needed.value
    return found


def _missing(report: EngineReport, costs: Costs, row: dict[str, Any]) -> list[str]:
    """What keeps a decision open, each with the way to supply it."""
    missing: list[str] = []
    if not report.speculative:
        return missing
    if report.num_draft_tokens is None:
        missing.append("draft tokens per round: --gamma")
    if report.tree:
        missing.append("acceptance by child rank: a tree's tau says nothing about a chain")
    elif report.hazards is None:
        missing.append(
            "acceptance by position: vLLM's counters, a request histogram or a trace has it;"
            " L0 alone assumes it constant"
        )
    if costs.cost_ratio is None:
        missing.append("time of a draft step over a target step: --cost-ratio (speculens profile)")
    if costs.verify_slope == 0.0:
        missing.append("verification's growth with its tokens: --verify-slope; taken as free")
    if row["measured"] is None:
        missing.append(
            "seconds per token of the same engine without drafts at the same load: --baseline-ms,"
            " or import that run too"
        )
    if report.batch is None:
        missing.append("the batch: acceptance does not depend on it, the speedup does")
    return missing
