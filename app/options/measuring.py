"""Options of the commands that decode and time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.options.shared import (
    DEFAULT_OUT,
    BadInputError,
    Batches,
    Device,
    Draft,
    Dtype,
    Forward,
    Gammas,
    Json,
    MaxNgram,
    MinNgram,
    NewTokens,
    NumPrompts,
    OtherEngine,
    Out,
    PromptFile,
    Record,
    Seed,
    ServeLocal,
    ServerUrls,
    Silence,
    Speculation,
    SweepState,
    Target,
    Temperature,
    TensorParallel,
    TopK,
    TopP,
    Trees,
    VllmPython,
    gammas_of,
    servers_of,
    temperatures_of,
)
from app.pair import PairOptions


def profile(
    target: Target = None,
    draft: Draft = None,
    device: Device = "auto",
    dtype: Dtype = "bfloat16",
    forward: Forward = "auto",
    prompts: PromptFile = None,
    num_prompts: NumPrompts = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    new_tokens: NewTokens = 128,
    seed: Seed = 0,
    out: Out = DEFAULT_OUT,
    blocks: Annotated[int, typer.Option(help="Repeats of every stage time.")] = 12,
    methods: Annotated[
        str | None, typer.Option(help="Comma-separated names, or all; the chain by default.")
    ] = None,
    tree: Trees = None,
    server: ServerUrls = None,
    serve: ServeLocal = False,
    method: Speculation = "draft-model",
    batch: Batches = None,
    gamma: Gammas = None,
    python: VllmPython = None,
    max_ngram: MaxNgram = 3,
    min_ngram: MinNgram = 1,
    tensor_parallel: TensorParallel = None,
    timeout: Silence = 60.0,
    state: SweepState = None,
    as_json: Json = False,
) -> None:
    """Measure stage times and acceptance of a pair, or servers; what is interrupted resumes."""
    from app.commands import profile as command

    pair = PairOptions(
        target, draft, device, dtype, forward, prompts, num_prompts,
        temperatures_of(temperature), top_k, top_p, new_tokens, seed,
    )  # fmt: skip
    if server or serve:
        if methods or tree:
            raise BadInputError(
                "with servers leave out --methods and --tree: they draft by --method"
            )
        from app.commands import profile_server

        options = servers_of(
            server, serve, method, batch, gamma, (4, 10), python, (max_ngram, min_ngram),
            timeout, state, tensor_parallel,
        )  # fmt: skip
        degrees = tuple(dict.fromkeys(tensor_parallel or [1]))
        if len(degrees) > 1 and (server or state):
            raise BadInputError(
                "servers given by --server, and a --state, are of one --tensor-parallel at a time"
            )
        profile_server.run(pair, options, out, as_json, degrees)
        return
    command.run(pair, out, blocks, methods, tree or (), as_json)


def validate(
    target: Target = None,
    draft: Draft = None,
    device: Device = "auto",
    dtype: Dtype = "bfloat16",
    forward: Forward = "auto",
    prompts: PromptFile = None,
    num_prompts: NumPrompts = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    new_tokens: NewTokens = 128,
    seed: Seed = 0,
    out: Out = DEFAULT_OUT,
    record: Record = None,
    methods: Annotated[
        str | None, typer.Option(help="chain, comma-separated names, or all that were profiled.")
    ] = None,
    gamma: Gammas = None,
    tree: Trees = None,
    repeats: Annotated[int, typer.Option(help="Passes over all prompts above temperature 0.")] = 2,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report here.")] = None,
    plan: Annotated[
        str | None,
        typer.Option(
            help="full, quick or everything: profile half of each prompt set, foretell, decode "
            "the other half."
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="With --plan: folder of what is done already; with servers: a log."),
    ] = None,
    engine: OtherEngine = None,
    server: ServerUrls = None,
    serve: ServeLocal = False,
    method: Speculation = "draft-model",
    batch: Batches = None,
    python: VllmPython = None,
    max_ngram: MaxNgram = 3,
    min_ngram: MinNgram = 1,
    tensor_parallel: TensorParallel = None,
    timeout: Silence = 60.0,
    as_json: Json = False,
) -> None:
    """Decode for real and put the prediction beside it, with the error explained."""
    from app.commands import validate as command

    pair = PairOptions(
        target, draft, device, dtype, forward, prompts, num_prompts,
        temperatures_of(temperature), top_k, top_p, new_tokens, seed,
    )  # fmt: skip
    if server or serve:
        if plan or engine or methods or tree or report:
            raise BadInputError(
                "with servers leave out --plan, --engine, --methods, --tree and --report"
            )
        from app.commands import validate_server

        options = servers_of(
            server, serve, method, batch or [1, 4], gamma, (1, 2, 3, 5, 8), python,
            (max_ngram, min_ngram), timeout, state, tensor_parallel,
        )  # fmt: skip
        if len(tensor_parallel or ()) > 1:
            raise BadInputError("validate takes one --tensor-parallel at a time")
        validate_server.run(pair, options, out, record, as_json)
        return
    if plan is not None:
        from app.commands import campaign

        if record is not None or gamma or tree or engine:
            raise BadInputError(
                "with --plan leave out --profile, --gamma, --tree and --engine: a plan profiles by "
                "itself"
            )
        campaign.run(plan, pair, out, state, methods, repeats, report, as_json)
        return
    lengths = gamma and gammas_of(gamma)
    command.run(
        pair, out, record, methods or "chain", lengths, tree or (), repeats, report, engine,
        as_json,
    )  # fmt: skip


def decode(
    target: Target = None,
    draft: Draft = None,
    device: Device = "auto",
    dtype: Dtype = "bfloat16",
    forward: Forward = "auto",
    prompt: Annotated[str | None, typer.Option(help="Text to continue.")] = None,
    prompts: PromptFile = None,
    num_prompts: NumPrompts = 1,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.0,
    top_k: TopK = None,
    top_p: TopP = None,
    new_tokens: NewTokens = 128,
    seed: Seed = 0,
    method: Annotated[str, typer.Option(help="As compare names them.")] = "chain",
    gamma: Annotated[int, typer.Option(help="Draft tokens per round.")] = 4,
    tree: Annotated[
        str | None, typer.Option(help="Decode with this static tree, given by its parents.")
    ] = None,
    ignore_end: Annotated[bool, typer.Option(help="Do not stop at end-of-text.")] = False,
    as_json: Json = False,
) -> None:
    """Decode, each token coloured by the part of the stack that produced it."""
    from app.commands import decode as command

    pair = PairOptions(
        target, draft, device, dtype, forward, prompts, num_prompts,
        (temperature,), top_k, top_p, new_tokens, seed,
    )  # fmt: skip
    options = command.DecodeOptions(prompt, method, gamma, tree, not ignore_end)
    command.run(pair, options, as_json)


def compare(
    target: Target = None,
    draft: Draft = None,
    device: Device = "auto",
    dtype: Dtype = "bfloat16",
    forward: Forward = "auto",
    prompts: PromptFile = None,
    num_prompts: NumPrompts = 8,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    new_tokens: NewTokens = 128,
    seed: Seed = 0,
    methods: Annotated[str, typer.Option(help="Comma-separated names, or all.")] = "all",
    gamma: Gammas = None,
    tree: Trees = None,
    out: Annotated[Path | None, typer.Option(help="Folder of records to save to.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Keep finished decodes in this folder and go on from them.")
    ] = None,
    engine: OtherEngine = None,
    as_json: Json = False,
) -> None:
    """Every method on the same prompts, interleaved, with its spread."""
    from app.commands import compare as command

    pair = PairOptions(
        target, draft, device, dtype, forward, prompts, num_prompts,
        temperatures_of(temperature), top_k, top_p, new_tokens, seed,
    )  # fmt: skip
    lengths = gamma and gammas_of(gamma)
    command.run(pair, methods, lengths, tree or (), out, state, engine, as_json)
