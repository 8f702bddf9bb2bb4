"""What do heads that see each other's tokens gain? Medusa and Hydra, run here.

Medusa (arXiv:2401.10774) and Hydra (arXiv:2402.05109) on the same target, prompts
and minutes: accuracy of every head by rank, trees built from it at several sizes
with what it predicts beside what is decoded, chains, typical acceptance, and what
a round costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.pair import PairOptions
from app.studies.decoded import (
    Bench,
    alone,
    card,
    decode,
    fastest,
    load_drafter,
    of_method,
    same_texts,
    set_up,
)
from app.studies.medusa_hydra_figures import figures
from app.studies.medusa_hydra_notes import notes
from app.studies.medusa_hydra_published import (
    ACCURACY,
    CHILDREN,
    DEPTH,
    HEADS,
    HYDRA_OVER_MEDUSA,
    PUBLISHED,
    RATIOS,
    SETTINGS,
    TREES,
)
from app.terminal import ShowStep, progress_bar, resumable
from measurements import StudyRecord
from simulator import expected_emitted_from_tree

if TYPE_CHECKING:
    from engine.heads.loading import Heads
    from engine.trees import Tree
    from profiler.methods import Method
    from profiler.runs import Run

__all__ = ["figures", "study"]

KINDS = ("medusa", "hydra", "mtp")
DRAWN_BY_TREES = ("medusa", "hydra")
NODES = (4, 8, 16, 32, 64)
DRAWN = (4, 16)  # nodes of trees that are also drawn, and judged by recursive rejection
JUDGED = 16  # nodes of the tree that is also judged by typical acceptance
CHAIN = 4

Accuracies = dict[str, dict[str, list[list[float]]]]
"""Sampling, then heads, to accuracy by depth and rank."""


def study(pair: PairOptions, quick: bool, state: Path) -> StudyRecord:
    """Measure accuracies, build trees, decode every setting and say what came out.

    Parameters
    ----------
    pair : PairOptions
    quick : bool
        At most 10 prompts of 96 tokens.
    state : Path
        Folder in which decodes are kept, so that an interrupted study goes on.

    Raises
    ------
    InputError
        If the target lacks heads of a kind, or ``state`` holds decodes of something else.
    """
    from engine.heads.loading import load_heads

    bench = set_up(pair, quick)
    found = {
        kind: load_drafter(
            load_heads,
            bench.target,
            (f"python-{kind}", f"runs/zoo/heads/{kind}"),
            kind,
            pair.target,
        )
        for kind in KINDS
    }
    heads = {kind: loaded for kind, (loaded, _) in found.items()}
    with resumable(), progress_bar() as show:
        accuracies = _accuracies(bench, heads, show)
    labels = [s.label for s in bench.plan.samplings]
    trees = _trees(accuracies[labels[0]])
    methods = _methods(heads, trees)
    shapes = {f"{kind} {nodes}": list(t.parents) for (kind, nodes), t in trees.items()}
    sources = {kind: source for kind, (_, source) in found.items()}
    with resumable(), progress_bar() as show:
        more = {"trees": shapes, "heads": sources}
        runs = decode(bench, methods, state / "medusa-hydra.jsonl", show, more)
    rows = [_row(runs, label, method) for label in labels for method in methods]
    tables = {
        HEADS: _cards(sources),
        ACCURACY: _accuracy_rows(accuracies),
        TREES: _tree_rows(rows, accuracies, trees),
        SETTINGS: rows,
        RATIOS: _ratio_rows(runs, labels, rows, methods),
    }
    return StudyRecord(
        **bench.header(pair),
        name="medusa-hydra",
        question="What do heads gain that see the tokens drafted before their own?",
        tables=tables,
        published=PUBLISHED,
        notes=notes(*tables.values()),
    )


def _accuracies(bench: Bench, heads: Mapping[str, Heads], show: ShowStep) -> Accuracies:
    from profiler.head_accuracies import head_accuracies

    plan, depth = bench.plan, min(DEPTH, bench.plan.new_tokens)
    found: Accuracies = {}
    for sampling in plan.samplings:
        requests = [plan.request(ids, sampling, i) for i, ids in enumerate(bench.encoded)]
        found[sampling.label] = head_accuracies(
            bench.target, heads, requests, depth, CHILDREN,
            report=lambda s: show(s.what, s.done, s.total),
        )  # fmt: skip
    return found


def _trees(accuracies: Mapping[str, list[list[float]]]) -> dict[tuple[str, int], Tree]:
    """Of every kind of heads and size, as the accuracies at the first sampling ask for it."""
    from engine.heads.medusa_tree import medusa_tree

    # of few texts they may rise with the rank, which the construction does not expect
    ranked = {k: [sorted(a, reverse=True) for a in accuracies[k]] for k in DRAWN_BY_TREES}
    return {
        (kind, nodes): medusa_tree(ranked[kind], nodes, DEPTH, CHILDREN)
        for kind in DRAWN_BY_TREES
        for nodes in NODES
    }


def _methods(heads: Mapping[str, Heads], trees: Mapping[tuple[str, int], Tree]) -> list[Method]:
    """Chains of all heads; trees under sample-and-match; some trees under the other rules.

    Sample-and-match tries the likeliest tokens, so it is the rule that accuracies by rank
    predict at any temperature; at temperature 0 all lossless rules are the same.
    """
    from engine.drafters.hydra import HydraDrafter
    from engine.drafters.medusa import MedusaDrafter
    from engine.drafters.mtp import MtpDrafter
    from engine.trees import Tree
    from profiler.methods import Method

    drafters: dict[str, Any] = {
        kind: make(heads[kind])
        for kind, make in zip(KINDS, (MedusaDrafter, HydraDrafter, MtpDrafter), strict=True)
    }
    methods = [
        Method(kind, {"num_draft_tokens": CHAIN}, drafters[kind], Tree.chain(CHAIN))
        for kind in KINDS
    ]
    for (kind, nodes), tree in trees.items():
        rules = ["match"] + ["rejection"] * (nodes in DRAWN) + ["typical"] * (nodes == JUDGED)
        methods += [
            Method(kind, {"nodes": nodes, "rule": rule}, drafters[kind], tree, rule)  # type: ignore[arg-type]
            for rule in rules
        ]
    return methods


def _row(runs: Sequence[Run], label: str, method: Method) -> dict[str, Any]:
    """What a setting's decodes say, times of a round in autoregressive steps beside seconds."""
    from profiler.setting_speed import speed_of

    mine, plain = of_method(runs, label, method), alone(runs, label)
    found = speed_of(mine, plain)
    return {
        **_setting(label, method),
        **found,
        "heads_steps": found["draft_s"] / found["step_s"],
        "target_steps": found["target_s"] / found["step_s"],
        "lossless": method.lossless,
        "same_texts": same_texts(mine, plain),
    }


