"""Options of the commands that predict and choose from records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.options.shared import (
    DEFAULT_OUT,
    BadInputError,
    Device,
    Draft,
    Dtype,
    EngineDefinition,
    EngineFormat,
    Gammas,
    Json,
    NewTokens,
    NumPrompts,
    Out,
    PromptFile,
    Record,
    Seed,
    Target,
    TopK,
    gammas_of,
)
from app.pair import PairOptions


def predict(
    out: Out = DEFAULT_OUT,
    record: Record = None,
    gamma: Gammas = None,
    tensor_parallel: Annotated[
        list[int] | None,
        typer.Option(help="Devices: from sweeps over servers, or with --hardware. Repeatable."),
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(help="With --tensor-parallel: sequences; repeatable.")
    ] = None,
    hardware: Annotated[
        str | None, typer.Option(help="Of a table, like H100-SXM: from rooflines, no record.")
    ] = None,
    link: Annotated[
        str | None, typer.Option(help="Between devices, like NVLink-4; with --hardware.")
    ] = None,
    target: Annotated[str, typer.Option(help="With --hardware.")] = "meta-llama/Llama-3.1-70B",
    draft: Annotated[str, typer.Option(help="With --hardware.")] = "meta-llama/Llama-3.2-1B",
    dtype: Annotated[str, typer.Option(help="With --hardware.")] = "bfloat16",
    acceptance_rate: Annotated[float, typer.Option(help="With --hardware.")] = 0.8,
    context: Annotated[int, typer.Option(help="With --hardware. [tokens]")] = 1000,
    replicas: Annotated[
        int, typer.Option(help="With --hardware: data parallel, each its part of the batch.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Predict speedups from a profile: three fidelities, intervals, the best draft length.

    With --tensor-parallel: rounds on so many devices, from sweeps over servers on others, or from
    rooflines of --hardware and --link.
    """
    if hardware is not None:
        from app.commands import predict_devices
        from app.hardware_scenario import HardwareScenario

        if len(batch or ()) > 1 or record is not None:
            raise BadInputError("with --hardware state one --batch, and no --profile")
        scenario = HardwareScenario(
            target, draft, hardware, link, dtype, acceptance_rate, gammas_of(gamma),
            (batch or [1])[0], context, replicas,
        )  # fmt: skip
        try:
            degrees = tuple(dict.fromkeys(tensor_parallel or [1]))
            predict_devices.from_hardware(scenario, degrees, as_json)
        except ValueError as error:
            raise BadInputError(str(error)) from None
        return
    if link is not None:
        raise BadInputError("--link needs --hardware: what it costs on servers is fitted")
    if tensor_parallel:
        from app.commands import predict_devices

        predict_devices.from_servers(
            out, record, tuple(dict.fromkeys(tensor_parallel)), tuple(gamma or ()),
            tuple(batch or ()), as_json,
        )  # fmt: skip
        return
    if batch:
        raise BadInputError("--batch needs --tensor-parallel or --hardware: a profile has its own")
    from app.commands import predict as command

    command.run(out, record, gammas_of(gamma), as_json)


def optimize(
    out: Out = DEFAULT_OUT,
    record: Record = None,
    sampling: Annotated[
        str | None, typer.Option(help="Label as profiled, such as T0 or T1; default: each.")
    ] = None,
    max_verify: Annotated[
        int | None, typer.Option(help="Most tokens a round may have verified.")
    ] = None,
    max_memory_mb: Annotated[
        float | None, typer.Option(help="Most weights and tables beside the target. [MB]")
    ] = None,
    chain_only: Annotated[bool, typer.Option(help="For engines without tree attention.")] = False,
    allow_lossy: Annotated[
        bool, typer.Option(help="Also methods that change the law of the text.")
    ] = False,
    measure: Annotated[
        str | None,
        typer.Option(help="Search by decoding; journal file or database URL of the search."),
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(help="With --measure: folder of its records; default: beside the journal."),
    ] = None,
    trials: Annotated[int, typer.Option(help="With --measure: settings to try in all.")] = 30,
    methods: Annotated[
        str, typer.Option(help="With --measure: comma-separated names, or all.")
    ] = "all",
    target: Target = None,
    draft: Draft = None,
    device: Device = "auto",
    dtype: Dtype = "bfloat16",
    prompts: PromptFile = None,
    num_prompts: NumPrompts = None,
    temperature: Annotated[float, typer.Option(help="With --measure; 0 is greedy.")] = 0.0,
    top_k: TopK = None,
    new_tokens: NewTokens = 128,
    seed: Seed = 0,
    files: Annotated[
        list[Path] | None,
        typer.Option("--from", help="An engine's own runs with and without drafts, as import."),
    ] = None,
    format_name: EngineFormat = None,
    definition: EngineDefinition = None,
    measured: Annotated[
        Path | None, typer.Option(help="With --from: runs of the choice, beside the prediction.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The best method and parameters, what cannot be told from it, and whether to speculate.

    Predicted from a profile; with --from, by batch, from counters of servers that run already;
    with --measure found by decoding, as a search that resumes and that processes on several
    machines may share.
    """
    if files:
        from app.commands import optimize_served

        if measure is not None or record is not None:
            raise BadInputError("--from reads an engine's runs: leave out --measure and --profile")
        optimize_served.run(files, format_name, definition, measured, as_json)
        return
    if measured is not None:
        raise BadInputError("--measured stands beside what --from predicts: give both")
    if measure is not None:
        from app.commands import search

        if trials < 1:
            raise BadInputError(f"trials must be at least 1, not {trials}")
        pair = PairOptions(
            target, draft, device, dtype, prompts=prompts, num_prompts=num_prompts,
            temperatures=(temperature,), top_k=top_k, new_tokens=new_tokens, seed=seed,
        )  # fmt: skip
        search.run(pair, measure, records, trials, methods, as_json)
        return
    from app.commands import optimize as command
    from simulator.choice import Constraints

    if max_verify is not None and max_verify < 1:
        raise BadInputError(f"tokens verified per round must be at least 1, not {max_verify}")
    if max_memory_mb is not None and not max_memory_mb >= 0:
        raise BadInputError(f"memory beside the target must be at least 0 MB, not {max_memory_mb}")
    constraints = Constraints(
        lossless_only=not allow_lossy,
        chain_only=chain_only,
        max_verify=max_verify,
        max_memory_bytes=None if max_memory_mb is None else 1e6 * max_memory_mb,
    )
    command.run(out, record, sampling, constraints, as_json)


def merge(
    folders: Annotated[list[Path], typer.Argument(help="Records of optimize --measure.")],
    into: Annotated[Path, typer.Option(help="Folder that takes them; what it holds stays.")],
    as_json: Json = False,
) -> None:
    """Put records of searches on several machines together, and rank them."""
    from app.commands import search

    search.merge(folders, into, as_json)
