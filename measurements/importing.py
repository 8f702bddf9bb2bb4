"""How do records from elsewhere join a data folder without breaking what is there?

Everything is read and checked beside the folder first; only a record that is
whole, with every table it names, is moved in, its JSON last.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from measurements.files import RecordError, write_atomically
from measurements.schema import ProfileRecord
from measurements.store import (
    load_profile,
    read_record,
    record_path,
    table_files,
    verify_tables,
)

MOST_BYTES = 64 * 2**20
"""Of one file; a table may unpack to ten times that. [bytes]"""
MOST_ROWS = 20_000_000
"""Of one table: repeated values take no room in a file, only when it is read."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")  # file systems end at 255 bytes


@dataclass(frozen=True)
class Imported:
    """What became of a set of files.

    Attributes
    ----------
    accepted : tuple of str
        Identifiers of the records that joined.
    refused : tuple of (str, str)
        File name and reason.
    """

    accepted: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def import_records(files: Mapping[str, bytes], root: Path) -> Imported:
    """Move whole records into a data folder; refuse the others by name.

    Parameters
    ----------
    files : mapping of str to bytes
        JSON records and their tables, by file name.
    root : Path
        Data root; made if it does not exist.

    Returns
    -------
    Imported
        A record is refused if it is broken, lacks a table, has one that was
        changed, or is in the folder already; a table if no accepted record
        names it. What is refused changes nothing.
    """
    accepted: list[str] = []
    refused: list[tuple[str, str]] = []
    wanted: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        desk = Path(folder)
        for name, content in files.items():
            if not _PLAIN_NAME.fullmatch(name):
                refused.append((name[:80], "has a name that no record or table has"))
            elif len(content) > MOST_BYTES:
                size, most = len(content) / 1e6, MOST_BYTES / 1e6
                refused.append((name[:80], f"has {size:.0f} MB, above {most:.0f}"))
            else:
                (desk / name).write_bytes(content)
        for path in sorted(desk.glob("*.json")):
            try:
                names = _admit(path, root)
            except RecordError as error:
                where = "" if error.path.name == path.name else f"{error.path.name} "
                refused.append((path.name, where + error.reason))
            except OSError as error:
                refused.append((path.name, f"cannot be written ({error.strerror})"))
            else:
                accepted.append(path.stem)
                wanted |= names
        for path in sorted(desk.iterdir()):
            if path.suffix != ".json" and path.name not in wanted:
                refused.append((path.name, "belongs to no record that was accepted"))
    return Imported(tuple(accepted), tuple(refused))


def _admit(path: Path, root: Path) -> set[str]:
    """Check one record and move it in; the names of its tables."""
    record = read_record(path)
    verify_tables(path, record)
    for table, _ in table_files(record):
        _refuse_huge(path.with_name(table))
    if isinstance(record, ProfileRecord):
        load_profile(path)  # columns and values too
    home = record_path(root, record)
    if home.exists():
        raise RecordError(path, "is in the data folder already: records are append-only")
    home.parent.mkdir(parents=True, exist_ok=True)
    names = {name for name, _ in table_files(record)}
    for name in sorted(names):
        write_atomically(home.parent / name, path.with_name(name).read_bytes())
    write_atomically(home, path.read_bytes())
    return names


def _refuse_huge(path: Path) -> None:
    """RecordError for a table that would fill the memory when it is read."""
    try:
        found = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise RecordError(path, f"is not Parquet ({str(error).splitlines()[0]})") from None
    if found.num_rows > MOST_ROWS:
        raise RecordError(path, f"has {found.num_rows} rows, above {MOST_ROWS}")
    unpacked = sum(found.row_group(at).total_byte_size for at in range(found.num_row_groups))
    if unpacked > 10 * MOST_BYTES:
        raise RecordError(path, f"unpacks to {unpacked / 1e6:.0f} MB, above {MOST_BYTES / 1e5:.0f}")
