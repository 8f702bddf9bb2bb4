"""Is a discrete diffusion model the better drafter? SpecDiff (arXiv:2408.05636), run here.

The pair's diffusion drafter against its autoregressive one, on the same prompts
in the same minutes: number of draft tokens, denoising steps, what a draft costs,
and what the diffusion drafter would have to reach where it is behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.pair import PairOptions
from app.studies.break_even import constant_rate, needed
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
from app.studies.specdiff_figures import figures
from app.studies.specdiff_notes import notes
from app.studies.specdiff_published import (
    FEW_STEPS,
    KEPT,
    MODELS,
    NEEDED,
    PAPER,
    PUBLISHED,
    RATIOS,
    SETTINGS,
)
from app.terminal import progress_bar, resumable
from measurements import StudyRecord

if TYPE_CHECKING:
    from engine.diffusion.lean import LeanDenoiser
    from profiler.methods import Method
    from profiler.runs import Run

__all__ = ["figures", "study"]

TRAINED = "runs/zoo/diffusion"
"""Where ``speculens train diffusion`` leaves a drafter."""

CHAINS = (2, 4, 8, 12, 16)  # the autoregressive drafter's best is short
BLOCKS = (4, 8, 12, 16)
STEPS = (1, 2, 4, 8)
SWEPT = 8  # draft tokens of the sweep over steps


def study(pair: PairOptions, quick: bool, state: Path) -> StudyRecord:
    """Decode every setting and say what came out.

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
        If the target has no diffusion drafter, or ``state`` holds decodes of something else.
    """
    from engine.diffusion.loading import DEFAULT_DIFFUSION, load_diffusion

    bench = set_up(pair, quick)
    sources = (DEFAULT_DIFFUSION, TRAINED)
    model, source = load_drafter(load_diffusion, bench.target, sources, "diffusion", pair.target)
    methods = _methods(bench, model)
    with resumable(), progress_bar() as show:
        runs = decode(bench, methods, state / "specdiff.jsonl", show, {"drafter": source})
    labels = [s.label for s in bench.plan.samplings]
    rows = [_row(runs, label, method) for label in labels for method in methods]
    tables = {
        MODELS: _models(bench, pair, model, source),
        SETTINGS: rows,
        KEPT: _kept(runs, labels, methods, min(SWEPT, model.max_block)),
        NEEDED: [_needed(row, rows) for row in rows if row["drafter"] == "diffusion"],
        RATIOS: [_ratio(runs, label, rows, methods) for label in labels] + _paper_ratios(),
    }
    return StudyRecord(
        **bench.header(pair),
        name="specdiff",
        question="Is a discrete diffusion model a better drafter than an autoregressive one?",
        tables=tables,
        published=PUBLISHED,
        notes=notes(*tables.values()),
    )


def _methods(bench: Bench, model: LeanDenoiser) -> list[Method]:
    """Chains of the draft, then diffusion by draft tokens, by steps, and filled in place."""
    from profiler.methods import chain

    longest = model.max_block
    swept = min(SWEPT, longest)
    blocks = [g for g in BLOCKS if g <= longest] or [longest]
    settings = [(gamma, FEW_STEPS) for gamma in blocks] + [(blocks[0], 1)]
    settings += [(swept, steps) for steps in STEPS]
    ordered = [_diffusion(model, *s, "left to right") for s in dict.fromkeys(settings)]
    together = [_diffusion(model, swept, steps, "in place") for steps in STEPS[1:]]
    chains = [chain(bench.draft, gamma) for gamma in CHAINS if gamma <= max(longest, CHAINS[1])]
    return [*chains, *ordered, *together]


def _diffusion(model: LeanDenoiser, gamma: int, steps: int, filled: str) -> Method:
    """``in place`` denoises the whole block in every step, as the paper does, kept lossless."""
    from engine.drafters.diffusion import DiffusionDrafter
    from engine.trees import Tree
    from profiler.methods import Method

    acceptance = "hybrid" if filled == "in place" else "left_to_right"
    return Method(
        "diffusion",
        {"num_draft_tokens": gamma, "steps": steps, "filled": filled},
        DiffusionDrafter(model, steps, acceptance),  # type: ignore[arg-type]
        Tree.chain(gamma),
    )


def _row(runs: Sequence[Run], label: str, method: Method) -> dict[str, Any]:
    """What a setting's decodes say, with the time of one call of the drafter."""
    from profiler.kept_by_depth import kept_shares
    from profiler.setting_speed import speed_of

    mine = of_method(runs, label, method)
    plain = alone(runs, label)
    (first,) = kept_shares(mine, 1)
    found = speed_of(mine, plain)
    return {
        **_setting(label, method),
        **found,
        "first_kept": first,
        "call_s": found["draft_s"] / _calls(method),
        "same_texts": same_texts(mine, plain),
    }


