"""Which records are under this folder, and which files are broken?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from measurements.files import RecordError
from measurements.schema import (
    ComparisonRecord,
    ProfileRecord,
    Record,
    StudyRecord,
    ValidationRecord,
)
from measurements.server_record import ServerRecord
from measurements.store import read_record, verify_tables


@dataclass(frozen=True)
class Scan:
    """What a folder holds, newest record first; broken files are listed, not raised."""

    profiles: list[tuple[Path, ProfileRecord]]
    validations: list[tuple[Path, ValidationRecord]]
    comparisons: list[tuple[Path, ComparisonRecord]]
    studies: list[tuple[Path, StudyRecord]]
    servers: list[tuple[Path, ServerRecord]]
    problems: list[RecordError]

    def profile_of(self, validation: ValidationRecord) -> tuple[Path, ProfileRecord] | None:
        """The profile a validation was predicted from, or None when it is not here."""
        for path, record in self.profiles:
            if record.id == validation.profile_id:
                return path, record
        return None

    def validations_of(self, profile: ProfileRecord) -> list[tuple[Path, ValidationRecord]]:
        """The validations predicted from ``profile``, newest first."""
        return [item for item in self.validations if item[1].profile_id == profile.id]


def scan(root: Path) -> Scan:
    """Read every record under ``root``; a broken file never hides the others.

    Parameters
    ----------
    root : Path
        Data root. A folder that does not exist yet holds no records.

    Returns
    -------
    Scan
        Records with verified hashes; those whose tables are missing or
        changed appear under ``problems`` instead.
    """
    found: list[tuple[Path, Record]] = []
    problems: list[RecordError] = []
    for path in sorted(Path(root).rglob("*.json")):
        try:
            record = read_record(path)
            verify_tables(path, record)
            found.append((path, record))
        except RecordError as error:
            problems.append(error)
    found.sort(key=lambda item: item[1].created, reverse=True)
    return Scan(
        [(path, r) for path, r in found if isinstance(r, ProfileRecord)],
        [(path, r) for path, r in found if isinstance(r, ValidationRecord)],
        [(path, r) for path, r in found if isinstance(r, ComparisonRecord)],
        [(path, r) for path, r in found if isinstance(r, StudyRecord)],
        [(path, r) for path, r in found if isinstance(r, ServerRecord)],
        problems,
    )
