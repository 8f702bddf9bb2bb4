"""speculens transfer: how wrong are predictions of what was not measured?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.pair import DEFAULT_NUM_PROMPTS, PairOptions
from app.terminal import notice, output, print_json, progress_bar, resumable, table
from app.transfer_results import results
from measurements import Profile, RecordError, StudyRecord, load_profile, save_record, scan
from simulator import shape_from_config

if TYPE_CHECKING:
    from engine.prompts import Prompts

GAMMAS = (2, 4, 8)


def run(
    pair: PairOptions,
    held_out: Path | None,
    questions: str,
    gammas: Sequence[int],
    blocks: int,
    repeats: int,
    out: Path,
    as_json: bool,
) -> None:
    """Measure what is missing, predict, save the study and print its answers."""
    from engine.errors import InputError
    from profiler.run import ProfilePlan
    from profiler.stages import StagePlan
    from profiler.transfer import TransferPlan, measure_transfer

    plan = TransferPlan(
        tuple(name.strip() for name in questions.split(",")), blocks, tuple(gammas), repeats,
        ProfilePlan(pair.samplings(), pair.new_tokens, pair.seed, StagePlan(blocks=blocks)),
    )  # fmt: skip
    prompts, others = _prompt_sets(pair, held_out)
    target, draft = pair.load_pair()
    try:
        shape_from_config(target.hf.config.to_dict())
    except ValueError as error:
        raise InputError(f"cannot model {target.name}: {error}") from None
    with resumable(), progress_bar() as show:
        _, raw = measure_transfer(
            target, draft, prompts, others, plan, out,
            lambda s: show(s.what, s.done, s.total),
        )  # fmt: skip
    study = results(raw, _profile(raw, out))
    path = save_record(out, study)
    if as_json:
        print_json({**study.model_dump(mode="json"), "record": str(path)})
    else:
        _show(study)
    notice(f"saved {path}")


def _prompt_sets(pair: PairOptions, held_out: Path | None) -> tuple[Prompts, Prompts]:
    """The profiled prompts and the others: two files, or neighbours among the embedded ones."""
    from engine.errors import InputError
    from engine.prompts import Prompts, held_out_prompts, read_prompts

    if (pair.prompts is None) != (held_out is None):
        raise InputError("--prompts and --held-out go together: give both or neither")
    prompts = pair.load_prompts()
    if held_out is not None:
        return prompts, read_prompts(held_out).take(pair.num_prompts)
    number = pair.num_prompts or DEFAULT_NUM_PROMPTS
    embedded = held_out_prompts()
    return prompts, Prompts(f"{embedded.name}, next", embedded.texts[number : 2 * number])


def _profile(study: StudyRecord, out: Path) -> Profile | None:
    """The profile that a study's decodes are predicted from; None without decodes."""
    if "profiles" not in study.tables:
        return None
    wanted = study.tables["profiles"][0]["id"]
    for path, record in scan(out).profiles:
        if record.id == wanted:
            return load_profile(path)
    raise RecordError(out, f"no longer holds {wanted}, which the decodes are predicted from")


def _show(study: StudyRecord) -> None:
    console = output()
    for title, wanted in SHOWN.items():
        if rows := study.tables.get(title):
            cells = [[_cell(row[name]) for name in wanted] for row in rows]
            console.print(table(title, list(wanted.values()), cells))
    for note in study.notes:
        console.print(note)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


_ERRORS = {
    "points": "points",
    "median_abs_error": "median |error|",
    "max_abs_error": "worst",
    "bias": "bias",
}
SHOWN: dict[str, dict[str, str]] = {
    "errors by what was held out": {
        "question": "question", "held_out": "held out", "fit": "fit", **_ERRORS,
        "spread": "IQR/median",
    },
    "prompts predicted": {
        "sampling": "sampling", "num_draft_tokens": "γ", "tau_measured": "τ",
        "tau_predicted": "predicted", "tau_error": "error",
        "tau_error_standard_error": "± standard error", "speedup_measured": "speedup",
        "speedup_predicted": "predicted", "speedup_error": "error",
    },
    "summary": {"question": "question", "what": "what", **_ERRORS},
}  # fmt: skip
"""Tables and columns that are printed, with their headings; the record has more."""
