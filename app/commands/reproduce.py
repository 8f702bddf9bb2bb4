"""speculens reproduce: a published experiment, run on this machine with this pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from app.pair import PairOptions
from app.terminal import notice, output, print_json, progress_bar, table
from measurements import StudyRecord, save_record


def run(subject: str, pair: PairOptions, out: Path, as_json: bool) -> None:
    """Measure, save a study record and print its tables.

    Raises
    ------
    InputError
        If the subject is unknown.
    """
    from engine.errors import InputError

    if subject not in SUBJECTS:
        raise InputError(f"subject must be one of {', '.join(SUBJECTS)}, not '{subject}'")
    study = SUBJECTS[subject](pair)
    path = save_record(out, study)
    if as_json:
        print_json({**study.model_dump(mode="json"), "record": str(path)})
    else:
        _show(study)
    notice(f"saved {path}")


def _show(study: StudyRecord) -> None:
    console = output()
    for title, rows in {**study.tables, **study.published}.items():
        headings = list(rows[0]) if rows else []
        console.print(table(title, headings, [[_cell(row[h]) for h in headings] for row in rows]))
    for note in study.notes:
        console.print(note)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


KV_CACHE_LENGTHS: Sequence[int] = (32, 64, 128, 256, 512)


def _kv_cache(pair: PairOptions) -> StudyRecord:
    from engine.model import wrap
    from profiler.describe import header
    from profiler.kv_cache import measure_kv_cache, summary
    from profiler.run import encode_checked

    target, draft = pair.load_pair()
    prompts = pair.load_prompts()
    lengths = [n for n in KV_CACHE_LENGTHS if n <= pair.new_tokens]
    lengths = lengths or [pair.new_tokens]
    encoded = encode_checked(target, draft, prompts, max(lengths))
    # the loop without a cache knows no lean forward: the same one on both sides
    plain = wrap(target.name, target.hf, forward="transformers")
    with progress_bar() as show:
        samples = measure_kv_cache(
            plain, encoded, lengths, report=lambda s: show(s.what, s.done, s.total)
        )
    rows: list[dict[str, Any]] = summary(samples).to_dict("records")  # type: ignore[assignment]
    return StudyRecord(
        **header("study", plain, draft, prompts, encoded, pair.dtype, max(lengths)),
        name="kv-cache",
        question="What is the key/value cache worth, by length of the generated text?",
        tables={"greedy decoding with and without cache": rows},
        notes=["speedup: median of paired ratios, prefill included; same_text: share of pairs"],
    )


SUBJECTS: dict[str, Callable[[PairOptions], StudyRecord]] = {"kv-cache": _kv_cache}
