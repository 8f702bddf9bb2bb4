"""What do the tables of the specdiff study say, in words?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from app.studies.decoded import chosen, fastest, parted_texts
from app.words import percent, span, times

Rows = Sequence[dict[str, Any]]


def notes(models: Rows, settings: Rows, kept: Rows, need: Rows, ratios: Rows) -> list[str]:
    """Sentences computed from the study's tables, in their order."""
    labels = list(dict.fromkeys(row["sampling"] for row in settings))
    return [
        _sizes(models),
        *(_winner(settings, ratios, label) for label in labels),
        *(_steps(settings, kept, label) for label in labels),
        *(_blocks(settings, label) for label in labels),
        *_times(settings),
        *(_requirement(need, label) for label in labels),
        *parted_texts(settings),
        "speedup: tokens per round over the time of a round in autoregressive steps, median over "
        "prompts (90 % interval: prompts resampled), prefill excluded; draft_s: forwards of the "
        "drafter and choosing its tokens; filled in place: the whole block denoised in every "
        "step, as in the paper, with tokens fixed early judged as guesses, which keeps it lossless "
        "above temperature 0.",
    ]


def _sizes(models: Rows) -> str:
    by_role = {row["role"]: row for row in models}
    one, other = by_role["diffusion"], by_role["autoregressive"]
    text = (
        f"A denoising step reads {one['with_borrowed_head'] / 1e6:.1f}M parameters "
        f"({percent(one['of_target'], 0)} of the target), a call of the autoregressive draft "
        f"{other['with_borrowed_head'] / 1e6:.1f}M ({percent(other['of_target'], 0)}); in the "
        "paper 110M against 86M, 7 and 6 % of GPT-2 XL."
    )
    learnt = [row["training_tokens"] for row in (one, other)]
    if None not in learnt:
        text += (
            f" The diffusion drafter learnt from {learnt[0] / 1e6:.1f}M tokens, the draft from "
            f"{learnt[1] / 1e6:.1f}M: this favours the {_side(learnt[0] > learnt[1])}."
        )
    return text


def _winner(settings: Rows, ratios: Rows, label: str) -> str:
    one, other = _bests(settings, label)
    (ratio,) = chosen(ratios, where=f"here, {label}")
    low, high = ratio["ratio_low"], ratio["ratio_high"]
    if low <= 1 <= high:
        verdict = "neither is ahead for certain"
    else:
        verdict = f"the {_side(low > 1)} is ahead"
    return (
        f"{label}: diffusion at its best (γ {one['num_draft_tokens']}, steps "
        f"{one['draft_calls']}, {one['filled']}) {_speed(one)}, the autoregressive drafter "
        f"(γ {other['num_draft_tokens']}) {_speed(other)}; {verdict} (ratio "
        f"{ratio['ratio']:.2f}, 90 %: {low:.2f}–{high:.2f}; paper 1.22 to 1.75). "
        f"A draft takes {_ms(one['draft_s'])} against {_ms(other['draft_s'])} and "
        f"{one['accepted_per_draft']:.2f} of its tokens are kept against "
        f"{other['accepted_per_draft']:.2f}."
    )


def _steps(settings: Rows, kept: Rows, label: str) -> str:
    """What more denoising steps bring, for every way to fill the block."""
    gamma = kept[0]["num_draft_tokens"]
    rows = chosen(settings, sampling=label, drafter="diffusion", num_draft_tokens=gamma)
    parts = []
    for filled in dict.fromkeys(row["filled"] for row in rows):
        mine = sorted(chosen(rows, filled=filled), key=lambda row: row["draft_calls"])
        listed = ", ".join(f"{r['draft_calls']}: {r['tau']:.2f}" for r in mine)
        fewer = [b["draft_calls"] for a, b in pairwise(mine) if b["tau"] < a["tau"]]
        less = f" (fewer at {', '.join(map(str, fewer))} than at the step before)" if fewer else ""
        best = max(mine, key=lambda row: row["speedup"])
        parts.append(f"{filled} {listed}{less}, fastest with {best['draft_calls']}")
    return f"{label}, tokens per round by denoising steps, γ {gamma}: {'; '.join(parts)}."


def _blocks(settings: Rows, label: str) -> str:
    """Whether the first token suffers from the masked ones behind it in its block."""
    rows = chosen(settings, sampling=label, drafter="diffusion", filled="left to right")
    alone = [row["first_kept"] for row in rows if row["draft_calls"] > 1]
    together = {r["num_draft_tokens"]: r["first_kept"] for r in rows if r["draft_calls"] == 1}
    listed = ", ".join(f"{percent(v, 0)} in a block of {k}" for k, v in sorted(together.items()))
    return (
        f"{label}, first token kept: {percent(min(alone), 0)} to {percent(max(alone), 0)} where it "
        f"is denoised alone (from 2 steps on, left to right), {listed}."
    )


def _times(settings: Rows) -> Iterable[str]:
    """How the time of a draft grows with its tokens."""
    label = settings[0]["sampling"]
    for drafter in ("autoregressive", "diffusion"):
        rows = chosen(settings, sampling=label, drafter=drafter)
        rows = [r for r in rows if drafter != "diffusion" or r["draft_calls"] == 2]
        rows = [r for r in rows if r["filled"] != "in place"]
        rows.sort(key=lambda row: row["num_draft_tokens"])
        first, last = rows[0], rows[-1]
        if first is not last:
            grown = last["draft_s"] / first["draft_s"]
            calls = "2 steps" if drafter == "diffusion" else "a call per token"
            yield (
                f"{label}, {drafter} ({calls}): from γ {first['num_draft_tokens']} to "
                f"{last['num_draft_tokens']} a draft takes {grown:.2f} "
                f"times as long ({_ms(first['draft_s'])}, {_ms(last['draft_s'])}), and "
                f"{last['accepted_per_draft'] / max(first['accepted_per_draft'], 1e-9):.2f} times "
                "as many of its tokens are kept."
            )


def _requirement(need: Rows, label: str) -> str:
    row = fastest(need, sampling=label)
    rate, seconds = row["acceptance_rate_to_equal"], row["draft_s_to_equal"]
    if row["speedup"] >= row["speedup_to_equal"]:
        return f"{label}: diffusion is no slower than the other drafter at its best."
    accept = (
        "no acceptance is enough"
        if rate is None
        else f"an acceptance of {rate:.2f} at every token is needed"
    )
    cost = "a free draft is not enough" if seconds is None else f"or a draft in {_ms(seconds)}"
    return (
        f"{label}: to equal {times(row['speedup_to_equal'])} by diffusion with γ "
        f"{row['num_draft_tokens']} and {row['draft_calls']} steps: {accept} (now it is worth "
        f"{row['acceptance_rate']:.2f}); {cost} (now {_ms(row['draft_s'])})."
    )


def _bests(settings: Rows, label: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        fastest(settings, sampling=label, drafter="diffusion"),
        fastest(settings, sampling=label, drafter="autoregressive"),
    )


def _side(diffusion: bool) -> str:
    return "diffusion drafter" if diffusion else "autoregressive drafter"


def _speed(row: dict[str, Any]) -> str:
    return f"{times(row['speedup'])} ({span(row['speedup_low'], row['speedup_high'])})"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms"
