"""speculens predict: what speculation will gain, from a profile alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.records import calibrations, newest_profile
from app.terminal import notice, output, print_json, table
from measurements import load_profile
from simulator.calibration import Calibration, predict_chain
from simulator.optimise import best_num_draft_tokens
from simulator.sensitivity import break_even_acceptance_rate


def run(out: Path, record: Path | None, gammas: Sequence[int], as_json: bool) -> None:
    """Predict every draft length at every recorded sampling."""
    profile = load_profile(record) if record is not None else newest_profile(out)
    found = calibrations(profile)
    settings = [_setting(label, c, g) for label, c in found.items() for g in gammas]
    best = {label: _best(calibration) for label, calibration in found.items()}
    if as_json:
        print_json({"profile": profile.record.id, "settings": settings, "best": best})
        return
    notice(f"from {profile.path}")
    headings = ["sampling", "γ", "τ L0", "L1", "L2", "speedup L0", "L1", "L2", "90 %", "needs α"]
    console = output()
    console.print(table("Predicted", headings, [_cells(row) for row in settings]))
    for label, choice in best.items():
        others = ", ".join(str(g) for g in choice["indistinguishable"])
        console.print(
            f"{label}: best γ = {choice['num_draft_tokens']} at {choice['speedup']:.2f}×"
            + (f"; γ = {others} cannot be told apart from it" if others else "")
        )


def _setting(label: str, calibration: Calibration, gamma: int) -> dict[str, Any]:
    prediction = predict_chain(calibration, gamma)
    tau, speedup = prediction.tau, prediction.speedup
    return {
        "method": "chain",
        "parameters": {"num_draft_tokens": gamma},
        "sampling": label,
        "tau": {"L0": tau.L0, "L1": tau.L1, "L2": tau.L2},
        "speedup": {
            "L0": speedup.L0,
            "L1": speedup.L1,
            "L2": speedup.L2,
            "L2_low": prediction.speedup_low,
            "L2_high": prediction.speedup_high,
        },
        "rounds": prediction.rounds,
        "round_seconds": prediction.round_seconds,
        "autoregressive_seconds": prediction.autoregressive_seconds,
        "time_split": prediction.time_split,
        "acceptance_rate": calibration.acceptance_rate,
        "cost_ratio": calibration.cost_ratio,
        "break_even_acceptance_rate": _break_even(gamma, calibration.cost_ratio),
        "provenance": dict(prediction.provenance),
    }


def _break_even(gamma: int, cost_ratio: float) -> float | None:
    """Acceptance rate at which the textbook speedup is 1; None where even 1 is too little."""
    try:
        return float(break_even_acceptance_rate(gamma, cost_ratio))
    except ValueError:
        return None


def _best(calibration: Calibration) -> dict[str, Any]:
    optimum = best_num_draft_tokens(calibration.scenario(1), resamples=calibration.resamples())
    return {
        "num_draft_tokens": optimum.best.num_draft_tokens,
        "speedup": optimum.best.speedup.L2,
        "indistinguishable": list(optimum.indistinguishable or ()),
        "gain_is_certain": optimum.gain_is_certain,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    tau, speedup = row["tau"], row["speedup"]
    needed = row["break_even_acceptance_rate"]
    return [
        row["sampling"],
        str(row["parameters"]["num_draft_tokens"]),
        *[f"{tau[level]:.2f}" for level in ("L0", "L1", "L2")],
        *[f"{speedup[level]:.2f}×" for level in ("L0", "L1", "L2")],
        f"{speedup['L2_low']:.2f}–{speedup['L2_high']:.2f}",
        "never" if needed is None else f"{needed:.2f}",
    ]
