"""A fake vLLM in a process of its own, for as long as a test needs it."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from profiler.vllm_server import _free_port, _stop
from tests.profiler import fake_vllm

NAME = "python-13m"


@contextmanager
def fake_server(
    num_draft_tokens: int = 0, trouble: str = "", port: int = 0
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Its address and its process."""
    port = _free_port(port)
    command = [
        sys.executable, str(Path(fake_vllm.__file__).resolve()), "-m", "vllm",
        "--port", str(port), "--served-model-name", NAME,
    ]  # fmt: skip
    if num_draft_tokens:
        command += ["--speculative-config", f'{{"num_speculative_tokens": {num_draft_tokens}}}']
    process = subprocess.Popen(
        command, env={**os.environ, "FAKE_VLLM": trouble}, start_new_session=True
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=1).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        yield url, process
    finally:
        _stop(process)
