"""A folder as archives no larger than what a copy between machines may take."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

LIMIT_BYTES = 16_000_000
"""Largest part of an archive, and largest file worth committing. [bytes]"""

ARCHIVE = "records.tar.gz"


def pack(folder: Path, into: Path, limit: int = LIMIT_BYTES) -> list[Path]:
    """Write the folder as ``records.tar.gz.00``, ``.01``, ...: ``cat`` of all is one archive.

    Parameters
    ----------
    folder, into : Path
        What is packed; where the parts go, in place of earlier ones.
    limit : int
        Of a part. [bytes]

    Returns
    -------
    list of Path
        The parts in order.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(folder, arcname=folder.name)
    into.mkdir(parents=True, exist_ok=True)
    for old in into.glob(f"{ARCHIVE}.*"):
        old.unlink()
    content, parts = buffer.getvalue(), []
    for number, start in enumerate(range(0, len(content), limit)):
        part = into / f"{ARCHIVE}.{number:02d}"
        part.write_bytes(content[start : start + limit])
        parts.append(part)
    return parts


def oversized(folder: Path, limit: int = LIMIT_BYTES) -> list[Path]:
    """Files of the folder above the limit."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size > limit)
