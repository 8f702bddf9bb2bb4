"""The decode loops: autoregressive, naive, and a speculative chain.

Accounting shared with the simulator: prefill runs all but the last prompt
token; that token is *pending*. A round feeds the pending token and the drafts
to the target and emits the kept drafts and one token of the target's, which
is pending next. An autoregressive step is a round without drafts. Near the
end a round drafts at most as many tokens as are still wanted, less one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from engine.cache import KVCache
from engine.clock import StageClock
from engine.drafters.base import Drafter
from engine.errors import InputError
from engine.events import Generation, Round
from engine.model import Model
from engine.sampling import Sampling, distribution, draw
from engine.verification import verify_greedy, verify_sampled

OnRound = Callable[[Round], bool | None]
"""Called after each round; returning False stops the decode."""

Schedule = Callable[[int], int]
"""Draft tokens for the round that starts after this many generated tokens; 0 is a plain step."""


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
) -> Generation:
    """One target forward per token: the baseline of every speedup."""
    return _decode(target, None, request, lambda start: 0, clock, on_round)


@torch.inference_mode()
def decode_chain(
    target: Model,
    drafter: Drafter,
    request: Request,
    num_draft_tokens: int,
    *,
    clock: StageClock | None = None,
    on_round: OnRound | None = None,
) -> Generation:
    """Speculative decoding with a chain of drafts; the output law is the target's.

    Parameters
    ----------
    target : Model
    drafter : Drafter
    request : Request
    num_draft_tokens : int, >= 1
        Drafted per round, gamma. [tokens]
    clock : StageClock, optional
        Collects stage times.
    on_round : callable, optional
        Receives every round as it ends.

    Returns
    -------
    Generation

    Raises
    ------
    InputError
        If num_draft_tokens is below 1, the prompt does not fit, or the model
        returns logits that are not finite.

    Notes
    -----
    Leviathan et al., arXiv:2211.17192, algorithm 1. At temperature 0 the rule
    is equality with the target's choice.
    """
    if num_draft_tokens < 1:
        raise InputError(f"draft tokens per round must be at least 1, not {num_draft_tokens}")
    return _decode(target, drafter, request, lambda start: num_draft_tokens, clock, on_round)


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
    """Chain speculation whose draft length may change from round to round.

    The choice must not depend on the tokens about to be drawn; depending on
    the text so far is lossless. The profiler uses it to time every draft
    length in turn.
    """
    return _decode(target, drafter, request, schedule, clock, on_round)


@torch.inference_mode()
def decode_naive(target: Model, request: Request) -> Generation:
    """No cache, the Transformers model itself, the whole text at every step: the oracle."""
    _check_room(target, request)
    rng = np.random.default_rng(request.seed)
    tokens = list(request.prompt)
    generation = Generation()
    started = time.perf_counter()
    for start in range(request.max_new_tokens):
        ids = torch.tensor([tokens], device=target.device)
        logits = target.hf(input_ids=ids, use_cache=False).logits[0, -1:]
        uniform = torch.from_numpy(rng.random(1)).to(target.device)
        token = int(_next_token(logits, request.sampling, uniform)[0])
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
) -> Generation:
    _check_room(target, request)
    rng = np.random.default_rng(request.seed)
    generation = Generation()
    started = time.perf_counter()
    cache = target.new_cache(request.capacity)
    if len(request.prompt) > 1:
        target.forward(torch.tensor(request.prompt[:-1], device=target.device), cache, 0)
    if drafter is not None:
        drafter.start(request.prompt, request.capacity)
    _synchronize(target.device)
    generation.prefill_seconds = time.perf_counter() - started

    started = time.perf_counter()
    pending = torch.tensor(request.prompt[-1:], device=target.device)
    produced = 0
    if clock:
        clock.lap("rest", 0)
    while produced < request.max_new_tokens:
        gamma = min(schedule(produced), request.max_new_tokens - produced - 1)
        if clock:
            clock.start_round()
        if drafter is not None and gamma > 0:
            done, pending = speculative_round(
                target, cache, drafter, pending, gamma, request.sampling, rng, produced, clock
            )
        else:
            if drafter is not None:
                drafter.skip(pending)
            done, pending = autoregressive_round(
                target, cache, pending, request.sampling, rng, produced, clock
            )
        if request.stop_token in done.tokens:
            done = _cut_behind(done, request.stop_token)
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


def autoregressive_round(
    target: Model,
    cache: KVCache,
    pending: torch.Tensor,
    sampling: Sampling,
    rng: np.random.Generator,
    start: int,
    clock: StageClock | None,
    keep_logits: Callable[[torch.Tensor], None] | None = None,
) -> tuple[Round, torch.Tensor]:
    """One target step: the round it makes and the token pending after it.

    ``keep_logits`` receives the logits [1, vocab] the token was chosen from.
    """
    logits = target.forward(pending, cache, 1)
    if keep_logits is not None:
        keep_logits(logits)
    if clock:
        clock.lap("target", 1)
    uniform = torch.from_numpy(rng.random(1)).to(target.device)
    outcome = _next_token(logits, sampling, uniform)
    token, finite = outcome.tolist()
    _check_finite(target, bool(finite))
    if clock:
        clock.lap("sampling", 1)
    return Round(start, 0, 0, (token,)), outcome[:1]


def speculative_round(
    target: Model,
    cache: KVCache,
    drafter: Drafter,
    pending: torch.Tensor,
    num_draft_tokens: int,
    sampling: Sampling,
    rng: np.random.Generator,
    start: int,
    clock: StageClock | None,
) -> tuple[Round, torch.Tensor]:
    """Draft, verify, commit: the round it makes and the token pending after it.

    The host reads from the device once, behind the verification.
    """
    gamma, base = num_draft_tokens, cache.length
    uniforms = torch.from_numpy(rng.random(2 * gamma + 1)).to(target.device)

    # 1) draft
    draft = drafter.propose(pending, gamma, sampling, uniforms[:gamma], clock)

    # 2) one target forward over the pending token and the drafts
    logits = target.forward(torch.cat([pending, draft.tokens]), cache, gamma + 1)
    if clock:
        clock.lap("target", gamma + 1)

    # 3) accept
    if draft.probs is None:
        outcome = verify_greedy(draft.tokens, logits)
    else:
        outcome = verify_sampled(
            draft.tokens,
            draft.probs,
            distribution(logits, sampling),
            uniforms[gamma : 2 * gamma],
            uniforms[2 * gamma :],
        )
    accepted, token, finite, *drafted = torch.cat([outcome, draft.tokens]).tolist()
    _check_finite(target, bool(finite))
    if clock:
        clock.lap("verification", gamma + 1)

    # 4) commit
    cache.rollback(base + accepted + 1)
    drafter.commit(accepted)
    done = Round(start, gamma, accepted, (*drafted[:accepted], token), tuple(drafted[accepted:]))
    if clock:
        clock.lap("commit", accepted + 1)
    return done, outcome[1:2]


def _next_token(logits: torch.Tensor, sampling: Sampling, uniform: torch.Tensor) -> torch.Tensor:
    """[token, 1 if the logits were finite else 0] from logits [1, vocab], uniform [1]."""
    best, choice = logits.max(dim=-1)
    if not sampling.greedy:
        choice = draw(distribution(logits, sampling), uniform)
    return torch.cat([choice, best.isfinite()])


def _cut_behind(done: Round, stop_token: int | None) -> Round:
    """The round without what follows the stop token."""
    assert stop_token is not None
    end = done.tokens.index(stop_token) + 1
    kept = min(done.num_accepted, end)
    return Round(done.start, done.num_draft_tokens, kept, done.tokens[:end], done.rejected)


def _check_room(target: Model, request: Request) -> None:
    if request.capacity > target.context:
        raise InputError(
            f"prompt of {len(request.prompt)} tokens and {request.max_new_tokens} new ones exceed "
            f"the context of {target.name}: {target.context} tokens"
        )


def _check_finite(target: Model, finite: bool) -> None:
    if not finite:
        raise InputError(f"{target.name} returned logits that are not finite")


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