def _setting(label: str, method: Method) -> dict[str, Any]:
    diffusion = method.name == "diffusion"
    return {
        "sampling": label,
        "drafter": "diffusion" if diffusion else "autoregressive",
        "num_draft_tokens": method.num_draft_tokens,
        "draft_calls": _calls(method),
        "filled": _filled(method),
    }


def _filled(method: Method) -> str:
    return str(method.parameters.get("filled", "token by token"))


def _calls(method: Method) -> int:
    """Forwards of the drafter in a whole round: denoising steps, or one per token."""
    steps = int(method.parameters.get("steps", method.num_draft_tokens))
    return min(steps, method.num_draft_tokens)


def _kept(
    runs: Sequence[Run], labels: Sequence[str], methods: Sequence[Method], gamma: int
) -> list[dict[str, Any]]:
    """How far drafts of gamma tokens are kept, one column per position."""
    from profiler.kept_by_depth import kept_shares

    rows = []
    for label in labels:
        for method in sorted(methods, key=lambda m: (m.name, _filled(m), _calls(m))):
            if method.num_draft_tokens == gamma:
                shares = kept_shares(of_method(runs, label, method), gamma)
                by_position = {f"kept_{j}": share for j, share in enumerate(shares, start=1)}
                rows.append({**_setting(label, method), **by_position})
    return rows


def _needed(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Acceptance and drafting time, as they are, to gain at all, and to equal the other drafter."""
    best = fastest(rows, sampling=row["sampling"], drafter="autoregressive")["speedup"]
    gain, equal = needed(row, 1.0), needed(row, best)
    names = ("sampling", "num_draft_tokens", "draft_calls", "filled", "speedup")
    return {
        **{name: row[name] for name in names},
        "speedup_to_equal": best,
        "acceptance_rate": constant_rate(row["tau"], row["num_draft_tokens"]),
        "acceptance_rate_to_gain": gain["acceptance_rate"],
        "acceptance_rate_to_equal": equal["acceptance_rate"],
        "draft_s": row["draft_s"],
        "draft_s_to_gain": gain["draft_s"],
        "draft_s_to_equal": equal["draft_s"],
    }


def _ratio(
    runs: Sequence[Run], label: str, rows: list[dict[str, Any]], methods: Sequence[Method]
) -> dict[str, Any]:
    """Speed with the diffusion drafter over that with the other, each at its best."""
    from profiler.setting_speed import speed_ratio

    by_setting = {tuple(_setting(label, m).values()): m for m in methods}
    best = {d: fastest(rows, sampling=label, drafter=d) for d in ("diffusion", "autoregressive")}
    one, other = (
        of_method(runs, label, by_setting[tuple(row[k] for k in _setting(label, methods[0]))])
        for row in best.values()
    )
    speeds = {d: row["speedup"] for d, row in best.items()}
    return {"where": f"here, {label}", **speeds, **speed_ratio(one, other, alone(runs, label))}


def _paper_ratios() -> list[dict[str, Any]]:
    return [
        {"where": f"paper, {target}, {data}", "diffusion": one, "autoregressive": other,
         "ratio": one / other, "ratio_low": None, "ratio_high": None}
        for data, target, one, other in PAPER
    ]  # fmt: skip


def _models(
    bench: Bench, pair: PairOptions, model: LeanDenoiser, source: str
) -> list[dict[str, Any]]:
    """Sizes, and how much text each model learnt from where its card says so."""
    from engine.model import DEFAULT_DRAFT, DEFAULT_TARGET

    denoised = card(source, "drafter.json")["training"]
    own = int(denoised["parameters"])
    size = bench.target.num_parameters
    rows = [
        ("target", bench.target.name, size, size, card(pair.target or DEFAULT_TARGET)),
        ("autoregressive", bench.draft.name, bench.draft.num_parameters,
         bench.draft.num_parameters, card(pair.draft or DEFAULT_DRAFT)),
        ("diffusion", source, own, own + model.head.numel(), denoised),
    ]  # fmt: skip
    return [
        {
            "role": role,
            "model": name,
            "parameters": count,
            "with_borrowed_head": read,
            "of_target": read / size,
            "training_tokens": learnt.get("training_tokens", learnt.get("window_tokens")),
            "training_minutes": learnt.get("training_minutes"),
        }
        for role, name, count, read, learnt in rows
    ]
