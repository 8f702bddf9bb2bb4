"""From decodes to theory beside practice. Counts, sums and the simulator's formulas only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from app.studies.decoding import Decoded
from app.studies.forwards import forwards_cost
from measurements import canonical_parameters
from measurements.schema import Cell
from simulator import (
    Windows,
    expected_emitted_tokens,
    operations_factor,
    replay_windows,
    textbook_speedup,
)
from simulator.hazards import remaining_tokens
from simulator.method_prediction import read_method_traces
from simulator.uniform_starts import uniform_emitted_tokens

if TYPE_CHECKING:
    from engine.sampling import Sampling
    from profiler.methods import Method
    from profiler.runs import Run

Rows = list[dict[str, Cell]]

ACCEPTANCE = "acceptance and cost of the drafters"
THEORY = "theorem 3.8 against decoding"
ROUNDS = "tokens per round, three fidelities against decoding"
CHOICE = "draft length chosen by theory, and the best measured"

DRAFTERS = {"chain": "draft", "ngram": "trigram", "lookup": "lookup"}


def _table_4(rows: Sequence[tuple[str, str, float, int, float, float, float, float]]) -> Rows:
    names = ("task", "drafter", "T", "γ", "α", "c", "theory", "measured")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _table_3(rows: Sequence[tuple[str, str, float, float]]) -> Rows:
    return [dict(zip(("target", "drafter", "α, T = 0", "α, T = 1"), r, strict=True)) for r in rows]


# arXiv:2211.17192, tables 3 and 4 (EXP, EMP), read 2026-11
PUBLISHED: dict[str, Rows] = {
    THEORY: _table_4([
        ("EnDe", "T5-large", 0, 7, 0.82, 0.11, 2.5, 1.7),
        ("EnDe", "T5-small", 1, 7, 0.62, 0.02, 2.3, 2.6),
        ("EnDe", "T5-base", 1, 5, 0.68, 0.04, 2.4, 2.4),
        ("CNN/DM", "T5-small", 0, 5, 0.65, 0.02, 2.4, 3.1),
        ("CNN/DM", "T5-base", 0, 5, 0.73, 0.04, 2.6, 3.0),
        ("CNN/DM", "T5-large", 1, 3, 0.56, 0.11, 1.6, 1.7),
    ]),
    ACCEPTANCE: _table_3([
        ("GPT-like 97M", "unigram", 0.03, 0.03),
        ("GPT-like 97M", "bigram", 0.05, 0.05),
        ("GPT-like 97M", "GPT-like 6M", 0.88, 0.89),
        ("T5-XXL EnDe", "bigram", 0.20, 0.19),
        ("T5-XXL EnDe", "T5-small", 0.75, 0.62),
        ("T5-XXL EnDe", "T5-base", 0.80, 0.68),
        ("T5-XXL EnDe", "T5-large", 0.82, 0.71),
        ("T5-XXL CNN/DM", "bigram", 0.23, 0.16),
        ("T5-XXL CNN/DM", "T5-small", 0.65, 0.53),
        ("T5-XXL CNN/DM", "T5-base", 0.73, 0.55),
        ("T5-XXL CNN/DM", "T5-large", 0.74, 0.56),
        ("LaMDA 137B", "100M", 0.61, 0.57),
        ("LaMDA 137B", "2B", 0.71, 0.71),
        ("LaMDA 137B", "8B", 0.75, 0.74),
    ]),
}  # fmt: skip


def build(decoded: Decoded, by_drafter: Mapping[str, Sequence[Method]]) -> dict[str, Rows]:
    """All tables by title.

    Parameters
    ----------
    decoded : Decoded
        With windows of every drafter's longest chain beside the decodes.
    by_drafter : mapping of str to methods
        Chains of each drafter, shortest first.
    """
    tables: dict[str, Rows] = {title: [] for title in (ACCEPTANCE, THEORY, ROUNDS, CHOICE)}
    for sampling in decoded.samplings:
        traces = read_method_traces(decoded.between, sampling.label)
        for drafter, methods in by_drafter.items():
            last = methods[-1]
            windows = traces[last.name, canonical_parameters(last.parameters)].windows
            _fill(tables, decoded, sampling, drafter, methods, windows)
    return tables


def _fill(
    tables: dict[str, Rows],
    decoded: Decoded,
    sampling: Sampling,
    drafter: str,
    methods: Sequence[Method],
    windows: Windows,
) -> None:
    from profiler.methods import AUTOREGRESSIVE
    from profiler.setting_row import setting_row

    alike = [run for run in decoded.runs if run.sampling == sampling]
    alone = decoded.of(sampling, AUTOREGRESSIVE)
    runs = {method: decoded.of(sampling, method) for method in methods}
    where: dict[str, Cell] = {"sampling": sampling.label, "drafter": DRAFTERS[drafter]}
    alpha = acceptance_rate(windows)
    every = [run for group in runs.values() for run in group]
    cost = _draft_token_s(every) / (_total_s(alone) / _tokens(alone))
    ratio = _operations_ratio(decoded, every) if drafter == "chain" else 0.0
    tables[ACCEPTANCE].append(
        {**where, "α along the text": alpha, "α from counts": counted_rate(every), "c": cost,
         "ĉ": ratio}
    )  # fmt: skip
    measured: dict[int, float] = {}
    theory: dict[int, float] = {}
    for method, mine in runs.items():
        gamma = method.num_draft_tokens
        row = setting_row(mine, alike)
        speedup = row["speedup"]
        measured[gamma] = speedup["median"]
        theory[gamma] = float(textbook_speedup(alpha, gamma, cost))
        tables[THEORY].append({
            **where, "γ": gamma, "theory": theory[gamma], "measured": speedup["median"],
            "low": speedup["low"], "high": speedup["high"],
            "error": theory[gamma] / speedup["median"] - 1,
            "operations, theory": float(operations_factor(alpha, gamma, ratio)),
            "operations, counted": _operations(decoded, mine) / _operations(decoded, alone),
        })  # fmt: skip
        tables[ROUNDS].append({**where, "γ": gamma, **_taus(windows, alpha, gamma),
                               "measured": row["tau"]})  # fmt: skip
    chosen, best = max(theory, key=theory.__getitem__), max(measured, key=measured.__getitem__)
    tables[CHOICE].append({
        **where, "γ by theory": chosen, "measured there": measured[chosen],
        "best γ": best, "measured best": measured[best],
        "lost": 1 - measured[chosen] / measured[best],
    })  # fmt: skip


def acceptance_rate(windows: Windows) -> float:
    """Share of the text's tokens that come from a kept first draft; no proposal is a rejection.

    Its mean is that of the sum of min(p, q), the paper's estimate (docs/nomenclature.md).
    """
    inside = remaining_tokens(windows.lengths) > 1  # the last token is never a draft
    if windows.horizon == 0 or not inside.any():
        return 0.0
    return float(windows.survival[inside, 1].mean())


def counted_rate(runs: Sequence[Run]) -> float:
    """Kept drafts / drafts that were judged, in the decodes; rounds without a draft are rejections.

    Every text may end with a plain step for want of room, which says nothing.
    """
    made = Counter(source for run in runs for source in run.provenance)
    plain = max(0, made["target"] - len(runs))
    kept = sum(run.num_accepted for run in runs)
    judged = kept + made["recovered"] + plain
    return kept / judged if judged else 0.0


def _taus(windows: Windows, alpha: float, gamma: int) -> dict[str, Cell]:
    """Tokens per round of a chain no longer than the windows' own."""
    cut = Windows(
        windows.survival[:, : gamma + 1], np.minimum(windows.num_drafted, gamma), windows.lengths
    )
    return {
        "L0": float(expected_emitted_tokens(alpha, gamma)),
        "L1": uniform_emitted_tokens(cut),
        "L2": replay_windows(cut).tau,
    }


