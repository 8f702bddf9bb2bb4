"""A recurrent multi-token-prediction module as drafter: chains, static trees, trees that grow.

Committed text stands in the module's cache with the target's hidden states.
Rows of a draft carry the module's own; they are dropped when the round ends, and
what was kept runs again with the target's hidden states, together with the
next call: a few rows more in a call that is made anyway.
"""

from collections.abc import Sequence

import torch

from engine.cache import KVCache
from engine.clock import StageClock
from engine.drafters.base import Draft
from engine.drafters.filling import draft_tree
from engine.errors import InputError
from engine.heads.mtp import MtpModule
from engine.masks import Layout
from engine.rules import Rule
from engine.trees import Shape


class MtpDrafter:
    """Drafts to any depth with one block and its cache.

    Parameters
    ----------
    module : MtpModule
    level : str
        Name in the provenance of tokens.
    """

    needs_features = True

    def __init__(self, module: MtpModule, level: str = "mtp") -> None:
        self.module, self.level = module, level
        self._cache: KVCache | None = None
        # rows to run: hidden states [n, width], and the tokens [n - 1] behind all but the last
        self._features: list[torch.Tensor] = []
        self._tokens: list[torch.Tensor] = []
        self._drafted: torch.Tensor | None = None
        self._base = 0  # rows of committed text in the cache

    def start(
        self, prompt: Sequence[int], capacity: int, spare: int, features: torch.Tensor | None
    ) -> None:
        """Run the prompt up to the row that predicts behind its last token; see ``Drafter``."""
        self._cache = self.module.new_cache(capacity + spare)
        self._features, self._tokens = [], []
        self._base = 0
        if features is None:
            return
        self._features = [features[-1:]]
        if len(features) > 1:
            tokens = torch.tensor(prompt[1:-1], device=features.device)
            self.module.step(features[:-1], tokens, self._cache)

    def propose(
        self, pending: torch.Tensor, shape: Shape, rule: Rule, clock: StageClock | None
    ) -> Draft | None:
        """Draft behind pending [1]; see ``Drafter``.

        Nothing is drafted as long as there is no hidden state: right behind a prompt of one token.
        """
        if not self._features:
            return None
        cache, module = self.cache, self.module
        tokens = torch.cat([*self._tokens, pending])
        features = torch.cat(self._features)
        hidden = module.step(features, tokens, cache)[-1:]
        self._base = cache.length
        self._features, self._tokens = [], []
        logits = module.ends.logits(hidden)
        if clock:
            clock.lap("draft", tokens.shape[0])
        rows = {-1: 0}  # token with children, as expand knows it -> its row of hidden
        slots: dict[int, int] = {}  # token that ran -> offset from base

        def expand(
            nodes: Sequence[int], tokens: torch.Tensor, parents: Sequence[int]
        ) -> torch.Tensor:
            nonlocal hidden, rows
            above = [rows[parents[node]] for node in nodes]
            if above != list(range(len(hidden))):
                hidden = hidden[above]
            held = cache.length - self._base
            layout = None
            if len(nodes) > 1 or held != len(_above(nodes[0], parents)):
                layout = self._layout(nodes, parents, slots)
            hidden = module.step(hidden, tokens, cache, layout)
            rows = {node: row for row, node in enumerate(nodes)}
            slots.update((node, held + row) for row, node in enumerate(nodes))
            logits = module.ends.logits(hidden)
            if clock:
                clock.lap("draft", len(nodes))
            return logits

        draft, _ = draft_tree(logits, shape, rule, expand, clock)
        self._drafted = draft.tokens
        return draft

    def commit(self, path: list[int], features: torch.Tensor | None) -> None:
        """Drop the draft's rows; the kept tokens' true ones run with the next call."""
        assert features is not None and self._drafted is not None
        self.cache.rollback(self._base)
        self._features = [features]
        self._tokens = [self._drafted[path]] if path else []

    def skip(self, pending: torch.Tensor, features: torch.Tensor | None) -> None:
        """The pending token's row will run with the next call; see ``Drafter``."""
        assert features is not None
        if self._features:
            self._tokens.append(pending)
        self._features.append(features)

    @property
    def cache(self) -> KVCache:
        """The module's cache; refuses before start()."""
        if self._cache is None:
            raise InputError("the drafter was not started on a prompt")
        return self._cache

    def _layout(
        self, nodes: Sequence[int], parents: Sequence[int], slots: dict[int, int]
    ) -> Layout:
        """Every row sees the text, its ancestors and itself."""
        weight = self.module.merge.weight
        base, count = self._base, len(nodes)
        held = self.cache.length - base
        hidden = torch.ones(count, held + count, dtype=torch.bool)
        depths = []
        for row, node in enumerate(nodes):
            above = _above(node, parents)
            hidden[row, [*(slots[a] for a in above), held + row]] = False
            depths.append(len(above))
        mask = torch.zeros(count, base + held + count, dtype=weight.dtype)
        mask[:, base:].masked_fill_(hidden, torch.finfo(weight.dtype).min)
        positions = torch.tensor(depths) + base
        return Layout(positions.to(weight.device), mask.to(weight.device))


def _above(node: int, parents: Sequence[int]) -> list[int]:
    """Tokens above a token, nearest first."""
    above = []
    while (node := parents[node]) >= 0:
        above.append(node)
    return above
