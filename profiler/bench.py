"""Is the engine itself fast? Its decoding against Transformers', interleaved.

Every ratio is of end-to-end times of the same prompts, prefill included,
greedy, with its 90 % interval over prompts. Then every method at temperature 0,
and how much of its time no model's forward accounts for.
"""

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch

from engine.decode import Request, decode_autoregressive, decode_chain
from engine.drafters.language_model import LanguageModelDrafter
from engine.events import Generation
from engine.model import Model, wrap
from engine.sampling import Sampling
from profiler.baselines import TransformersEngine
from profiler.catalogue import catalogue
from profiler.lock import device_lock
from profiler.measure import measure
from profiler.progress import Report, Step, silent
from profiler.ratios import ratio_spread
from profiler.run import ProfilePlan
from profiler.runs import HOST_STAGES

DRAFT_LENGTHS = (1, 2, 3, 4, 5, 6, 8)
FORWARD_WIDTHS = (1, 8)
FORWARD_REPEATS = 60


def bench(
    target: Model,
    draft: Model,
    encoded: list[list[int]],
    new_tokens: int,
    report: Report = silent,
) -> dict[str, Any]:
    """Ratios of the engine against its baselines.

    Parameters
    ----------
    target, draft : Model
    encoded : list of list of int
        Prompts as token ids; the first also warms everything up.
    new_tokens : int
        [tokens]
    report : callable

    Returns
    -------
    dict
        ``ratios`` (name to median, low, high), ``shares`` (of decoding that is no
        model's forward: ``host`` of the best chain, ``host_by_method``), ``best`` (what
        won), ``tokens_per_s``.
    """
    baseline = TransformersEngine.of(target, draft)
    times: dict[tuple[str, int], list[float]] = defaultdict(list)
    methods = [("generate", 0), ("autoregressive", 0)]
    for length in DRAFT_LENGTHS:
        methods += [("assisted", length), ("chain", length)]
    total = (len(encoded) + 1) * len(methods)

    def once(name: str, length: int, prompt: list[int]) -> float:
        if name in ("generate", "assisted"):
            return baseline.seconds(prompt, new_tokens, length)
        request = Request(prompt, new_tokens)
        started = time.perf_counter()
        _decode(target, draft, request, length)
        return time.perf_counter() - started

    with device_lock(target.device, lambda message: report(Step(message, 0, 1))):
        for number, prompt in enumerate([encoded[0], *encoded]):
            first = number % len(methods)
            for index, (name, length) in enumerate(methods[first:] + methods[:first]):
                seconds = once(name, length, prompt)
                if number > 0:  # the first pass warms up
                    times[name, length].append(seconds)
                done = number * len(methods) + index + 1
                report(Step(f"{name} {length or ''}".strip(), done, total))
        forward = _forward_ratios(target)
        best = {
            name: min(DRAFT_LENGTHS, key=lambda length: sum(times[name, length]))
            for name in ("assisted", "chain")
        }
    every = _every_method(target, draft, encoded, new_tokens, report)
    autoregressive = times["autoregressive", 0]
    chain = times["chain", best["chain"]]
    ratios = {
        "autoregressive_vs_generate": ratio_spread(times["generate", 0], autoregressive),
        "chain_vs_assisted": ratio_spread(times["assisted", best["assisted"]], chain),
        "chain_vs_autoregressive": ratio_spread(autoregressive, chain),
        **every.ratios,
        **forward,
    }
    emitted = len(encoded) * new_tokens
    speeds = {
        f"{name}{f' {length}' if length else ''}": emitted / sum(values)
        for (name, length), values in times.items()
    }
    return {
        "ratios": ratios,
        "shares": {
            "host": every.host[f"chain γ {best['chain']}"],
            "host_by_method": every.host,
        },
        "best": {**best, **every.best},
        "tokens_per_s": speeds,
    }


def _decode(target: Model, draft: Model, request: Request, length: int) -> Generation:
    if length == 0:
        return decode_autoregressive(target, request)
    return decode_chain(target, LanguageModelDrafter(draft), request, length)


@dataclass(frozen=True)
class _Every:
    """Every method at temperature 0: ratios, host share by method, and which were best."""

    ratios: dict[str, dict[str, float]]
    host: dict[str, float]
    best: dict[str, str]


def _every_method(
    target: Model, draft: Model, encoded: list[list[int]], new_tokens: int, report: Report
) -> _Every:
    """The best method against autoregressive decoding, the best staged one against the best chain.

    The best is chosen on the same prompts; where no method is staged, or none has a drafter,
    that ratio is left out.
    """
    plan = ProfilePlan((Sampling(),), new_tokens)
    methods = [m for m in catalogue(target, draft, ("all",), DRAFT_LENGTHS) if m.lossless]
    seconds: dict[str, list[float]] = defaultdict(list)
    host: dict[str, float] = {}
    family: dict[str, str] = {}
    runs = measure(target, encoded, plan, methods, report=report)
    for run in runs:
        seconds[run.method.label].append(run.prefill_seconds + run.seconds)
        family[run.method.label] = run.method.name
    for label in seconds:
        mine = [run for run in runs if run.method.label == label]
        spent = sum(sum(run.stage_seconds.get(s, 0.0) for s in HOST_STAGES) for run in mine)
        unnamed = sum(run.seconds - sum(run.stage_seconds.values()) for run in mine)
        host[label] = (spent + unnamed) / sum(run.seconds for run in mine)
    best = {
        name: min(
            (label for label in seconds if family[label] in names),
            key=lambda label: sum(seconds[label]),
        )
        for name, names in (("method", set(family.values())), ("staged", {"staged"}))
        if names & set(family.values())
    }
    chain = min(
        (label for label in seconds if family[label] == "chain"), key=lambda x: sum(seconds[x])
    )
    ratios = {
        "best_vs_autoregressive": ratio_spread(seconds["autoregressive"], seconds[best["method"]])
    }
    if "staged" in best:
        ratios["staged_vs_chain"] = ratio_spread(seconds[chain], seconds[best["staged"]])
    return _Every(ratios, host, best)


@torch.inference_mode()
def _forward_ratios(target: Model) -> dict[str, dict[str, float]]:
    """Transformers' forward over ours, same weights and cache, at 1 and at 8 tokens."""
    if target.forward_kind == "transformers":
        return {}
    models = {"lean": target, "transformers": wrap("oracle", target.hf, forward="transformers")}
    context = min(128, target.context - max(FORWARD_WIDTHS))
    caches = {
        name: model.new_cache(context + max(FORWARD_WIDTHS)) for name, model in models.items()
    }
    tokens = torch.arange(context, device=target.device) % target.vocab_size
    for name, model in models.items():
        model.forward(tokens, caches[name], 0)
    result = {}
    for width in FORWARD_WIDTHS:
        times: dict[str, list[float]] = defaultdict(list)
        for _ in range(FORWARD_REPEATS):
            for name, model in models.items():
                started = time.perf_counter()
                model.forward(tokens[:width], caches[name], width)
                if target.device.type == "cuda":
                    torch.cuda.synchronize()
                times[name].append(time.perf_counter() - started)
                caches[name].rollback(context)
        result[f"lean_vs_transformers_{width}"] = ratio_spread(
            times["transformers"][5:], times["lean"][5:]
        )
    return result
