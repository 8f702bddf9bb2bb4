"""Models and prompts as the context that records carry."""

from collections.abc import Mapping
from typing import Any, Literal

from engine.model import Model
from engine.prompts import Prompts
from engine.sampling import Sampling
from measurements import ModelInfo, PromptSet, new_record_id, utc_now
from measurements import Sampling as RecordedSampling
from profiler.machine import fingerprint, source_commit


def model_info(model: Model) -> ModelInfo:
    """What a record keeps of a model."""
    config = model.hf.config
    return ModelInfo(
        name=model.name,
        family=config.model_type,
        forward=model.forward_kind,  # type: ignore[arg-type]
        num_parameters=model.num_parameters,
        num_layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        vocab_size=model.vocab_size,
        context=model.context,
        weight_bytes=model.weight_bytes,
    )


def prompt_set(prompts: Prompts, encoded: list[list[int]]) -> PromptSet:
    """What a record keeps of a prompt set."""
    return PromptSet(
        name=prompts.name,
        sha256=prompts.sha256,
        num_prompts=len(encoded),
        mean_prompt_tokens=sum(map(len, encoded)) / len(encoded),
    )


def header(
    kind: Literal["profile", "validation", "comparison", "study"],
    target: Model,
    draft: Model,
    prompts: Prompts,
    encoded: list[list[int]],
    dtype: str,
    new_tokens: int,
) -> dict[str, Any]:
    """The fields every complete record has: what ran where, on which text."""
    return {
        "id": new_record_id(kind, dtype),
        "created": utc_now(),
        "commit": source_commit(),
        "machine": fingerprint(target.device),
        "target": model_info(target),
        "draft": model_info(draft),
        "dtype": dtype,
        "prompts": prompt_set(prompts, encoded),
        "new_tokens": new_tokens,
        "complete": True,
    }


def ran_by_transformers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The two models of a header, where Transformers' own loop ran its own forward."""
    return {
        name: fields[name].model_copy(update={"forward": "transformers"})
        for name in ("target", "draft")
    }


def recorded(sampling: Sampling) -> RecordedSampling:
    """The engine's sampling in the records' vocabulary."""
    return RecordedSampling(
        temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p
    )
