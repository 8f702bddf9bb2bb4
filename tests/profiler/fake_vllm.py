"""A server that answers like vLLM, as a process of its own: for the client and its troubles.

Run by ``fake_python``, in place of vLLM's interpreter. It decodes no model: the text of a prompt
is arithmetic, and so is what a round keeps, so that counters, chunks and times are known. What
goes wrong is named by the environment variable FAKE_VLLM.
"""

import itertools
import json
import os
import stat
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STEP_S, DRAFT_S = 0.004, 0.001
"""Time of a plain step, and of each draft on top of it. [s]"""


METRICS_TROUBLE = {"metrics-hang": 60.0, "metrics-break-off": 0.0}
"""Time for which a page of metrics stops in its middle. [s]"""


def kept(position: int, num_draft_tokens: int) -> int:
    """Drafts that a round keeps which starts at an output position. [tokens]"""
    return min(num_draft_tokens, (5 * position) % 4)


def token(prompt: str, position: int) -> int:
    return (len(prompt) + 7 * position) % 4096


class Fake(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, name: str, speculative: dict[str, Any] | None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.name = name
        self.num_draft_tokens = 0 if speculative is None else speculative["num_speculative_tokens"]
        self.trouble = os.environ.get("FAKE_VLLM", "")
        self.guard = threading.Lock()
        self.requests = 0
        self.drafts = 0
        self.by_position = [0] * self.num_draft_tokens
        self.decoded, self.decode_seconds = 0, 0.0


class Handler(BaseHTTPRequestHandler):
    server: Fake

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        fake = self.server
        if self.path == "/health":
            self._send(b"", "text/plain")
        elif self.path == "/version":
            self._send(json.dumps({"version": "0.0.fake"}).encode())
        elif self.path == "/v1/models":
            model = {"id": fake.name, "max_model_len": 768}
            self._send(json.dumps({"data": [model]}).encode())
        elif self.path == "/metrics" and fake.trouble != "no-metrics":
            self._send(self._metrics().encode(), "text/plain", METRICS_TROUBLE.get(fake.trouble))
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        fake = self.server
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["model"] != fake.name:
            self.send_error(404)
            return
        with fake.guard:
            fake.requests += 1
            number = fake.requests
        trouble, _, first = fake.trouble.partition("-at-")
        if number >= int(first or 0):
            if trouble == "hangs":
                time.sleep(60)
            if trouble == "dies":
                os._exit(9)
        if not asked.get("stream"):
            self._whole(asked)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self._stream(asked)

    def _whole(self, asked: dict[str, Any]) -> None:
        """Several prompts of token ids, answered when all are done; the last one first."""
        choices = [
            {
                "index": index,
                "token_ids": [token("x" * len(ids), at) for at in range(asked["max_tokens"])],
            }
            for index, ids in enumerate(asked["prompt"])
        ]
        time.sleep(STEP_S * asked["max_tokens"])
        self._send(json.dumps({"choices": choices[::-1]}).encode())

    def _stream(self, asked: dict[str, Any]) -> None:
        fake, prompt, wanted = self.server, asked["prompt"], asked["max_tokens"]
        made, begun = 0, 0.0
        while made < wanted:
            drafts = made and fake.trouble != "drafts-nothing"
            drafted = fake.num_draft_tokens if drafts else 0
            time.sleep(STEP_S + DRAFT_S * drafted)
            keeps = kept(made, drafted)
            if drafted:
                with fake.guard:
                    fake.drafts += 1
                    for position in range(keeps):
                        fake.by_position[position] += 1
            new = [token(prompt, at) for at in range(made, min(wanted, made + keeps + 1))]
            choice: dict[str, Any] = {"index": 0, "text": "x" * len(new), "token_ids": new}
            if not made:
                begun = time.perf_counter()
                choice["prompt_token_ids"] = [1] * len(prompt)
            made += len(new)
            choice["finish_reason"] = "length" if made == wanted else None
            if made == wanted:
                with fake.guard:
                    fake.decoded += 1
                    fake.decode_seconds += time.perf_counter() - begun
            self._event(json.dumps({"choices": [choice]}))
        self._event("[DONE]")

    def _event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def _metrics(self) -> str:
        fake = self.server
        labels = f'engine="0",model_name="{fake.name}"'
        lines = [
            f"vllm:num_requests_running{{{labels}}} 0.0",
            f"vllm:request_decode_time_seconds_count{{{labels}}} {fake.decoded}",
            f"vllm:request_decode_time_seconds_sum{{{labels}}} {fake.decode_seconds}",
        ]
        if fake.num_draft_tokens:
            counters = {
                "num_drafts": fake.drafts,
                "num_draft_tokens": fake.drafts * fake.num_draft_tokens,
                "num_accepted_tokens": sum(fake.by_position),
            }
            lines += [
                f"vllm:spec_decode_{name}_total{{{labels}}} {value}"
                for name, value in counters.items()
            ]
            lines += [
                f'vllm:spec_decode_num_accepted_tokens_per_pos_total{{{labels},position="{i}"}} {n}'
                for i, n in enumerate(fake.by_position)
            ]
        return "\n".join(lines) + "\n"

    def _send(
        self, body: bytes, kind: str = "application/json", stops_for_s: float | None = None
    ) -> None:
        """The whole body; or half of it, a pause, and the end of the connection."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if stops_for_s is None else body[: len(body) // 2])
        self.wfile.flush()
        time.sleep(stops_for_s or 0.0)


def fake_python(folder: Path) -> str:
    """An executable that stands for the interpreter of vLLM's environment."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def main(arguments: list[str]) -> None:
    trouble = os.environ.get("FAKE_VLLM", "")
    if arguments[0] == "-c":
        sys.exit(3 if trouble == "absent" else 0)
    given = dict(itertools.pairwise(arguments))
    if trouble == "dies-starting":
        print("INFO reading the weights")
        print("ValueError: the draft does not fit the target", flush=True)
        sys.exit(1)
    if trouble == "never-answers":
        time.sleep(60)
    speculative = given.get("--speculative-config")
    fake = Fake(
        int(given["--port"]),
        given["--served-model-name"],
        None if speculative is None else json.loads(speculative),
    )
    fake.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
