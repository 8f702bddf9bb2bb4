"""speculens decode: text coloured by the part of the stack that produced it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from app.pair import PairOptions
from app.terminal import output, print_json

if TYPE_CHECKING:
    from engine.events import Generation
    from engine.model import Model

COLOURS = {"target": "default", "draft": "green", "recovered": "yellow", "bonus": "cyan"}
MEANING = {
    "target": "the target alone",
    "draft": "a kept draft",
    "recovered": "the target after a rejected draft",
    "bonus": "the target after all drafts were kept",
}
METHODS = ("autoregressive", "chain")


@dataclass(frozen=True)
class DecodeOptions:
    """What decode takes beyond the pair."""

    prompt: str | None
    method: str
    num_draft_tokens: int
    stop_at_end: bool


def run(pair: PairOptions, options: DecodeOptions, as_json: bool) -> None:
    """Decode each prompt with one method and show where each token came from."""
    from engine.decode import Request
    from engine.errors import InputError
    from engine.prompts import Prompts
    from profiler.run import encode_checked

    if options.method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, not '{options.method}'")
    if options.num_draft_tokens < 1:
        raise InputError(
            f"draft tokens per round must be at least 1, not {options.num_draft_tokens}"
        )
    samplings = pair.samplings()
    if options.prompt is not None:
        prompts = Prompts("--prompt", (options.prompt,))
    else:
        prompts = pair.load_prompts()
    target, draft = pair.load_pair()
    encoded = encode_checked(target, draft, prompts, pair.new_tokens)
    assert target.tokenizer is not None
    stop = target.tokenizer.eos_token_id if options.stop_at_end else None
    results = []
    for text, prompt in zip(prompts.texts, encoded, strict=True):
        request = Request(prompt, pair.new_tokens, samplings[0], pair.seed, stop)
        generation = _generate(target, draft, request, options)
        results.append(_summary(target, generation, options))
        if not as_json:
            _show(target, text, generation, results[-1])
    if as_json:
        print_json({"generations": results})


def _generate(target: Model, draft: Model, request: Any, options: DecodeOptions) -> Generation:
    from engine.decode import decode_autoregressive, decode_chain
    from engine.drafters.language_model import LanguageModelDrafter

    if options.method == "autoregressive":
        return decode_autoregressive(target, request)
    return decode_chain(target, LanguageModelDrafter(draft), request, options.num_draft_tokens)


def _summary(target: Model, generation: Generation, options: DecodeOptions) -> dict[str, Any]:
    tokens, sources = zip(*generation.with_provenance(), strict=True)
    assert target.tokenizer is not None
    return {
        "method": options.method,
        "text": target.tokenizer.decode(tokens),
        "tokens": list(tokens),
        "provenance": list(sources),
        "rounds": len(generation.rounds),
        "tau": generation.mean_emitted,
        "prefill_seconds": generation.prefill_seconds,
        "decode_seconds": generation.decode_seconds,
        "tokens_per_s": len(tokens) / generation.decode_seconds,
    }


def _show(target: Model, prompt: str, generation: Generation, summary: dict[str, Any]) -> None:
    assert target.tokenizer is not None
    console = output()
    shown = Text(prompt, style="dim")
    for token, source in generation.with_provenance():
        shown.append(target.tokenizer.decode([token]), style=COLOURS[source])
    console.print(shown)
    counts = {s: summary["provenance"].count(s) for s in COLOURS}
    legend = Text("\n")
    for level, count in counts.items():
        if count:
            share = count / len(summary["tokens"])
            legend.append(f"■ {MEANING[level]} {share:.0%}   ", style=COLOURS[level])
    console.print(legend)
    console.print(
        f"{len(summary['tokens'])} tokens in {summary['rounds']} rounds "
        f"(τ = {summary['tau']:.2f}), {summary['tokens_per_s']:.0f} tokens/s\n"
    )
