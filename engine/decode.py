"""The decode loops: autoregressive, naive, and speculative.

Accounting shared with the simulator: prefill runs all but the last prompt
token; that token is *pending*. A round feeds the pending token and the drafts
to the target and emits the kept drafts and one token of the target's, which
is pending next. An autoregressive step is a round without drafts. Near the
end a round drafts at most as many tokens as are still wanted, less one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from engine.cache import KVCache
from engine.clock import StageClock
from engine.drafters.base import Draft, Drafter
from engine.errors import InputError
from engine.events import Generation, Round
from engine.masks import tree_layout
from engine.model import Model
from engine.rules import Rule, RuleName, make_rule
from engine.sampling import Sampling
from engine.trees import Shape, Tree
from engine.verification import Verdict

OnRound = Callable[[Round], bool | None]
"""Called after each round; returning False stops the decode."""

Schedule = Callable[[int], Shape]
"""What a round may draft that starts after this many generated tokens; depth 0: a plain step."""

NOTHING = Tree(())


@dataclass(frozen=True)
class Request:
    """What to decode.

    Attributes
    ----------
    prompt : list of int
        Token ids, at least one.
    max_new_tokens : int, >= 1
        [tokens]
    sampling : Sampling
    seed : int
        Seeds the uniforms of this request alone.
    stop_token : int or None
        Decoding ends behind it; None decodes max_new_tokens whatever comes.
    rule : str
        How drafts are chosen and judged; see ``engine.rules.make_rule``. Autoregressive
        decoding samples by ``coupled`` noise if that is the rule, else from uniforms.
    candidates : int or None
        Draft only from the draft's so many likeliest tokens.

    Raises
    ------
    InputError
        If the prompt is empty or max_new_tokens is below 1.
    """

    prompt: list[int]
    max_new_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    stop_token: int | None = None
    rule: RuleName = "rejection"
    candidates: int | None = None

    def __post_init__(self) -> None:
        if not self.prompt:
            raise InputError("the prompt has no tokens; at least 1 is needed")
        if self.max_new_tokens < 1:
            raise InputError(f"new tokens must be at least 1, not {self.max_new_tokens}")

    @property
    def capacity(self) -> int:
        """Longest sequence the caches must hold. [tokens]"""
        return len(self.prompt) + self.max_new_tokens


@torch.inference_mode()
def decode_autoregressive(
    target: Model,
    request: Request,
    *,
    clock: StageClock | None = None,
    on_round: OnRound | None = None,
    rule: Rule | None = None,
) -> Generation:
    """One target forward per token: the baseline of every speedup."""
    return _decode(target, None, request, lambda start: NOTHING, clock, on_round, rule)


@torch.inference_mode()
def decode_speculative(
    target: Model,
    drafter: Drafter,
    request: Request,
    shape: Shape,
    *,
    clock: StageClock | None = None,
    on_round: OnRound | None = None,
    rule: Rule | None = None,
) -> Generation:
    """Draft, verify, commit until the request is served; lossless unless the rule says otherwise.

    Parameters
    ----------
    target : Model
    drafter : Drafter
    request : Request
    shape : Tree or Growth
        What a round drafts at most.
    clock : StageClock, optional
        Collects stage times.
    on_round : callable, optional
        Receives every round as it ends.
    rule : Rule, optional
        Instead of the request's; tests play out all outcomes with it.

    Returns
    -------
    Generation

    Raises
    ------
    InputError
        If the shape is empty, the prompt does not fit, or a model returns
        logits that are not finite.
    """
    if shape.depth < 1:
        raise InputError(f"draft tokens per round must be at least 1, not {shape.depth}")
    if shape.size > target.context:
        raise InputError(
            f"a tree of {shape.size} tokens does not fit the context of {target.name}: "
            f"{target.context} tokens"
        )
    spare = shape.size - shape.depth
    return _decode(target, drafter, request, lambda start: shape, clock, on_round, rule, spare)


def decode_chain(
    target: Model,
    drafter: Drafter,
    request: Request,
    num_draft_tokens: int,
    *,
    clock: StageClock | None = None,
    on_round: OnRound | None = None,
) -> Generation:
    """``decode_speculative`` with a chain of num_draft_tokens >= 1.

    Notes
    -----
    Leviathan et al., arXiv:2211.17192, algorithm 1. At temperature 0 the rule
    is equality with the target's choice.
    """
    if num_draft_tokens < 1:
        raise InputError(f"draft tokens per round must be at least 1, not {num_draft_tokens}")
    shape = Tree.chain(num_draft_tokens)
    return decode_speculative(target, drafter, request, shape, clock=clock, on_round=on_round)


@torch.inference_mode()
def decode_schedule(
    target: Model,
    drafter: Drafter,
    request: Request,
    schedule: Schedule,
    *,
    clock: StageClock | None = None,
    on_round: OnRound | None = None,
) -> Generation:
    """Speculation whose shape may change from round to round.

    The choice must not depend on the tokens about to be drawn; depending on
    the text so far is lossless. The profiler uses it to time every draft
    length in turn.
    """
    return _decode(target, drafter, request, schedule, clock, on_round, None)


@torch.inference_mode()
def decode_naive(target: Model, request: Request) -> Generation:
    """No cache, the Transformers model itself, the whole text at every step: the oracle."""
    check_room(target, request)
    rule = rule_of(target, request)
    tokens = list(request.prompt)
    generation = Generation()
    started = time.perf_counter()
    for start in range(request.max_new_tokens):
        ids = torch.tensor([tokens], device=target.device)
        logits = target.hf(input_ids=ids, use_cache=False).logits[0, -1:]
        rule.begin(start)
        token = int(rule.next_token(logits))
        tokens.append(token)
        generation.rounds.append(Round(start, 0, 0, (token,)))
        if token == request.stop_token:
            break
    generation.decode_seconds = time.perf_counter() - started
    return generation


def _decode(
    target: Model,
    drafter: Drafter | None,
    request: Request,
    schedule: Schedule,
    clock: StageClock | None,
    on_round: OnRound | None,
    rule: Rule | None,
    spare: int = 0,
) -> Generation:
    check_room(target, request)
    rule = rule or rule_of(target, request)
    generation = Generation()
    started = time.perf_counter()
    cache = target.new_cache(request.capacity, spare)
    _prefill(target, drafter, request, cache, spare)
    _synchronize(target.device)
    generation.prefill_seconds = time.perf_counter() - started

    started = time.perf_counter()
    pending = torch.tensor(request.prompt[-1:], device=target.device)
    produced = 0
    if clock:
        clock.lap("rest", 0)
    while produced < request.max_new_tokens:
        shape = schedule(produced).cut(request.max_new_tokens - produced - 1)
        if clock:
            clock.start_round()
        done, pending = one_round(target, cache, drafter, pending, shape, rule, produced, clock)
        if request.stop_token in done.tokens:
            done = cut_behind(done, request.stop_token)
        generation.rounds.append(done)
        produced += len(done.tokens)
        if on_round is not None and on_round(done) is False:
            break
        if done.tokens[-1] == request.stop_token:
            break
    if clock:
        clock.lap("rest", 0)
    generation.decode_seconds = time.perf_counter() - started
    return generation


def _prefill(
    target: Model, drafter: Drafter | None, request: Request, cache: KVCache, spare: int
) -> None:
    """All prompt tokens but the last, through the target and the drafter."""
    features = None
    if len(request.prompt) > 1:
        tokens = torch.tensor(request.prompt[:-1], device=target.device)
        if drafter is not None and drafter.needs_features:
            _, features = target.forward_with_features(tokens, cache, 0)
        else:
            target.forward(tokens, cache, 0)
    if drafter is not None:
        drafter.start(request.prompt, request.capacity, spare, features)


def one_round(
    target: Model,
    cache: KVCache,
    drafter: Drafter | None,
    pending: torch.Tensor,
    shape: Shape,
    rule: Rule,
    start: int,
    clock: StageClock | None,
) -> tuple[Round, torch.Tensor]:
    """Draft, verify, commit; a plain step where nothing is drafted.

    Returns the round it makes and the token pending after it. The target's
    side reads from the device once, with the verdict.
    """
    rule.begin(start)
    draft = None
    if drafter is not None and shape.depth > 0:
        draft = drafter.propose(pending, shape, rule, clock)
    if draft is None:
        return autoregressive_round(target, cache, pending, rule, start, clock, drafter=drafter)
    assert drafter is not None
    base, num_tokens = cache.length, len(draft.tree) + 1
    inputs = torch.cat([pending, draft.tokens])
    layout = tree_layout(draft.tree, base, target.dtype, target.device)
    features = None
    if drafter.needs_features:
        logits, features = target.forward_with_features(inputs, cache, num_tokens, layout)
    else:
        logits = target.forward(inputs, cache, num_tokens, layout)
    if clock:
        clock.lap("target", num_tokens)
    verdict = rule.verify(draft, logits)
    check_finite(target, verdict.finite)
    if clock:
        clock.lap("verification", num_tokens)
    kept = [0, *(node + 1 for node in verdict.path)]
    cache.commit(base, kept)
    drafter.commit(verdict.path, None if features is None else features[kept])
    if clock:
        clock.lap("commit", len(kept))
    return as_round(draft, verdict, drafter.level, start), verdict.pending


def autoregressive_round(
    target: Model,
    cache: KVCache,
    pending: torch.Tensor,
    rule: Rule,
    start: int,
    clock: StageClock | None,
    *,
    drafter: Drafter | None = None,
    keep_logits: Callable[[torch.Tensor], None] | None = None,
) -> tuple[Round, torch.Tensor]:
    """One target step: the round it makes and the token pending after it.

    ``keep_logits`` receives the logits [1, vocab] the token was chosen from; a drafter is
    told of the step.
    """
    rule.begin(start)
    if drafter is not None and drafter.needs_features:
        logits, features = target.forward_with_features(pending, cache, 1)
        drafter.skip(pending, features)
    else:
        logits = target.forward(pending, cache, 1)
        if drafter is not None:
            drafter.skip(pending, None)
    if keep_logits is not None:
        keep_logits(logits)
    if clock:
        clock.lap("target", 1)
    chosen = rule.next_token(logits)
    token, finite = torch.cat([chosen, logits.amax(dim=-1).isfinite()]).tolist()
    check_finite(target, bool(finite))
    if clock:
        clock.lap("sampling", 1)
    return Round(start, 0, 0, (token,)), chosen


def as_round(draft: Draft, verdict: Verdict, level: str, start: int) -> Round:
    kept = [verdict.drafted[node] for node in verdict.path]
    end = verdict.path[-1] if verdict.path else -1
    last = "recovered" if end in draft.tree.children else "bonus"
    sources = [draft.sources[node] if draft.sources else level for node in verdict.path]
    dropped = set(range(len(draft.tree))) - set(verdict.path)
    return Round(
        start=start,
        num_draft_tokens=len(draft.tree),
        num_accepted=len(kept),
        tokens=(*kept, verdict.token),
        rejected=tuple(verdict.drafted[node] for node in sorted(dropped)),
        provenance=(*sources, last),
    )


def rule_of(target: Model, request: Request) -> Rule:
    return make_rule(
        request.rule,
        request.sampling,
        request.seed,
        target.vocab_size,
        target.device,
        candidates=request.candidates,
    )


def cut_behind(done: Round, stop_token: int | None) -> Round:
    """The round without what follows the stop token."""
    assert stop_token is not None
    end = done.tokens.index(stop_token) + 1
    return replace(
        done,
        num_accepted=min(done.num_accepted, end),
        tokens=done.tokens[:end],
        provenance=done.provenance[:end],
    )


def check_room(target: Model, request: Request) -> None:
    if request.capacity > target.context:
        raise InputError(
            f"prompt of {len(request.prompt)} tokens and {request.max_new_tokens} new ones exceed "
            f"the context of {target.name}: {target.context} tokens"
        )


def check_finite(target: Model, finite: bool) -> None:
    if not finite:
        raise InputError(f"{target.name} returned logits that are not finite")


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
