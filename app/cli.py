"""The command line: options in, one command module called, exit code out.

Exit 0 on success, 2 on bad input (one line that says what and why), 130 when
interrupted. Results go to standard output, progress to standard error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.pair import DEFAULT_TEMPERATURES, PairOptions
from app.servers import DEFAULT_BATCHES, ServerOptions
from app.terminal import notice

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Measure, predict and check what speculative decoding gains.",
)

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
SweepState = Annotated[Path | None, typer.Option(help="Log of an unfinished sweep over servers.")]

CostRatio = Annotated[float | None, typer.Option(help="One draft step / one target step.")]
VerifySlope = Annotated[
    float, typer.Option(help="Extra target time per drafted token, in target steps.")
]

ENGINE = {"torch", "transformers", "tokenizers", "safetensors"}
"""What is left out of an installation that only predicts."""

DEFAULT_OUT = Path("runs")
DEFAULT_GAMMAS = (1, 2, 4, 8)


@app.command()
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
    timeout: Silence = 60.0,
    state: SweepState = None,
    as_json: Json = False,
) -> None:
    """Measure stage times and acceptance of a pair, or servers; what is interrupted resumes."""
    from app.commands import profile as command

    pair = PairOptions(
        target, draft, device, dtype, forward, prompts, num_prompts,
        _temperatures(temperature), top_k, top_p, new_tokens, seed,
    )  # fmt: skip
    if server or serve:
        if methods or tree:
            raise BadInputError(
                "with servers leave out --methods and --tree: they draft by --method"
            )
        from app.commands import profile_server

        options = _servers(
            server, serve, method, batch, gamma, (4, 10), python, (max_ngram, min_ngram),
            timeout, state,
        )  # fmt: skip
        profile_server.run(pair, options, out, as_json)
        return
    command.run(pair, out, blocks, methods, tree or (), as_json)


@app.command()
def predict(
    out: Out = DEFAULT_OUT,
    record: Record = None,
    gamma: Gammas = None,
    as_json: Json = False,
) -> None:
    """Predict speedups from a profile: three fidelities, intervals, the best draft length."""
    from app.commands import predict as command

    command.run(out, record, _gammas(gamma), as_json)


@app.command()
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
    as_json: Json = False,
) -> None:
    """The best method and parameters, what cannot be told from it, and whether to speculate.

    Predicted from a profile; with --measure found by decoding, as a search that resumes and
    that processes on several machines may share.
    """
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


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Records of optimize --measure.")],
    into: Annotated[Path, typer.Option(help="Folder that takes them; what it holds stays.")],
    as_json: Json = False,
) -> None:
    """Put records of searches on several machines together, and rank them."""
    from app.commands import search

    search.merge(folders, into, as_json)


@app.command()
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
    timeout: Silence = 60.0,
    as_json: Json = False,
) -> None:
    """Decode for real and put the prediction beside it, with the error explained."""
    from app.commands import validate as command

    pair = PairOptions(
        target, draft, device, dtype, forward, prompts, num_prompts,
        _temperatures(temperature), top_k, top_p, new_tokens, seed,
    )  # fmt: skip
    if server or serve:
        if plan or engine or methods or tree or report:
            raise BadInputError(
                "with servers leave out --plan, --engine, --methods, --tree and --report"
            )
        from app.commands import validate_server

        options = _servers(
            server, serve, method, batch or [1, 4], gamma, (1, 2, 3, 5, 8), python,
            (max_ngram, min_ngram), timeout, state,
        )  # fmt: skip
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
    lengths = gamma and _gammas(gamma)
    command.run(
        pair, out, record, methods or "chain", lengths, tree or (), repeats, report, engine,
        as_json,
    )  # fmt: skip


@app.command()
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


@app.command()
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
        _temperatures(temperature), top_k, top_p, new_tokens, seed,
    )  # fmt: skip
    lengths = gamma and _gammas(gamma)
    command.run(pair, methods, lengths, tree or (), out, state, engine, as_json)


@app.command()
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
            _gammas(gamma) if gamma else (2, 3, 4, 6), _gammas(lookup) if lookup else (4, 8, 10),
            threads, eager, state,
        )  # fmt: skip
        bench_vllm.run(pair, options, out, as_json)
        return
    from app.commands import bench as command

    command.run(pair, as_json)


@app.command()
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


@app.command()
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
        _temperatures(temperature), top_k, top_p, new_tokens, seed,
    )  # fmt: skip
    gammas = _gammas(gamma) if gamma else command.GAMMAS
    command.run(pair, held_out, questions, gammas, blocks, repeats, out, as_json)


@app.command()
def train(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(
            help="pair, target, draft, medusa, hydra, mtp, diffusion, ngram or all; default: pair."
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Recipes by name: embedded, gpt2-large-python or tiny.")
    ] = "embedded",
    out: Out = Path("runs/zoo"),
    target: Target = None,
    draft: Draft = None,
    minutes: Annotated[float | None, typer.Option(help="Work for so long, all together.")] = None,
    steps: Annotated[int | None, typer.Option(help="Or so many steps each.")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a pair, or drafters for a target, on Python source found here; resumes."""
    from app.commands import train as command
    from app.terminal import print_json

    folders = command.run(
        kinds or ["pair"], out, minutes, steps, device, seed, target=target, draft=draft,
        preset=preset, compiled=compiled,
    )  # fmt: skip
    if as_json:
        print_json(folders)
    else:
        for kind, folder in folders.items():
            print(f"{kind}: {folder}")


