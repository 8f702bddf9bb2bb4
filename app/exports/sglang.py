"""SGLang: server flags and the adaptive configuration (docs of 0.5.23, read 2026-11)."""

from __future__ import annotations

from typing import Any

from app.exports.plan import Export, Plan, refuse_unknown

_THRESHOLDS = {"up_hysteresis": 0.0, "down_hysteresis": -0.25, "ceiling_coeff": 0}
METHODS = {"chain": "STANDALONE", "lookup": "NGRAM", "mtp": "NEXTN"}


def export(plan: Plan) -> Export:
    """The flags, a configuration by batch where a schedule is known, and a rehearsal.

    Raises
    ------
    ValueError
        If SGLang cannot express the method.
    """
    algorithm = refuse_unknown("SGLang", plan, METHODS)
    gamma = plan.num_draft_tokens
    command = ["python", "-m", "sglang.launch_server", "--model-path", plan.target]
    command += ["--speculative-algorithm", algorithm]
    if algorithm == "STANDALONE":
        command += ["--speculative-draft-model-path", plan.draft]
    if algorithm != "NGRAM":
        command += ["--speculative-num-steps", str(gamma), "--speculative-eagle-topk", "1"]
    # what SGLang verifies: the drafts and the token before them
    command += ["--speculative-num-draft-tokens", str(gamma + 1)]
    files: dict[str, Any] = {}
    notes = ["NGRAM drafts a trie of matches: a tree, not a chain"] if algorithm == "NGRAM" else []
    if plan.schedule is not None and algorithm != "NGRAM":
        files["adaptive.json"] = {
            str(low): {"candidate_steps": [drafts], **_THRESHOLDS}
            for low, _, drafts in plan.schedule
        }
        command += ["--speculative-adaptive", "--speculative-adaptive-config", "adaptive.json"]
        notes.append("keys of adaptive.json are the smallest batch of a range")
        notes.append(
            "adaptive steps are documented for EAGLE and EAGLE3 with topk 1; with other algorithms"
            " SGLang may fall back to fixed steps"
        )
        if any(drafts == 0 for _, _, drafts in plan.schedule):
            notes.append("0 steps (plain decoding) are not taken by every version")
    rehearsal = None
    if plan.tau is not None:
        rehearsal = {
            "SGLANG_SIMULATE_ACC_LEN": f"{plan.tau:.4g}",
            "SGLANG_SIMULATE_ACC_METHOD": "match-expected",
            "SGLANG_SIMULATE_ACC_TOKEN_MODE": "real-draft-token",
        }
    return Export(
        "sglang",
        files,
        tuple(command),
        (
            "save the responses' meta_info as JSONL, then speculens import: tau over rounds",
            "curl SERVER/metrics (--enable-metrics) before and after the load, then"
            " speculens import BEFORE AFTER",
        ),
        rehearsal,
        tuple(notes),
    )
