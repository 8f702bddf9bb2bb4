"""Is the engine itself fast? Its decoding against Transformers', interleaved.

Every ratio is of end-to-end times of the same prompts, prefill included,
greedy, with its 90 % interval over prompts.
"""

import time
from collections import defaultdict
from typing import Any

import torch

from engine.decode import Request, decode_autoregressive, decode_chain
from engine.drafters.language_model import LanguageModelDrafter
from engine.events import Generation
from engine.model import Model, wrap
from profiler.baselines import TransformersBaseline
from profiler.lock import device_lock
from profiler.methods import chain
from profiler.progress import Report, Step, silent
from profiler.ratios import ratio_spread

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
        ``ratios`` (name to median, low, high), ``shares`` (host share of the
        best chain's time), ``best`` (draft lengths that won), ``tokens_per_s``.
    """
    baseline = TransformersBaseline.of(target, draft)
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
        host = _host_share(target, draft, encoded, new_tokens, best["chain"])
    autoregressive = times["autoregressive", 0]
    chain = times["chain", best["chain"]]
    ratios = {
        "autoregressive_vs_generate": ratio_spread(times["generate", 0], autoregressive),
        "chain_vs_assisted": ratio_spread(times["assisted", best["assisted"]], chain),
        "chain_vs_autoregressive": ratio_spread(autoregressive, chain),
        "best_vs_autoregressive": ratio_spread(autoregressive, chain),
        **forward,
    }
    emitted = len(encoded) * new_tokens
    speeds = {
        f"{name}{f' {length}' if length else ''}": emitted / sum(values)
        for (name, length), values in times.items()
    }
    return {
        "ratios": ratios,
        "shares": {"host": host},
        "best": best,
        "tokens_per_s": speeds,
    }


def _decode(target: Model, draft: Model, request: Request, length: int) -> Generation:
    if length == 0:
        return decode_autoregressive(target, request)
    return decode_chain(target, LanguageModelDrafter(draft), request, length)


def _host_share(
    target: Model, draft: Model, encoded: list[list[int]], new_tokens: int, length: int
) -> float:
    """Share of decoding that is neither a target nor a draft forward."""
    models = wall = 0.0
    for prompt in encoded[:4]:
        generation, stages = chain(draft, length).decode_with_clock(
            target, Request(prompt, new_tokens)
        )
        models += stages["target"] + stages["draft"]
        wall += generation.decode_seconds
    return 1 - models / wall


@torch.inference_mode()
def _forward_ratios(target: Model) -> dict[str, dict[str, float]]:
    """Transformers' forward over ours, same weights and cache, at 1 and at 8 tokens."""
    if target.forward_kind != "lean":
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
