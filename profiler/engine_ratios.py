"""How much faster is this engine than another on the same prompts, interleaved?"""

from collections.abc import Sequence
from typing import Any

from profiler.methods import AUTOREGRESSIVE, THIS_ENGINE, Method
from profiler.ratios import ratio_spread
from profiler.runs import Run


def engine_ratios(runs: Sequence[Run]) -> dict[str, Any]:
    """This engine against every other among the decodes of one sampling.

    Parameters
    ----------
    runs : sequence of Run
        The same prompts with every method.

    Returns
    -------
    dict
        By the other engine's name: ``autoregressive`` and ``best``, times of the other over
        times of this one per token (``median``, ``low``, ``high``; ``best`` is of the fastest
        lossless methods of either, named in ``ours`` and ``theirs``). [unitless]
    """
    methods = dict.fromkeys(r.method for r in runs if r.method.lossless)
    found: dict[str, Any] = {}
    for engine in dict.fromkeys(m.engine for m in methods if m.engine != THIS_ENGINE):
        theirs = [m for m in methods if m.engine == engine]
        plain = theirs[0].baseline
        ours = fastest(runs, [m for m in methods if m.engine == THIS_ENGINE])
        best = fastest(runs, theirs)
        found[engine] = {
            "autoregressive": _ratio(runs, plain, AUTOREGRESSIVE),
            "best": {**_ratio(runs, best, ours), "ours": ours.label, "theirs": best.label},
        }
    return found


def fastest(runs: Sequence[Run], methods: Sequence[Method]) -> Method:
    """The one with the least time per token over all prompts."""
    return min(methods, key=lambda m: sum(_seconds(runs, m)))


def _ratio(runs: Sequence[Run], other: Method, mine: Method) -> dict[str, float]:
    return ratio_spread(_seconds(runs, other), _seconds(runs, mine))


def _seconds(runs: Sequence[Run], method: Method) -> list[float]:
    """Per token of every decode of a method, in the order of prompts and repeats. [s]"""
    mine = sorted((r for r in runs if r.method == method), key=lambda r: (r.repeat, r.prompt))
    return [r.seconds / len(r.tokens) for r in mine]
