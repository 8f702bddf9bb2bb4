"""Find records in a folder and turn a profile into calibrations."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from measurements import (
    Profile,
    RecordError,
    Sampling,
    canonical_parameters,
    load_profile,
    scan,
)
from simulator.calibration import Calibration
from simulator.method_costs import Setting, read_method_costs
from simulator.method_prediction import MethodProfile, read_method_traces
from simulator.profile_tables import Mode
from simulator.token_trees import Parents, chain_tree, k_ary_tree, tree_from_text
from simulator.tree_search import TreeSearch, tree_search


def calibrations(profile: Profile, stages: pd.DataFrame | None = None) -> dict[str, Calibration]:
    """One calibration per trace, by sampling label, in the record's order.

    ``stages`` replaces the profile's own stage times, where the same stages were timed again;
    traces of a kind of sampling that was not timed again are left out.
    """
    table = profile.stages if stages is None else stages
    found = {}
    for info in profile.record.traces:
        mode, label = _timed_mode(info.sampling, table), info.sampling.label
        if mode is not None:
            found[label] = Calibration.from_tables(table, profile.traces[label], mode)
    return found


def _timed_mode(sampling: Sampling, table: pd.DataFrame) -> Mode | None:
    """The rows of a table of times that say what this sampling costs; None where there are none.

    Profiles made before filtering was timed apart know one kind of drawing.
    """
    timed = set(table["mode"])
    if sampling.mode in timed:
        return sampling.mode
    return "sampled" if sampling.mode == "filtered" and "sampled" in timed else None


def setting_of(method: str, parameters: Mapping[str, int | float | str]) -> Setting:
    """A method and its parameters as the tables of a profile name them."""
    return method, canonical_parameters(parameters)


def method_profile(
    profile: Profile, sampling: str, rounds: pd.DataFrame | None = None
) -> MethodProfile | None:
    """Traces and costs of every profiled method; None where only the chain was profiled.

    ``rounds`` replaces the profile's own timed rounds, where they were timed again.
    """
    table = profile.rounds if rounds is None else rounds
    if profile.windows is None or table is None:
        return None
    known = {info.sampling.label: info.sampling for info in profile.record.traces}
    mode = _timed_mode(known[sampling], table)
    if mode is None:
        return None
    return MethodProfile(
        read_method_traces(profile.windows, sampling), read_method_costs(table, mode)
    )


def searched_trees(profile: Profile, methods: MethodProfile, sampling: str) -> TreeSearch:
    """What the profile says about trees that it does not hold, at one sampling.

    Raises
    ------
    ValueError
        One line: what the profile would have to hold.
    """
    shapes = {s: shape for s in methods.traces if (shape := static_shape(s)) is not None}
    known = next(one.sampling for one in profile.record.traces if one.sampling.label == sampling)
    ranks = None if known.temperature else profile.traces[sampling]["draft_rank"].to_numpy()
    return tree_search(methods, shapes, ranks)


def static_shape(setting: Setting) -> Parents | None:
    """The shape of a plain chain or static tree of the draft; None for any other method.

    Examples
    --------
    >>> static_shape(("tree", '{"nodes":4,"tree":"2-1"}'))
    (-1, -1, 0, 1)
    >>> static_shape(("tree", '{"nodes":12,"tree":"grown"}')) is None
    True
    """
    method, parameters = setting[0], json.loads(setting[1])
    if method == "chain" and parameters.keys() == {"num_draft_tokens"}:
        return chain_tree(parameters["num_draft_tokens"])
    if method == "tree" and parameters.keys() == {"tree", "nodes"}:
        text = str(parameters["tree"])
        if re.fullmatch(r"\d+(-\d+)*", text):
            return k_ary_tree([int(width) for width in text.split("-")])
        if text.startswith("-1"):
            return tree_from_text(text)
    return None


def draft_shape(parameters: Mapping[str, object]) -> Literal["chain", "tree"]:
    """Whether a method with these parameters needs tree attention.

    Examples
    --------
    >>> draft_shape({"nodes": 16}), draft_shape({"num_draft_tokens": 4})
    ('tree', 'chain')
    """
    return "tree" if {"tree", "nodes"} & parameters.keys() else "chain"


def newest_profile(
    root: Path,
    *,
    target: str | None = None,
    draft: str | None = None,
    dtype: str | None = None,
) -> Profile:
    """The newest complete profile below root that matches what is given.

    Raises
    ------
    RecordError
        If there is none; says what is there, and names broken files.
    """
    found = scan(root)
    wanted = {"target": target, "draft": draft, "dtype": dtype}
    for path, record in found.profiles:
        has = {"target": record.target.name, "draft": record.draft.name, "dtype": record.dtype}
        if record.complete and all(v is None or has[k] == v for k, v in wanted.items()):
            return load_profile(path)
    what = ", ".join(f"{k} {v}" for k, v in wanted.items() if v is not None)
    reason = f"holds no complete profile{f' with {what}' if what else ''}; run speculens profile"
    if found.problems:
        broken = "; ".join(str(p) for p in found.problems[:3])
        reason += f" ({len(found.problems)} unusable: {broken})"
    raise RecordError(root, reason)
