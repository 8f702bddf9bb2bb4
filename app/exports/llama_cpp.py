"""llama.cpp: flags of llama-server (docs/speculative.md and server help, 2026-08 to 2026-11)."""

from __future__ import annotations

from app.exports.plan import Export, Plan, refuse_unknown

METHODS = {"chain": "draft-simple", "lookup": "ngram-simple", "mtp": "draft-mtp"}


def export(plan: Plan) -> Export:
    """The flags and a rehearsal with synthetic acceptance.

    Raises
    ------
    ValueError
        If llama.cpp cannot express the method, or a schedule by batch is wanted.
    """
    kind = refuse_unknown("llama.cpp", plan, METHODS)
    gamma = plan.num_draft_tokens
    command = ["llama-server", "-m", plan.target, "--spec-type", kind]
    notes = []
    if kind == "draft-simple":
        command += ["--spec-draft-model", plan.draft]
    if kind == "ngram-simple":
        command += ["--spec-ngram-simple-size-m", str(gamma)]
    else:
        # a draft that stops at low confidence would not be the chain that was predicted
        command += ["--spec-draft-n-max", str(gamma), "--spec-draft-p-min", "0"]
        notes.append("builds before 2026-05 call these --draft-max and --draft-p-min")
    if plan.schedule is not None:
        notes.append(
            "llama.cpp has no drafts by batch: the schedule is left out, γ is that of batch 1"
        )
    rehearsal = None
    if plan.survival is not None and kind != "ngram-simple":
        rehearsal = {"--spec-synth-rates": ",".join(f"{s:g}" for s in plan.survival)}
    return Export(
        "llama.cpp",
        {},
        tuple(command),
        ("keep the server's log, then speculens import LOG: τ, and by position at trace level",),
        rehearsal,
        tuple(notes),
    )