def _draft_token_s(runs: Sequence[Run]) -> float:
    """What a drafted token costs, choosing it included. [s]"""
    drafted = sum(run.num_drafted for run in runs)
    spent = sum(run.stage_seconds.get(s, 0.0) for run in runs for s in ("draft", "draft_sampling"))
    return spent / drafted if drafted else 0.0


def _operations(decoded: Decoded, runs: Sequence[Run]) -> float:
    """Arithmetic of the models per emitted token. [FLOP]"""
    calls = [call for run in runs for call in run.calls]
    total = float(forwards_cost(decoded.target, [c for c in calls if c.stage == "target"]).flop)
    drafting = [call for call in calls if call.stage == "draft"]
    if drafting and all(run.method.name == "chain" for run in runs):
        total += float(forwards_cost(decoded.draft, drafting).flop)
    return total / _tokens(runs)


def _operations_ratio(decoded: Decoded, runs: Sequence[Run]) -> float:
    """Arithmetic per token of the draft / of the target, at the decodes' contexts."""
    calls = [call for run in runs for call in run.calls if call.stage == "draft"]
    one: Any = [call._replace(num_tokens=1) for call in calls]
    return float(forwards_cost(decoded.draft, one).flop / forwards_cost(decoded.target, one).flop)


def _tokens(runs: Sequence[Run]) -> int:
    return sum(len(run.tokens) for run in runs)


def _total_s(runs: Sequence[Run]) -> float:
    return sum(run.seconds for run in runs)
