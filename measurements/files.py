"""How do bytes get to disk whole, and how is a changed file noticed?"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RecordError(Exception):
    """A file that cannot be used as a record.

    Attributes
    ----------
    path : Path
        The file.
    reason : str
        One line that says why.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = Path(path)
        self.reason = " ".join(reason.split())
        super().__init__(f"{self.path}: {self.reason}")


def seal(content: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON object in canonical form, independent of spacing and key order."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside the target, flush, then move into place: never half a file."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_verified(path: Path, digest: str) -> bytes:
    """The file's bytes if their SHA-256 is ``digest``, else :class:`RecordError`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordError(path, f"cannot be read ({error.strerror})") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise RecordError(path, "is truncated or changed (sha256 differs from the record's)")
    return data
