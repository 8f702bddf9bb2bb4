"""Profile a pair: ceilings, stage times and acceptance traces, into one record.

Where methods are named, their windows and the times of their rounds as well.

The work is cut into small units that are saved as it goes on. An interrupted
profile stays on disk, marked incomplete; the next run with the same pair,
prompts and settings finds it and does only what is missing.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from engine.decode import Request
from engine.errors import InputError
from engine.model import DTYPES, Model, check_same_tokenizer
from engine.prompts import Prompts
from engine.sampling import Sampling
from measurements import (
    Profile,
    ProfileHeader,
    ProfileRecord,
    canonical_parameters,
    load_profile,
    new_record_id,
    save_profile,
    scan,
    utc_now,
)
from profiler.ceilings import measure_ceilings
from profiler.describe import model_info, prompt_set, recorded
from profiler.jobs import Block, Done, MethodBlock, MethodTrace, all_jobs
from profiler.lock import device_lock
from profiler.machine import fingerprint, source_commit
from profiler.memory import drafter_bytes, peak_memory
from profiler.method_rounds import time_methods
from profiler.methods import Method
from profiler.progress import Report, Step, silent
from profiler.stages import StagePlan, time_block
from profiler.traces import trace_prompt
from profiler.windows import prompt_windows

SAVE_EVERY_S = 10.0


@dataclass(frozen=True)
class ProfilePlan:
    """What a profile measures.

    Attributes
    ----------
    samplings : tuple of Sampling
        One trace each.
    new_tokens : int
        Tokens decoded per prompt and trace; end-of-text does not stop it.
    seed : int
    stages : StagePlan
    methods : tuple of Method
        Get windows and rounds of their own; none by default.
    method_blocks : int
        Blocks of their rounds per context and mode.
    """

    samplings: tuple[Sampling, ...] = (Sampling(0.0), Sampling(1.0))
    new_tokens: int = 128
    seed: int = 0
    stages: StagePlan = field(default_factory=StagePlan)
    methods: tuple[Method, ...] = ()
    method_blocks: int = 4

    def modes(self) -> list[Sampling]:
        """The first sampling of every kind of host work."""
        first: dict[str, Sampling] = {}
        for sampling in self.samplings:
            first.setdefault(sampling.mode, sampling)
        return list(first.values())

    def request(self, prompt: list[int], sampling: Sampling, prompt_index: int) -> Request:
        """The request that traces and validation decode for a prompt."""
        return Request(prompt, self.new_tokens, sampling, seed=self.seed + 7919 * prompt_index)


class _Growing:
    """A profile on its way to disk."""

    def __init__(self, root: Path, header: ProfileHeader, earlier: Profile | None) -> None:
        self.root, self.header = root, header
        self.stages = [] if earlier is None else [earlier.stages]
        self.traces: dict[str, list[pd.DataFrame]] = {}
        if earlier is not None:
            self.traces = {label: [frame] for label, frame in earlier.traces.items()}
        self.windows = _known(None if earlier is None else earlier.windows)
        self.rounds = _known(None if earlier is None else earlier.rounds)
        self._saved_at = time.monotonic()

    def done(self) -> Done:
        """What is measured already."""
        return Done.in_tables(self.stages, self.traces, self.windows, self.rounds)

    def save(self, samplings: tuple[Sampling, ...], *, complete: bool = False) -> Path:
        """Write everything so far."""
        self.header = ProfileHeader.model_validate({**_fields(self.header), "complete": complete})
        traces = {
            recorded(s): pd.concat(self.traces[s.label]).sort_values(["prompt", "position"])
            for s in samplings
            if s.label in self.traces
        }
        windows, rounds = (pd.concat(t) if t else None for t in (self.windows, self.rounds))
        stages = pd.concat(self.stages)
        path = save_profile(self.root, self.header, stages, traces, windows, rounds)
        self._saved_at = time.monotonic()
        return path

    def note_peak_memory(self, device: torch.device) -> None:
        """Put what this process took at most into the record."""
        peak, counted_by = peak_memory(device)
        found = {"peak_memory_bytes": peak, "peak_memory_counted_by": counted_by}
        self.header = ProfileHeader.model_validate({**_fields(self.header), **found})

    def save_now_and_then(self, samplings: tuple[Sampling, ...]) -> None:
        """Save when the last save is some seconds old."""
        if self.stages and time.monotonic() - self._saved_at > SAVE_EVERY_S:
            self.save(samplings)


def check_pair(target: Model, draft: Model) -> None:
    """Refuse a pair that cannot speculate or cannot be compared."""
    check_same_tokenizer(target, draft)
    if target.dtype != draft.dtype or target.device != draft.device:
        raise InputError(
            f"target runs in {target.dtype} on {target.device}, draft in {draft.dtype} "
            f"on {draft.device}; both must match"
        )


def encode_checked(
    target: Model, draft: Model, prompts: Prompts, new_tokens: int
) -> list[list[int]]:
    """Token ids of all prompts, refused if one does not fit beside its new tokens."""
    if target.tokenizer is None:
        raise InputError(f"target {target.name} has no tokenizer")
    if new_tokens < 1:
        raise InputError(f"new tokens must be at least 1, not {new_tokens}")
    encoded = prompts.encode(target.tokenizer)
    limit = min(target.context, draft.context)
    for number, ids in enumerate(encoded, start=1):
        if len(ids) + new_tokens > limit:
            raise InputError(
                f"prompt {number} of {prompts.name} has {len(ids)} tokens; with {new_tokens} new "
                f"ones it exceeds the context of {limit} tokens"
            )
    return encoded


def profile(
    target: Model,
    draft: Model,
    prompts: Prompts,
    plan: ProfilePlan,
    root: Path,
    report: Report = silent,
) -> tuple[Path, ProfileRecord]:
    """Measure a pair and save the record below root.

    Parameters
    ----------
    target, draft : Model
        Same tokenizer, dtype and device.
    prompts : Prompts
    plan : ProfilePlan
    root : Path
        Data root; see ``measurements.store``.
    report : callable
        Receives a Step after every unit of work.

    Returns
    -------
    tuple of Path, ProfileRecord
        The JSON file and what it says.

    Raises
    ------
    InputError
        Before anything is measured, if pair or prompts do not fit.
    KeyboardInterrupt
        Passed on after what was measured has been saved.
    """
    check_pair(target, draft)
    encoded = encode_checked(target, draft, prompts, plan.new_tokens)
    stage_plan = plan.stages.fitted(min(target.context, draft.context))
    with device_lock(target.device, lambda message: report(Step(message, 0, 1))):
        growing = _begin(target, draft, prompts, encoded, plan, root)
        try:
            _work(growing, target, draft, encoded, plan, stage_plan, report)
        except KeyboardInterrupt:
            if growing.stages:
                growing.save(plan.samplings)
            raise
        growing.note_peak_memory(target.device)
        path = growing.save(plan.samplings, complete=True)
    return path, load_profile(path).record


def _begin(
    target: Model,
    draft: Model,
    prompts: Prompts,
    encoded: list[list[int]],
    plan: ProfilePlan,
    root: Path,
) -> _Growing:
    dtype = next(name for name, kind in DTYPES.items() if kind == target.dtype)
    machine = fingerprint(target.device)
    identity: dict[str, Any] = {
        "machine": machine,
        "target": model_info(target),
        "draft": model_info(draft),
        "dtype": dtype,
        "prompts": prompt_set(prompts, encoded),
        "new_tokens": plan.new_tokens,
        "seed": plan.seed,
    }
    earlier = _find_unfinished(root, identity)
    if earlier is not None:
        return _Growing(root, earlier.record.header, earlier)
    header = ProfileHeader(
        id=new_record_id("profile", dtype),
        created=utc_now(),
        commit=source_commit(),
        ceilings=measure_ceilings(target.device, target.dtype),
        complete=False,
        drafter_bytes={
            f"{m.name} {canonical_parameters(m.parameters)}": drafter_bytes(m.drafter)
            for m in plan.methods
            if m.drafter is not None
        },
        **identity,
    )
    return _Growing(root, header, None)


def _find_unfinished(root: Path, identity: dict[str, Any]) -> Profile | None:
    for path, record in scan(root).profiles:
        if record.complete:
            continue
        if all(getattr(record, name) == value for name, value in identity.items()):
            return load_profile(path)
    return None


def _work(
    growing: _Growing,
    target: Model,
    draft: Model,
    encoded: list[list[int]],
    plan: ProfilePlan,
    stage_plan: StagePlan,
    report: Report,
) -> None:
    """Do every job that an earlier, interrupted run left."""
    done = growing.done()
    blocks = plan.method_blocks if plan.methods else 0
    jobs = all_jobs(plan.samplings, plan.modes(), stage_plan, len(encoded), blocks)
    for number, job in enumerate(jobs, start=1):
        if isinstance(job, MethodBlock | MethodTrace):
            if missing := done.missing(job, plan.methods):
                _measure_methods(growing, target, draft, encoded, job, missing, plan)
        elif job not in done:
            if isinstance(job, Block):
                rows = _time_block(target, draft, encoded, job, stage_plan, plan.seed)
                if not job.warms_up:
                    growing.stages.append(rows)
            else:
                request = plan.request(encoded[job.prompt], job.sampling, job.prompt)
                frame = trace_prompt(target, draft, request, job.prompt)
                growing.traces.setdefault(job.sampling.label, []).append(frame)
        growing.save_now_and_then(plan.samplings)
        report(Step(job.what, number, len(jobs)))


def _measure_methods(
    growing: _Growing,
    target: Model,
    draft: Model,
    encoded: list[list[int]],
    job: MethodBlock | MethodTrace,
    methods: list[Method],
    plan: ProfilePlan,
) -> None:
    if isinstance(job, MethodTrace):
        request = plan.request(encoded[job.prompt], job.sampling, job.prompt)
        growing.windows.append(prompt_windows(target, methods, request, job.prompt))
        return
    text, limit = _block_text(encoded, job.index), min(target.context, draft.context)
    growing.rounds.append(
        time_methods(target, methods, text, job.context, job.index, job.sampling, plan.seed, limit)
    )


def _time_block(
    target: Model,
    draft: Model,
    encoded: list[list[int]],
    job: Block,
    stage_plan: StagePlan,
    seed: int,
) -> pd.DataFrame:
    index, text = job.index, _block_text(encoded, job.index)
    rows = time_block(
        target, draft, text, job.context, index, stage_plan, job.sampling, seed + index
    )
    return pd.DataFrame(list(rows))


def _block_text(encoded: list[list[int]], index: int) -> list[int]:
    """Prompt material of a block: two prompts, others for the next block."""
    return encoded[index % len(encoded)] + encoded[(index + 1) % len(encoded)]


def _known(table: pd.DataFrame | None) -> list[pd.DataFrame]:
    return [] if table is None else [table]


def _fields(header: ProfileHeader) -> dict[str, object]:
    return {name: getattr(header, name) for name in ProfileHeader.model_fields}
