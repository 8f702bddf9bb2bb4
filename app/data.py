"""Which records can be shown, and what do they predict? Loading, cached; no drawing.

Everything is keyed by the files' names, sizes and times, so a new or changed
record appears on the next rerun and an unchanged one costs nothing. What is
never changed once it is read is kept as it is, not as a copy for every rerun.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.comparison import THIS_ENGINE, engine_of
from app.records import calibrations
from app.search import Found
from app.search import searched as searched_profile
from app.served import summary
from app.words import when
from measurements import (
    DATA,
    ComparisonRecord,
    ProfileRecord,
    RecordError,
    Sampling,
    Scan,
    ServerRecord,
    StudyRecord,
    ValidationRecord,
    load_profile,
    load_server,
    scan,
)
from simulator import (
    AcceptanceTrace,
    Calibration,
    Optimum,
    Scenario,
    best_num_draft_tokens,
)

MAX_DRAFT_TOKENS = 16
QUICK_TOKENS = 2048  # of a trace, replayed for 16 settings in about 0.2 s
Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Evidence:
    """What is known about one pair on one machine: a profile, a validation, or both."""

    id: str
    profile_path: str | None
    profile: ProfileRecord | None
    validation: ValidationRecord | None

    @property
    def record(self) -> ProfileRecord | ValidationRecord:
        """Either record; they agree on machine, pair and text."""
        record = self.validation or self.profile
        assert record is not None
        return record

    @property
    def title(self) -> str:
        """One line to choose it by."""
        record = self.record
        kind = "validated" if self.validation else "profile only"
        dtype = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}[record.dtype]
        return f"{when(record.created)} · {dtype} · {record.target.name} · {kind}"

    @property
    def fingerprint(self) -> Fingerprint:
        """Changes whenever a file of the profile does."""
        return fingerprint_of(self.profile_path) if self.profile_path else ()


def data_root() -> Path:
    """The folder of records: ``SPECULENS_DATA``, else the committed data."""
    return Path(os.environ.get("SPECULENS_DATA") or DATA)


def fingerprint(folder: Path) -> Fingerprint:
    """Names, sizes and times of all record files below ``folder``."""
    found = []
    for pattern in ("*.json", "*.parquet"):
        for path in sorted(folder.rglob(pattern)):
            status = path.stat()
            found.append((str(path), status.st_size, status.st_mtime_ns))
    return tuple(found)


def evidence(found: Scan) -> list[Evidence]:
    """One entry per validation and per profile without one, newest first.

    What another engine decoded says nothing of the engine that was profiled: it is left out.
    """
    entries = []
    validations = [v for _, v in found.validations if engine_of(v.settings) == THIS_ENGINE]
    validated = {record.profile_id for record in validations}
    for validation in validations:
        match = found.profile_of(validation)
        path, profile = (str(match[0]), match[1]) if match else (None, None)
        entries.append(Evidence(validation.id, path, profile, validation))
    for profile_path, profile in found.profiles:
        if profile.id not in validated and profile.traces:
            entries.append(Evidence(profile.id, str(profile_path), profile, None))
    entries.sort(key=lambda entry: entry.record.created, reverse=True)
    # What was checked against decoding says more than a newer profile that was not, and every page
    # can predict where the profile is at hand.
    return sorted(entries, key=lambda one: (one.validation is None, one.profile is None))


@dataclass(frozen=True)
class Shelf:
    """Everything under the data root, newest first.

    ``evidence`` is what most pages show; ``problems`` holds file name and reason.
    """

    evidence: list[Evidence]
    profiles: list[tuple[str, ProfileRecord]]
    validations: list[ValidationRecord]
    comparisons: list[ComparisonRecord]
    studies: list[StudyRecord]
    servers: list[tuple[str, ServerRecord]]
    problems: list[tuple[str, str]]


def load_shelf() -> Shelf:
    """The records of the data root."""
    root = data_root()
    return _scan(str(root), fingerprint(root))


@st.cache_resource(show_spinner=False, max_entries=4)
def _scan(root: str, files: Fingerprint) -> Shelf:
    found = scan(Path(root))
    return Shelf(
        evidence(found),
        [(str(path), record) for path, record in found.profiles],
        [record for _, record in found.validations],
        [record for _, record in found.comparisons],
        [record for _, record in found.studies],
        [(str(path), record) for path, record in found.servers],
        [(error.path.name, error.reason) for error in found.problems],
    )


@dataclass(frozen=True)
class Predicted:
    """One sampling of a profile: what was read, and on demand the search over γ."""

    sampling: Sampling
    calibration: Calibration
    profile: tuple[str, Fingerprint]

    @property
    def optimum(self) -> Optimum:
        """The search over γ = 1…16; seconds for a long trace, once."""
        return optimum(*self.profile, self.sampling.label)

    @property
    def quick_trace(self) -> AcceptanceTrace:
        """As many of its prompts as can be replayed while a slider moves."""
        return quick_trace(self.calibration.trace)


def predictions(entry: Evidence) -> dict[str, Predicted]:
    """Predictions for γ = 1…16 by sampling label; empty without a profile.

    Raises
    ------
    RecordError, ValueError
        If the profile's tables cannot be used; one line.
    """
    if entry.profile_path is None:
        return {}
    return _predict(entry.profile_path, entry.fingerprint)


@st.cache_resource(show_spinner="Reading the recorded traces …", max_entries=8)
def _predict(path: str, files: Fingerprint) -> dict[str, Predicted]:
    profile = load_profile(Path(path))
    read = calibrations(profile)
    return {
        info.sampling.label: Predicted(info.sampling, read[info.sampling.label], (path, files))
        for info in profile.record.traces
    }


@st.cache_resource(show_spinner="Replaying the recorded traces …", max_entries=16)
def optimum(path: str, files: Fingerprint, sampling: str) -> Optimum:
    """The search over γ = 1…16 at one sampling of a profile."""
    calibration = _predict(path, files)[sampling].calibration
    return best_num_draft_tokens(
        calibration.scenario(1),
        range(1, MAX_DRAFT_TOKENS + 1),
        resamples=calibration.resamples(),
    )


@st.cache_resource(show_spinner="Predicting every profiled setting …", max_entries=8)
def searched(path: str, files: Fingerprint) -> dict[str, tuple[Sampling, Found]]:
    """Every setting a profile knows, predicted, by sampling label.

    Raises
    ------
    RecordError, ValueError
        If the profile's tables cannot be used; one line.
    """
    profile = load_profile(Path(path))
    read = calibrations(profile)
    return {
        info.sampling.label: (
            info.sampling,
            searched_profile(profile, read[info.sampling.label], info.sampling.label),
        )
        for info in profile.record.traces
    }


def fingerprint_of(path: str) -> Fingerprint:
    """As ``fingerprint``, of the folder of one record."""
    return fingerprint(Path(path).parent)


@st.cache_data(show_spinner=False, max_entries=64)
def stage_medians(path: str, files: Fingerprint) -> dict[str, float]:
    """Median time of the stages over one token, host stages over any number. [s]"""
    stages = load_profile(Path(path)).stages
    one = stages[stages["num_tokens"].eq(1) | ~stages["stage"].isin(["target", "draft"])]
    medians = one.groupby("stage")["seconds"].median()
    shown = ("target", "draft", "sampling", "verification", "commit")
    return {stage: float(medians[stage]) for stage in shown if stage in medians}


@st.cache_data(show_spinner=False, max_entries=16)
def server_summary(path: str, files: Fingerprint) -> dict[str, Any]:
    """Servers of a sweep and the times of their rounds."""
    return summary(load_server(Path(path)))


def quick_trace(trace: AcceptanceTrace) -> AcceptanceTrace:
    """Whole prompts, evenly chosen, few enough to be replayed while a slider moves."""
    share = QUICK_TOKENS / trace.num_tokens
    if share >= 1:
        return trace
    number = trace.lengths.size
    wanted = max(int(share * number), 1)
    kept = np.unique(np.linspace(0, number - 1, wanted).round().astype(int))
    rows = np.isin(trace.prompt_of_position, kept)
    return AcceptanceTrace(
        trace.accept_prob[rows], trace.overlap[rows], trace.context[rows], trace.lengths[kept]
    )


@st.cache_resource(show_spinner=False, max_entries=64)
def search(key: tuple[object, ...], _scenario: Scenario) -> Optimum:
    """Every γ of a scenario; ``key`` must name everything in it but γ."""
    return best_num_draft_tokens(_scenario, range(1, MAX_DRAFT_TOKENS + 1))


def try_predictions(entry: Evidence | None) -> dict[str, Predicted]:
    """As ``predictions``, but a profile that cannot be used becomes a message on the page."""
    if entry is None:
        return {}
    try:
        return predictions(entry)
    except (RecordError, ValueError) as error:
        st.error(f"The profile cannot be used: {error}", icon=":material/broken_image:")
        return {}
