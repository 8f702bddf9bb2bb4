"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.pair import DEFAULT_TEMPERATURES
from app.servers import DEFAULT_BATCHES, ServerOptions

Target = Annotated[str | None, typer.Option(help="Zoo name, folder or hub id.")]
Draft = Annotated[str | None, typer.Option(help="Zoo name, folder or hub id.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16 or float16.")]
Forward = Annotated[str, typer.Option(help="auto, lean, graphs (CUDA graphs) or transformers.")]
PromptFile = Annotated[Path | None, typer.Option("--prompts", help="JSONL with a field prompt.")]
NumPrompts = Annotated[int | None, typer.Option(help="Use the first so many prompts.")]
Temperature = Annotated[list[float] | None, typer.Option(help="0 is greedy; may be repeated.")]
TopK = Annotated[int | None, typer.Option(help="Keep the k likeliest tokens.")]
TopP = Annotated[float | None, typer.Option(help="Keep the likeliest tokens of mass p.")]
NewTokens = Annotated[int, typer.Option(help="Tokens decoded per prompt.")]
Seed = Annotated[int, typer.Option(help="Seeds every draw.")]
Out = Annotated[Path, typer.Option(help="Folder of records.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable result on standard output.")]
Gammas = Annotated[list[int] | None, typer.Option("--gamma", help="Draft tokens per round.")]
Trees = Annotated[
    list[str] | None, typer.Option("--tree", help='Static tree by its parents, like "-1,-1,0".')
]
OtherEngine = Annotated[
    str | None, typer.Option("--engine", help="Another engine's own decoding: transformers.")
]
Record = Annotated[Path | None, typer.Option("--profile", help="Profile to predict from.")]
EngineFormat = Annotated[
    str | None, typer.Option("--format", help="Of the files; recognised by default.")
]
EngineDefinition = Annotated[
    str | None, typer.Option("--definition", help="What the numbers mean, where a file is unclear.")
]
ServerUrls = Annotated[
    list[str] | None,
    typer.Option("--server", help="Address of a running vLLM; repeat: other drafts, and plain."),
]
ServeLocal = Annotated[
    bool, typer.Option("--serve", help="Start local vLLMs: a plain one, and one for each --gamma.")
]
Speculation = Annotated[str, typer.Option(help="Of the servers: draft-model or ngram.")]
Batches = Annotated[
    list[int] | None, typer.Option("--batch", help="Of the servers: prompts at once; repeatable.")
]
VllmPython = Annotated[
    str | None,
    typer.Option("--python", help="Interpreter of vLLM; else SPECULENS_VLLM_PYTHON."),
]
MaxNgram = Annotated[int, typer.Option(help="ngram: longest suffix looked for.")]
MinNgram = Annotated[int, typer.Option(help="ngram: shortest suffix looked for.")]
Silence = Annotated[float, typer.Option(help="Longest silence of a server. [s]")]
TensorParallel = Annotated[
    list[int] | None,
    typer.Option(
        "--tensor-parallel",
        help="Devices of a server; with --serve repeatable: a sweep for each.",
    ),
]
SweepState = Annotated[Path | None, typer.Option(help="Log of an unfinished sweep over servers.")]
CostRatio = Annotated[float | None, typer.Option(help="One draft step / one target step.")]
VerifySlope = Annotated[
    float, typer.Option(help="Extra target time per drafted token, in target steps.")
]
"""What is left out of an installation that only predicts."""
DEFAULT_OUT = Path("runs")
DEFAULT_GAMMAS = (1, 2, 4, 8)


class BadInputError(ValueError):
    """An option outside its range, described in one line."""


def temperatures_of(given: list[float] | None) -> tuple[float, ...]:
    return tuple(given) if given else DEFAULT_TEMPERATURES


def gammas_of(given: list[int] | None) -> tuple[int, ...]:
    for gamma in given or ():
        if gamma < 1:
            raise BadInputError(f"draft tokens per round must be at least 1, not {gamma}")
    return tuple(dict.fromkeys(given)) if given else DEFAULT_GAMMAS


def servers_of(
    urls: list[str] | None,
    serve: bool,
    method: str,
    batches: list[int] | None,
    gammas: list[int] | None,
    usual: tuple[int, ...],
    python: str | None,
    ngram: tuple[int, int],
    timeout: float,
    state: Path | None,
    degrees: list[int] | None = None,
) -> ServerOptions:
    if urls and (serve or gammas or python):
        raise BadInputError(
            "--server measures running servers: leave out --serve, --gamma and --python"
        )
    for degree in degrees or ():
        if degree < 1:
            raise BadInputError(f"tensor-parallel devices must be at least 1, not {degree}")
    drafts = (gammas_of(gammas) if gammas else usual) if serve else ()
    return ServerOptions(
        tuple(urls or ()), method, tuple(dict.fromkeys(batches or DEFAULT_BATCHES)),
        drafts, python, ngram, state, timeout, (degrees or [1])[0],
        max(degrees) if degrees else None,
    )  # fmt: skip
