"""vLLM: ``--speculative-config`` (fields of vllm/config/speculative.py, 0.33.0, read 2026-11)."""

from __future__ import annotations

import json
from typing import Any

from app.exports.plan import Export, Plan, refuse_unknown

METHODS = {"chain": "draft_model", "lookup": "ngram", "medusa": "medusa", "mtp": "mtp"}


def export(plan: Plan) -> Export:
    """The configuration, its schedule by batch, and a rehearsal with synthetic acceptance.

    Raises
    ------
    ValueError
        If vLLM cannot express the method.
    """
    method = refuse_unknown("vLLM", plan, METHODS)
    config: dict[str, Any] = {"method": method, "num_speculative_tokens": plan.num_draft_tokens}
    if method in ("draft_model", "medusa"):
        config["model"] = plan.draft
    notes = ["greedy drafts by default: set draft_sample_method to probabilistic above T = 0"]
    if method == "ngram":
        # what our lookup looks for; without the least, vLLM takes it to be the most
        config |= {"prompt_lookup_max": 3, "prompt_lookup_min": 1}
        notes = [
            "vLLM copies from the first match and stops where the text ends; lookup as profiled"
            " takes the latest and goes on through its copy: validate --server says what vLLM keeps"
        ]
    if plan.schedule is not None:
        config["num_speculative_tokens"] = max(1, *(g for _, _, g in plan.schedule))
        config["num_speculative_tokens_per_batch_size"] = [list(part) for part in plan.schedule]
        notes.append("a change of drafts between batches costs time that the schedule leaves out")
        notes.append("beyond the last batch vLLM goes on with the last range's drafts")
    rehearsal = dict(config) | {"rejection_sample_method": "synthetic"}
    most = config["num_speculative_tokens"]
    if plan.survival is not None and most == plan.num_draft_tokens:
        rehearsal["synthetic_acceptance_rates"] = plan.survival
    elif plan.tau is not None and most == plan.num_draft_tokens:
        rehearsal["synthetic_acceptance_length"] = round(plan.tau, 4)
        notes.append("synthetic_acceptance_length spreads acceptance with the least variance")
    rehearsed = len(rehearsal) > len(config) + 1
    if rehearsed:
        notes.append("rehearse on a GPU: on a CPU vLLM 0.32 starts, and ends at the first request")
    return Export(
        "vllm",
        {"speculative_config.json": config},
        ("vllm", "serve", plan.target, "--speculative-config", json.dumps(config)),
        (
            "curl SERVER/metrics before and after the load, then"
            " speculens import BEFORE AFTER: tau and acceptance by position",
            "vllm bench serve with and without --speculative-config, then"
            " speculens import BOTH.json: speedup",
            "a folder of pages per server, then speculens optimize --from BEFORE --measured AFTER:"
            " speed beside the prediction, by batch",
        ),
        rehearsal if rehearsed else None,
        tuple(notes),
    )
