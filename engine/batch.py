"""Several requests decoded together, each row accepting on its own.

One forward serves all rows that still want tokens. Rows differ in length, in
sampling and seed, and in how many drafts they keep; none waits for another and
nothing is computed twice. A row that is done leaves the batch. Every row makes
the same decisions from the same random numbers as it would alone.
"""

import time
from collections.abc import Sequence

import torch

from engine.batch_cache import BatchCache, BatchStep, last_of_each
from engine.clock import StageClock
from engine.decode import Request, as_round, check_finite, check_room, cut_behind, rule_of
from engine.drafters.base import Draft
from engine.errors import InputError
from engine.events import Generation, Round
from engine.model import Model
from engine.row_rules import choose_each, next_tokens
from engine.rules import Rule
from engine.trees import Tree

LEVEL = "draft"  # in the provenance of tokens


@torch.inference_mode()
def decode_batch(
    target: Model,
    draft: Model | None,
    requests: Sequence[Request],
    num_draft_tokens: int = 0,
    *,
    clock: StageClock | None = None,
    rules: Sequence[Rule] | None = None,
) -> list[Generation]:
    """Decode requests together: autoregressively, or with chains of a draft model.

    Parameters
    ----------
    target : Model
    draft : Model or None
        None decodes autoregressively.
    requests : sequence of Request
        Samplings, rules, seeds and lengths may differ.
    num_draft_tokens : int
        Longest chain per round; 0 without a draft, at least 1 with one. [tokens]
    clock : StageClock, optional
        Collects stage times of all rows together.
    rules : sequence of Rule, optional
        Instead of the requests'; tests play out all outcomes with them.

    Returns
    -------
    list of Generation
        One per request, in order. ``prefill_seconds`` is of the row's own
        prompt, ``decode_seconds`` reaches to the round in which the row ended. [s]

    Raises
    ------
    InputError
        If there is no request, one does not fit the context, the drafts'
        number does not fit the draft, or logits are not finite.
    """
    if not requests:
        raise InputError("a batch needs at least 1 request, not 0")
    if draft is None and num_draft_tokens != 0:
        raise InputError(f"without a draft, draft tokens must be 0, not {num_draft_tokens}")
    if draft is not None and num_draft_tokens < 1:
        raise InputError(f"draft tokens per round must be at least 1, not {num_draft_tokens}")
    models = [target] if draft is None else [target, draft]
    for model in models:
        for request in requests:
            check_room(model, request)
    generations = [Generation() for _ in requests]
    room = max(request.capacity for request in requests) + num_draft_tokens + 1
    caches = []
    for model in models:
        caches.append(BatchCache(model.new_cache(1), len(requests), room))
        for place, request in enumerate(requests):
            generations[place].prefill_seconds += _prefill(model, caches[-1], place, request)
    rules = rules or [rule_of(target, request) for request in requests]
    rows = [_Row(*parts) for parts in zip(requests, rules, generations, strict=True)]
    batch = _Batch(target, caches[0], draft, caches[-1], rows, num_draft_tokens, clock)
    started = time.perf_counter()
    if clock:
        clock.lap("rest", 0)
    while batch.rows:
        batch.round()
        for gone in batch.leave():
            gone.generation.decode_seconds = time.perf_counter() - started
    if clock:
        clock.lap("rest", 0)
    return generations


def _prefill(model: Model, cache: BatchCache, row: int, request: Request) -> float:
    """All but the last prompt token into one row of a cache; how long it took. [s]"""
    started = time.perf_counter()
    if len(request.prompt) > 1:
        tokens = torch.tensor(request.prompt[:-1], device=model.device)
        model.forward(tokens, cache.row(row), 0)
    cache.lengths[row] = len(request.prompt) - 1
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    return time.perf_counter() - started


class _Row:
    """One request on its way."""

    def __init__(self, request: Request, rule: Rule, generation: Generation) -> None:
        self.request, self.rule, self.generation = request, rule, generation
        self.pending = request.prompt[-1]
        self.behind: list[int] = []  # kept, but never run through the draft
        self.produced = 0

    @property
    def left(self) -> int:
        """Drafts that may still be kept: tokens wanted, less the target's own. [tokens]"""
        return self.request.max_new_tokens - self.produced - 1

    @property
    def ended(self) -> bool:
        """Whether the request is served."""
        return self.left < 0 or self.pending == self.request.stop_token

    def take(self, done: Round, pending: int) -> None:
        """Note a round."""
        if self.request.stop_token in done.tokens:
            done = cut_behind(done, self.request.stop_token)
            pending = done.tokens[-1]
        self.generation.rounds.append(done)
        self.produced += len(done.tokens)
        self.pending = pending


