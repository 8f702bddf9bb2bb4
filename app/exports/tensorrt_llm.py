"""TensorRT-LLM: ``speculative_config`` of the LLM API (llmapi/llm_args.py, 1.3, read 2026-11)."""

from __future__ import annotations

from typing import Any

from app.exports.plan import Export, Plan, refuse_unknown

METHODS = {"chain": "DraftTarget", "lookup": "NGram", "mtp": "MTP"}


def export(plan: Plan) -> Export:
    """The configuration (JSON is YAML), its schedule by batch, and a rehearsal.

    Raises
    ------
    ValueError
        If TensorRT-LLM cannot express the method.
    """
    kind = refuse_unknown("TensorRT-LLM", plan, METHODS)
    config: dict[str, Any] = {"decoding_type": kind, "max_draft_len": plan.num_draft_tokens}
    if kind == "DraftTarget":
        config["speculative_model"] = plan.draft
    notes = []
    if plan.schedule is not None:
        # keys are the largest batch of a range; above the last, nothing is drafted
        parts = [(high, drafts) for _, high, drafts in plan.schedule]
        config["max_draft_len"] = max(1, *(drafts for _, drafts in parts))
        while parts and parts[-1][1] == 0:
            parts.pop()
        config["draft_len_schedule"] = dict(parts)
        notes.append(
            "keys of draft_len_schedule are the largest batch of a range; in older versions they"
            " were the smallest: check the field's description of yours"
        )
    rehearsal = None
    if plan.tau is not None:  # counts accepted drafts, without the bonus token
        rehearsal = {"TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS": f"{plan.tau - 1:.4g}"}
    return Export(
        "tensorrt-llm",
        {"config.yaml": {"speculative_config": config}},
        ("trtllm-serve", plan.target, "--config", "config.yaml"),
        (
            "specDecodingStats of the iteration log: 1 + numAcceptedTokens / number of requests"
            " that drafted is tau",
        ),
        rehearsal,
        tuple(notes),
    )
