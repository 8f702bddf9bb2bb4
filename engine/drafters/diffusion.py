"""A diffusion model as drafter: a block of tokens in a few denoising steps (SpecDiff).

Christopher et al., "Speculative Diffusion Decoding", arXiv:2408.05636. What
makes it lossless is that each law the target judges a token by is the law the
token was drawn from *given everything that is judged before it*. One step
draws the block's tokens independently, so its laws will do. Several steps that
fix tokens in any order have no such law for a token that later steps built on:
storing the vectors is wrong (tests/engine/test_diffusion.py shows it). Three
ways are right:

left_to_right
    The draft is cut into num_steps blocks, each drawn in one step behind the
    ones before it. Every vector depends on earlier tokens only, which is what
    speculative sampling asks for.
hybrid
    All positions are denoised together. Tokens fixed before the last step are
    guesses: point masses. Given them, the last step's tokens are independent
    with known vectors; so the draft's law is a product, exactly the stored one.
guess
    Every token is a guess, kept with the probability the target gives it.

With one step the first two are the same.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Protocol

import torch

from engine.cache import KVCache
from engine.clock import StageClock
from engine.diffusion.noise import sigma_at, time_grid
from engine.drafters.base import Draft
from engine.drafters.filling import draft_tree
from engine.errors import InputError
from engine.rules import Rule
from engine.trees import Shape, Tree

Acceptance = Literal["left_to_right", "hybrid", "guess"]
ACCEPTANCES: tuple[Acceptance, ...] = ("left_to_right", "hybrid", "guess")

Proposal = tuple[torch.Tensor, torch.Tensor | None]
"""Tokens [n] and the laws they were drawn from [n, vocab], None for guesses."""


class BlockModel(Protocol):
    """What the drafter needs of a denoiser; see ``engine.diffusion.lean.LeanDenoiser``."""

    vocab_size: int
    max_block: int
    device: torch.device

    def new_cache(self, capacity: int) -> KVCache:
        """Cache of the prefix, with room for a block."""
        ...

    def denoise(
        self,
        prefix: torch.Tensor,
        block: torch.Tensor,
        last: torch.Tensor,
        cache: KVCache,
        sigma: float,
    ) -> torch.Tensor:
        """Take in new prefix tokens; logits [size, vocab] of the block's clean tokens."""
        ...