class _Batch:
    """The rows that still want tokens; row i of either cache is rows[i]'s."""

    def __init__(
        self,
        target: Model,
        cache: BatchCache,
        draft: Model | None,
        draft_cache: BatchCache,
        rows: list[_Row],
        num_draft_tokens: int,
        clock: StageClock | None,
    ) -> None:
        self.target, self.cache = target, cache
        self.draft, self.draft_cache = draft, draft_cache
        self.rows, self.num_draft_tokens, self.clock = rows, num_draft_tokens, clock

    def round(self) -> None:
        """Draft, verify, commit, in every row."""
        if self.clock:
            self.clock.start_round()
        for row in self.rows:
            row.rule.begin(row.produced)
        depths = [min(self.num_draft_tokens, row.left) for row in self.rows]
        drafts = self._propose(depths)
        longest = max(depths)
        inputs = torch.zeros(len(self.rows), longest + 1, dtype=torch.int64)
        inputs[:, 0] = torch.tensor([row.pending for row in self.rows])
        inputs = inputs.to(self.target.device)
        for index, drafted in enumerate(drafts):
            if drafted is not None:
                inputs[index, 1 : 1 + len(drafted.tree)] = drafted.tokens
        logits = self.target.run.forward_batch(inputs, BatchStep(self.cache, longest + 1))
        self._lap("target", inputs.numel())
        if longest == 0:
            self._sample(logits[:, 0])
        else:
            self._judge(drafts, logits)

    def leave(self) -> list[_Row]:
        """Take out the rows that ended."""
        gone = []
        for index in reversed(range(len(self.rows))):
            if self.rows[index].ended:
                gone.append(self.rows[index])
                last = self.rows.pop()
                if index < len(self.rows):
                    self.rows[index] = last
                self.cache.drop(index)
                if self.draft is not None:
                    self.draft_cache.drop(index)
        return gone

    def _sample(self, logits: torch.Tensor) -> None:
        """The target's own token in every row, from logits [rows, vocab]."""
        chosen = next_tokens([row.rule for row in self.rows], logits)
        finite = logits.amax(dim=-1).isfinite()
        tokens, fine = torch.stack([chosen, finite.long()]).tolist()
        check_finite(self.target, all(fine))
        for index, (row, token) in enumerate(zip(self.rows, tokens, strict=True)):
            row.take(Round(row.produced, 0, 0, (token,)), token)
            self.cache.lengths[index] += 1
        self._lap("sampling", len(tokens))

    def _judge(self, drafts: list[Draft | None], logits: torch.Tensor) -> None:
        """Every row's rule on its own draft, by logits [rows, longest + 1, vocab]."""
        for index, (row, drafted) in enumerate(zip(self.rows, drafts, strict=True)):
            start = row.produced
            if drafted is None:
                token = int(row.rule.next_token(logits[index, :1]))
                check_finite(self.target, bool(logits[index, 0].amax().isfinite()))
                row.take(Round(start, 0, 0, (token,)), token)
                self.cache.lengths[index] += 1
                continue
            depth = len(drafted.tree)
            verdict = row.rule.verify(drafted, logits[index, : depth + 1])
            check_finite(self.target, verdict.finite)
            kept = len(verdict.path)
            self.cache.lengths[index] += 1 + kept
            # the last draft never ran; what ran and was not kept is rolled back
            row.behind = [verdict.drafted[-1]] if kept == depth else []
            self.draft_cache.lengths[index] += min(kept, depth - 1)
            row.take(as_round(drafted, verdict, LEVEL, start), verdict.token)
        self._lap("verification", logits.shape[0] * logits.shape[1])

    def _propose(self, depths: list[int]) -> list[Draft | None]:
        """A chain of depths[i] tokens for row i, from the draft model; None for 0."""
        longest = max(depths)
        if self.draft is None or longest == 0:
            return [None] * len(depths)
        logits = self._catch_up()
        ran = list(self.draft_cache.lengths)  # the pending token is the last that counts
        tokens = torch.zeros(len(depths), longest, dtype=torch.int64, device=logits.device)
        laws: list[list[torch.Tensor | None]] = [[] for _ in depths]
        for depth in range(longest):
            wanting = [index for index, most in enumerate(depths) if most > depth]
            some = logits if len(wanting) == len(depths) else logits[wanting]
            rules = [self.rows[index].rule for index in wanting]
            tokens[wanting, depth], given = choose_each(rules, some, depth)
            for index, law in zip(wanting, given, strict=True):
                laws[index].append(law)
            self._lap("draft_sampling", len(wanting))
            if depth + 1 < longest:
                step = BatchStep(self.draft_cache, 1)
                column = tokens[:, depth : depth + 1]
                logits = self.draft.run.forward_batch(column, step)[:, 0]
                self.draft_cache.lengths = [length + 1 for length in self.draft_cache.lengths]
                self._lap("draft", len(depths))
        self.draft_cache.lengths = ran
        return [
            _as_draft(tokens[index, :depth], laws[index]) if depth else None
            for index, depth in enumerate(depths)
        ]

    def _catch_up(self) -> torch.Tensor:
        """Run what the draft has not seen, the pending token last; logits [rows, vocab]."""
        assert self.draft is not None
        news = [[*row.behind, row.pending] for row in self.rows]
        counts = [len(new) for new in news]
        padded = [new + [0] * (max(counts) - len(new)) for new in news]
        inputs = torch.tensor(padded, device=self.draft.device)
        step = BatchStep(self.draft_cache, inputs.shape[1])
        logits = last_of_each(self.draft.run.forward_batch(inputs, step), counts)
        lengths = zip(self.draft_cache.lengths, counts, strict=True)
        self.draft_cache.lengths = [length + count for length, count in lengths]
        self._lap("draft", inputs.numel())
        return logits

    def _lap(self, stage: str, num_tokens: int) -> None:
        if self.clock:
            self.clock.lap(stage, num_tokens)


def _as_draft(tokens: torch.Tensor, laws: list[torch.Tensor | None]) -> Draft:
    """A chain of tokens with their laws, or without where they are guesses."""
    drawn = [law for law in laws if law is not None]
    return Draft(tokens, Tree.chain(len(tokens)), torch.cat(drawn) if drawn else None)
