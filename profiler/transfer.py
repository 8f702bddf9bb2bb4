"""Measure what predictions of the unmeasured are judged by; see ``app/transfer_results.py``.

Forwards of several sizes of model, at several contexts and batches, and two
prompt sets: one profiled, the other decoded. The work is saved after every
unit in a study record marked incomplete; the next run with the same pair,
prompts and plan finds it and does what is missing.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.errors import InputError
from engine.model import DTYPES, Model
from engine.prompts import Prompts
from measurements import StudyRecord, save_record, scan
from measurements.schema import Cell
from profiler.ceilings import measure_ceilings
from profiler.describe import header
from profiler.lock import device_lock
from profiler.measure import measure
from profiler.methods import Method, chain
from profiler.progress import Report, Step, silent
from profiler.run import ProfilePlan, encode_checked, profile
from profiler.stage_grid import GridSample, time_grid_block
from profiler.transfer_grids import GRIDS, Grid

QUESTIONS = ("sizes", "context", "batch", "prompts")
CHUNK = 4
"""Prompts decoded between two saves; each chunk begins with its own warm-up."""
MIN_PROMPTS = 2
"""Of either set: a standard error takes two."""

Rows = list[dict[str, Cell]]


@dataclass(frozen=True)
class TransferPlan:
    """What is measured.

    Attributes
    ----------
    questions : tuple of str
        Of ``QUESTIONS``.
    blocks : int
        Every forward is timed in so many blocks, a warm-up apart.
    num_draft_tokens : tuple of int
        Chains decoded on the second prompt set. [tokens]
    repeats : int
        Passes over it above temperature 0.
    profile : ProfilePlan
        Of the first prompt set; its samplings, tokens and seed serve the second too.
    """

    questions: tuple[str, ...] = QUESTIONS
    blocks: int = 8
    num_draft_tokens: tuple[int, ...] = (2, 4, 8)
    repeats: int = 2
    profile: ProfilePlan = field(default_factory=ProfilePlan)

    def __post_init__(self) -> None:
        strange = [name for name in self.questions if name not in QUESTIONS]
        if strange or not self.questions:
            raise InputError(
                f"questions must be of {', '.join(QUESTIONS)}, not '{', '.join(strange)}'"
            )
        for name in ("blocks", "repeats"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")


class _Growing:
    """A study on its way to disk."""

    def __init__(self, root: Path, fields: dict[str, Any], settings: dict[str, Cell]) -> None:
        self.root = root
        self.record = _unfinished(root, fields, settings) or StudyRecord(
            **{**fields, "complete": False},
            name="transfer",
            question="How wrong are predictions of what was not measured?",
            tables={"settings": [settings]},
        )
        self.path = save_record(root, self.record)

    def rows(self, table: str) -> Rows:
        """A copy of a table so far."""
        return list(self.record.tables.get(table, []))

    def add(self, table: str, rows: Rows) -> None:
        """Append rows and save."""
        tables = {**self.record.tables, table: [*self.rows(table), *rows]}
        self.record = StudyRecord(**{**self.record.model_dump(), "tables": tables})
        save_record(self.root, self.record)


def measure_transfer(
    target: Model,
    draft: Model,
    prompts: Prompts,
    others: Prompts,
    plan: TransferPlan,
    root: Path,
    report: Report = silent,
) -> tuple[Path, StudyRecord]:
    """Do what is missing of a plan.

    Parameters
    ----------
    target, draft : Model
    prompts, others : Prompts
        Profiled, and decoded.
    plan : TransferPlan
    root : Path
        Data root.
    report : callable

    Returns
    -------
    tuple of Path, StudyRecord
        Marked incomplete: raw tables ``stage times`` and ``decodes`` only.

    Raises
    ------
    InputError
        Before anything is measured, if pair, prompts or grids do not fit.
    """
    encoded = encode_checked(target, draft, prompts, plan.profile.new_tokens)
    encoded_others = encode_checked(target, draft, others, plan.profile.new_tokens)
    for name, number in ((prompts.name, len(encoded)), (others.name, len(encoded_others))):
        if "prompts" in plan.questions and number < MIN_PROMPTS:
            raise InputError(f"need at least {MIN_PROMPTS} prompts, {name} gives {number}")
    # what does not fit is refused here and not after minutes of timing
    methods = [chain(draft, gamma) for gamma in plan.num_draft_tokens]
    dtype = next(name for name, kind in DTYPES.items() if kind == target.dtype)
    fields = header("study", target, draft, prompts, encoded, dtype, plan.profile.new_tokens)
    for question in ("context", "batch"):
        if question in plan.questions:
            GRIDS[question](target)
    growing = _Growing(root, fields, _settings(plan, others))
    if not growing.rows("ceilings"):
        growing.add("ceilings", _ceilings(target, report))
    for question in GRIDS:
        if question in plan.questions:
            _time_grid(growing, question, target, plan, report)
    if "prompts" in plan.questions:
        if not growing.rows("profiles"):
            _, made = profile(target, draft, prompts, plan.profile, root, report)
            growing.add("profiles", [{"id": made.id}])
        _decode(growing, target, encoded_others, methods, plan, report)
    return growing.path, growing.record


def _settings(plan: TransferPlan, others: Prompts) -> dict[str, Cell]:
    """What a run must have in common with an unfinished one to go on with it."""
    return {
        "questions": ",".join(name for name in QUESTIONS if name in plan.questions),
        "blocks": plan.blocks,
        "repeats": plan.repeats,
        "num_draft_tokens": ",".join(map(str, plan.num_draft_tokens)),
        "samplings": ",".join(sampling.label for sampling in plan.profile.samplings),
        "seed": plan.profile.seed,
        "other_prompts": others.name,
        "num_other_prompts": len(others.texts),
        "other_prompts_sha256": others.sha256,
    }


def _unfinished(
    root: Path, fields: dict[str, Any], settings: dict[str, Cell]
) -> StudyRecord | None:
    identity = ("machine", "target", "draft", "dtype", "prompts", "new_tokens")
    for _, record in scan(root).studies:
        same = all(getattr(record, name) == fields[name] for name in identity)
        mine = record.name == "transfer" and not record.complete
        if mine and same and record.tables["settings"] == [settings]:
            return record
    return None


def _ceilings(target: Model, report: Report) -> Rows:
    with device_lock(target.device, lambda message: report(Step(message, 0, 1))):
        made = measure_ceilings(target.device, target.dtype)
    pairs = zip(made.read_bandwidth_bytes_per_s, made.flop_per_s, strict=True)
    return [{"read_bandwidth_bytes_per_s": moved, "flop_per_s": done} for moved, done in pairs]


def _time_grid(
    growing: _Growing, question: str, target: Model, plan: TransferPlan, report: Report
) -> None:
    """Time the blocks that are missing, behind one that warms up and is not kept."""
    done = {row["block"] for row in growing.rows("stage times") if row["question"] == question}
    missing = [block for block in range(1, plan.blocks + 1) if block not in done]
    if not missing:
        return
    grid, seed = GRIDS[question](target), plan.profile.seed
    with device_lock(target.device, lambda message: report(Step(message, 0, 1))):
        if all(row["question"] != question for row in growing.rows("models")):
            growing.add("models", [_model_row(question, model) for model in grid.models])
        time_grid_block(grid.models, grid.points, 0, seed=seed)
        for block in missing:
            samples = time_grid_block(grid.models, grid.points, block, seed=seed)
            growing.add("stage times", list(_grid_rows(grid, samples)))
            report(Step(f"stage times for {question}", block, plan.blocks))


def _model_row(question: str, model: Model) -> dict[str, Cell]:
    """What tells a model's traffic and arithmetic from another's."""
    config = model.hf.config.to_dict()
    config.pop("_name_or_path", None)  # may be a folder
    return {
        "question": question,
        "model": model.name,
        "forward": model.forward_kind,
        "num_parameters": model.num_parameters,
        "weight_bytes": model.weight_bytes,
        "bytes_per_weight": model.dtype.itemsize,
        "bytes_per_cached_number": model.run.cache_dtype.itemsize,
        "config": json.dumps(config, default=str),
    }


def _grid_rows(grid: Grid, samples: Sequence[GridSample]) -> Iterator[dict[str, Cell]]:
    by_name = {model.name: model for model in grid.models}
    role = dict(zip(grid.points, grid.roles, strict=True))
    for sample in samples:
        model = by_name[sample.model]
        seconds = {f"seconds_{i}": value for i, value in enumerate(sample.seconds, start=1)}
        yield {
            "question": grid.question,
            "role": role[sample.point],
            "model": model.name,
            **asdict(sample.point),
            "block": sample.block,
            **seconds,
            "memory_bytes": sample.memory_bytes,
            "memory": sample.memory,
        }


def _decode(
    growing: _Growing,
    target: Model,
    encoded: list[list[int]],
    methods: Sequence[Method],
    plan: TransferPlan,
    report: Report,
) -> None:
    """Decode the chunks of prompts that are missing."""
    done = {row["prompt"] for row in growing.rows("decodes")}
    for first in range(0, len(encoded), CHUNK):
        if first in done:
            continue
        # other draws than those of the profile's texts and of the other chunks
        seeded = replace(plan.profile, seed=plan.profile.seed + 7919 * first + 1)
        some = encoded[first : first + CHUNK]
        runs = measure(target, some, seeded, methods, repeats=plan.repeats)
        growing.add(
            "decodes",
            [
                {
                    "prompt": first + run.prompt,
                    "repeat": run.repeat,
                    "sampling": run.sampling.label,
                    "num_draft_tokens": run.method.num_draft_tokens,
                    "num_tokens": len(run.tokens),
                    "num_rounds": run.num_rounds,
                    "seconds": run.seconds,
                }
                for run in runs
            ],
        )
        report(Step("decoding the other prompts", first + len(some), len(encoded)))
