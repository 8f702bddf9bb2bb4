"""Transformers: generation configuration of assisted generation (5.17 to 5.23, read 2026-11)."""

from __future__ import annotations

from app.exports.plan import Export, Plan, refuse_unknown

METHODS = {"chain": "assistant_model", "lookup": "prompt_lookup"}


def export(plan: Plan) -> Export:
    """The fields of ``generation_config`` that keep the number of drafts fixed.

    Raises
    ------
    ValueError
        If Transformers cannot express the method.
    """
    kind = refuse_unknown("transformers", plan, METHODS)
    gamma = plan.num_draft_tokens
    if kind == "prompt_lookup":
        config: dict[str, object] = {"prompt_lookup_num_tokens": gamma}
        code = f"model.generate(**inputs, prompt_lookup_num_tokens={gamma})"
        notes: tuple[str, ...] = ("the n-gram that is looked up is 2 tokens long by default",)
    else:
        config = {
            "num_assistant_tokens": gamma,
            "num_assistant_tokens_schedule": "constant",
            "assistant_confidence_threshold": 0.0,  # 0.4 by default: drafts stop early
        }
        code = (
            f"draft = AutoModelForCausalLM.from_pretrained({plan.draft!r});"
            " draft.generation_config.update(**config);"
            " model.generate(**inputs, assistant_model=draft)"
        )
        notes = ("the assistant's own generation_config decides, not the target's",)
    if plan.schedule is not None:
        notes += ("assisted generation runs at batch 1: the schedule is left out",)
    return Export(
        "transformers",
        {"generation_config.json": config},
        (code,),
        ("speculens bench times it beside this engine on the same prompts",),
        None,
        notes,
    )
