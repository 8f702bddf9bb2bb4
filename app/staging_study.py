"""What did a profile record of drafts that are drafted for? Loading, cached; no drawing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.data import Fingerprint
from app.records import method_profile, setting_of
from app.search import BOOTSTRAP, SEED
from app.words import method_name
from measurements import Sampling, load_profile
from simulator import (
    MethodProfile,
    Prediction,
    break_even_draft_cost,
    draft_calls_per_round,
    drafting_seconds,
    staging_extra_seconds,
)

Parameters = dict[str, int | float | str]


@dataclass(frozen=True, eq=False)
class Recorded:
    """One profiled setting whose draft is a model, staged or not.

    Attributes
    ----------
    draft_calls : float
        [calls/round]
    drafting_seconds : float
        Of all levels together. [s/round]
    """

    method: str
    parameters: Parameters
    prediction: Prediction
    draft_calls: float
    drafting_seconds: float

    @property
    def name(self) -> str:
        """Method and parameters in one short line."""
        return method_name(self.method, self.parameters)

    @property
    def key(self) -> str:
        """As it stands in an address."""
        return json.dumps([self.method, self.parameters], sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, eq=False)
class Stack:
    """All settings of one sampling: staged ones, and what they are compared with."""

    sampling: Sampling
    staged: list[Recorded]
    plain: list[Recorded]

    @property
    def best_plain(self) -> Recorded:
        """The fastest setting without a lower level."""
        return max(self.plain, key=lambda one: one.prediction.speedup.L2)

    def counterpart(self, one: Recorded) -> Recorded | None:
        """The same chain or tree without a lower level, where it was profiled."""
        shape = {name: value for name, value in one.parameters.items() if name != "lower"}
        for other in self.plain:
            if shape.items() <= other.parameters.items() and "rule" not in other.parameters:
                return other
        return None


@st.cache_data(show_spinner="Reading the staged settings …", max_entries=8)
def recorded_staging(path: str, files: Fingerprint) -> dict[str, Stack]:
    """Staged settings of a profile and their rivals, by sampling; empty where none were profiled.

    Raises
    ------
    RecordError, ValueError
        If the profile's tables cannot be used; one line.
    """
    profile = load_profile(Path(path))
    found = {}
    for info in profile.record.traces:
        methods = method_profile(profile, info.sampling.label)
        if methods is None:
            continue
        rows = _rows(methods)
        staged = [row for row in rows if row.method == "staged"]
        plain = [row for row in rows if row.method in ("chain", "tree")]
        if staged and plain:
            found[info.sampling.label] = Stack(info.sampling, staged, plain)
    return found


def _rows(methods: MethodProfile) -> list[Recorded]:
    rows = []
    for method, text in methods.traces:
        if method not in ("chain", "tree", "staged"):
            continue
        known: Parameters = json.loads(text)
        parameters = {name: known[name] for name in sorted(known, key=_place)}
        setting = setting_of(method, parameters)
        calls = draft_calls_per_round(methods.traces[setting])
        if calls is not None and setting in methods.costs:
            prediction = methods.predict(setting, seed=SEED, bootstrap=BOOTSTRAP)
            seconds = drafting_seconds(prediction)
            rows.append(Recorded(method, parameters, prediction, calls, seconds))
    return rows


def _place(parameter: str) -> tuple[bool, str]:
    """The level below is named last."""
    return parameter == "lower", parameter


def break_even(staged: Recorded, plain: Recorded) -> float | None:
    """Draft call above which this staging would have paid, in autoregressive steps.

    None where it saves no draft call.
    """
    extra = staging_extra_seconds(
        plain.draft_calls, plain.drafting_seconds, staged.draft_calls, staged.drafting_seconds
    )
    seconds = break_even_draft_cost(plain.draft_calls, staged.draft_calls, extra)
    return None if seconds is None else seconds / staged.prediction.autoregressive_seconds
