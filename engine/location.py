"""Where is a model? Names, folders and hub ids, without loading anything."""

from pathlib import Path

from engine.errors import InputError

ZOO = Path(__file__).parent / "zoo"
"""Folder of the embedded models; a model's folder name is its zoo name."""

DEFAULT_TARGET = "python-13m"
DEFAULT_DRAFT = "python-draft-2m"


def locate(source: str) -> str:
    """Folder of a zoo name or local path; a hub id is passed on.

    Raises
    ------
    InputError
        If it can be none of these, or the folder holds no model.
    """
    if (ZOO / source / "config.json").is_file():
        return str(ZOO / source)
    path = Path(source).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise InputError(f"folder '{source}' holds no config.json")
        return str(path)
    looks_like_hub_id = source.count("/") == 1 and not source.startswith((".", "/", "~"))
    if not looks_like_hub_id:
        known = ", ".join(sorted(p.parent.name for p in ZOO.glob("*/config.json")))
        raise InputError(f"no model '{source}': not a folder, and the zoo has {known or 'none'}")
    return source
