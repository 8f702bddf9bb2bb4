"""This engine's and vLLM's contestants: the same models, prompts, threads, one awake at a time."""

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engine.batch import decode_batch
from engine.decode import Request
from engine.errors import InputError
from engine.model import Model
from profiler.contest import Contestant, Decode
from profiler.methods import THIS_ENGINE, Method
from profiler.vllm_server import Served, Server, serve, speculative_config

VLLM = "vllm"
DRAFT_LENGTHS, LOOKUP_LENGTHS = (2, 3, 4, 6), (4, 8, 10)
"""Drafts per round that vLLM is tried with: of a draft model, and of its n-gram lookup. [tokens]"""

ANSWER_S = 300.0
"""Longest wait for an answer. [s]"""

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class VllmSetting:
    """How a vLLM server drafts.

    Attributes
    ----------
    method : {"autoregressive", "chain", "lookup"}
        In this project's words; vLLM says none, draft_model and ngram.
    num_draft_tokens : int
        0 for autoregressive. [tokens]
    """

    method: Literal["autoregressive", "chain", "lookup"]
    num_draft_tokens: int = 0

    @property
    def label(self) -> str:
        """As this engine's methods are labelled."""
        return f"{self.method} γ {self.num_draft_tokens}" if self.num_draft_tokens else self.method

    def config(self, draft: str) -> dict[str, Any] | None:
        """Its ``--speculative-config``."""
        if self.method == "autoregressive":
            return None
        if self.method == "chain":
            return speculative_config("draft-model", self.num_draft_tokens, draft)
        return speculative_config("ngram", self.num_draft_tokens)


def vllm_settings(
    chains: Sequence[int] = DRAFT_LENGTHS, lookups: Sequence[int] = LOOKUP_LENGTHS
) -> list[VllmSetting]:
    """Plain decoding, then a draft model and lookup with so many drafts."""
    return [
        VllmSetting("autoregressive"),
        *(VllmSetting("chain", length) for length in chains),
        *(VllmSetting("lookup", length) for length in lookups),
    ]


def our_contestants(
    target: Model,
    draft: Model,
    methods: Sequence[Method],
    batch: int,
    chains: Sequence[int] = DRAFT_LENGTHS,
) -> list[Contestant]:
    """This engine's: every method alone, or plain decoding and chains of several prompts.

    Parameters
    ----------
    target, draft : Model
    methods : sequence of Method
        At batch 1; lossless ones.
    batch : int
        Prompts decoded together.
    chains : sequence of int
        Drafts per round in a batch. [tokens]
    """
    if batch == 1:
        return [Contestant(THIS_ENGINE, m.name, m.label, _alone(target, m)) for m in methods]
    return [
        Contestant(
            THIS_ENGINE,
            "chain" if length else "autoregressive",
            VllmSetting("chain" if length else "autoregressive", length).label,
            _together(target, draft if length else None, length),
        )
        for length in (0, *chains)
    ]


def on_threads(number: int) -> tuple[tuple[str, str], ...]:
    """Environment that gives vLLM's worker so many threads, each on a CPU of its own.

    Left alone it takes one logical CPU of every core but one, so that engines would be compared
    on different numbers of threads. Its scheduler is another process beside them.

    Raises
    ------
    InputError
        If the number is below 1 or above the CPUs this process may use.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if not 1 <= number <= len(allowed):
        raise InputError(f"threads must be in 1 to the {len(allowed)} CPUs, not {number}")
    return (("VLLM_CPU_OMP_THREADS_BIND", ",".join(map(str, allowed[:number]))),)


@contextmanager
def vllm_contestants(
    settings: Sequence[VllmSetting],
    served: Served,
    draft: str,
    python: str,
    logs: Path,
    waiting: Callable[[str], None],
) -> Iterator[tuple[list[Contestant], str]]:
    """One server for every setting, all asleep until they are asked; ended on leaving.

    Gives the contestants and vLLM's version.

    Parameters
    ----------
    settings : sequence of VllmSetting
    served : Served
        What all of them load; its speculation is each setting's own.
    draft : str
        Zoo name, folder or hub id.
    python : str
        Interpreter of vLLM's environment.
    logs : Path
        Folder of the servers' logs.
    waiting : callable
        Told, in one line, what is being started.
    """
    made, version = [], ""
    with ExitStack() as stack:
        for setting in settings:
            one = replace(served, speculative=setting.config(draft))
            log = logs / f"vllm-{setting.label.replace(' γ ', '-')}.log"
            server = stack.enter_context(serve(one, python, log, waiting=waiting))
            version = str(_answer(server, "/version").get("version", "unknown"))
            server.sleep()
            made.append(
                Contestant(
                    VLLM, setting.method, setting.label, _asked(server, served.name), server.awake
                )
            )
        yield made, version


def _alone(target: Model, method: Method) -> Decode:
    def decode(prompts: Sequence[list[int]], new_tokens: int) -> list[list[int]]:
        return [method.decode(target, Request(prompt, new_tokens)).tokens for prompt in prompts]

    return decode


def _together(target: Model, draft: Model | None, length: int) -> Decode:
    def decode(prompts: Sequence[list[int]], new_tokens: int) -> list[list[int]]:
        requests = [Request(prompt, new_tokens) for prompt in prompts]
        return [made.tokens for made in decode_batch(target, draft, requests, length)]

    return decode


def _asked(server: Server, model: str) -> Decode:
    """One request for all prompts, answered whole: vLLM spares the work of streaming."""

    def decode(prompts: Sequence[list[int]], new_tokens: int) -> list[list[int]]:
        asked = {
            "model": model, "prompt": list(prompts), "max_tokens": new_tokens, "temperature": 0,
            "ignore_eos": True, "return_token_ids": True,
        }  # fmt: skip
        answer = _answer(server, "/v1/completions", asked)
        choices = sorted(answer["choices"], key=lambda choice: int(choice["index"]))
        return [list(choice["token_ids"]) for choice in choices]

    return decode


def _answer(server: Server, path: str, asked: dict[str, Any] | None = None) -> dict[str, Any]:
    body = None if asked is None else json.dumps(asked).encode()
    request = urllib.request.Request(server.url + path, body, {"Content-Type": "application/json"})
    try:
        with _DIRECT.open(request, timeout=ANSWER_S) as response:
            found: dict[str, Any] = json.loads(response.read())
            return found
    except urllib.error.HTTPError as error:
        told = " ".join(error.read(2000).decode(errors="replace").split())
        raise InputError(f"vLLM answers {error.code}: {told[:300]}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        server.check()
        raise InputError(f"vLLM at {server.url} does not answer: {error}") from None
