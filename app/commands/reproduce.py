"""speculens reproduce: a published experiment, run on this machine with this pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from app.pair import PairOptions
from app.studies import kv_cache, leviathan, medusa_hydra, specdiff, staged
from app.study_tables import Row, fitted, tables
from app.terminal import notice, output, print_json, resumable, table
from measurements import StudyRecord, save_record

NEW_TOKENS = {"kv-cache": 512}
"""Per prompt, where a subject wants more than others. [tokens]"""
DEFAULT_NEW_TOKENS = 128
PRINTED_ROWS = 40
"""Longer tables are in the record and the report."""


class Subject(Protocol):
    """A module of ``app.studies``."""

    def study(self, pair: PairOptions, quick: bool, state: Path) -> StudyRecord:
        """Measure, resuming what lies below ``state``."""
        ...

    def figures(self, record: StudyRecord) -> dict[str, Any]:
        """Plotly figures by title."""
        ...


SUBJECTS: Mapping[str, Subject] = {
    "kv-cache": kv_cache,
    "staged": staged,
    "leviathan": leviathan,
    "specdiff": specdiff,
    "medusa-hydra": medusa_hydra,
}


def check(subject: str) -> None:
    """Refuse an unknown subject.

    Raises
    ------
    InputError
        Names the known ones.
    """
    from engine.errors import InputError

    if subject not in SUBJECTS:
        raise InputError(f"subject must be one of {', '.join(SUBJECTS)}, not '{subject}'")


def run(
    subject: str,
    pair: PairOptions,
    quick: bool,
    out: Path,
    state: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Measure, save a study record, print its tables, write a report."""
    check(subject)
    module = SUBJECTS[subject]
    with resumable():
        study = module.study(pair, quick, state or out / f"reproduce-{subject}")
    path = save_record(out, study)
    if report is not None:
        from app.study_report import render

        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(render(study, module.figures(study)), encoding="utf-8")
        notice(f"report {report}")
    if as_json:
        print_json({**study.model_dump(mode="json"), "record": str(path)})
    else:
        _show(study)
    notice(f"saved {path}")


def _show(study: StudyRecord) -> None:
    console = output()
    short: dict[str, Sequence[Row]] = {
        title: rows for title, rows in study.tables.items() if len(rows) <= PRINTED_ROWS
    }
    for title, made in tables(short, study.published).items():
        headings, rows = fitted(made, console.width)
        console.print(table(title, headings, rows))
    for title in study.tables.keys() - short.keys():
        console.print(f"{title}: {len(study.tables[title])} rows, in the record and the report")
    for note in study.notes:
        console.print(f"- {note}")