@app.command("import")
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


@app.command()
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
        command.run(engine, source, method, gamma, costs, machine, (target, draft), as_json)
    except ValueError as error:
        raise BadInputError(str(error)) from None


@app.command()
def session(
    pieces: Annotated[
        list[str] | None, typer.Argument(help="Some of them; default: all that are not done yet.")
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Pair by name: gpt2-large-python, embedded or tiny.")
    ] = "gpt2-large-python",
    minutes: Annotated[
        float | None, typer.Option(help="Stop after so many; the same command goes on.")
    ] = None,
    device: Device = "auto",
    out: Out = DEFAULT_OUT,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder of models and half-done work; default: beside --out."),
    ] = None,
    pack: Annotated[
        Path | None, typer.Option(help="Also write the records here, in parts of 16 MB.")
    ] = None,
    target: Target = None,
    draft: Draft = None,
) -> None:
    """Train a pair with its drafters and measure all of it, in pieces, on a borrowed machine.

    Exit code 3: time ran out, and the same command goes on.
    """
    from app.commands import session as command

    options = command.SessionOptions(
        preset, device, minutes, out, state or out.with_name(f"{out.name}-session"), pack,
        target, draft,
    )  # fmt: skip
    code = command.run(pieces or (), options)
    raise typer.Exit(code)


@app.command("serve-vllm")
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


@app.command("app")
def dashboard(
    data: Annotated[Path | None, typer.Option(help="Folder of records.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
) -> None:
    """Open the dashboard on recorded data."""
    from app.commands import serve

    serve.run(data, port)


def _temperatures(given: list[float] | None) -> tuple[float, ...]:
    return tuple(given) if given else DEFAULT_TEMPERATURES


def _gammas(given: list[int] | None) -> tuple[int, ...]:
    for gamma in given or ():
        if gamma < 1:
            raise BadInputError(f"draft tokens per round must be at least 1, not {gamma}")
    return tuple(dict.fromkeys(given)) if given else DEFAULT_GAMMAS


def _servers(
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
) -> ServerOptions:
    if urls and (serve or gammas or python):
        raise BadInputError(
            "--server measures running servers: leave out --serve, --gamma and --python"
        )
    drafts = (_gammas(gammas) if gammas else usual) if serve else ()
    return ServerOptions(
        tuple(urls or ()), method, tuple(dict.fromkeys(batches or DEFAULT_BATCHES)),
        drafts, python, ngram, state, timeout,
    )  # fmt: skip


class BadInputError(ValueError):
    """An option outside its range, described in one line."""


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ENGINE:
            raise
        notice(f"speculens: this needs {error.name}: pip install 'speculens[engine]'")
        sys.exit(2)
    except Exception as error:
        if not is_bad_input(error):
            raise
        notice(f"speculens: {error}")
        sys.exit(2)


def is_bad_input(error: Exception) -> bool:
    """True for errors that describe input in one line; anything else is a defect."""
    from measurements import RecordError

    kinds: tuple[type[Exception], ...] = (BadInputError, RecordError)
    if "engine.errors" in sys.modules:
        from engine.errors import InputError

        kinds = (*kinds, InputError)
    return isinstance(error, kinds)


if __name__ == "__main__":
    main()
