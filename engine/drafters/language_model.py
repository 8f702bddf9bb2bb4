"""A smaller causal language model as drafter: chains, static trees, trees that grow.

One forward per level of the tree. A token that no other hangs off never runs
through the draft; if it is kept, it is *behind* and runs with the next call.
"""

from collections.abc import Sequence

import torch

from engine.cache import KVCache
from engine.clock import StageClock
from engine.drafters.base import Draft
from engine.drafters.filling import draft_tree
from engine.errors import InputError
from engine.masks import Layout
from engine.model import Model
from engine.rules import Rule
from engine.trees import Shape


class LanguageModelDrafter:
    """Drafts with a causal language model and its own cache.

    Parameters
    ----------
    model : Model
    level : str
        Name in the provenance of tokens.
    """

    needs_features = False

    def __init__(self, model: Model, level: str = "draft") -> None:
        self.model, self.level = model, level
        self._cache: KVCache | None = None
        self._base = 0  # where the pending token lies in the cache
        self._behind: list[torch.Tensor] = []
        self._tokens: torch.Tensor | None = None
        self._origin: tuple[int, ...] = ()
        self._slots: dict[int, int] = {}  # token, as expand knows it -> offset from base

    def start(
        self,
        prompt: Sequence[int],
        capacity: int,
        spare: int = 0,
        features: torch.Tensor | None = None,
    ) -> None:
        """Run all but the last prompt token; see ``Drafter``."""
        self._cache = self.model.new_cache(capacity, spare)
        self._behind = []
        if len(prompt) > 1:
            tokens = torch.tensor(prompt[:-1], device=self.model.device)
            self.model.forward(tokens, self._cache, 0)

    def propose(
        self, pending: torch.Tensor, shape: Shape, rule: Rule, clock: StageClock | None
    ) -> Draft:
        """Draft behind pending [1]; see ``Drafter``."""
        cache = self.cache
        inputs = torch.cat([*self._behind, pending])
        self._base = cache.length + len(self._behind)
        self._slots = {}
        logits = self.model.forward(inputs, cache, 1)
        if clock:
            clock.lap("draft", inputs.shape[0])

        def expand(
            nodes: Sequence[int], tokens: torch.Tensor, parents: Sequence[int]
        ) -> torch.Tensor:
            logits = self._expand(nodes, tokens, parents)
            if clock:
                clock.lap("draft", len(nodes))
            return logits

        draft, self._origin = draft_tree(logits, shape, rule, expand, clock)
        self._tokens = draft.tokens
        return draft

    def skip(self, pending: torch.Tensor, features: torch.Tensor | None = None) -> None:
        """The pending token [1] will run through the draft with its next call."""
        self._behind.append(pending)

    def commit(self, path: list[int], features: torch.Tensor | None = None) -> None:
        """Keep what ran of the path; remember a last token that never ran."""
        assert self._tokens is not None
        ran = [self._slots[o] for node in path if (o := self._origin[node]) in self._slots]
        self.cache.commit(self._base, [0, *ran])
        never = path[len(ran) :]  # a path's last token only: all above it got children
        self._behind = [self._tokens[node : node + 1] for node in never]

    def rewind(self, num_tokens: int) -> None:
        """Forget the last num_tokens of what was committed or skipped; see ``Rewindable``."""
        not_run = min(num_tokens, len(self._behind))
        del self._behind[len(self._behind) - not_run :]
        self.cache.rollback(self.cache.length - (num_tokens - not_run))

    @property
    def cache(self) -> KVCache:
        """The draft's cache; refuses before start()."""
        if self._cache is None:
            raise InputError("the drafter was not started on a prompt")
        return self._cache

    def _expand(
        self, nodes: Sequence[int], tokens: torch.Tensor, parents: Sequence[int]
    ) -> torch.Tensor:
        """Run one level; logits [n, vocab] behind its tokens."""
        held = self.cache.length - self._base  # pending token and tokens run so far
        paths = [_ancestors(node, parents) for node in nodes]
        layout = None
        if len(nodes) > 1 or len(paths[0]) + 1 < held:
            layout = self._layout(paths, held)
        logits = self.model.forward(tokens, self.cache, len(nodes), layout)
        self._slots.update((node, held + i) for i, node in enumerate(nodes))
        return logits

    def _layout(self, paths: list[list[int]], held: int) -> Layout:
        """Every token sees the text, the pending token, its ancestors and itself."""
        count, device = len(paths), self.model.device
        hidden = torch.ones(count, held + count, dtype=torch.bool)
        hidden[:, 0] = False
        for row, path in enumerate(paths):
            hidden[row, [*(self._slots[node] for node in path), held + row]] = False
        lowest = torch.finfo(self.model.dtype).min
        mask = torch.zeros(count, self._base + held + count, dtype=self.model.dtype)
        mask[:, self._base :].masked_fill_(hidden, lowest)
        positions = torch.tensor([self._base + len(path) + 1 for path in paths])
        return Layout(positions.to(device), mask.to(device))


def _ancestors(node: int, parents: Sequence[int]) -> list[int]:
    """Tokens above a token, nearest first."""
    above = []
    while (node := parents[node]) >= 0:
        above.append(node)
    return above
