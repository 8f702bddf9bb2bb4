"""From command-line options to a measured sweep over servers: given ones, or local ones started
for it.

The profiler is imported here, inside the functions, so that ``--help`` works without torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app.pair import PairOptions
from app.terminal import ShowStep, ends_like_ctrl_c, notice

if TYPE_CHECKING:
    from engine.prompts import Prompts
    from measurements import ServedSetting, ServerRecord
    from profiler.server_log import SweepLog, Unit
    from profiler.server_sweep import Session, SweepPlan
    from profiler.vllm_server import Served, Server

DEFAULT_BATCHES = (1, 2, 4, 8)
GPU_SHARE = 0.9
"""Of a GPU's memory, for all servers on it together; vLLM takes as much for one. [unitless]"""
SPECULATIONS = ("draft-model", "ngram")


@dataclass(frozen=True)
class ServerOptions:
    """The options that every command about servers has in common.

    Attributes
    ----------
    urls : tuple of str
        Running servers; none starts local ones.
    speculation : str
        draft-model or ngram.
    batches : tuple of int
        Prompts sent at once.
    num_draft_tokens : tuple of int
        One local server is started for each, beside a plain one.
    python : str or None
        Interpreter of vLLM's environment.
    ngram : tuple of int
        Longest and shortest suffix looked for.
    state : Path or None
        Log of the sweep; default: below the folder of records.
    timeout_s : float
        Longest silence of a server. [s]
    tensor_parallel : int
        Devices of every server: of local ones as started, of given ones as stated.
    most_devices : int or None
        Of any server it is to be compared with; None leaves threads on a CPU to vLLM.
    """

    urls: tuple[str, ...] = ()
    speculation: str = "draft-model"
    batches: tuple[int, ...] = DEFAULT_BATCHES
    num_draft_tokens: tuple[int, ...] = ()
    python: str | None = None
    ngram: tuple[int, int] = (3, 1)
    state: Path | None = None
    timeout_s: float = field(default=60.0)
    tensor_parallel: int = 1
    most_devices: int | None = None


@dataclass(frozen=True)
class Swept:
    """A finished sweep: its units, and what makes a record of them."""

    units: list[Unit]
    prompts: Prompts
    stated: dict[str, Any]
    log: Path

    def record(
        self, profile_id: str | None = None, settings: list[ServedSetting] | None = None
    ) -> ServerRecord:
        """The record, with what was foretold."""
        from profiler.server_record import server_record

        return server_record(
            self.units, self.prompts,
            {**self.stated, "profile_id": profile_id, "settings": settings or []},
        )  # fmt: skip


def measure(pair: PairOptions, options: ServerOptions, out: Path, show: ShowStep) -> Swept:
    """Sweep over all servers; what an interrupted sweep left is not measured again.

    Raises
    ------
    InputError
        If an option is wrong or a server fails; what was measured is kept.
    """
    from engine.errors import InputError
    from profiler.completions import ServerError
    from profiler.server_log import SweepLog
    from profiler.server_sweep import SweepPlan, sweep

    if options.speculation not in SPECULATIONS:
        raise InputError(
            f"method must be one of {', '.join(SPECULATIONS)}, not '{options.speculation}'"
        )
    prompts = pair.load_prompts()
    plan = SweepPlan(prompts.texts, pair.new_tokens, options.batches)
    stated = _stated(pair, options)
    identity = {
        **stated, "hosts": sorted({str(urlsplit(url).hostname) for url in options.urls}),
        "drafts": list(options.num_draft_tokens), "prompts": prompts.sha256,
        "new_tokens": pair.new_tokens, "batches": list(options.batches),
    }  # fmt: skip
    log = SweepLog(options.state or _log_path(out, identity), identity)
    try:
        with _alone(pair, options), ends_like_ctrl_c():
            for session in _sessions(pair, options, plan, log):
                stated = _completed(stated, session.abouts[0].model)
                sweep(session, plan, log, lambda s: show(s.what, s.done, s.total))
    except ServerError as error:
        raise ServerError(
            f"{error}; {len(log.units)} waves are kept, and the same command goes on"
        ) from None
    return Swept(list(log.units.values()), prompts, stated, log.path)


