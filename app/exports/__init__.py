"""A choice of drafts in the words of serving engines: one file per engine."""

from __future__ import annotations

from collections.abc import Callable

from app.exports import hf_transformers, llama_cpp, sglang, tensorrt_llm, vllm
from app.exports.plan import Export, Plan, schedule_ranges

ENGINES: dict[str, Callable[[Plan], Export]] = {
    "vllm": vllm.export,
    "sglang": sglang.export,
    "tensorrt-llm": tensorrt_llm.export,
    "llama.cpp": llama_cpp.export,
    "transformers": hf_transformers.export,
}
"""Writer of every engine, by the name that ``--engine`` takes."""

__all__ = ["ENGINES", "Export", "Plan", "schedule_ranges"]
