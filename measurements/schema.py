"""What is a record? The vocabulary shared by profiler, simulator and app.

A record is one JSON file of context and summaries; raw samples live in Parquet
tables beside it (:mod:`measurements.tables`). Every field is validated on
construction, unknown fields are refused, and no value can be changed later.
Units are SI and stand in the field's name or in its comment.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from measurements.context import (
    Ceilings,
    Count,
    FileName,
    Frozen,
    ModelInfo,
    NotNegative,
    Positive,
    PositiveCount,
    Sampling,
    Sha256,
    Share,
)
from measurements.identity import Identified, RecordId
from measurements.naming import pair_slug
from measurements.server_record import ServerRecord


class TraceInfo(Frozen):
    """One trace table beside the record."""

    sampling: Sampling
    file: FileName
    sha256: Sha256
    num_tokens: PositiveCount
    num_prompts: PositiveCount


class _Record(Identified):
    target: ModelInfo
    draft: ModelInfo

    @property
    def pair_slug(self) -> str:
        """Folder name of the model pair."""
        return pair_slug(self.target.name, self.draft.name)


class ProfileHeader(_Record):
    """A profile without its tables: what the profiler knows before it saves."""

    kind: Literal["profile"] = "profile"
    ceilings: Ceilings
    batch: PositiveCount = 1
    seed: int
    # "method parameters" -> what its drafter keeps beside the target [bytes]
    drafter_bytes: dict[str, Count] = Field(default_factory=dict)
    peak_memory_bytes: PositiveCount | None = None
    # the allocator's tensors on a device, or the resident memory of the whole process
    peak_memory_counted_by: Literal["allocator", "process"] | None = None


class ProfileRecord(ProfileHeader):
    """One profile: stage times and acceptance traces of a pair on a machine."""

    stages_file: FileName
    stages_sha256: Sha256
    traces: list[TraceInfo]
    windows_file: FileName | None = None  # of methods, where more than the chain was profiled
    windows_sha256: Sha256 | None = None
    rounds_file: FileName | None = None
    rounds_sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _files_have_hashes(self) -> Self:
        for name in ("windows", "rounds"):
            if (getattr(self, f"{name}_file") is None) != (getattr(self, f"{name}_sha256") is None):
                raise ValueError(f"{name}_file and {name}_sha256 go together")
        return self

    @property
    def header(self) -> ProfileHeader:
        """The record without its tables, to save a grown version of it."""
        fields = {name: getattr(self, name) for name in ProfileHeader.model_fields}
        return ProfileHeader.model_validate(fields)


class Fidelities(Frozen):
    """A measured quantity and its three predictions (docs/model.md)."""

    measured: Positive
    L0: Positive
    L1: Positive
    L2: Positive


class SpeedupRow(Fidelities):
    """Speedup over the same engine's autoregressive decoding, with intervals. [–]

    L0, L1 and L2 take their stage times from blocks timed between the decodes,
    ``L2_profiled`` from the profile, made before; None where only one of the
    two exists (L2 then stands on the profile).
    """

    measured_low: Positive
    measured_high: Positive
    L2_low: Positive
    L2_high: Positive
    L2_profiled: Positive | None = None

    @model_validator(mode="after")
    def _intervals_are_ordered(self) -> Self:
        pairs = {
            "measured": (self.measured_low, self.measured_high),
            "L2": (self.L2_low, self.L2_high),
        }
        for name, (low, high) in pairs.items():
            if low > high:
                raise ValueError(f"speedup {name}_low {low:g} exceeds {name}_high {high:g}")
        return self


class RoundsRow(Frozen):
    """Rounds of all prompts together; L2 is an expectation. [rounds]

    ``same_texts``: whether L2 was replayed along the target's own texts behind these very
    prompts; else it is what the profile's mean tokens per round give.
    """

    measured: Positive
    L2: Positive
    same_texts: bool = False


class ErrorRow(Frozen):
    """Exact decomposition of log(predicted/measured speedup): the terms add up (M9).

    ``log_tau_prompts`` is the part of ``log_tau`` that other prompts account for; None
    where these were not traced.
    """

    log_speedup: float
    log_tau: float
    log_tau_prompts: float | None = None
    log_round: float
    log_autoregressive: float
    log_round_by_stage: dict[str, float]


class PromptRow(Frozen):
    """One prompt's decoding, measured, beside its predicted rounds."""

    prompt: Count
    num_tokens: PositiveCount
    num_rounds: PositiveCount
    seconds: Positive
    baseline_seconds: Positive
    predicted_rounds: Positive


