"""Ask a server of the OpenAI kind, and keep when every piece of its answer came.

vLLM sends one piece per engine step and request, so that pieces are rounds: their number, their
tokens and the times between them are seen from outside. Which of the drafts were kept at which
position is what its counters add (``measurements.engines.vllm_metrics``).
"""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import InputError
from measurements import RecordError
from measurements.engines.prometheus import Metrics, between, parse_metrics

_SPECULATION = "vllm:spec_decode_"
_DRAFTS = "vllm:spec_decode_num_drafts"
_DRAFTED = "vllm:spec_decode_num_draft_tokens"
_BY_POSITION = "vllm:spec_decode_num_accepted_tokens_per_pos"
_RUNNING = "vllm:num_requests_running"
_DECODE = "vllm:request_decode_time_seconds"
_POLL_S = 0.01
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""No proxy between: its delay would be measured."""


class ServerError(InputError):
    """A server that does not do what it was asked, described in one line."""


@dataclass(frozen=True)
class Answer:
    """One completion as its pieces arrived.

    Attributes
    ----------
    sent : float
        On this process's clock. [s]
    arrivals : tuple of float
        Of each piece, on the same clock. [s]
    sizes : tuple of int
        Tokens of each piece; the first is the prefill's. [tokens]
    tokens : tuple of int
        Token ids of the whole answer.
    prompt_tokens : int
        As the server counted them. [tokens]
    """

    sent: float
    arrivals: tuple[float, ...]
    sizes: tuple[int, ...]
    tokens: tuple[int, ...]
    prompt_tokens: int


@dataclass(frozen=True)
class Counted:
    """What a server's counters grew by.

    Attributes
    ----------
    drafts : int
        Rounds that drafted. [rounds]
    drafted : int
        [tokens]
    accepted : tuple of int
        Drafts kept at each position of a round. [tokens]
    requests : int
        Whose decoding ended. [requests]
    decode_seconds : float
        From the first token of each of them to its last, together, on the engine's own clock. [s]
    """

    drafts: int
    drafted: int
    accepted: tuple[int, ...]
    requests: int
    decode_seconds: float


@dataclass(frozen=True)
class About:
    """What a server says of itself.

    Attributes
    ----------
    model : str
    max_model_len : int or None
        [tokens]
    version : str or None
    num_draft_tokens : int
        From its counters, which exist for every position of a draft; 0 without speculation.
    """

    model: str
    max_model_len: int | None
    version: str | None
    num_draft_tokens: int

    @property
    def label(self) -> str:
        """Short name: plain, or K and its drafts."""
        return f"K{self.num_draft_tokens}" if self.num_draft_tokens else "plain"


@dataclass(frozen=True)
class Endpoint:
    """A server's address, and how long to wait for any one piece of an answer.

    Attributes
    ----------
    url : str
        Without a path.
    timeout_s : float
        [s]

    Raises
    ------
    InputError
        If the address is none of http or https, or the time is not above 0.
    """

    url: str
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise InputError(f"a server's address begins with http:// or https://: '{self.url}'")
        if not self.timeout_s > 0:
            raise InputError(f"the longest wait must be above 0 s, not {self.timeout_s:g}")
        object.__setattr__(self, "url", self.url.rstrip("/"))

    def about(self) -> About:
        """Model, version and drafts per round.

        Raises
        ------
        ServerError
            If it does not answer, serves several models or has no counters, or somebody
            else's requests are running: times and counters would mix.
        """
        listed = self._json("/v1/models")
        models = listed.get("data", [])
        if len(models) != 1:
            names = ", ".join(str(m.get("id")) for m in models) or "none"
            raise ServerError(f"{self.url} must serve one model, not {len(models)}: {names}")
        page = self.metrics()
        if running := page.total(_RUNNING):
            raise ServerError(f"{self.url} is busy with {running:g} requests of somebody else's")
        try:
            version = self._json("/version").get("version")
        except ServerError:
            version = None
        return About(
            str(models[0]["id"]), models[0].get("max_model_len"), version,
            len(page.by_label(_BY_POSITION, "position")),
        )  # fmt: skip

    def metrics(self) -> Metrics:
        """The metrics page.

        Raises
        ------
        ServerError
            If there is none, or none of vLLM's.
        """
        text = self._body("/metrics").decode(errors="replace")
        try:
            return parse_metrics(text, Path(self.url), "vllm:")
        except RecordError as error:
            raise ServerError(
                f"{self.url}/metrics {error.reason}; vLLM counts unless --disable-log-stats"
            ) from None

    def settled(self) -> Metrics:
        """The metrics page when no request is running: what ended a moment ago is counted.

        Raises
        ------
        ServerError
            If somebody's request goes on for longer than the longest wait.
        """
        end = time.monotonic() + self.timeout_s
        while (page := self.metrics()).total(_RUNNING):
            if time.monotonic() > end:
                raise ServerError(f"{self.url} has been busy for {self.timeout_s:g} s")
            time.sleep(_POLL_S)
        return page

    def counted(self, before: Metrics, after: Metrics) -> Counted:
        """Growth of the counters of speculation and of decode time between two readings.

        Raises
        ------
        ServerError
            If a counter fell: the server restarted meanwhile.
        """
        try:
            grown = between(before, after, (_SPECULATION, _DECODE))
        except RecordError as error:
            raise ServerError(f"{self.url}/metrics: {error.reason}") from None
        positions = {int(p): int(n) for p, n in grown.by_label(_BY_POSITION, "position").items()}
        return Counted(
            int(grown.total(_DRAFTS) or 0),
            int(grown.total(_DRAFTED) or 0),
            tuple(positions[p] for p in sorted(positions)),
            int(grown.total(f"{_DECODE}_count") or 0),
            grown.total(f"{_DECODE}_sum") or 0.0,
        )

    def complete(self, model: str, prompt: str, new_tokens: int) -> Answer:
        """Continue a prompt greedily by exactly so many tokens.

        Raises
        ------
        ServerError
            If it refuses, falls silent, dies, or sends another number of tokens.
        """
        asked = {
            "model": model, "prompt": prompt, "max_tokens": new_tokens, "temperature": 0,
            "stream": True,
            "ignore_eos": True,  # vLLM drops end-of-text, and lengths would differ
            "add_special_tokens": False,  # as this project encodes its prompts
            "return_token_ids": True,
        }  # fmt: skip
        sent = time.perf_counter()
        arrivals: list[float] = []
        pieces: list[list[int]] = []
        prompt_tokens = 0
        for event in self._events("/v1/completions", asked):
            if "error" in event:
                raise ServerError(f"{self.url} answers: {_message(event)}")
            for choice in event.get("choices", ()):
                if choice.get("token_ids") is None:
                    raise ServerError(
                        f"{self.url} sends no token_ids: this needs a vLLM with return_token_ids"
                    )
                prompt_tokens = prompt_tokens or len(choice.get("prompt_token_ids") or ())
                if choice["token_ids"]:
                    arrivals.append(time.perf_counter())
                    pieces.append(choice["token_ids"])
        tokens = tuple(t for piece in pieces for t in piece)
        if len(tokens) != new_tokens:
            raise ServerError(
                f"{self.url} sent {len(tokens)} of {new_tokens} tokens: it died or cut the answer"
            )
        return Answer(sent, tuple(arrivals), tuple(map(len, pieces)), tokens, prompt_tokens)

    def complete_all(self, model: str, prompts: Sequence[str], new_tokens: int) -> list[Answer]:
        """All prompts at once, one connection each; answers in the order of the prompts."""
        with ThreadPoolExecutor(len(prompts)) as pool:
            return list(pool.map(lambda p: self.complete(model, p, new_tokens), prompts))

    def _json(self, path: str) -> dict[str, Any]:
        body = self._body(path)
        try:
            found = json.loads(body)
        except ValueError:
            raise ServerError(f"{self.url}{path} is no JSON: is this vLLM?") from None
        if not isinstance(found, dict):
            raise ServerError(f"{self.url}{path} is no JSON object: is this vLLM?")
        return found

    def _body(self, path: str) -> bytes:
        """A whole answer; one that stops in the middle is told like any other silence."""
        with self._open(path) as response:
            try:
                return response.read()
            except TimeoutError:
                raise ServerError(self._silence()) from None
            except (OSError, http.client.HTTPException) as error:
                raise ServerError(self._broken(error)) from None

    def _events(self, path: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The objects of a stream of server-sent events."""
        with self._open(path, json.dumps(asked).encode()) as response:
            try:
                for line in response:
                    data = line.strip().removeprefix(b"data:").strip()
                    if data and data != b"[DONE]":
                        yield json.loads(data)
            except TimeoutError:
                raise ServerError(self._silence()) from None
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise ServerError(self._broken(error)) from None

    def _open(self, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(
            self.url + path, body, {"Content-Type": "application/json"} if body else {}
        )
        try:
            return _DIRECT.open(request, timeout=self.timeout_s)
        except urllib.error.HTTPError as error:
            told = error.read(2000).decode(errors="replace")
            raise ServerError(
                f"{self.url}{path} answers {error.code}: {_told(told) or error.reason}"
            ) from None
        except TimeoutError:
            raise ServerError(self._silence()) from None
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise ServerError(self._silence()) from None
            why = getattr(reason, "strerror", None) or str(reason)
            raise ServerError(f"{self.url} does not answer ({why}): is the server up?") from None

    def _broken(self, error: Exception) -> str:
        return f"{self.url} broke off while it answered ({type(error).__name__})"

    def _silence(self) -> str:
        return f"{self.url} was silent for {self.timeout_s:g} s: it hangs or is overloaded"


def _told(text: str) -> str:
    """The message of an error's body, on one line."""
    try:
        found = json.loads(text)
    except ValueError:
        return " ".join(text.split())[:200] if "<" not in text else ""
    return _message(found) if isinstance(found, dict) else ""


def _message(found: dict[str, Any]) -> str:
    error = found.get("error", found)
    told = error.get("message", error) if isinstance(error, dict) else error
    return " ".join(str(told).split())[:200]
