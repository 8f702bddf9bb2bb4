"""Which measurements are here, are they whole, and how do their machines compare?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app import data, words
from app.data import Shelf
from app.state import Choice, Desk
from app.study_tables import decimals
from app.views import frame, servers
from measurements import (
    ComparisonRecord,
    ProfileRecord,
    ServerRecord,
    StudyRecord,
    ValidationRecord,
    import_records,
)

QUESTION = "Which measurements are here, and are they whole?"
Known = ProfileRecord | ValidationRecord | ComparisonRecord | StudyRecord | ServerRecord


def show() -> None:
    """Count, list, broken files, one record, machines, import."""
    shelf = frame.shelf()
    records: list[Known] = [
        *(record for _, record in shelf.profiles),
        *shelf.validations,
        *shelf.comparisons,
        *shelf.studies,
        *(record for _, record in shelf.servers),
    ]
    frame.headline(QUESTION, _sentence(shelf, records))
    if shelf.problems:
        with st.expander(f"{len(shelf.problems)} unusable files", icon=":material/report:",
                         expanded=True):  # fmt: skip
            for name, reason in shelf.problems:
                st.caption(f"{name}: {reason}")
    if records:
        _list(records)
        _inspect(records, shelf)
    else:
        frame.no_record("of any kind")
    if shelf.profiles:
        _machines(shelf)
    _import()


def _sentence(shelf: Shelf, records: Sequence[Known]) -> str:
    counts = [
        (len(shelf.profiles), "profile"),
        (len(shelf.validations), "validation"),
        (len(shelf.comparisons), "comparison"),
        (len(shelf.studies), "study"),
        (len(shelf.servers), "sweep over servers"),
    ]
    named = [f"{n} {_plural(word, n)}" for n, word in counts if n]
    if not records:
        return "No record is here yet."
    machines = len({record.machine.slug for record in records})
    grown = sum(not record.complete for record in records)
    whole = "all complete" if not grown else f"{grown} of them not finished"
    broken = len(shelf.problems)
    rest = f"; **{broken}** {_plural('file', broken)} cannot be used" if broken else ""
    return (
        f"**{len(records)}** {_plural('record', len(records))} from {machines}"
        f" {_plural('machine', machines)}: {words.listing(named)}, {whole}{rest}."
    )


def _plural(word: str, number: int) -> str:
    if number == 1:
        return word
    if " " in word:
        first, rest = word.split(" ", 1)
        return f"{_plural(first, number)} {rest}"
    return word[:-1] + "ies" if word.endswith("y") else word + "s"


def _list(records: Sequence[Known]) -> None:
    st.subheader("Records", anchor=False)
    rows = [
        {
            "kind": record.kind,
            "recorded": words.moment(record.created),
            "machine": record.machine.slug,
            "target": target_name(record),
            "draft": draft_name(record),
            "dtype": record.dtype,
            "text": f"{record.prompts.num_prompts} × {record.new_tokens} tokens",
            "complete": record.complete,
            "record": record.id,
        }
        for record in records
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Table of all records")


def target_name(record: Known) -> str:
    """A server's target is known by name alone."""
    return record.model if isinstance(record, ServerRecord) else record.target.name


def draft_name(record: Known) -> str:
    """What drafts; for a server, as it was stated."""
    if isinstance(record, ServerRecord):
        return record.draft or record.speculation
    return record.draft.name


def _inspect(records: Sequence[Known], shelf: Shelf) -> None:
    st.subheader("One record", anchor=False)
    by_id = {record.id: record for record in records}
    control = Choice("inspect", records[0].id, tuple(by_id))
    st.selectbox("Record to look into", list(by_id), key=Desk.current().place(control))
    record = by_id[str(Desk.current().refresh(control))]
    left = [
        *(servers.facts(record) if isinstance(record, ServerRecord) else _facts(record)),
        ("Recorded", f"{words.moment(record.created)}, commit {(record.commit or 'unknown')[:12]}"),
    ]
    for column, facts in zip(
        st.columns(2), (left, words.machine_facts(record.machine, record.dtype)), strict=True
    ):
        with column, st.container(border=True, height="stretch"):
            for label, value in facts:
                frame.fact(label, value)
    st.caption("What it holds")
    st.dataframe(pd.DataFrame(_holds(record)), hide_index=True, alt="What the record holds")
    if isinstance(record, StudyRecord):
        _study(record)
    elif isinstance(record, ServerRecord):
        path = next(path for path, one in shelf.servers if one.id == record.id)
        servers.show_sweep(record, data.server_summary(path, data.fingerprint_of(path)))


