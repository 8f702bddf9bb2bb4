"""A smaller causal language model as drafter, one forward per drafted token."""

import torch

from engine.cache import KVCache
from engine.clock import StageClock
from engine.drafters.base import Draft
from engine.errors import InputError
from engine.model import Model
from engine.sampling import Sampling, distribution, draw


class LanguageModelDrafter:
    """Autoregressive drafting with its own cache.

    The last drafted token of a round never runs through the draft. When every
    draft was kept, the next round's first call therefore takes two tokens.
    Tokens that the target produced without a draft are caught up the same way.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._cache: KVCache | None = None
        self._base = 0
        self._behind: list[torch.Tensor] = []
        self._last: torch.Tensor | None = None

    def start(self, prompt: list[int], capacity: int) -> None:
        """Run all but the last prompt token; allocate room for capacity tokens."""
        self._cache = self.model.new_cache(capacity)
        self._behind = []
        if len(prompt) > 1:
            tokens = torch.tensor(prompt[:-1], device=self.model.device)
            self.model.forward(tokens, self._cache, 0)

    def propose(
        self,
        pending: torch.Tensor,
        num_draft_tokens: int,
        sampling: Sampling,
        uniforms: torch.Tensor,
        clock: StageClock | None,
    ) -> Draft:
        """Draft num_draft_tokens behind pending [1]; uniforms [num_draft_tokens]."""
        cache = self.cache
        self._base = cache.length + len(self._behind)
        inputs = torch.cat([*self._behind, pending])
        tokens, rows = [], []
        for i in range(num_draft_tokens):
            logits = self.model.forward(inputs, cache, 1)
            if clock:
                clock.lap("draft", inputs.shape[0])
            if sampling.greedy:
                inputs = logits.argmax(dim=-1)
            else:
                probs = distribution(logits, sampling)
                inputs = draw(probs, uniforms[i : i + 1])
                rows.append(probs)
            tokens.append(inputs)
            if clock:
                clock.lap("draft_sampling", 1)
        self._last = tokens[-1]
        return Draft(torch.cat(tokens), torch.cat(rows) if rows else None)

    def skip(self, pending: torch.Tensor) -> None:
        """The pending token [1] will run through the draft with its next call."""
        self._behind.append(pending)

    def commit(self, num_accepted: int) -> None:
        """Roll back to the kept drafts; remember a last draft that was never run."""
        cache = self.cache
        drafted = cache.length - self._base  # tokens run: pending and all drafts but the last
        self._behind = [self._last] if num_accepted == drafted and self._last is not None else []
        cache.rollback(self._base + min(num_accepted + 1, drafted))

    @property
    def cache(self) -> KVCache:
        """The draft's cache; refuses before start()."""
        if self._cache is None:
            raise InputError("the drafter was not started on a prompt")
        return self._cache
