"""Start a local vLLM server, wait until it answers, and leave nothing of it behind.

vLLM lives in an environment of its own, because it pins other versions of torch and
transformers than this project: a server is a child process of another interpreter, and all that
is known of it is its command line, its log and what it answers over HTTP.
"""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import InputError
from engine.location import locate

PYTHON_VARIABLE = "SPECULENS_VLLM_PYTHON"
"""Environment variable that names the interpreter of vLLM's environment."""

METHODS = ("draft-model", "ngram")
_LOG_LINES = 3
_BLOCK = 128  # tokens; vLLM's own choice on a CPU
_STOP_S = 15.0
_POLL_S = 0.25
_FIND_VLLM = (
    "import importlib.util as u, sys; sys.exit(0 if u.find_spec('vllm') is not None else 3)"
)


@dataclass(frozen=True)
class Served:
    """What a server is to load, and how.

    Attributes
    ----------
    target : str
        Zoo name, folder or hub id.
    speculative : mapping or None
        What ``--speculative-config`` takes; None decodes without drafts.
    dtype : str
    max_model_len : int
        Prompt and answer together. [tokens]
    max_num_seqs : int
        Most sequences that run at once. [sequences]
    port : int
        0 takes a free one.
    eager : bool
        Leave out compilation and graphs: it starts sooner and may decode slower.
    arguments : tuple of str
        More of vLLM's own, as they are.
    environment : tuple of (str, str)
        Variables of the server's process, above all others.

    Raises
    ------
    InputError
        If a number leaves its bound.
    """

    target: str
    speculative: Mapping[str, Any] | None = None
    dtype: str = "bfloat16"
    max_model_len: int = 768
    max_num_seqs: int = 8
    port: int = 0
    eager: bool = True
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name in ("max_model_len", "max_num_seqs"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.port <= 65535:
            raise InputError(f"port must be in 0 to 65535, not {self.port}")

    @property
    def name(self) -> str:
        """What the server calls the model: no folder of this machine in it."""
        return Path(self.target).name

    def command(self, python: str, port: int) -> list[str]:
        """The server's command line."""
        given = [
            python, "-m", "vllm.entrypoints.openai.api_server", "--model", locate(self.target),
            "--served-model-name", self.name, "--dtype", self.dtype,
            "--max-model-len", str(self.max_model_len), "--max-num-seqs", str(self.max_num_seqs),
            # a prompt seen before would be free, and times of a first and a second pass differ
            "--no-enable-prefix-caching", "--host", "127.0.0.1", "--port", str(port),
        ]  # fmt: skip
        if self.eager:
            given.append("--enforce-eager")
        if self.speculative is not None:
            given += ["--speculative-config", json.dumps(dict(self.speculative))]
        return [*given, *self.arguments]


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes
    ----------
    url : str
    log : Path
        Everything it printed.
    process : Popen
    """

    url: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def check(self) -> None:
        """Refuse to go on with a server that has ended; tells its last lines."""
        code = self.process.poll()
        if code is not None:
            raise InputError(f"vLLM ended with exit code {code}: {last_lines(self.log)}")

    def sleep(self) -> None:
        """Stop every process of it until it is woken: a server that waits polls, and takes time
        from whatever works meanwhile."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Woken for a while, then asleep."""
        self.wake()
        try:
            yield
        finally:
            self.sleep()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def speculative_config(
    method: str | None,
    num_draft_tokens: int | None,
    draft: str | None = None,
    max_ngram: int = 3,
    min_ngram: int = 1,
) -> dict[str, Any] | None:
    """What ``--speculative-config`` takes for one of our methods.

    Parameters
    ----------
    method : "draft-model", "ngram" or None
        None decodes without drafts.
    num_draft_tokens : int, >= 1
        [tokens]
    draft : str
        Zoo name, folder or hub id; for draft-model.
    max_ngram, min_ngram : int, >= 1
        Longest and shortest suffix looked for; for ngram. vLLM takes the shortest to be the
        longest unless it is told. [tokens]

    Raises
    ------
    InputError
        If the method is unknown or a parameter is missing or leaves its bound.

    Examples
    --------
    >>> speculative_config("ngram", 4)["prompt_lookup_max"]
    3
    """
    if method is None:
        if num_draft_tokens is not None or draft is not None:
            raise InputError("a draft or draft tokens need --method draft-model or ngram")
        return None
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, not '{method}'")
    if num_draft_tokens is None or num_draft_tokens < 1:
        raise InputError(f"draft tokens per round must be at least 1, not {num_draft_tokens}")
    config: dict[str, Any] = {"num_speculative_tokens": num_draft_tokens}
    if method == "draft-model":
        if draft is None:
            raise InputError("method draft-model needs a draft")
        return {"method": "draft_model", "model": locate(draft), **config}
    if draft is not None:
        raise InputError("method ngram drafts from the text: leave out the draft")
    if not 1 <= min_ngram <= max_ngram:
        raise InputError(f"the shortest suffix must have 1 to {max_ngram} tokens, not {min_ngram}")
    return {
        "method": "ngram", **config,
        "prompt_lookup_max": max_ngram, "prompt_lookup_min": min_ngram,
    }  # fmt: skip


def small_cache(sequences: int, max_model_len: int) -> tuple[str, ...]:
    """Arguments for a key/value cache on a CPU that holds so many sequences and no more.

    vLLM fills the gibibyte it is given at once, and several servers are up together.

    Examples
    --------
    >>> small_cache(8, 1000)
    ('--block-size', '128', '--num-gpu-blocks-override', '72')
    """
    blocks = sequences * (-(-max_model_len // _BLOCK) + 1)
    return ("--block-size", str(_BLOCK), "--num-gpu-blocks-override", str(blocks))


def find_python(given: str | None) -> str:
    """The interpreter of vLLM's environment: as given, else from the environment variable.

    Raises
    ------
    InputError
        If neither names one, it is missing or does not run, or it has no vLLM.
    """
    python = given or os.environ.get(PYTHON_VARIABLE)
    if not python:
        raise InputError(
            f"where is vLLM? name its interpreter with --python or {PYTHON_VARIABLE}; "
            "docs/vllm.md says how to install it"
        )
    try:
        found = subprocess.run([python, "-c", _FIND_VLLM], capture_output=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        why = getattr(error, "strerror", None) or "does not answer"
        raise InputError(f"cannot run the interpreter '{python}': {why}") from None
    if found.returncode != 0:
        raise InputError(f"the interpreter '{python}' has no vLLM; docs/vllm.md says how to get it")
    return python


@contextmanager
def serve(
    served: Served,
    python: str,
    log: Path | None = None,
    deadline_s: float = 300.0,
    waiting: Callable[[str], None] = lambda message: None,
) -> Iterator[Server]:
    """A server that answers, ended with all its processes on leaving.

    Parameters
    ----------
    served : Served
    python : str
        As ``find_python`` gives it.
    log : Path, optional
        Where its output goes, begun anew; by default a temporary file.
    deadline_s : float
        Longest wait for its first answer. [s]
    waiting : callable
        Told once, in one line, what is waited for.

    Yields
    ------
    Server

    Raises
    ------
    InputError
        If the port is taken, the server ends while it starts (tells its last lines), or it
        does not answer in time.
    """
    port = _free_port(served.port)
    if log is None:
        handle, name = tempfile.mkstemp(prefix="speculens-vllm-", suffix=".log")
        os.close(handle)
        log = Path(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = served.command(python, port)
    waiting(f"starting vLLM with {served.name}; its log is {log}")
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**_environment(served.target), **dict(served.environment)},
            start_new_session=True,
        )  # fmt: skip
    server = Server(f"http://127.0.0.1:{port}", log, process)
    try:
        _wait_until_healthy(server, deadline_s)
        yield server
    finally:
        _stop(process)


def last_lines(log: Path) -> str:
    """The last lines of a log that say something, on one line."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"no log at {log}"
    telling = [line.strip() for line in lines if line.strip()]
    # a warning may name an error that did not happen
    quiet = ("raise", "WARNING", "INFO")
    errors = [line for line in telling if "Error" in line and not any(q in line for q in quiet)]
    shown = " | ".join(line[-300:] for line in (errors or telling)[-_LOG_LINES:])
    return f"{shown or 'it printed nothing'} (log: {log})"


def _environment(target: str) -> dict[str, str]:
    """The child's: no reports home and 1 GiB of cache on a CPU, unless the user says otherwise."""
    ours = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if Path(locate(target)).is_dir():
        ours["HF_HUB_OFFLINE"] = "1"  # a folder needs no hub, and asking one can hang
    given = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return {**ours, **given}


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            raise InputError(f"port {wanted} is taken; name another, or 0 for a free one") from None
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: Server, deadline_s: float) -> None:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        server.check()
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=5.0):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_S)
    raise InputError(f"vLLM did not answer within {deadline_s:g} s: {last_lines(server.log)}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the whole group: the engine runs in a child of the server."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)  # asleep it would not hear that it is to end
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        if _group_ends(process, _STOP_S):
            break
    process.wait()


def _group_ends(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        process.poll()  # reaps the leader, else the group never empties
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