def with_embedded_pair(pair: PairOptions) -> PairOptions:
    """The same with the embedded pair by name, where no pair is given."""
    from engine.location import DEFAULT_DRAFT, DEFAULT_TARGET

    if pair.target is not None or pair.draft is not None:
        return pair
    return replace(pair, target=DEFAULT_TARGET, draft=DEFAULT_DRAFT)


def _stated(pair: PairOptions, options: ServerOptions) -> dict[str, Any]:
    """What is said of the servers beforehand."""
    lookup = options.speculation == "ngram"
    return {
        "model": pair.target and Path(pair.target).name,
        "dtype": pair.dtype,
        "speculation": options.speculation,
        "draft": None if lookup else pair.draft and Path(pair.draft).name,
        "max_ngram": options.ngram[0] if lookup else None,
        "min_ngram": options.ngram[1] if lookup else None,
        "tensor_parallel": options.tensor_parallel,
    }


def _completed(stated: dict[str, Any], model: str) -> dict[str, Any]:
    """With the model a server names, and the embedded draft beside the embedded target."""
    from engine.location import DEFAULT_DRAFT, DEFAULT_TARGET

    draft = stated["draft"]
    if stated["speculation"] == "draft-model" and draft is None:
        draft = DEFAULT_DRAFT if model == DEFAULT_TARGET else "unknown"
    return {**stated, "model": stated["model"] or model, "draft": draft}


@contextmanager
def _alone(pair: PairOptions, options: ServerOptions) -> Iterator[None]:
    """The device's measuring lock, where the servers run on this machine."""
    from engine.model import resolve_device
    from profiler.lock import device_lock

    hosts = {urlsplit(url).hostname for url in options.urls}
    if hosts and not hosts & {"localhost", "127.0.0.1", "::1"}:
        yield
        return
    with device_lock(resolve_device(pair.device), notice):
        yield


def _sessions(
    pair: PairOptions, options: ServerOptions, plan: SweepPlan, log: SweepLog
) -> Iterator[Session]:
    """Servers to be measured in turn: all that were named, or local ones, plain and every K.

    All of them take turns, wave by wave: the same server ran up to a fifth faster or slower
    minutes later.
    """
    from profiler.completions import Endpoint
    from profiler.server_sweep import open_session
    from profiler.vllm_server import find_python, serve

    def session(urls: Iterable[str], local: Iterable[Server] = ()) -> Session:
        endpoints = [Endpoint(url, options.timeout_s) for url in urls]
        return open_session(endpoints, pair.target, {server.url: server for server in local})

    if options.urls:
        yield session(options.urls)
        return
    drafts = sorted(set(options.num_draft_tokens))
    if all(key in log for key in plan.keys(("plain", *(f"K{number}" for number in drafts)))):
        return
    python = find_python(options.python)
    with ExitStack() as stack:
        servers = []
        for served in _served(pair, options, (0, *drafts)):
            servers.append(stack.enter_context(serve(served, python, waiting=notice)))
            servers[-1].sleep()
        for server in servers:
            server.wake()
        yield session([server.url for server in servers], servers)


def _served(pair: PairOptions, options: ServerOptions, drafts: Sequence[int]) -> list[Served]:
    """What local servers load, one for each number of drafts; all share the memory."""
    from engine.model import resolve_device
    from profiler.vllm_devices import on_devices
    from profiler.vllm_server import Served, small_cache, speculative_config

    assert pair.target is not None
    draft = pair.draft if options.speculation == "draft-model" else None
    plain = Served(pair.target, None, pair.dtype, max_num_seqs=max(options.batches))
    plain = on_devices(plain, options.tensor_parallel, options.most_devices)
    if resolve_device(pair.device).type == "cuda":
        share = GPU_SHARE / len(drafts)
        room: tuple[str, ...] = ("--gpu-memory-utilization", f"{share:.3f}")
    else:
        room = small_cache(plain.max_num_seqs, plain.max_model_len)
    plain = replace(plain, arguments=(*plain.arguments, *room))
    return [
        replace(
            plain,
            speculative=speculative_config(options.speculation, number, draft, *options.ngram)
            if number
            else None,
        )
        for number in drafts
    ]


def _log_path(out: Path, identity: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return out / "servers" / f"sweep-{digest}.jsonl"