def _facts(
    record: ProfileRecord | ValidationRecord | ComparisonRecord | StudyRecord,
) -> list[tuple[str, str]]:
    prompts = record.prompts
    return [
        ("Target", words.model_facts(record.target)),
        ("Draft", words.model_facts(record.draft)),
        ("Text", f"{prompts.num_prompts} prompts of {prompts.name}, mean"
                 f" {prompts.mean_prompt_tokens:.0f} tokens, {record.new_tokens} new tokens each"),
    ]  # fmt: skip


def _study(record: StudyRecord) -> None:
    """Its question, what came out, and its tables."""
    st.markdown(f"**{words.plain(record.question)}**")
    if record.notes:
        st.markdown("\n".join(f"- {words.plain(note)}" for note in record.notes))
    for name, rows in record.tables.items():
        st.caption(name.replace("_", " "))
        table = pd.DataFrame(rows).rename(columns=lambda column: column.replace("_", " "))
        numbers = table.select_dtypes("float")
        st.dataframe(
            table, hide_index=True,
            column_config={
                column: st.column_config.NumberColumn(
                    format=f"%.{decimals(values.dropna().tolist())}f")
                for column, values in numbers.items()
            },
            alt=f"Table of the study: {name}",
        )  # fmt: skip


def _holds(record: Known) -> list[dict[str, object]]:
    """Parts of a record and their size."""
    if isinstance(record, ProfileRecord):
        rows: list[dict[str, object]] = [
            {"part": f"trace at {words.sampling_name(one.sampling)}",
             "holds": f"{one.num_tokens} tokens of {one.num_prompts} prompts", "file": one.file}
            for one in record.traces
        ]  # fmt: skip
        rows.append({"part": "stage times", "holds": "raw samples", "file": record.stages_file})
        for part, file in (("windows", record.windows_file), ("rounds", record.rounds_file)):
            if file is not None:
                rows.append({"part": part, "holds": "every profiled method", "file": file})
        return rows
    if isinstance(record, ValidationRecord):
        held = f"{len(record.settings)} decoded settings, {record.repeats} repeats"
        return [{"part": "settings", "holds": held, "file": f"{record.id}.json"}]
    if isinstance(record, ComparisonRecord):
        held = f"{len(record.methods)} decoded settings"
        return [{"part": "methods", "holds": held, "file": f"{record.id}.json"}]
    if isinstance(record, ServerRecord):
        answers = sum(len(wave.answers) for wave in record.waves)
        held = f"{len(record.waves)} waves, {answers} answers, {len(record.settings)} foretold"
        return [{"part": "waves", "holds": held, "file": f"{record.id}.json"}]
    return [
        {"part": name, "holds": f"{len(table)} rows", "file": f"{record.id}.json"}
        for name, table in record.tables.items()
    ]


def _machines(shelf: Shelf) -> None:
    st.subheader("Machines", anchor=False)
    st.caption(
        "Measured by each profile: what the machine can do at most, and medians of the stages that"
        " every profile times, forwards over one token, host stages over any number. Compare only"
        " equal models and dtypes."
    )
    rows = []
    for path, record in shelf.profiles:
        medians = data.stage_medians(path, data.fingerprint_of(path))
        rows.append(
            {
                "machine": record.machine.slug,
                "pair": f"{record.target.name} + {record.draft.name}",
                "dtype": record.dtype,
                "GB/s": record.ceilings.median_read_bandwidth_bytes_per_s / 1e9,
                "GFLOP/s": record.ceilings.median_flop_per_s / 1e9,
                **{f"{stage} [ms]": 1e3 * seconds for stage, seconds in medians.items()},
                "recorded": record.created[:10],
            }
        )
    number = st.column_config.NumberColumn(format="%.3g")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            name: number for name in rows[0] if name.endswith(("/s", "[ms]"))
        } | {"machine": st.column_config.TextColumn(pinned=True)},
        alt="Table of machines: ceilings and stage medians",
    )  # fmt: skip


def _import() -> None:
    st.subheader("Add records", anchor=False)
    st.caption(
        f"Drop a record's JSON together with its Parquet tables. Whole records join"
        f" `{data.data_root().name}`; anything else is refused and changes nothing."
    )
    with st.form("import", clear_on_submit=True):
        files = st.file_uploader(
            "Records and their tables", type=["json", "parquet"], accept_multiple_files=True
        )
        sent = st.form_submit_button("Import", icon=":material/upload_file:")
    if sent and files:
        given = {file.name: file.getvalue() for file in files}
        st.session_state["_imported"] = import_records(given, data.data_root())
        st.rerun()
    done = st.session_state.pop("_imported", None)
    if done is None:
        return
    if done.accepted:
        st.success(f"Added: {words.listing(done.accepted)}.", icon=":material/check:")
    for name, reason in done.refused:
        st.error(f"{words.plain(name)} {words.plain(reason)}.", icon=":material/block:")


if __name__ == "__main__":
    show()
