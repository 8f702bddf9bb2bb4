"""How do records get to disk and back without ever being half there?

Layout: ``<root>/<machine.slug>/<pair_slug>/<id>.json`` with its tables beside
it. Every file is written to a temporary name and moved into place; the JSON,
which holds the hashes of its tables and of itself, comes last. So a reader
sees either the old record or the new one, and an edited, truncated or foreign
file is refused with a :class:`RecordError` of one line.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from measurements.context import Sampling
from measurements.files import RecordError, read_verified, seal, write_atomically
from measurements.identity import SCHEMA_VERSION
from measurements.method_tables import as_rounds, as_windows
from measurements.schema import (
    ComparisonRecord,
    ProfileHeader,
    ProfileRecord,
    Record,
    StudyRecord,
    TraceInfo,
    ValidationRecord,
)
from measurements.server_record import ServerRecord
from measurements.tables import as_stages, as_trace

DATA = Path(__file__).parent / "data"
_SEAL = "record_sha256"
_KINDS: dict[str, type[Record]] = {
    "profile": ProfileRecord,
    "validation": ValidationRecord,
    "comparison": ComparisonRecord,
    "study": StudyRecord,
    "server": ServerRecord,
}


@dataclass(frozen=True)
class Profile:
    """A loaded profile: the record, its stage samples and its traces by label.

    ``windows`` and ``rounds`` are None where only the chain was profiled; see
    ``measurements.method_tables``.
    """

    path: Path
    record: ProfileRecord
    stages: pd.DataFrame
    traces: dict[str, pd.DataFrame]
    windows: pd.DataFrame | None = None
    rounds: pd.DataFrame | None = None

    def trace(self, sampling: Sampling) -> pd.DataFrame:
        """The trace recorded at ``sampling``; ``KeyError`` naming what exists."""
        if sampling.label not in self.traces:
            raise KeyError(f"no trace at {sampling.label}, this profile has {sorted(self.traces)}")
        return self.traces[sampling.label]


def record_path(root: Path, record: ProfileHeader | Record) -> Path:
    """Where ``record`` lives below ``root``."""
    return Path(root) / record.machine.slug / record.pair_slug / f"{record.id}.json"


def save_profile(
    root: Path,
    header: ProfileHeader,
    stages: pd.DataFrame,
    traces: Mapping[Sampling, pd.DataFrame],
    windows: pd.DataFrame | None = None,
    rounds: pd.DataFrame | None = None,
) -> Path:
    """Write a profile with its tables; an incomplete one may be saved again as it grows.

    Parameters
    ----------
    root : Path
        Data root, for example ``measurements.DATA``.
    header : ProfileHeader
        The record without hashes (``ProfileRecord.header`` when resuming).
    stages : DataFrame
        Columns of ``measurements.tables.STAGES_SCHEMA``.
    traces : mapping from Sampling to DataFrame
        Columns of ``measurements.tables.TRACE_SCHEMA``; may be empty while incomplete.
    windows, rounds : DataFrame, optional
        Of methods; columns of ``measurements.method_tables``.

    Returns
    -------
    Path
        The JSON file.

    Raises
    ------
    ValueError
        If a table has wrong columns or values, or a complete profile lacks traces.
    RecordError
        If a complete record with this id exists: records are append-only.
    """
    if header.complete and not traces:
        raise ValueError("traces: a complete profile needs at least one")
    path = record_path(root, header)
    _refuse_complete(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stages_file, stages_sha256 = _write_table(path, "stages", as_stages(stages), header.complete)
    infos = []
    for sampling, frame in traces.items():
        table = as_trace(frame)
        name, digest = _write_table(path, f"trace-{sampling.label}", table, header.complete)
        size = {"num_tokens": len(frame), "num_prompts": int(frame["prompt"].nunique())}
        infos.append(TraceInfo(sampling=sampling, file=name, sha256=digest, **size))
    fields = {name: getattr(header, name) for name in ProfileHeader.model_fields}
    optional = {"windows": (windows, as_windows), "rounds": (rounds, as_rounds)}
    for part, (rows, conform) in optional.items():
        if rows is not None:
            written = _write_table(path, part, conform(rows), header.complete)
            fields |= dict(zip((f"{part}_file", f"{part}_sha256"), written, strict=True))
    record = ProfileRecord(
        **fields, stages_file=stages_file, stages_sha256=stages_sha256, traces=infos
    )
    _write_json(path, record)
    _drop_superseded(path, {name for name, _ in table_files(record)})
    return path


def save_validation(
    root: Path,
    record: ValidationRecord,
    stages: pd.DataFrame | None = None,
    rounds: pd.DataFrame | None = None,
) -> Path:
    """Write a validation record; an incomplete one may be saved again as it grows.

    Parameters
    ----------
    root : Path
    record : ValidationRecord
    stages : DataFrame, optional
        Stage times taken between the decodes, columns of
        ``measurements.tables.STAGES_SCHEMA``; file and hash go into the record.
    rounds : DataFrame, optional
        Rounds of methods timed between the decodes, columns of
        ``measurements.method_tables.ROUNDS_SCHEMA``.

    Returns
    -------
    Path
        The JSON file.

    Raises
    ------
    RecordError
        If a complete record with this id exists: records are append-only.
    """
    path = record_path(root, record)
    _refuse_complete(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for part, rows, conform in (("stages", stages, as_stages), ("rounds", rounds, as_rounds)):
        if rows is not None:
            name, digest = _write_table(path, part, conform(rows), record.complete)
            update = {f"{part}_file": name, f"{part}_sha256": digest}
            record = record.model_copy(update=update)
    _write_json(path, record)
    return path


def save_record(root: Path, record: ComparisonRecord | StudyRecord | ServerRecord) -> Path:
    """Write a record that has no tables beside it.

    Returns
    -------
    Path
        The JSON file.

    Raises
    ------
    RecordError
        If a complete record with this id exists: records are append-only.
    """
    path = record_path(root, record)
    _refuse_complete(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_json(path, record)
    return path


def load_profile(path: Path) -> Profile:
    """Read a profile and its tables, verifying hashes, schema and columns.

    Raises
    ------
    RecordError
        Naming the offending file and the reason.
    """
    record = read_record(path)
    if not isinstance(record, ProfileRecord):
        raise RecordError(path, f"is a {record.kind} record, a profile is needed")
    folder = Path(path).parent
    stages = _read_table(folder / record.stages_file, record.stages_sha256, as_stages)
    traces = {
        info.sampling.label: _read_table(folder / info.file, info.sha256, as_trace)
        for info in record.traces
    }
    windows = rounds = None
    if record.windows_file is not None and record.windows_sha256 is not None:
        windows = _read_table(folder / record.windows_file, record.windows_sha256, as_windows)
    if record.rounds_file is not None and record.rounds_sha256 is not None:
        rounds = _read_table(folder / record.rounds_file, record.rounds_sha256, as_rounds)
    return Profile(Path(path), record, stages, traces, windows, rounds)


def load_validation(path: Path) -> ValidationRecord:
    """Read a validation record, verifying hash and schema.

    Raises
    ------
    RecordError
        Naming the file and the reason.
    """
    record = read_record(path)
    if not isinstance(record, ValidationRecord):
        raise RecordError(path, f"is a {record.kind} record, a validation is needed")
    return record


def load_server(path: Path) -> ServerRecord:
    """Read a sweep over servers, verifying hash and schema.

    Raises
    ------
    RecordError
        Naming the file and the reason.
    """
    record = read_record(path)
    if not isinstance(record, ServerRecord):
        raise RecordError(path, f"is a {record.kind} record, a server's is needed")
    return record


def read_record(path: Path) -> Record:
    """Read one JSON file of any kind; its tables are not opened.

    Raises
    ------
    RecordError
        If the file is missing, truncated, foreign, edited or of another schema.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise RecordError(path, f"cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise RecordError(path, f"is not JSON, perhaps truncated ({error})") from None
    if not isinstance(content, dict) or content.get("kind") not in _KINDS:
        raise RecordError(path, f"is not a speculens record (its kind is none of {list(_KINDS)})")
    if content.get("schema_version") != SCHEMA_VERSION:
        version = content.get("schema_version")
        raise RecordError(path, f"schema_version {version!r}, this version reads {SCHEMA_VERSION}")
    if content.pop(_SEAL, None) != seal(content):
        raise RecordError(path, f"was edited after it was written ({_SEAL} does not match)")
    try:
        record = _KINDS[content["kind"]].model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise RecordError(path, f"{where}: {first['msg']}") from None
    if record.id != path.stem:
        raise RecordError(path, f"holds the record {record.id!r}: the file was renamed")
    return record


def verify_tables(path: Path, record: Record) -> None:
    """Check that every table of a record is there with the hash it was saved with.

    Raises
    ------
    RecordError
        Naming the table.
    """
    for name, digest in table_files(record):
        read_verified(Path(path).parent / name, digest)


def table_files(record: Record) -> list[tuple[str, str]]:
    """File name and hash of every table of a record."""
    tables: list[tuple[str | None, str | None]] = []
    if isinstance(record, ProfileRecord | ValidationRecord):
        tables += [(record.stages_file, record.stages_sha256)]
        tables += [(record.rounds_file, record.rounds_sha256)]
    if isinstance(record, ProfileRecord):
        tables += [(info.file, info.sha256) for info in record.traces]
        tables += [(record.windows_file, record.windows_sha256)]
    return [(name, digest) for name, digest in tables if name is not None and digest is not None]


def _refuse_complete(path: Path) -> None:
    if path.exists() and read_record(path).complete:
        raise RecordError(path, "is complete: records are append-only, save under a new id")


def _write_json(path: Path, record: Record) -> None:
    content = record.model_dump(mode="json")
    sealed = {**content, _SEAL: seal(content)}
    write_atomically(path, (json.dumps(sealed, indent=1) + "\n").encode())


def _write_table(path: Path, part: str, table: pa.Table, complete: bool) -> tuple[str, str]:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    # While a record grows its tables carry their hash in the name, so that a crash between
    # table and JSON leaves the previous version whole.
    version = "" if complete else f".{digest[:8]}"
    name = f"{path.stem}.{part}{version}.parquet"
    write_atomically(path.parent / name, data)
    return name, digest


def _drop_superseded(path: Path, keep: set[str]) -> None:
    for other in path.parent.glob(f"{path.stem}.*.parquet"):
        if other.name not in keep:
            with contextlib.suppress(OSError):
                other.unlink()


def _read_table(path: Path, digest: str, conform: Any) -> pd.DataFrame:
    data = read_verified(path, digest)
    try:
        return conform(pq.read_table(io.BytesIO(data)).to_pandas()).to_pandas()
    except (pa.ArrowException, ValueError) as error:
        raise RecordError(path, str(error)) from None
