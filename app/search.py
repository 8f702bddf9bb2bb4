"""Which settings does a profile know, and which of them should run? JSON-ready; no printing."""

from __future__ import annotations

import json
from typing import Any

from app.records import calibrations, draft_shape, method_profile, setting_of
from app.words import method_name
from measurements import Profile, ProfileRecord, RecordError
from simulator.calibration import Calibration
from simulator.choice import Candidate, Choice, Constraints, choose
from simulator.method_costs import AUTOREGRESSIVE
from simulator.method_prediction import MethodProfile
from simulator.optimise import CANDIDATES
from simulator.scenario import predict

SEED, BOOTSTRAP = 0, 400
LOSSY = ("typical",)


def search(
    profile: Profile, sampling: str | None, constraints: Constraints
) -> list[dict[str, Any]]:
    """The choice at one sampling, or at each that was profiled, as JSON-ready rows.

    Raises
    ------
    RecordError
        If the profile has no trace at that sampling.
    """
    known = calibrations(profile)
    if sampling is not None and sampling not in known:
        raise RecordError(
            profile.path, f"has no trace at {sampling}, only at {', '.join(profile.traces)}"
        )
    results = []
    for label in [sampling] if sampling is not None else list(known):
        found = candidates(known[label], method_profile(profile, label), profile.record)
        results.append(result(label, choose(found, constraints)))
    return results


def candidates(
    calibration: Calibration, methods: MethodProfile | None, record: ProfileRecord
) -> list[Candidate]:
    """Chains of every length from the stage times, and every other method that was profiled."""
    resamples = calibration.resamples(seed=SEED, bootstrap=BOOTSTRAP)
    found = {}
    for gamma in CANDIDATES:
        method, parameters = setting_of("chain", {"num_draft_tokens": gamma})
        prediction = predict(calibration.scenario(gamma), resamples=resamples)
        found[method, parameters] = Candidate(
            method, parameters, prediction, memory_bytes=record.draft.weight_bytes
        )
    if methods is not None:
        for setting in methods.traces:
            if setting == AUTOREGRESSIVE or setting not in methods.costs:
                continue
            parameters = json.loads(setting[1])
            found[setting] = Candidate(
                *setting,
                methods.predict(setting, seed=SEED, bootstrap=BOOTSTRAP),
                lossless=parameters.get("rule") not in LOSSY,
                shape=draft_shape(parameters),
                memory_bytes=record.drafter_bytes.get(" ".join(setting)),
            )
    return list(found.values())


def result(label: str, choice: Choice) -> dict[str, Any]:
    """A choice as JSON-ready rows, best first."""
    return {
        "sampling": label,
        "best": None if choice.best is None else as_row(choice.best),
        "indistinguishable": [as_row(c) for c in choice.indistinguishable],
        "pareto": [as_row(c) for c in choice.pareto],
        "ranking": [as_row(c) for c in choice.ranking],
        "refused": [{**as_row(c), "reason": reason} for c, reason in choice.refused],
        "advice": choice.advice,
        "verdict": verdict(choice),
    }


def as_row(candidate: Candidate) -> dict[str, Any]:
    """A candidate with its prediction, JSON-ready."""
    p = candidate.prediction
    return {
        "method": candidate.method,
        "parameters": json.loads(candidate.parameters),
        "speedup": {
            "L0": p.speedup.L0,
            "L1": p.speedup.L1,
            "L2": p.speedup.L2,
            "low": p.speedup_low,
            "high": p.speedup_high,
        },
        "tau": p.tau.L2,
        "work_per_token": candidate.work,
        "memory_bytes": candidate.memory_bytes,
        "lossless": candidate.lossless,
        "extrapolated": p.provenance.get("extrapolated", 0.0),
    }


def verdict(choice: Choice) -> str:
    """The choice in one line."""
    best = choice.best
    if best is None:
        return "do not speculate: nothing allowed is predicted to be faster than plain decoding"
    p = best.prediction
    text = (
        f"{row_name(as_row(best))}: {p.speedup.L2:.2f}× "
        f"({p.speedup_low:.2f}–{p.speedup_high:.2f}) plain decoding"
    )
    if choice.advice == "cannot tell":
        text += ", but the interval reaches down to 1: measure before deciding"
    if choice.indistinguishable:
        text += f"; {len(choice.indistinguishable)} other settings cannot be told apart from it"
    return text


def row_name(row: dict[str, Any]) -> str:
    """Method and parameters of a row in one short line."""
    return method_name(row["method"], row["parameters"])
