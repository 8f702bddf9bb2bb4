"""What do the tables of the medusa-hydra study say, in words?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.studies.decoded import chosen, fastest, parted_texts
from app.words import percent, span, times

Rows = Sequence[dict[str, Any]]


def notes(cards: Rows, accuracies: Rows, trees: Rows, settings: Rows, ratios: Rows) -> list[str]:
    """Sentences computed from the study's tables, in their order."""
    labels = list(dict.fromkeys(row["sampling"] for row in settings))
    return [
        *_training(cards),
        *(_accuracy(accuracies, label) for label in labels),
        *(_prediction(trees, label) for label in labels),
        *(_winners(settings, label) for label in labels),
        *(_identity(settings, label) for label in labels),
        *(_ratio(ratios, label) for label in labels),
        *(_rules(settings, label) for label in labels),
        *parted_texts(settings),
        f"Trees are built from the accuracies at {labels[0]} on the very texts that are decoded, "
        "which flatters them; the prediction takes heads as independent and round starts as "
        "typical positions. A Medusa head sees only the hidden state in front of the pending "
        "token: at temperature 0 that state determines the token, above it does not.",
    ]


def _training(cards: Rows) -> list[str]:
    known = [row for row in cards if row["held_out_kl_nats_per_token"] is not None]
    if not known:
        return []
    listed = "; ".join(
        f"{row['heads']} {row['parameters'] / 1e6:.1f}M parameters, {row['steps']} steps in "
        f"{row['training_minutes']:.0f} min on {row['collected_tokens'] / 1e3:.0f}k tokens, "
        f"held-out KL {row['held_out_kl_nats_per_token']:.2f} nats/token"
        for row in known
    )
    return [f"Trained for minutes: {listed}."]


def _accuracy(rows: Rows, label: str) -> str:
    parts = []
    for kind in dict.fromkeys(row["heads"] for row in rows):
        mine = chosen(rows, sampling=label, heads=kind)
        first, last = mine[0], mine[-1]
        parts.append(
            f"{kind} {percent(first['top_1'], 0)} (head 1) to {percent(last['top_1'], 0)} (head "
            f"{last['head']}), with ten guesses {percent(first['top_10'], 0)} to "
            f"{percent(last['top_10'], 0)}"
        )
    return (
        f"{label}, first guess right: {'; '.join(parts)}. Medusa on Vicuna-7B: 56 to 12 % "
        "on teacher-forced text."
    )


def _prediction(trees: Rows, label: str) -> str:
    parts = []
    for kind in dict.fromkeys(row["heads"] for row in trees):
        mine = chosen(trees, sampling=label, heads=kind)
        small, large = mine[0], mine[-1]
        errors = [row["error"] for row in mine]
        parts.append(
            f"{kind} {small['tau']:.2f} with {small['nodes']} tokens to {large['tau']:.2f} with "
            f"{large['nodes']}, predicted {small['predicted_tau']:.2f} and "
            f"{large['predicted_tau']:.2f} (errors {percent(min(errors), 0)} to "
            f"{percent(max(errors), 0)})"
        )
    return f"{label}, tokens per round of the trees: {'; '.join(parts)}."


def _winners(settings: Rows, label: str) -> str:
    parts = []
    for kind in dict.fromkeys(row["heads"] for row in settings):
        row = fastest(settings, sampling=label, heads=kind, lossless=True)
        parts.append(
            f"{kind} {_name(row)} {times(row['speedup'])} "
            f"({span(row['speedup_low'], row['speedup_high'])})"
        )
    return f"{label}, fastest lossless setting: {'; '.join(parts)}."


def _identity(settings: Rows, label: str) -> str:
    """Medusa's account of a speedup: tokens per step over overhead."""
    parts = []
    for kind in ("medusa", "hydra"):
        row = fastest(settings, sampling=label, heads=kind, shape="tree", lossless=True)
        rest = max(0.0, row["overhead"] - row["heads_steps"] - row["target_steps"])
        parts.append(
            f"{kind} {row['tau']:.2f} / {row['overhead']:.2f} = "
            f"{times(row['tau'] / row['overhead'])} (of a round's {row['overhead']:.2f} steps "
            f"{row['heads_steps']:.2f} are drafting, {row['target_steps']:.2f} the target, "
            f"{rest:.2f} host)"
        )
    return (
        f"{label}, tokens per round / overhead of the best tree: {'; '.join(parts)}. "
        "Medusa-2 on Vicuna-7B: 3.47 / 1.23."
    )


def _ratio(ratios: Rows, label: str) -> str:
    parts = []
    for shape in ("chain", "tree"):
        (row,) = chosen(ratios, where=f"here, {label}, {shape}")
        parts.append(
            f"as {shape}s {row['tau_ratio']:.2f} times the tokens per round and "
            f"{times(row['speed_ratio'])} the speed (90 %: "
            f"{span(row['speed_ratio_low'], row['speed_ratio_high'])})"
        )
    return (
        f"{label}, Hydra over Medusa: {', '.join(parts)}; published, temperature 0: 1.10 to 1.11 "
        "(Spec-Bench: 1.21 to 1.26 at 1.39 to 1.41 times the tokens per step)."
    )


def _rules(settings: Rows, label: str) -> str:
    """One tree under every rule: likeliest tokens matched, tokens drawn, typical acceptance."""
    parts = []
    for kind in ("medusa", "hydra"):
        (loose,) = chosen(settings, sampling=label, heads=kind, rule="typical")
        tree = {"sampling": label, "heads": kind, "shape": "tree", "nodes": loose["nodes"]}
        (matched,), (drawn,) = (
            chosen(settings, rule=rule, **tree) for rule in ("match", "rejection")
        )
        listed = ", ".join(
            f"{name} {row['tau']:.2f} ({times(row['speedup'])})"
            for name, row in (
                ("likeliest tokens matched", matched),
                ("tokens drawn, recursive rejection", drawn),
                ("typical acceptance, lossy", loose),
            )
        )
        parts.append(f"{kind} {listed}")
    nodes = chosen(settings, rule="typical")[0]["nodes"]
    return f"{label}, tokens per round of the tree of {nodes}: {'; '.join(parts)}."


def _name(row: dict[str, Any]) -> str:
    return f"{row['shape']} of {row['nodes']}, {row['rule']}"
