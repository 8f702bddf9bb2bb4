"""Which Python source is trained on, and which is held out.

The corpus is whatever Python lies on the machine: the running interpreter's
standard library and the packages installed beside it. Nothing is downloaded.
Modules in HELD_OUT never enter the corpus, nor does any file that shares many
lines with them; the default prompts are cut from them (engine/prompts.py).
"""

import hashlib
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

HELD_OUT = (
    "textwrap", "heapq", "bisect", "statistics", "shlex", "fnmatch", "glob",
    "calendar", "colorsys", "difflib", "string", "fractions", "random",
    "shutil", "tempfile", "timeit", "csv", "configparser", "copy", "ipaddress",
    "mimetypes", "netrc", "sched", "gettext", "genericpath", "posixpath",
    "linecache", "pprint", "reprlib", "struct", "uuid", "hmac", "secrets",
    "queue", "types", "functools",
)  # fmt: skip
"""Top-level standard-library modules that no model of this project is trained on."""

MAX_FILE_BYTES = 200_000
"""Larger files are mostly generated tables. [bytes]"""

MIN_FILE_BYTES = 300
_LONG_LINE = 30  # characters; shorter lines repeat by chance
_OVERLAP_LIMIT = 0.1  # share of a file's long lines that may stand in held-out text


@dataclass(frozen=True)
class Document:
    """One source file: where it came from and what it says."""

    path: Path
    text: str


def held_out_files() -> list[Path]:
    """The held-out modules that this interpreter has, as files, sorted by name."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    return sorted(p for p in (stdlib / f"{name}.py" for name in HELD_OUT) if p.is_file())


def stdlib_documents() -> Iterator[Document]:
    """Standard-library sources without its tests and without the held-out modules."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    skip = {"test", "tests", "idle_test", "site-packages", "lib2to3", "__pycache__"}
    yield from _documents(stdlib, skip)


def package_documents() -> Iterator[Document]:
    """Sources of the packages installed beside the interpreter, without their tests."""
    folder = Path(sysconfig.get_path("purelib"))
    yield from _documents(folder, {"test", "tests", "testing", "__pycache__"})


def clean(documents: Iterable[Document], seen: set[str] | None = None) -> list[Document]:
    """Documents without exact repeats and without text that leaks from the held-out modules.

    Parameters
    ----------
    documents : iterable of Document
    seen : set of str, optional
        Digests of texts already taken; updated in place, so that several
        sources can be cleaned against one another.

    Returns
    -------
    list of Document
        In the given order. A document is dropped when its text was seen
        before, or when more than 10 % of its long lines stand in a held-out
        module (a vendored or renamed copy).
    """
    seen = set() if seen is None else seen
    forbidden = {
        line.strip()
        for path in held_out_files()
        for line in path.read_text(encoding="utf-8", errors="ignore").splitlines()
        if len(line.strip()) >= _LONG_LINE
    }
    kept = []
    for document in documents:
        digest = hashlib.sha256(document.text.encode()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        lines = [s for s in map(str.strip, document.text.splitlines()) if len(s) >= _LONG_LINE]
        shared = sum(s in forbidden for s in lines)
        if lines and shared / len(lines) > _OVERLAP_LIMIT:
            continue
        kept.append(document)
    return kept


def _documents(folder: Path, skip: set[str]) -> Iterator[Document]:
    held_out = {f"{name}.py" for name in HELD_OUT}
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder)
        if skip & set(relative.parts) or path.name in held_out:
            continue
        if not MIN_FILE_BYTES <= path.stat().st_size <= MAX_FILE_BYTES:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue
        yield Document(path, text)
