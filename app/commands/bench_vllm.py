"""speculens bench --against vllm: this engine and a real vLLM, taking turns on this machine."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.pair import PairOptions
from app.terminal import notice, output, print_json, progress_bar, resumable, table
from app.words import span, times
from measurements import StudyRecord, save_record

if TYPE_CHECKING:
    from engine.model import Model
    from profiler.contest import Contestant, Unit

QUESTION = "Is this engine faster than vLLM on this machine, and where is it not?"
OURS_AT_BATCH_1 = ("autoregressive", "chain", "lookup", "fallback")


@dataclass(frozen=True)
class VllmOptions:
    """What a bench against vLLM needs beside the pair.

    Attributes
    ----------
    python : str or None
        Interpreter of vLLM's environment; None takes it from the environment variable.
    batches : tuple of int
        Prompts decoded together.
    chains, lookups : tuple of int
        Drafts per round that vLLM is tried with. [tokens]
    threads : int or None
        Of either engine; None takes as many as torch does.
    eager : bool
        Have vLLM leave out compilation: it starts sooner and may decode slower.
    state : Path
        Folder of the decodes and of the servers' logs.
    """

    python: str | None
    batches: tuple[int, ...]
    chains: tuple[int, ...]
    lookups: tuple[int, ...]
    threads: int | None
    eager: bool
    state: Path


def run(pair: PairOptions, options: VllmOptions, out: Path | None, as_json: bool) -> None:
    """Measure, resuming what was begun, then print tables or JSON."""
    import torch

    from engine.model import DEFAULT_DRAFT, DEFAULT_TARGET
    from profiler.catalogue import catalogue
    from profiler.contest import hold
    from profiler.contest_log import ContestLog
    from profiler.describe import header
    from profiler.lock import device_lock
    from profiler.methods import AUTOREGRESSIVE
    from profiler.run import encode_checked
    from profiler.vllm_contest import (
        on_threads,
        our_contestants,
        vllm_contestants,
        vllm_settings,
    )
    from profiler.vllm_server import Served, find_python, small_cache

    threads = options.threads or torch.get_num_threads()
    environment = on_threads(threads)
    python = find_python(options.python)
    torch.set_num_threads(threads)
    target, draft = pair.load_pair()
    prompts = pair.load_prompts()
    encoded = encode_checked(target, draft, prompts, pair.new_tokens)
    methods = [AUTOREGRESSIVE, *catalogue(target, draft, OURS_AT_BATCH_1, options.chains)]
    methods = [method for method in methods if method.lossless]
    settings = vllm_settings(options.chains, options.lookups)
    most, room = max(options.batches), min(target.context, draft.context)
    served = Served(
        pair.target or DEFAULT_TARGET, None, pair.dtype, room, most, eager=options.eager,
        arguments=small_cache(most, room) if target.device.type == "cpu" else (),
        environment=environment,
    )  # fmt: skip
    folder = options.state
    # ended from outside it must end its servers too: nobody would find them, asleep
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        resumable(),
        vllm_contestants(settings, served, pair.draft or DEFAULT_DRAFT, python, folder, notice) as (
            theirs,
            version,
        ),
    ):
        contestants = {
            batch: [*our_contestants(target, draft, methods, batch, options.chains), *theirs]
            for batch in options.batches
        }
        identity = {
            **_models(target, draft), "dtype": pair.dtype, "prompts": prompts.sha256,
            "new_tokens": pair.new_tokens, "threads": threads, "vllm": version,
            "eager": options.eager,
            "contestants": {str(b): [one.label for one in c] for b, c in contestants.items()},
        }  # fmt: skip
        log = ContestLog(folder / f"contest-{_digest(identity)}.jsonl", identity)
        with progress_bar() as show, device_lock(target.device, notice):
            units = hold(
                contestants, encoded, pair.new_tokens, log,
                lambda step: show(step.what, step.done, step.total),
            )  # fmt: skip
    notice(f"decodes are kept in {log.path}; remove it to measure again")
    result = {
        **_result(contestants, units),
        "threads": threads, "vllm": {"version": version, "eager": options.eager},
    }  # fmt: skip
    if out is not None:
        record = _record(
            header(
                "study", target, draft, prompts, encoded, pair.dtype, pair.new_tokens
            ),
            result,
        )  # fmt: skip
        notice(f"saved {save_record(out, record)}")
    if as_json:
        print_json(result)
    else:
        _show(result)


def _models(target: Model, draft: Model) -> dict[str, Any]:
    from profiler.describe import model_info
    from profiler.machine import fingerprint

    return {
        "machine": fingerprint(target.device).model_dump(mode="json"),
        "target": model_info(target).model_dump(mode="json"),
        "draft": model_info(draft).model_dump(mode="json"),
    }


def _digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:10]


def _result(contestants: dict[int, list[Contestant]], units: Sequence[Unit]) -> dict[str, Any]:
    """Ratios by name, without a number for batch 1, and a row for every setting and batch."""
    from profiler.contest import contest_ratios, contest_rows
    from profiler.methods import THIS_ENGINE
    from profiler.vllm_contest import VLLM

    ratios: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for batch, those in contestants.items():
        mine = [unit for unit in units if unit.batch == batch]
        rows += contest_rows(those, mine)
        for name, ratio in contest_ratios(those, mine, THIS_ENGINE, VLLM).items():
            ratios[f"{name}_vs_vllm" + (f"_{batch}" if batch > 1 else "")] = ratio
    return {"ratios": ratios, "settings": rows}


def _record(fields: dict[str, Any], result: dict[str, Any]) -> StudyRecord:
    tables: dict[str, list[dict[str, Any]]] = {
        "ratios": [{"ratio": name, **ratio} for name, ratio in result["ratios"].items()]
    }
    for row in result["settings"]:
        cells = {name: value for name, value in row.items() if name != "speedup"}
        speedup = {f"speedup_{name}": value for name, value in row["speedup"].items()}
        tables.setdefault(f"batch {row['batch']}", []).append({**cells, **speedup})
    return StudyRecord(
        **fields, name="vllm", question=QUESTION, tables=tables, notes=[_conditions(result)]
    )


def _conditions(result: dict[str, Any]) -> str:
    version, eager = result["vllm"]["version"], result["vllm"]["eager"]
    return (
        f"vLLM {version}{', eager' if eager else ''}, {result['threads']} threads for either "
        "engine, greedy, end to end with the prompt and vLLM's HTTP answer; the best of either "
        "chosen on the same prompts; who waits is stopped"
    )


def _show(result: dict[str, Any]) -> None:
    console = output()
    rows = [
        [name, times(r["median"]), span(r["low"], r["high"]), _winner(r), r["ours"], r["theirs"]]
        for name, r in result["ratios"].items()
    ]
    headings = ["vLLM's time over ours", "ratio", "90 %", "faster", "our setting", "vLLM's setting"]
    console.print(table("Same prompts, interleaved", headings, rows))
    for batch in dict.fromkeys(row["batch"] for row in result["settings"]):
        mine = [row for row in result["settings"] if row["batch"] == batch]
        console.print(
            table(
                f"Batch {batch}; same: texts equal to this engine's autoregressive ones",
                ["engine", "setting", "tok/s", "over its own plain decoding, 90 %", "same"],
                [_cells(row) for row in sorted(mine, key=lambda row: -row["tokens_per_s"])],
            )
        )
    console.print(_conditions(result))


def _winner(ratio: dict[str, Any]) -> str:
    if ratio["low"] > 1:
        return "this engine"
    return "vLLM" if ratio["high"] < 1 else "neither"


def _cells(row: dict[str, Any]) -> list[str]:
    gain = row["speedup"]
    return [
        row["engine"],
        row["setting"],
        f"{row['tokens_per_s']:.0f}",
        f"{times(gain['median'])} {span(gain['low'], gain['high'])}",
        f"{row['identical']}/{row['texts']}",
    ]
