"""What does a causal draft say at every position of a text?

A language model's law depends on the text in front of it alone, not on where a
round started: one pass over the text serves every chain and every static tree.
"""

import numpy as np
import torch

from engine.model import Model
from engine.rules import Rule
from engine.sampling import distribution
from profiler.kept_children import kept_child_chances
from profiler.own_text import OwnText

AT_ONCE = 2**17
"""Entries of a law's rows that are worked on together: they stay in the processor's caches."""


class PositionLaws:
    """The draft's view of one text, computed when first asked for.

    Parameters
    ----------
    text : OwnText
    width : int, >= 1
        Most children of a tree. [tokens]
    """

    def __init__(self, text: OwnText, width: int) -> None:
        self.text, self.width = text, width
        self._logits: dict[int, torch.Tensor] = {}  # by id: models are compared by identity
        self._chances: dict[tuple[int, int | None], np.ndarray] = {}

    def logits(self, draft: Model) -> torch.Tensor:
        """Of the draft behind every pending token [num_tokens, vocab].

        Token by token, as in a round: a forward over all of them rounds differently.
        """
        if id(draft) not in self._logits:
            prompt = torch.tensor(self.text.request.prompt, device=draft.device)
            cache = draft.new_cache(self.text.request.capacity)
            if len(prompt) > 1:
                draft.forward(prompt[:-1], cache, 0)
            rows = [draft.forward(self.text.pending(i), cache, 1) for i in range(len(self.text))]
            self._logits[id(draft)] = torch.cat(rows)
        return self._logits[id(draft)]

    def ranks(self, draft: Model, rule: Rule, width: int) -> np.ndarray:
        """Which of its width guesses the text's token is, ``width`` if none [num_tokens]."""
        rule.begin(0)
        guesses = rule.choose(self.logits(draft), range(len(self.text)), width).tokens
        is_it = (guesses == self.text.tokens[:, None]).cpu().numpy()
        return np.where(is_it.any(axis=1), is_it.argmax(axis=1), width)

    def ratios(self, draft: Model, candidates: int | None) -> np.ndarray:
        """q(x)/p(x) of the text's tokens [num_tokens]. [unitless]"""
        column = self.text.tokens[:, None]
        q, p = self._draft_laws(draft, candidates), self.text.target_laws()
        return (q.gather(1, column) / p.gather(1, column))[:, 0].double().cpu().numpy()

    def chances(self, draft: Model, candidates: int | None) -> np.ndarray:
        """P(the text's token came as kept child of a rank) [num_tokens, width]. [unitless]"""
        key = id(draft), candidates
        if key not in self._chances:
            generator = torch.Generator().manual_seed(self.text.request.seed)
            tables = self.text.target_laws(), self._draft_laws(draft, candidates), self.text.tokens
            rows = max(1, AT_ONCE // tables[0].shape[1])
            parts = [
                kept_child_chances(p, q, x, self.width, generator)
                for p, q, x in zip(*(t.split(rows) for t in tables), strict=True)
            ]
            self._chances[key] = torch.cat(parts).cpu().numpy()
        return self._chances[key]

    def _draft_laws(self, draft: Model, candidates: int | None) -> torch.Tensor:
        return distribution(self.logits(draft), self.text.request.sampling.narrowed(candidates))
