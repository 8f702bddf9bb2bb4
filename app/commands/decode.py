"""speculens decode: text coloured by the part of the stack that produced it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from app.pair import PairOptions
from app.terminal import output, print_json

if TYPE_CHECKING:
    from engine.events import Generation
    from engine.model import Model
    from profiler.methods import Method

COLOURS = {
    "target": "default",
    "recovered": "yellow",
    "bonus": "cyan",
    "draft": "green",
    "ngram": "magenta",
    "ngram-T1": "magenta",
    "ngram-T1.5": "magenta",
    "lookup": "blue",
}
MEANING = {
    "target": "the target alone",
    "recovered": "the target after a rejected draft",
    "bonus": "the target after all drafts were kept",
    "draft": "a kept draft",
}
OTHER = "green"  # levels without a colour of their own: only one of them drafts at a time


@dataclass(frozen=True)
class DecodeOptions:
    """What decode takes beyond the pair."""

    prompt: str | None
    method: str
    num_draft_tokens: int
    tree: str | None
    stop_at_end: bool


def run(pair: PairOptions, options: DecodeOptions, as_json: bool) -> None:
    """Decode each prompt with one method and show where each token came from."""
    from engine.decode import Request
    from engine.errors import InputError
    from engine.prompts import Prompts
    from profiler.run import encode_checked

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
    method = _method(options, target, draft)
    assert target.tokenizer is not None
    stop = target.tokenizer.eos_token_id if options.stop_at_end else None
    results = []
    for text, prompt in zip(prompts.texts, encoded, strict=True):
        request = Request(prompt, pair.new_tokens, samplings[0], pair.seed, stop)
        generation = method.decode(target, request)
        results.append(_summary(target, generation, method))
        if not as_json:
            _show(target, text, generation, results[-1])
    if as_json:
        print_json({"generations": results})


def _method(options: DecodeOptions, target: Model, draft: Model) -> Method:
    from profiler.catalogue import catalogue
    from profiler.methods import AUTOREGRESSIVE, static_tree

    if options.tree is not None:
        return static_tree(draft, options.tree)
    found = catalogue(target, draft, (options.method,), (options.num_draft_tokens,))
    return found[0] if found else AUTOREGRESSIVE


def _summary(target: Model, generation: Generation, method: Method) -> dict[str, Any]:
    tokens, sources = zip(*generation.with_provenance(), strict=True)
    assert target.tokenizer is not None
    return {
        "method": method.name,
        "parameters": dict(method.parameters),
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
        shown.append(target.tokenizer.decode([token]), style=COLOURS.get(source, OTHER))
    console.print(shown)
    legend = Text("\n")
    for level, count in Counter(summary["provenance"]).most_common():
        share = count / len(summary["tokens"])
        meaning = MEANING.get(level, f"kept from the {level} level")
        legend.append(f"■ {meaning} {share:.0%}   ", style=COLOURS.get(level, OTHER))
    console.print(legend)
    console.print(
        f"{len(summary['tokens'])} tokens in {summary['rounds']} rounds "
        f"(τ = {summary['tau']:.2f}), {summary['tokens_per_s']:.0f} tokens/s\n"
    )