def _setting(label: str, method: Method) -> dict[str, Any]:
    return {
        "sampling": label,
        "heads": method.name,
        "shape": "tree" if "nodes" in method.parameters else "chain",
        "nodes": int(method.parameters.get("nodes", method.num_draft_tokens)),
        "rule": method.rule,
    }


def _cards(sources: Mapping[str, str]) -> list[dict[str, Any]]:
    names = (
        "parameters", "steps", "collected_tokens", "training_minutes", "held_out_kl_nats_per_token"
    )  # fmt: skip
    return [
        {"heads": kind, **{n: card(source, "heads.json").get("training", {}).get(n) for n in names}}
        for kind, source in sources.items()
    ]


def _accuracy_rows(accuracies: Accuracies) -> list[dict[str, Any]]:
    """One row per sampling, heads and head; ``top_r``: one of the first r guesses is right."""
    rows = []
    for label, by_heads in accuracies.items():
        for kind, heads in by_heads.items():
            for number, ranks in enumerate(heads, start=1):
                tops = {f"top_{r}": sum(ranks[:r]) for r in range(1, CHILDREN + 1)}
                rows.append({"sampling": label, "heads": kind, "head": number, **tops})
    return rows


def _tree_rows(
    rows: list[dict[str, Any]],
    accuracies: Accuracies,
    trees: Mapping[tuple[str, int], Tree],
) -> list[dict[str, Any]]:
    """Tokens per round that the accuracies predict, heads taken as independent, and decoded."""
    names = ("speedup", "speedup_low", "speedup_high", "overhead", "heads_steps", "target_steps")
    found = []
    for row in rows:
        if row["rule"] != "match":
            continue
        tree = trees[row["heads"], row["nodes"]]
        predicted = expected_emitted_from_tree(
            accuracies[row["sampling"]][row["heads"]], tree.parents
        )
        found.append(
            {
                "sampling": row["sampling"],
                "heads": row["heads"],
                "nodes": row["nodes"],
                "tokens": len(tree),  # fewer than allowed where no further guess was ever right
                "depth": tree.depth,
                "widest": max(tree.widths),
                "predicted_tau": predicted,
                "tau": row["tau"],
                "error": predicted / row["tau"] - 1,
                **{name: row[name] for name in names},
            }
        )
    return found


def _ratio_rows(
    runs: Sequence[Run], labels: Sequence[str], rows: list[dict[str, Any]],
    methods: Sequence[Method],
) -> list[dict[str, Any]]:  # fmt: skip
    """Tokens per round and speed of Hydra over Medusa: as chains, and each with its best tree."""
    from profiler.setting_speed import speed_ratio

    by_setting = {tuple(_setting("", m).values()): m for m in methods}
    found: list[dict[str, Any]] = []
    for label in labels:
        for shape in ("chain", "tree"):
            lossless = {"sampling": label, "shape": shape, "lossless": True}
            best = [fastest(rows, heads=kind, **lossless) for kind in ("hydra", "medusa")]
            names = list(_setting("", methods[0]))[1:]
            one, other = (
                of_method(runs, label, by_setting["", *(row[n] for n in names)]) for row in best
            )
            ratio = speed_ratio(one, other, alone(runs, label))
            found.append(
                {
                    "where": f"here, {label}, {shape}",
                    "medusa_tau": best[1]["tau"],
                    "hydra_tau": best[0]["tau"],
                    "tau_ratio": best[0]["tau"] / best[1]["tau"],
                    **{f"speed_{name}": value for name, value in ratio.items()},
                }
            )
    return [*found, *HYDRA_OVER_MEDUSA]
