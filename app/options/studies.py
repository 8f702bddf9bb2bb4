"""Options of the commands that measure something in particular: benchmarks, transfers, papers."""

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
    Forward,
    Gammas,
    Json,
    NewTokens,
    NumPrompts,
    Out,
    PromptFile,
    Seed,
    Target,
    Temperature,
    TopK,
    TopP,
    gammas_of,
    temperatures_of,
)
from app.pair import PairOptions


def bench(
    target: Target = None,
    draft: Draft = None,
    device: Device = "auto",
    dtype: Dtype = "bfloat16",
    prompts: PromptFile = None,
    num_prompts: NumPrompts = 10,
    new_tokens: NewTokens = 96,
    app: Annotated[bool, typer.Option("--app", help="Time the dashboard instead.")] = False,
    data: Annotated[Path | None, typer.Option(help="With --app: folder of records.")] = None,
    against: Annotated[
        str | None, typer.Option(help="vllm: take turns with a real vLLM instead; resumes.")
    ] = None,
    vllm_python: Annotated[
        str | None, typer.Option(help="Interpreter of vLLM's environment.")
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(help="With --against: prompts at once; default 1, 4, 8.")
    ] = None,
    gamma: Annotated[
        list[int] | None,
        typer.Option(help="With --against: a draft model's tokens per round; default 2, 3, 4, 6."),
    ] = None,
    lookup: Annotated[
        list[int] | None,
        typer.Option(help="With --against: vLLM's n-gram tokens per round; default 4, 8, 10."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="With --against: of either engine; default: all.")
    ] = None,
    eager: Annotated[
        bool, typer.Option("--eager", help="With --against: vLLM without compilation.")
    ] = False,
    state: Annotated[Path, typer.Option(help="With --against: folder of decodes and logs.")] = Path(
        "runs/against-vllm"
    ),
    out: Annotated[
        Path | None, typer.Option(help="With --against: folder of records to save to.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The engine against Transformers or vLLM; or the dashboard's speed."""
    if app:
        from app.commands import bench_app

        bench_app.run(data, as_json)
        return
    pair = PairOptions(
        target, draft, device, dtype,
        prompts=prompts, num_prompts=num_prompts, new_tokens=new_tokens,
    )  # fmt: skip
    if against is not None:
        from app.commands import bench_vllm

        if against != "vllm":
            raise BadInputError(f"--against must be vllm, not '{against}'")
        options = bench_vllm.VllmOptions(
            vllm_python, tuple(dict.fromkeys(batch or (1, 4, 8))),
            gammas_of(gamma) if gamma else (2, 3, 4, 6),
            gammas_of(lookup) if lookup else (4, 8, 10),
            threads, eager, state,
        )  # fmt: skip
        bench_vllm.run(pair, options, out, as_json)
        return
    from app.commands import bench as command

    command.run(pair, as_json)


def reproduce(
    subject: Annotated[
        str, typer.Argument(help="What to reproduce; an unknown name lists the known ones.")
    ],
    quick: Annotated[bool, typer.Option("--quick", help="Fewer prompts, tokens, methods.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report here.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder of finished decodes; default: inside --out.")
    ] = None,
    target: Target = None,
    draft: Draft = None,
    ngram: Annotated[
        str | None, typer.Option(help="N-gram counted for the draft: zoo name or folder.")
    ] = None,
    device: Device = "auto",
    dtype: Dtype = "bfloat16",
    prompts: PromptFile = None,
    num_prompts: NumPrompts = None,
    new_tokens: Annotated[
        int | None, typer.Option(help="Tokens decoded per prompt; the subject's own by default.")
    ] = None,
    seed: Seed = 0,
    out: Out = DEFAULT_OUT,
    as_json: Json = False,
) -> None:
    """Run a published experiment here and keep the result beside what was published; resumes."""
    from app.commands import reproduce as command

    if new_tokens is None:
        new_tokens = command.NEW_TOKENS.get(subject, command.DEFAULT_NEW_TOKENS)
    pair = PairOptions(
        target, draft, device, dtype, prompts=prompts, num_prompts=num_prompts,
        new_tokens=new_tokens, seed=seed, ngram=ngram,
    )  # fmt: skip
    command.run(subject, pair, quick, out, state, report, as_json)


def transfer(
    target: Target = None,
    draft: Draft = None,
    device: Device = "auto",
    dtype: Dtype = "bfloat16",
    forward: Forward = "auto",
    prompts: PromptFile = None,
    held_out: Annotated[
        Path | None, typer.Option(help="JSONL of other prompts, decoded but not profiled.")
    ] = None,
    num_prompts: NumPrompts = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    new_tokens: NewTokens = 128,
    seed: Seed = 0,
    questions: Annotated[
        str, typer.Option(help="Comma-separated: sizes, context, batch, prompts.")
    ] = "sizes,context,batch,prompts",
    gamma: Gammas = None,
    blocks: Annotated[int, typer.Option(help="Repeats of every stage time.")] = 8,
    repeats: Annotated[int, typer.Option(help="Passes over all prompts above temperature 0.")] = 2,
    out: Out = DEFAULT_OUT,
    as_json: Json = False,
) -> None:
    """How wrong predictions are of another model size, context, batch or prompt set; resumes."""
    from app.commands import transfer as command

    pair = PairOptions(
        target, draft, device, dtype, forward, prompts, num_prompts,
        temperatures_of(temperature), top_k, top_p, new_tokens, seed,
    )  # fmt: skip
    gammas = gammas_of(gamma) if gamma else command.GAMMAS
    command.run(pair, held_out, questions, gammas, blocks, repeats, out, as_json)
