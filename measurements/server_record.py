"""What did a serving engine do, seen from outside?

A kind of its own, because what the others stand on is not known of a server: its models' sizes,
its stages and its machine. Known are the moments at which the pieces of every answer came, and
how its counters grew. Text is greedy; everything else is computed on reading.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from measurements.context import Count, Frozen, NotNegative, Positive, PositiveCount, Sha256, Share
from measurements.identity import Identified, RecordId
from measurements.naming import pair_slug

Speculation = Literal["draft-model", "ngram"]


class ServedAnswer(Frozen):
    """One answer, its times counted from the beginning of its wave.

    ``sizes`` are the tokens of each piece, ``text_sha256`` is of the token ids in decimal with
    commas between.
    """

    prompt: Count
    prompt_tokens: Count
    sent_s: NotNegative
    arrivals_s: Annotated[list[NotNegative], Field(min_length=1)]
    sizes: list[PositiveCount]
    text_sha256: Sha256

    @model_validator(mode="after")
    def _pieces_come_in_order(self) -> Self:
        if len(self.sizes) != len(self.arrivals_s):
            raise ValueError(f"{len(self.sizes)} sizes of {len(self.arrivals_s)} pieces")
        if any(after < before for before, after in pairwise([self.sent_s, *self.arrivals_s])):
            raise ValueError("pieces of an answer must not come before those in front of them")
        return self


class ServedWave(Frozen):
    """Prompts sent to one server at once; ``unit`` is what was sent to all of them in turn."""

    unit: Count
    num_draft_tokens: Count  # 0 without speculation
    batch: PositiveCount
    answers: Annotated[list[ServedAnswer], Field(min_length=1)]
    drafts: Count  # rounds that drafted, by the server's counters
    drafted: Count
    accepted_by_position: list[Count]
    decode_s: NotNegative | None = None  # of all answers together, on the server's own clock

    @model_validator(mode="after")
    def _counters_agree(self) -> Self:
        if len(self.answers) != self.batch:
            raise ValueError(f"{len(self.answers)} answers in a batch of {self.batch}")
        if sum(self.accepted_by_position) > self.drafted:
            raise ValueError(
                f"{sum(self.accepted_by_position)} drafts were kept of {self.drafted} drafted"
            )
        return self


class MeasuredPredicted(Frozen):
    """One quantity; ``low`` to ``high`` is the 90 % interval of the measured, where known."""

    measured: Positive
    predicted: Positive
    low: Positive | None = None
    high: Positive | None = None

    @property
    def error(self) -> float:
        """Relative to the measured. [unitless]"""
        return self.predicted / self.measured - 1.0


class ServedSetting(Frozen):
    """One number of drafts at one batch, foretold and measured.

    ``speedup`` is decode time without drafts over with them, the first tokens' waits excluded,
    all units together. ``survival`` counts drafts kept at each position per round
    that drafted.
    """

    num_draft_tokens: PositiveCount
    batch: PositiveCount
    units: PositiveCount
    tau: MeasuredPredicted
    survival_measured: list[Share]
    survival_predicted: list[Share]
    seconds_per_token: MeasuredPredicted
    speedup: MeasuredPredicted | None  # None where no plain server was beside it
    texts_as_traced: Count  # answers equal to the trace's, token for token
    extrapolated: bool  # beyond the drafts the prediction was fitted to


class ServerRecord(Identified):
    """A sweep over servers of one model, with and without drafts.

    ``machine`` is the client's. ``settings`` are there where something was foretold, from the
    record ``profile_id``.
    """

    kind: Literal["server"] = "server"
    engine: str
    engine_version: str | None
    model: Annotated[str, Field(min_length=1)]
    speculation: Speculation
    draft: str | None  # as stated: a server does not tell
    max_ngram: PositiveCount | None = None  # of ngram, as stated
    min_ngram: PositiveCount | None = None
    tensor_parallel: PositiveCount = 1  # devices, as stated
    waves: Annotated[list[ServedWave], Field(min_length=1)]
    profile_id: RecordId | None = None
    settings: list[ServedSetting] = Field(default_factory=list)

    @property
    def pair_slug(self) -> str:
        """Folder name of the model and what drafts for it."""
        return pair_slug(self.model, self.draft or self.speculation)

    @model_validator(mode="after")
    def _settings_come_from_a_profile(self) -> Self:
        if self.settings and self.profile_id is None:
            raise ValueError("settings were foretold from a profile: profile_id is missing")
        return self
