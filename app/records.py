"""Find records in a folder and turn a profile into calibrations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from measurements import Profile, RecordError, canonical_parameters, load_profile, scan
from simulator.calibration import Calibration
from simulator.method_costs import Setting, read_method_costs
from simulator.method_prediction import MethodProfile, read_method_traces
from simulator.profile_tables import Mode


def calibrations(profile: Profile, stages: pd.DataFrame | None = None) -> dict[str, Calibration]:
    """One calibration per trace, by sampling label, in the record's order.

    ``stages`` replaces the profile's own stage times, where the same stages were timed again;
    traces of a kind of sampling that was not timed again are left out.
    """
    table = profile.stages if stages is None else stages
    timed = set(table["mode"])
    found = {}
    for info in profile.record.traces:
        mode: Mode = "greedy" if info.sampling.temperature == 0 else "sampled"
        label = info.sampling.label
        if mode in timed:
            found[label] = Calibration.from_tables(table, profile.traces[label], mode)
    return found


def setting_of(method: str, parameters: Mapping[str, int | float | str]) -> Setting:
    """A method and its parameters as the tables of a profile name them."""
    return method, canonical_parameters(parameters)


def method_profile(profile: Profile, sampling: str) -> MethodProfile | None:
    """Traces and costs of every profiled method; None where only the chain was profiled."""
    if profile.windows is None or profile.rounds is None:
        return None
    mode: Mode = "greedy" if sampling.startswith("T0-") or sampling == "T0" else "sampled"
    return MethodProfile(
        read_method_traces(profile.windows, sampling), read_method_costs(profile.rounds, mode)
    )


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
