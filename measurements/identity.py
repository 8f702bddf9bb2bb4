"""What does every kind of record say of itself: when, where, on which text?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from measurements.context import DType, Frozen, Machine, PositiveCount, PromptSet

SCHEMA_VERSION: Literal[1] = 1

RecordId = Annotated[
    str,
    Field(
        pattern=r"^(profile|validation|comparison|study|server)-[a-z0-9]+-\d{8}T\d{6}Z-[0-9a-f]{6}$"
    ),
]


class Identified(Frozen):
    """The fields of every record."""

    schema_version: Literal[1] = SCHEMA_VERSION
    id: RecordId
    created: str
    commit: str | None = None
    machine: Machine
    dtype: DType
    prompts: PromptSet
    new_tokens: PositiveCount
    complete: bool

    @field_validator("created")
    @classmethod
    def _created_is_utc(cls, value: str) -> str:
        if datetime.fromisoformat(value).utcoffset() != timedelta(0):
            raise ValueError(f"created {value!r} is not a UTC time (ISO 8601, offset +00:00)")
        return value

    @model_validator(mode="after")
    def _id_names_kind_and_dtype(self) -> Self:
        kind = getattr(self, "kind", None)
        if not self.id.startswith(f"{kind}-{self.dtype}-"):
            raise ValueError(f"id {self.id!r} does not begin with '{kind}-{self.dtype}-'")
        return self
