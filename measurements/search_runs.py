"""How are the measured settings of a search kept, so that folders of several machines merge?

One file per setting, named by the SHA-256 of what it says: the same record made
twice is one file, two folders merge by putting their files together, and a file
that was edited no longer bears its name. A record says nothing of who made it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from measurements.context import Count, Frozen, Positive
from measurements.files import RecordError, seal, write_atomically

SUFFIX = ".jsonl"


class SearchRun(Frozen):
    """One setting, decoded on prompts beside autoregressive decoding.

    ``search`` says what all records of one search have in common; ``times`` holds
    (prompt, seconds of the setting, seconds of autoregressive decoding), by prompt. [s]
    """

    kind: Literal["search-run"] = "search-run"
    schema_version: Literal[1] = 1
    search: dict[str, Any]
    method: str
    parameters: dict[str, int | float | str]
    times: Annotated[list[tuple[Count, Positive, Positive]], Field(min_length=1)]

    @property
    def address(self) -> str:
        """SHA-256 of the content; the name of its file.

        Examples
        --------
        >>> one = SearchRun(search={}, method="lookup", parameters={}, times=[(0, 0.5, 1.0)])
        >>> one.address == SearchRun.model_validate_json(one.model_dump_json()).address
        True
        """
        return seal(self.model_dump(mode="json"))


def save_search_run(folder: Path, run: SearchRun) -> Path:
    """Write a record under its address; writing it again changes nothing.

    Returns
    -------
    Path
        The file.
    """
    path = Path(folder) / f"{run.address}{SUFFIX}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(run.model_dump(mode="json"), sort_keys=True)
        write_atomically(path, f"{line}\n".encode())
    return path


def load_search_runs(folder: Path) -> tuple[SearchRun, ...]:
    """All records of a folder, by address.

    Raises
    ------
    RecordError
        If the folder holds none, or one that is no such record or was edited, or
        records of two searches; names the file and the reason.
    """
    runs = [_read(path) for path in sorted(Path(folder).glob(f"*{SUFFIX}"))]
    if not runs:
        raise RecordError(Path(folder), "holds no search records")
    for run in runs[1:]:
        first, other = runs[0].search, run.search
        differs = [k for k in sorted({*first, *other}) if first.get(k) != other.get(k)]
        if differs:
            path = Path(folder) / f"{run.address}{SUFFIX}"
            raise RecordError(path, f"is of a search with another {differs[0]} than the rest")
    return tuple(runs)


def merge_search_runs(sources: Sequence[Path], into: Path) -> int:
    """Put the records of several folders into one.

    Parameters
    ----------
    sources : sequence of Path
        Left as they are.
    into : Path
        Made if missing; what it holds stays.

    Returns
    -------
    int
        Records that ``into`` did not hold yet.

    Raises
    ------
    RecordError
        As :func:`load_search_runs`, before anything is written; also where the
        folders are of different searches.
    """
    found = [run for source in sources for run in load_search_runs(source)]
    held = {path.stem for path in Path(into).glob(f"*{SUFFIX}")}
    present = list(load_search_runs(into)) if held else []
    for run in found:
        if run.search != (present or found)[0].search:
            raise RecordError(Path(into), f"cannot take {run.address}, of another search")
    for run in found:
        save_search_run(into, run)
    return len({run.address for run in found} - held)


def _read(path: Path) -> SearchRun:
    try:
        run = SearchRun.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RecordError(path, f"cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "record"
        raise RecordError(path, f"is no search record: {where}: {first['msg']}") from None
    if run.address != path.stem:
        raise RecordError(path, "was edited after it was written (its name is not its hash)")
    return run