class SettingRow(Frozen):
    """One method with its parameters at one sampling: predicted and measured."""

    method: str
    parameters: dict[str, int | float | str]
    sampling: Sampling
    temperature: NotNegative
    tau: Fidelities
    speedup: SpeedupRow
    rounds: RoundsRow
    error: ErrorRow
    time_split: dict[str, Share]
    round_seconds: dict[str, Positive]
    per_prompt: list[PromptRow]

    @field_validator("round_seconds")
    @classmethod
    def _round_seconds_has_both(cls, value: dict[str, float]) -> dict[str, float]:
        if missing := {"measured", "L2"} - value.keys():
            raise ValueError(f"round_seconds lacks {sorted(missing)}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.temperature != self.sampling.temperature:
            raise ValueError(
                f"temperature {self.temperature:g} differs from"
                f" sampling.temperature {self.sampling.temperature:g}"
            )
        _check_shares(self.time_split)
        return self


class AutoregressiveRow(Frozen):
    """The measured baseline at one sampling."""

    sampling: Sampling
    seconds_per_token: Positive
    tokens: PositiveCount
    time_split: dict[str, Share]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_shares(self.time_split)
        return self


class ValidationSummary(Frozen):
    """Errors of the L2 speedup, relative to the measured one, over all settings. [–]"""

    median_abs_error: NotNegative
    p95_abs_error: NotNegative
    max_abs_error: NotNegative
    bias: float
    coverage_90: Share
    time_explained: Share


class ValidationRecord(_Record):
    """Predicted beside measured, for every setting decoded for real."""

    kind: Literal["validation"] = "validation"
    profile_id: RecordId
    repeats: PositiveCount
    same_prompts_as_profile: bool
    autoregressive: list[AutoregressiveRow]
    settings: list[SettingRow]
    summary: ValidationSummary
    summary_profiled: ValidationSummary | None = None
    stages_file: FileName | None = None  # times taken between the decodes: of stages,
    stages_sha256: Sha256 | None = None
    rounds_file: FileName | None = None  # or of the rounds of every method
    rounds_sha256: Sha256 | None = None


class Spread(Frozen):
    """A ratio of paired times with its 90 % interval over prompts. [–]"""

    median: Positive
    low: Positive
    high: Positive


class MethodRow(Frozen):
    """One decoding method at one sampling, measured."""

    method: str
    parameters: dict[str, int | float | str]
    sampling: Sampling
    tau: Positive
    draft_efficiency: Share | None
    tokens_per_s: Positive
    speedup: Spread
    time_split: dict[str, Share]
    provenance: dict[str, Share]
    lossless: bool
    identical_texts: dict[str, Count] | None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_shares(self.time_split)
        _check_shares(self.provenance)
        return self


class ComparisonRecord(_Record):
    """Every method on the same prompts, interleaved."""

    kind: Literal["comparison"] = "comparison"
    seed: int
    methods: list[MethodRow]


Cell = str | int | float | bool | None


class StudyRecord(_Record):
    """An experiment of its own: named tables of measured rows, and what was published."""

    kind: Literal["study"] = "study"
    name: str
    question: str
    tables: dict[str, list[dict[str, Cell]]]
    published: dict[str, list[dict[str, Cell]]] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)


Record = ProfileRecord | ValidationRecord | ComparisonRecord | StudyRecord | ServerRecord


def _check_shares(split: dict[str, float]) -> None:
    total = sum(split.values())
    if total > 1.0 + 1e-6:
        raise ValueError(f"time_split shares add up to {total:.6f}, more than 1")
