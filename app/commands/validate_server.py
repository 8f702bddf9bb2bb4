"""speculens validate --server: what a profile of servers and our own trace foretell, measured."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from app.pair import PairOptions
from app.served import foretold
from app.servers import ServerOptions, measure, with_embedded_pair
from app.terminal import notice, output, print_json, progress_bar, resumable, table
from measurements import (
    RecordError,
    ServedSetting,
    ServerRecord,
    load_server,
    save_record,
    scan,
)


def run(
    pair: PairOptions, options: ServerOptions, out: Path, record: Path | None, as_json: bool
) -> None:
    """Measure, trace our own pair, foretell, compare, save."""
    profile, pair = _profile(out, record, options), with_embedded_pair(pair)
    with resumable(), progress_bar() as show:
        swept = measure(pair, options, out, show)
        made = swept.record()
        _check_alike(profile, made)
        longest = max(wave.num_draft_tokens for wave in made.waves)
        trace, texts = _trace(pair, options, made, longest, show)
    settings = foretold(made, profile, trace, texts)
    made = swept.record(profile.id, settings)
    path = save_record(out, made)
    swept.log.unlink()  # the record holds all of it
    if as_json:
        print_json({"record": str(path), **as_document(made)})
    else:
        _show(made)
    notice(f"saved {path}")


def as_document(record: ServerRecord) -> dict[str, Any]:
    """Every setting with its errors, JSON-ready."""
    rows = [
        {
            **setting.model_dump(mode="json"),
            "error": {
                "tau": setting.tau.error,
                "seconds_per_token": setting.seconds_per_token.error,
                "speedup": None if setting.speedup is None else setting.speedup.error,
            },
        }
        for setting in record.settings
    ]
    return {
        "id": record.id,
        "profile_id": record.profile_id,
        "model": record.model,
        "method": record.speculation,
        "settings": rows,
        "summary": _summary(record.settings),
    }


def _summary(settings: list[ServedSetting]) -> dict[str, float | None]:
    speedups = [abs(s.speedup.error) for s in settings if s.speedup is not None]
    taus = [abs(s.tau.error) for s in settings]
    return {
        "median_abs_error_tau": median(taus),
        "max_abs_error_tau": max(taus),
        "median_abs_error_speedup": median(speedups) if speedups else None,
        "max_abs_error_speedup": max(speedups) if speedups else None,
    }


def _profile(out: Path, record: Path | None, options: ServerOptions) -> ServerRecord:
    if record is not None:
        return load_server(record)
    found = [
        r
        for _, r in scan(out).servers
        if r.speculation == options.speculation
        and not r.settings
        and r.tensor_parallel == options.tensor_parallel
    ]
    if not found:
        raise RecordError(
            out,
            f"holds no profile of servers with {options.speculation} on"
            f" {options.tensor_parallel} devices: profile --server first",
        )
    return found[0]


def _check_alike(profile: ServerRecord, made: ServerRecord) -> None:
    for name in (
        "model",
        "draft",
        "dtype",
        "speculation",
        "max_ngram",
        "min_ngram",
        "tensor_parallel",
    ):
        has, wanted = getattr(profile, name), getattr(made, name)
        if has != wanted:
            raise RecordError(Path(f"{profile.id}.json"), f"is of {name} {has}, not of {wanted}")


def _trace(
    pair: PairOptions, options: ServerOptions, made: ServerRecord, longest: int, show: Any
) -> tuple[Any, list[str]]:
    """Our own trace of the prompts that were sent, and digests of what their answers should be."""
    from profiler.run import encode_checked
    from profiler.server_record import text_sha256
    from profiler.server_trace import trace_served

    target, draft = pair.load_pair()
    prompts = pair.load_prompts()
    encoded = encode_checked(target, draft, prompts, made.new_tokens + longest)
    used = max(answer.prompt for wave in made.waves for answer in wave.answers) + 1
    trace = trace_served(
        target, draft if options.speculation == "draft-model" else None, encoded[:used],
        made.new_tokens, longest, options.ngram, lambda s: show(s.what, s.done, s.total),
    )  # fmt: skip
    return trace, [text_sha256(text[: made.new_tokens]) for text in trace.tokens]


def _show(record: ServerRecord) -> None:
    rows = []
    for s in record.settings:
        speedup = ["–"] * 3
        if s.speedup is not None:
            speedup = [
                f"{s.speedup.measured:.3f}", f"{s.speedup.predicted:.3f}",
                f"{100 * s.speedup.error:+.1f} %",
            ]  # fmt: skip
        rows.append(
            [
                f"{s.num_draft_tokens}{'*' if s.extrapolated else ''}",
                str(s.batch),
                f"{s.tau.measured:.3f}",
                f"{s.tau.predicted:.3f}",
                f"{100 * s.tau.error:+.1f} %",
                *speedup,
                f"{s.texts_as_traced}/{s.units * s.batch}",
            ]
        )
    headings = ["K", "batch", "τ meas", "τ pred", "error", "S meas", "S pred", "error", "texts"]
    output().print(table("Predicted and measured on the server", headings, rows))
    output().print("texts: answers equal to our own trace; *: beyond the drafts of the profile")
