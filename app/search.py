"""Which settings does a profile know, and which of them should run? JSON-ready; no printing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from app.records import (
    calibrations,
    draft_shape,
    method_profile,
    searched_trees,
    setting_of,
    static_shape,
)
from app.words import method_name, percent
from measurements import Profile, ProfileRecord, RecordError
from simulator.calibration import Calibration
from simulator.choice import Candidate, Choice, Constraints, choose, may_be_as_fast
from simulator.method_costs import AUTOREGRESSIVE
from simulator.method_prediction import MethodProfile
from simulator.optimise import CANDIDATES
from simulator.scenario import predict
from simulator.tree_search import TreeSearch, trees_worth_trying

SEED, BOOTSTRAP = 0, 400
LOSSY = ("typical",)
MUCH_EXTRAPOLATED = 0.05
MAX_NODES, MAX_DEPTH = 32, 12
"""Of the static trees that are tried. [tokens]"""


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
        found = searched(profile, known[label], label)
        results.append(result(label, choose(found.candidates, constraints), found.trees))
    return results


@dataclass(frozen=True)
class TreesTried:
    """Which static trees stand among the candidates.

    Attributes
    ----------
    note : str
        What was tried, or why nothing but profiled trees.
    cost_error : float or None
        Largest error of a round's time, each timed tree predicted from the others; None
        where only profiled trees were tried. [unitless]
    """

    note: str
    cost_error: float | None = None


@dataclass(frozen=True)
class Found:
    """Everything a profile has a prediction for at one sampling."""

    candidates: list[Candidate]
    trees: TreesTried


def searched(profile: Profile, calibration: Calibration, sampling: str) -> Found:
    """Chains of every length, the best static trees, and every other method as profiled."""
    methods = method_profile(profile, sampling)
    found = candidates(calibration, methods, profile.record)
    if methods is None:
        return Found(found, TreesTried("no tree was profiled, so none is ranked"))
    try:
        trees = searched_trees(profile, methods, sampling)
    except ValueError as error:
        return Found(found, TreesTried(f"only trees that were profiled are ranked: {error}"))
    limits = f"static trees of up to {MAX_NODES} nodes, {trees.kept.width} children a node"
    return Found(
        found + tree_candidates(trees, methods, profile.record),
        TreesTried(limits, trees.cost_error),
    )


def tree_candidates(
    trees: TreeSearch, methods: MethodProfile, record: ProfileRecord
) -> list[Candidate]:
    """The best tree of every size that no smaller one beats, where it was not profiled itself."""
    profiled = {static_shape(setting) for setting in methods.traces}
    wanted = trees_worth_trying(trees.kept, trees.costs, max_nodes=MAX_NODES, max_depth=MAX_DEPTH)
    return [
        Candidate(
            *setting_of("tree", {"tree": ",".join(map(str, parents)), "nodes": len(parents)}),
            trees.predict(parents, seed=SEED, bootstrap=BOOTSTRAP),
            shape="tree",
            memory_bytes=record.draft.weight_bytes,
        )
        for parents in wanted
        if parents not in profiled
    ]


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
            if setting == AUTOREGRESSIVE or setting not in methods.costs or setting in found:
                continue  # plain chains have far more timed rounds, of every length, as stages
            parameters = json.loads(setting[1])
            found[setting] = Candidate(
                *setting,
                methods.predict(setting, seed=SEED, bootstrap=BOOTSTRAP),
                lossless=parameters.get("rule") not in LOSSY,
                shape=draft_shape(parameters),
                memory_bytes=record.drafter_bytes.get(" ".join(setting)),
            )
    return list(found.values())


def result(label: str, choice: Choice, trees: TreesTried) -> dict[str, Any]:
    """A choice as JSON-ready rows, best first."""
    return {
        "sampling": label,
        "best": None if choice.best is None else as_row(choice.best),
        "indistinguishable": [as_row(c) for c in choice.indistinguishable],
        "pareto": [as_row(c) for c in choice.pareto],
        "ranking": [as_row(c) for c in choice.ranking],
        "refused": [{**as_row(c), "reason": reason} for c, reason in choice.refused],
        "advice": choice.advice,
        "trees": tree_verdict(choice, trees),
        "verdict": verdict(choice),
    }


def tree_verdict(choice: Choice, trees: TreesTried) -> dict[str, Any]:
    """The best allowed tree of the draft against its best chain, JSON-ready."""
    tree, chain = choice.fastest("tree"), choice.fastest("chain")
    row: dict[str, Any] = {
        "tried": trees.note,
        "cost_error": trees.cost_error,
        "best_tree": tree and as_row(tree),
        "best_chain": chain and as_row(chain),
        "chain_wins": None,
        "told_apart": None,
        "verdict": "not both a tree and a chain keep to these limits",
    }
    if trees.cost_error is None and tree is None:
        row["verdict"] = trees.note
    if tree is None or chain is None:
        return row
    chain_wins = chain.speedup >= tree.speedup
    first, second = (chain, tree) if chain_wins else (tree, chain)
    told_apart = not may_be_as_fast(second, first)
    names = [f"{row_name(as_row(one))} at {one.speedup:.2f}×" for one in (first, second)]
    if not told_apart:
        text = f"the best tree and the best chain cannot be told apart: {' and '.join(names)}"
    elif chain_wins:
        text = f"a chain beats every tree: {' against '.join(names)}"
    else:
        text = f"a tree beats every chain: {' against '.join(names)}"
    error = trees.cost_error
    known = "" if error is None else f"; rounds of trees never timed may be {percent(error, 0)} off"
    return row | {
        "chain_wins": chain_wins,
        "told_apart": told_apart,
        "verdict": f"{text} ({trees.note}{known})",
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
    if (beyond := p.provenance.get("extrapolated", 0.0)) > MUCH_EXTRAPOLATED:
        text += f"; {beyond:.0%} of its time lies beyond what was timed: measure it"
    if choice.indistinguishable:
        text += f"; {len(choice.indistinguishable)} other settings cannot be told apart from it"
    return text


def row_name(row: dict[str, Any]) -> str:
    """Method and parameters of a row in one short line."""
    return method_name(row["method"], row["parameters"])
