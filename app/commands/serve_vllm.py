"""speculens serve-vllm: a local vLLM for a pair, until Ctrl-C."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.terminal import ends_like_ctrl_c, notice

if TYPE_CHECKING:
    from profiler.vllm_server import Served

_CHECK_EVERY_S = 1.0


def configuration(
    given: str | None,
    method: str | None,
    num_draft_tokens: int | None,
    draft: str | None,
    ngram: tuple[int, int],
) -> dict[str, Any] | None:
    """The speculative configuration: vLLM's own JSON, or one of our methods.

    Raises
    ------
    InputError
        If both are given, or one is wrong.
    """
    from engine.errors import InputError
    from engine.location import locate
    from profiler.vllm_server import speculative_config

    if given is None:
        return speculative_config(method, num_draft_tokens, draft, *ngram)
    if method is not None or num_draft_tokens is not None or draft is not None:
        raise InputError("--speculative-config says it all: leave out method, draft and tokens")
    try:
        text = Path(given).read_text(encoding="utf-8") if given.endswith(".json") else given
        config = json.loads(text)
    except (OSError, ValueError) as error:
        raise InputError(f"--speculative-config is no JSON object: {error}") from None
    if not isinstance(config, dict):
        raise InputError(f"--speculative-config must be a JSON object, not {given[:60]}")
    if isinstance(config.get("model"), str):
        config["model"] = locate(config["model"])  # exports name embedded models as we do
    return config


def run(served: Served, python: str | None, log: Path | None, deadline_s: float) -> None:
    """Start, print the address on standard output, stay until Ctrl-C or until it ends."""
    from profiler.vllm_server import find_python, serve

    try:
        with (
            ends_like_ctrl_c(),
            serve(served, find_python(python), log, deadline_s, notice) as server,
        ):
            print(server.url, flush=True)
            notice(f"vLLM serves {served.name} (Ctrl-C ends it)")
            while True:
                time.sleep(_CHECK_EVERY_S)
                server.check()
    except KeyboardInterrupt:
        notice("vLLM ended")
