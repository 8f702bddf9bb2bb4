"""Decode for real with every setting, interleaved, and keep what each decode took.

On every prompt all settings run one after another in rotating order, so that
drift of a shared machine falls on all of them alike; what is quoted later are
ratios.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pandas as pd

from engine.clock import StageClock
from engine.decode import Request
from engine.events import Generation
from engine.model import Model
from engine.sampling import Sampling
from profiler.lock import device_lock
from profiler.methods import AUTOREGRESSIVE, AUTOREGRESSIVE_COUPLED, Method
from profiler.progress import Report, Step, silent
from profiler.run import ProfilePlan
from profiler.run_log import RunLog
from profiler.runs import Run, count_calls


def measure(
    target: Model,
    encoded: list[list[int]],
    plan: ProfilePlan,
    methods: Sequence[Method],
    *,
    repeats: int = 1,
    report: Report = silent,
    between: Callable[[list[int], Sampling], pd.DataFrame | None] = lambda prompt, sampling: None,
    log: RunLog | None = None,
) -> list[Run]:
    """Decode every prompt autoregressively and with every method.

    Parameters
    ----------
    target : Model
    encoded : list of list of int
        Prompts as token ids.
    plan : ProfilePlan
        Samplings, tokens per prompt and seeds.
    methods : sequence of Method
        Autoregressive decoding is always measured and need not be named.
    repeats : int
        Passes over all prompts where tokens are drawn, each with its own
        seeds. At temperature 0 one pass says it all.
    report : callable
    between : callable
        Called after all settings ran on a prompt, with its tokens and the sampling;
        ``BlockTimer.time`` keeps stage times of the same minutes. What it returns goes
        into the log.
    log : RunLog, optional
        Groups it holds are not measured again; every new one is added to it.

    Returns
    -------
    list of Run
    """
    wanted = (AUTOREGRESSIVE, *(m for m in methods if m != AUTOREGRESSIVE))
    if any(method.rule == "coupled" for method in methods):
        wanted = (*wanted, AUTOREGRESSIVE_COUPLED)  # whose text theirs must equal
    groups = list(_groups(len(encoded), plan, repeats))
    runs: list[Run] = []
    with device_lock(target.device, lambda message: report(Step(message, 0, 1))):
        short = replace(plan, new_tokens=min(32, plan.new_tokens))
        for method in wanted:
            method.decode(target, short.request(encoded[0], plan.samplings[0], 0))
        for repeat, prompt, sampling in groups:
            key = (repeat, prompt, sampling.label)
            if log is not None and key in log:
                runs += log.runs(key, wanted, plan.samplings)
                continue
            request = plan.request(encoded[prompt], sampling, prompt + repeat * len(encoded))
            first = (prompt + repeat) % len(wanted)
            group = []
            for method in wanted[first:] + wanted[:first]:
                clock = StageClock(target.device)
                generation = method.decode(target, request, clock)
                group.append(_record(generation, clock, request, prompt, repeat, sampling, method))
                what = f"decoding {sampling.label}, {method.label}"
                report(Step(what, len(runs) + len(group), len(groups) * len(wanted)))
            timed = between(encoded[prompt], sampling)
            runs += group
            if log is not None:
                log.add(key, group, timed)
    return runs


def _groups(
    num_prompts: int, plan: ProfilePlan, repeats: int
) -> Iterator[tuple[int, int, Sampling]]:
    """(repeat, prompt, sampling) of every group of decodes that are compared."""
    for repeat in range(repeats):
        for prompt in range(num_prompts):
            for sampling in plan.samplings:
                if not (sampling.greedy and repeat > 0):
                    yield repeat, prompt, sampling


def _record(
    generation: Generation,
    clock: StageClock,
    request: Request,
    prompt: int,
    repeat: int,
    sampling: Sampling,
    method: Method,
) -> Run:
    rounds, laps = generation.rounds, clock.laps()
    stages: dict[str, float] = defaultdict(float)
    alone = generation.prompt_rounds
    scale = len(rounds) / max(1, len(rounds) - alone)  # as in decode_seconds
    for lap in laps:
        if lap.stage != "rest" and lap.round >= alone:
            stages[lap.stage] += scale * lap.seconds
    return Run(
        prompt=prompt,
        repeat=repeat,
        sampling=sampling,
        method=method,
        tokens=tuple(generation.tokens),
        provenance=tuple(source for _, source in generation.with_provenance()),
        num_rounds=len(rounds),
        num_accepted=sum(r.num_accepted for r in rounds),
        num_drafted=sum(r.num_draft_tokens for r in rounds),
        seconds=generation.decode_seconds,
        prefill_seconds=generation.prefill_seconds,
        stage_seconds=dict(stages),
        calls=count_calls(laps, rounds, len(request.prompt)),
    )
