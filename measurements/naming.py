"""What is a record called, and where does it live?"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal


def pair_slug(target_name: str, draft_name: str) -> str:
    """Folder name of a model pair.

    Examples
    --------
    >>> pair_slug("openai/big", "small")
    'openai-big+small'
    """
    clean = (re.sub(r"[^A-Za-z0-9._-]+", "-", name) for name in (target_name, draft_name))
    return "+".join(clean)


def new_record_id(
    kind: Literal["profile", "validation", "comparison", "study", "server"],
    dtype: str,
    now: datetime | None = None,
) -> str:
    """A fresh identifier, sortable by time within its kind and dtype.

    Examples
    --------
    >>> new_record_id("profile", "float32", datetime(2026, 1, 2, tzinfo=UTC))[:32]
    'profile-float32-20260102T000000Z'
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    return f"{kind}-{dtype}-{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def canonical_parameters(parameters: Mapping[str, int | float | str]) -> str:
    """The parameters of a method as one string that tells it from others, JSON.

    Examples
    --------
    >>> canonical_parameters({"tree": "4-2-1", "nodes": 20})
    '{"nodes":20,"tree":"4-2-1"}'
    """
    return json.dumps(dict(parameters), sort_keys=True, separators=(",", ":"))


def utc_now() -> str:
    """The present time for ``created``, ISO 8601 with offset +00:00."""
    return datetime.now(UTC).isoformat(timespec="seconds")