class DiffusionDrafter:
    """Drafts chains with a denoiser; trees too where one step gives all laws.

    Parameters
    ----------
    model : BlockModel
    num_steps : int, >= 1
        Denoising steps per draft, fewer if the draft has fewer tokens.
    acceptance : {"left_to_right", "hybrid", "guess"}
        See the module's head.
    level : str
        Name in the provenance of tokens.

    Raises
    ------
    InputError
        If num_steps is below 1 or the acceptance is unknown.
    """

    needs_features = False

    def __init__(
        self,
        model: BlockModel,
        num_steps: int = 1,
        acceptance: Acceptance = "left_to_right",
        level: str = "diffusion",
    ) -> None:
        if num_steps < 1:
            raise InputError(f"denoising steps must be at least 1, not {num_steps}")
        if acceptance not in ACCEPTANCES:
            raise InputError(f"acceptance must be one of {', '.join(ACCEPTANCES)}: '{acceptance}'")
        self.model, self.num_steps, self.level = model, num_steps, level
        self.acceptance = acceptance
        self._cache: KVCache | None = None
        self._base = 0  # where the first drafted token lies in the cache
        self._behind: list[torch.Tensor] = []  # of the text, but not yet in the cache
        self._tokens: torch.Tensor | None = None
        self._ran = 0  # drafted tokens that the cache holds
        self._none = torch.empty(0, dtype=torch.int64, device=model.device)
        self._blank = torch.full((model.max_block,), model.vocab_size, device=model.device)

    def start(
        self,
        prompt: Sequence[int],
        capacity: int,
        spare: int = 0,
        features: torch.Tensor | None = None,
    ) -> None:
        """Run all but the last prompt token; see ``Drafter``."""
        self._cache = self.model.new_cache(capacity)
        self._behind = []
        if len(prompt) > 1:
            tokens = torch.tensor(prompt[:-1], device=self.model.device)
            self.model.denoise(tokens, self._none, tokens[-1:], self._cache, sigma_at(1.0))

    def propose(
        self, pending: torch.Tensor, shape: Shape, rule: Rule, clock: StageClock | None
    ) -> Draft:
        """Draft behind pending [1]; see ``Drafter``.

        A chain is cut to what the steps can fill: max_block tokens, or as many per step
        from left to right.

        Raises
        ------
        InputError
            If the shape is a tree and there is more than one step.
        """
        prefix = torch.cat([*self._behind, pending])
        self._base, self._ran = self.cache.length + prefix.shape[0], 0
        if not isinstance(shape, Tree) or not shape.is_chain:
            draft = self._tree(prefix, shape, rule, clock)
        elif self.acceptance == "left_to_right" or (
            self.num_steps == 1 and (rule.guesses or self.acceptance == "hybrid")
        ):
            depth = min(shape.depth, self.num_steps * self.model.max_block)
            draft = Draft(*_chain(self._left_to_right(prefix, depth, rule, clock)))
        else:
            depth = min(shape.depth, self.model.max_block)
            draft = Draft(*_chain(self._in_place(prefix, depth, rule, clock)))
        self._tokens = draft.tokens
        return draft

    def skip(self, pending: torch.Tensor, features: torch.Tensor | None = None) -> None:
        """The pending token [1] will run with the next block."""
        self._behind.append(pending)

    def commit(self, path: list[int], features: torch.Tensor | None = None) -> None:
        """Keep the prefix and what ran of the path; the rest runs with the next block."""
        assert self._tokens is not None
        ran = min(len(path), self._ran)
        self.cache.rollback(self._base + ran)
        rest = path[ran:]
        chain = rest == list(range(ran, len(path)))
        self._behind = [self._tokens[ran : len(path)] if chain else self._tokens[rest]]

    @property
    def cache(self) -> KVCache:
        """The denoiser's cache; refuses before start()."""
        if self._cache is None:
            raise InputError("the drafter was not started on a prompt")
        return self._cache

    def _left_to_right(
        self, prefix: torch.Tensor, depth: int, rule: Rule, clock: StageClock | None
    ) -> Proposal:
        """Blocks from left to right; each is part of the next one's prefix."""
        tokens: list[torch.Tensor] = []
        laws: list[torch.Tensor] = []
        done = 0
        for size in block_sizes(depth, self.num_steps, self.model.max_block):
            self._ran = done
            logits = self._step(prefix, self._blank[:size], prefix[-1:], 1.0, clock)
            choice = rule.choose(logits, range(done, done + size), 1)
            prefix = choice.tokens[:, 0]
            tokens.append(prefix)
            laws += [] if choice.laws is None else [choice.laws]
            done += size
            if clock:
                clock.lap("draft_sampling", size)
        if len(tokens) == 1:
            return tokens[0], laws[0] if laws else None
        return torch.cat(tokens), torch.cat(laws) if laws else None

    def _in_place(
        self, prefix: torch.Tensor, size: int, rule: Rule, clock: StageClock | None
    ) -> Proposal:
        """All positions together; every step fixes the guesses the model is surest of."""
        last, state = prefix[-1:], self._blank[:size]
        times = time_grid(min(self.num_steps, size))
        for now, then in pairwise(times):
            logits = self._step(prefix, state, last, now, clock)
            prefix = self._none
            if then > 0:
                state = self._fix_the_surest(state, logits, round(size * then), rule)
                if clock:
                    clock.lap("draft_sampling", size)
        proposal = self._last_step(state, logits, rule)
        if clock:
            clock.lap("draft_sampling", size)
        return proposal

    def _fix_the_surest(
        self, state: torch.Tensor, logits: torch.Tensor, num_masked: int, rule: Rule
    ) -> torch.Tensor:
        """The block with guesses in all but num_masked positions.

        So many stay masked on average in the reverse process (``unmask_chance``).
        """
        is_masked = state == self.model.vocab_size
        guesses = self._guess(logits, rule)
        sure = logits.softmax(-1).gather(1, guesses[:, None])[:, 0]
        sure = sure.masked_fill(~is_masked, 2.0)  # what is fixed stays fixed
        fixed = torch.zeros_like(is_masked)
        fixed[sure.topk(state.shape[0] - num_masked).indices] = True
        return torch.where(fixed & is_masked, guesses, state)

    def _last_step(self, state: torch.Tensor, logits: torch.Tensor, rule: Rule) -> Proposal:
        """Fill in what is still masked; only these tokens may be drawn."""
        is_masked = state == self.model.vocab_size
        if rule.guesses or self.acceptance == "guess":
            return torch.where(is_masked, self._guess(logits, rule), state), None
        # a token that is fixed has all the mass, whatever warps the rule applies
        certain = torch.full_like(logits, -torch.inf)
        certain.scatter_(1, state.clamp(max=self.model.vocab_size - 1)[:, None], 0.0)
        logits = torch.where(is_masked[:, None], logits, certain)
        choice = rule.choose(logits, range(len(state)), 1)
        return choice.tokens[:, 0], choice.laws

    def _guess(self, logits: torch.Tensor, rule: Rule) -> torch.Tensor:
        """A guess [size] for every position: the one most likely kept.

        A guess x is kept with probability p(x), so where the rule would draw, the likeliest.
        """
        if rule.guesses:
            return rule.choose(logits, range(logits.shape[0]), 1).tokens[:, 0]
        return logits.argmax(dim=-1)

    def _tree(
        self, prefix: torch.Tensor, shape: Shape, rule: Rule, clock: StageClock | None
    ) -> Draft:
        """A tree from one step's laws: a level's nodes share theirs."""
        if self.num_steps > 1 or self.acceptance == "guess":
            raise InputError(
                f"{self.num_steps} denoising steps with acceptance {self.acceptance} draft chains, "
                "not trees; one step without guesses drafts trees"
            )
        shape = shape.cut(self.model.max_block)
        logits = self._step(prefix, self._blank[: shape.depth], prefix[-1:], 1.0, clock)

        def expand(
            nodes: Sequence[int], tokens: torch.Tensor, parents: Sequence[int]
        ) -> torch.Tensor:
            depth, node = 1, nodes[0]
            while (node := parents[node]) >= 0:
                depth += 1
            return logits[depth : depth + 1].expand(len(nodes), -1)

        return draft_tree(logits[:1], shape, rule, expand, clock)[0]

    def _step(
        self,
        prefix: torch.Tensor,
        block: torch.Tensor,
        last: torch.Tensor,
        time: float,
        clock: StageClock | None,
    ) -> torch.Tensor:
        logits = self.model.denoise(prefix, block, last, self.cache, sigma_at(time))
        if clock:
            clock.lap("draft", prefix.shape[0] + block.shape[0])
        return logits


def block_sizes(depth: int, num_steps: int, max_block: int) -> list[int]:
    """Lengths of the blocks of a draft of depth tokens, from left to right.

    Short ones first: a token is the surer the nearer it stands to its block's
    start, and the draft's first tokens are the ones that are always judged.

    Examples
    --------
    >>> block_sizes(8, 2, 16), block_sizes(3, 4, 16), block_sizes(20, 3, 16)
    ([1, 7], [1, 1, 1], [1, 3, 16])
    """
    sizes: list[int] = []
    for before in reversed(range(min(num_steps, depth))):
        sizes.append(min(max_block, depth - before))
        depth -= sizes[-1]
    return sizes[::-1]


def _chain(proposal: Proposal) -> tuple[torch.Tensor, Tree, torch.Tensor | None]:
    tokens, laws = proposal
    return tokens, Tree.chain(tokens.shape[0]), laws
