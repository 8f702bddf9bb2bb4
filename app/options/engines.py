"""Options of the commands that deal with other serving engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.options.shared import (
    DEFAULT_OUT,
    BadInputError,
    CostRatio,
    Draft,
    Dtype,
    EngineDefinition,
    EngineFormat,
    Json,
    MaxNgram,
    MinNgram,
    Out,
    Record,
    Target,
    VerifySlope,
    VllmPython,
)


def import_engine(
    files: Annotated[
        list[Path],
        typer.Argument(help="Files of one run; two readings of a metrics page, earlier first."),
    ],
    format_name: EngineFormat = None,
    definition: EngineDefinition = None,
    gamma: Annotated[
        int | None, typer.Option(help="Draft tokens per round, where the file leaves it out.")
    ] = None,
    cost_ratio: CostRatio = None,
    verify_slope: VerifySlope = 0.0,
    host_share: Annotated[
        float, typer.Option(help="Share of a plain step spent outside the model.")
    ] = 0.0,
    baseline_ms: Annotated[
        float | None, typer.Option(help="Time per token of the same engine without drafts. [ms]")
    ] = None,
    forward: Annotated[
        list[Path] | None,
        typer.Option(help="Result of vllm bench forward: verify slope and cost ratio. Repeatable."),
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Which batch of --forward.")] = None,
    as_json: Json = False,
) -> None:
    """What vLLM, SGLang, llama.cpp and benchmarks measured: acceptance, best γ, what is missing."""
    from app.commands import import_engine as command
    from app.engine_scenario import Costs

    if gamma is not None and gamma < 1:
        raise BadInputError(f"draft tokens per round must be at least 1, not {gamma}")
    if baseline_ms is not None and not baseline_ms > 0:
        raise BadInputError(f"--baseline-ms must be above 0 ms, not {baseline_ms}")
    baseline = None if baseline_ms is None else 1e-3 * baseline_ms
    costs = Costs(cost_ratio, verify_slope, host_share, baseline)
    if batch is not None and not forward:
        raise BadInputError("--batch says which plain steps of --forward: give both")
    if forward:
        costs = command.with_forwards(costs, forward, batch)
    command.run(files, format_name, definition, gamma, costs, as_json)


def export(
    engine: Annotated[
        str, typer.Option(help="vllm, sglang, tensorrt-llm, llama.cpp or transformers.")
    ],
    files: Annotated[
        list[Path] | None, typer.Option("--from", help="Engine's files, as import reads them.")
    ] = None,
    format_name: EngineFormat = None,
    definition: EngineDefinition = None,
    acceptance: Annotated[
        list[float] | None, typer.Option(help="One constant rate; repeated: one per position.")
    ] = None,
    out: Out = DEFAULT_OUT,
    record: Record = None,
    sampling: Annotated[str | None, typer.Option(help="Label as profiled, such as T0.")] = None,
    method: Annotated[str | None, typer.Option(help="Best setting of this method only.")] = None,
    gamma: Annotated[int | None, typer.Option(help="Draft tokens per round.")] = None,
    cost_ratio: CostRatio = None,
    verify_slope: VerifySlope = 0.0,
    hardware: Annotated[str | None, typer.Option(help="Adds a schedule by batch.")] = None,
    target_shape: Annotated[str | None, typer.Option(help="Known model, with --hardware.")] = None,
    draft_shape: Annotated[str | None, typer.Option(help="Known model, with --hardware.")] = None,
    dtype: Dtype = "bfloat16",
    context: Annotated[int, typer.Option(help="Mean context, with --hardware. [tokens]")] = 1000,
    max_batch: Annotated[int, typer.Option(help="Largest batch, with --hardware.")] = 256,
    target: Annotated[str | None, typer.Option(help="What the engine loads as target.")] = None,
    draft: Annotated[str | None, typer.Option(help="What the engine loads as draft.")] = None,
    write: Annotated[
        Path | None, typer.Option(help="Folder that receives the configuration as files.")
    ] = None,
    as_json: Json = False,
) -> None:
    """A profile's choice, an imported run or given rates as an engine's configuration."""
    from app.commands import export as command
    from app.engine_scenario import Costs
    from app.planning import Machine

    machine = None
    if hardware is not None:
        if target_shape is None or draft_shape is None:
            raise BadInputError("--hardware needs --target-shape and --draft-shape")
        machine = Machine(hardware, target_shape, draft_shape, dtype, context, max_batch)
    source = command.Source(
        files or (), format_name, definition, acceptance or (), record, out, sampling
    )
    costs = Costs(cost_ratio, verify_slope)
    try:
        command.run(engine, source, method, gamma, costs, machine, (target, draft), write, as_json)
    except ValueError as error:
        raise BadInputError(str(error)) from None


def serve_vllm(
    target: Target = None,
    draft: Draft = None,
    method: Annotated[
        str | None, typer.Option(help="draft-model or ngram; plain decoding by default.")
    ] = None,
    num_draft_tokens: Annotated[int | None, typer.Option(help="Draft tokens per round, K.")] = None,
    max_ngram: MaxNgram = 3,
    min_ngram: MinNgram = 1,
    speculative_config: Annotated[
        str | None, typer.Option(help="vLLM's own JSON, or a .json file of it.")
    ] = None,
    dtype: Dtype = "bfloat16",
    max_model_len: Annotated[int, typer.Option(help="Prompt and answer. [tokens]")] = 768,
    max_num_seqs: Annotated[int, typer.Option(help="Most sequences at once.")] = 8,
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    eager: Annotated[bool, typer.Option(help="Start without compilation and graphs.")] = True,
    argument: Annotated[
        list[str] | None, typer.Option(help="One more argument of vLLM's own; may be repeated.")
    ] = None,
    python: VllmPython = None,
    log: Annotated[Path | None, typer.Option(help="File of the server's output.")] = None,
    deadline: Annotated[float, typer.Option(help="Longest wait for its start. [s]")] = 300.0,
) -> None:
    """Start a local vLLM for a pair, print its address, end it with Ctrl-C."""
    from app.commands import serve_vllm as command
    from engine.location import DEFAULT_DRAFT, DEFAULT_TARGET
    from profiler.vllm_server import Served

    if method == "draft-model" and draft is None and target is None:
        draft = DEFAULT_DRAFT
    config = command.configuration(
        speculative_config, method, num_draft_tokens, draft, (max_ngram, min_ngram)
    )
    served = Served(
        target or DEFAULT_TARGET, config, dtype, max_model_len, max_num_seqs, port, eager,
        tuple(argument or ()),
    )  # fmt: skip
    command.run(served, python, log, deadline)
