"""On what, with what and under which sampling was something measured?

Units are SI and stand in the field's name.
"""

from __future__ import annotations

from statistics import median
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

DType = Literal["float32", "bfloat16", "float16"]
Count = Annotated[int, Field(ge=0)]
PositiveCount = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]


class Frozen(BaseModel):
    """Refuses unknown fields, later changes, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Machine(Frozen):
    """The machine a record was measured on; ``slug`` names its folder."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    device: Literal["cpu", "cuda"]
    cpu: str
    cores: PositiveCount
    memory_bytes: PositiveCount
    accelerator: str | None = None
    driver: str | None = None
    os: str
    python: str
    torch: str
    transformers: str
    numpy: str
    threads: PositiveCount


class Ceilings(Frozen):
    """Raw samples of what the machine can do at most, in the record's dtype."""

    read_bandwidth_bytes_per_s: Annotated[list[Positive], Field(min_length=1)]
    flop_per_s: Annotated[list[Positive], Field(min_length=1)]

    @property
    def median_read_bandwidth_bytes_per_s(self) -> float:
        """Median of the bandwidth samples. [bytes/s]"""
        return median(self.read_bandwidth_bytes_per_s)

    @property
    def median_flop_per_s(self) -> float:
        """Median of the arithmetic samples. [FLOP/s]"""
        return median(self.flop_per_s)


class ModelInfo(Frozen):
    """One causal language model and the forward it was run with."""

    name: Annotated[str, Field(min_length=1)]
    family: str
    forward: Literal["lean", "graphs", "transformers"]
    num_parameters: PositiveCount
    num_layers: PositiveCount
    hidden_size: PositiveCount
    vocab_size: PositiveCount
    context: PositiveCount
    weight_bytes: PositiveCount


class Sampling(Frozen):
    """How a token is drawn from the logits; temperature 0 means greedy."""

    temperature: NotNegative
    top_k: PositiveCount | None = None
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] | None = None

    @property
    def mode(self) -> Literal["greedy", "sampled", "filtered"]:
        """Which host work a choice is: an argmax, a draw, or a draw from a filtered law."""
        if self.temperature == 0:
            return "greedy"
        return "sampled" if self.top_k is None and self.top_p is None else "filtered"

    @property
    def label(self) -> str:
        """Short name for file names and legends.

        Examples
        --------
        >>> Sampling(temperature=0.7, top_k=50, top_p=0.9).label
        'T0.7-k50-p0.9'
        """
        parts = [f"T{self.temperature:g}"]
        if self.top_k is not None:
            parts.append(f"k{self.top_k}")
        if self.top_p is not None:
            parts.append(f"p{self.top_p:g}")
        return "-".join(parts)


class PromptSet(Frozen):
    """Which text was decoded; the hash is over the prompts, not the file."""

    name: str
    sha256: Sha256
    num_prompts: PositiveCount
    mean_prompt_tokens: Positive
