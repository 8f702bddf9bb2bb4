"""What do all decodes of one method at one sampling add up to?"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from profiler.methods import THIS_ENGINE
from profiler.ratios import ratio_spread
from profiler.runs import Run


def setting_row(mine: Sequence[Run], runs: Sequence[Run]) -> dict[str, Any]:
    """Speed, time split and provenance of one method at one sampling.

    Parameters
    ----------
    mine : sequence of Run
        All decodes of the setting; at least one.
    runs : sequence of Run
        These and all others; autoregressive ones of the same prompts among them.

    Returns
    -------
    dict
        Fields of ``measurements.MethodRow``, the sampling by its label.
    """
    first = mine[0]
    alike = [r for r in runs if r.sampling == first.sampling]
    baseline = [r for r in alike if r.method == first.method.baseline]
    tokens = sum(len(r.tokens) for r in mine)
    seconds = sum(r.seconds for r in mine)
    drafted = sum(r.num_drafted for r in mine)
    provenance = sum((Counter(r.provenance) for r in mine), Counter())
    stages = sorted({stage for r in mine for stage in r.stage_seconds})
    split = {s: sum(r.stage_seconds.get(s, 0.0) for r in mine) / seconds for s in stages}
    return {
        "method": first.method.name,
        "parameters": dict(first.method.parameters),
        "sampling": first.sampling.label,
        "temperature": first.sampling.temperature,
        "top_k": first.sampling.top_k,
        "top_p": first.sampling.top_p,
        "tau": tokens / sum(r.num_rounds for r in mine),
        "draft_efficiency": sum(r.num_accepted for r in mine) / drafted if drafted else None,
        "tokens_per_s": tokens / seconds,
        "speedup": ratio_spread(
            [r.seconds / len(r.tokens) for r in baseline], [r.seconds / len(r.tokens) for r in mine]
        ),
        "time_split": {**split, "rest": max(0.0, 1 - sum(split.values()))},
        "provenance": {level: count / tokens for level, count in provenance.items()},
        "lossless": first.method.lossless,
        "identical_texts": _identical(mine, alike),
    }


def _identical(mine: Sequence[Run], alike: Sequence[Run]) -> dict[str, int] | None:
    """Texts equal to this engine's autoregressive ones, where a method promises it; else None."""
    rule = mine[0].method.rule
    if not mine[0].method.lossless or not (mine[0].sampling.greedy or rule == "coupled"):
        return None
    plain = "rejection" if mine[0].sampling.greedy else rule
    alone = {
        (r.prompt, r.repeat): r.tokens
        for r in alike
        if r.method.name == "autoregressive"
        and (r.method.engine, r.method.rule) == (THIS_ENGINE, plain)
    }
    same = sum(alone.get((r.prompt, r.repeat)) == r.tokens for r in mine)
    return {"same": same, "texts": len(mine)}
