"""speculens optimize: which method and parameters, from a profile of every method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.records import calibrations, draft_shape, method_profile, newest_profile, setting_of
from app.terminal import notice, output, print_json, table
from app.words import method_name
from measurements import Profile, RecordError, load_profile
from simulator.calibration import Calibration
from simulator.choice import Candidate, Choice, Constraints, choose
from simulator.method_costs import AUTOREGRESSIVE
from simulator.method_prediction import MethodProfile
from simulator.optimise import CANDIDATES
from simulator.scenario import predict

SEED, BOOTSTRAP = 0, 400
LOSSY = ("typical",)


def run(
    out: Path,
    record: Path | None,
    sampling: str | None,
    constraints: Constraints,
    as_json: bool,
) -> None:
    """Rank everything the profile knows, at one sampling or at each."""
    profile = load_profile(record) if record is not None else newest_profile(out)
    results = search(profile, sampling, constraints)
    if as_json:
        first = results[0]
        print_json({**first, "profile": profile.record.id, "by_sampling": results})
        return
    notice(f"from {profile.path}")
    for result in results:
        _show(result)
    if profile.windows is None:
        notice("only chains were profiled; speculens profile --methods all adds every other method")


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
        candidates = _candidates(known[label], method_profile(profile, label))
        results.append(_result(label, choose(candidates, constraints)))
    return results


def _candidates(calibration: Calibration, methods: MethodProfile | None) -> list[Candidate]:
    """Chains of every length from the stage times, and every other method that was profiled."""
    resamples = calibration.resamples(seed=SEED, bootstrap=BOOTSTRAP)
    found = {}
    for gamma in CANDIDATES:
        method, parameters = setting_of("chain", {"num_draft_tokens": gamma})
        prediction = predict(calibration.scenario(gamma), resamples=resamples)
        found[method, parameters] = Candidate(method, parameters, prediction)
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
            )
    return list(found.values())


def _result(label: str, choice: Choice) -> dict[str, Any]:
    return {
        "sampling": label,
        "best": None if choice.best is None else _row(choice.best),
        "indistinguishable": [_row(c) for c in choice.indistinguishable],
        "pareto": [_row(c) for c in choice.pareto],
        "ranking": [_row(c) for c in choice.ranking],
        "refused": [{**_row(c), "reason": reason} for c, reason in choice.refused],
        "advice": choice.advice,
        "verdict": _verdict(choice),
    }


def _row(candidate: Candidate) -> dict[str, Any]:
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
        "lossless": candidate.lossless,
        "extrapolated": p.provenance.get("extrapolated", 0.0),
    }


def _verdict(choice: Choice) -> str:
    best = choice.best
    if best is None:
        return "do not speculate: nothing allowed is predicted to be faster than plain decoding"
    p = best.prediction
    text = (
        f"{_name(_row(best))}: {p.speedup.L2:.2f}× "
        f"({p.speedup_low:.2f}–{p.speedup_high:.2f}) plain decoding"
    )
    if choice.advice == "cannot tell":
        text += ", but the interval reaches down to 1: measure before deciding"
    if choice.indistinguishable:
        text += f"; {len(choice.indistinguishable)} other settings cannot be told apart from it"
    return text


def _name(row: dict[str, Any]) -> str:
    return method_name(row["method"], row["parameters"])


def _show(result: dict[str, Any]) -> None:
    console = output()
    close, front = result["indistinguishable"], result["pareto"]
    rows = [
        [
            _name(row),
            f"{row['speedup']['L2']:.2f}×",
            f"{row['speedup']['low']:.2f}–{row['speedup']['high']:.2f}",
            f"{row['tau']:.2f}",
            f"{row['work_per_token']:.2f}",
            "best" if rank == 0 else "like the best" if row in close else "",
            "yes" if row in front else "",
        ]
        for rank, row in enumerate(result["ranking"][:12])
    ]
    headings = ["setting", "speedup", "90 %", "τ", "work per token", "", "on the front"]
    console.print(table(f"{result['sampling']}: predicted, fastest first", headings, rows))
    console.print(result["verdict"])
    reasons = dict.fromkeys(row["reason"] for row in result["refused"])
    if reasons:
        console.print(f"{len(result['refused'])} settings refused: {'; '.join(reasons)}")
