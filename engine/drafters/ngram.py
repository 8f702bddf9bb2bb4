"""A Katz trigram as drafter: a table look-up instead of a model.

It needs the last two tokens on the host: on a CPU reading them is free, on
CUDA it is one synchronisation a round (the target's verdict is the other).
"""

from collections.abc import Sequence

import torch

from engine.clock import StageClock
from engine.drafters.base import Draft
from engine.drafters.filling import draft_tree
from engine.errors import InputError
from engine.katz import KatzTrigram
from engine.rules import Greedy, Rule
from engine.sampling import Sampling
from engine.trees import Growth, Shape

LIKELIEST = Greedy(Sampling())


class NgramDrafter:
    """Drafts with a trigram: chains by table look-up, trees and draws from its law.

    Parameters
    ----------
    ngram : KatzTrigram
    level : str
        Name in the provenance of tokens.
    sampled : bool
        False: the likeliest tokens, as guesses. A chain then costs a microsecond
        a token and never touches a law. True: whatever the rule chooses from the
        law, which under rejection sampling keeps more of a chain (sum of
        min(p, q) instead of p(x)) at some 80 microseconds a token.
    """

    needs_features = False

    def __init__(self, ngram: KatzTrigram, level: str = "ngram", *, sampled: bool = False) -> None:
        self.ngram, self.level, self.sampled = ngram, level, sampled
        self._text: list[int] = []  # all but the pending token
        self._pending = 0
        self._draft: Draft | None = None

    def start(
        self,
        prompt: Sequence[int],
        capacity: int,
        spare: int = 0,
        features: torch.Tensor | None = None,
    ) -> None:
        """Take the prompt; see ``Drafter``."""
        if max(prompt) >= self.ngram.vocab_size:
            raise InputError(
                f"token {max(prompt)} of the prompt is outside the n-gram's vocabulary of "
                f"{self.ngram.vocab_size} tokens"
            )
        self._text = list(prompt[:-1])

    def propose(
        self, pending: torch.Tensor, shape: Shape, rule: Rule, clock: StageClock | None
    ) -> Draft:
        """Draft behind pending [1]; see ``Drafter``."""
        self._pending = int(pending)
        if self.sampled or isinstance(shape, Growth) or not shape.is_chain:
            draft = self._fill(pending, shape, rule if self.sampled else LIKELIEST)
        else:
            before = self._text[-1] if self._text else None
            tokens = self.ngram.chain(before, self._pending, len(shape))
            draft = Draft(torch.tensor(tokens, device=pending.device), shape)
        self._draft = draft
        if clock:
            clock.lap("draft", len(draft.tree))
        return draft

    def commit(self, path: list[int], features: torch.Tensor | None = None) -> None:
        """Note the pending token and the path."""
        assert self._draft is not None
        self._text.append(self._pending)
        if path:
            tokens = self._draft.tokens.tolist()
            self._text += [tokens[node] for node in path]

    def skip(self, pending: torch.Tensor, features: torch.Tensor | None = None) -> None:
        """Note the pending token [1]."""
        self._text.append(int(pending))

    def rewind(self, num_tokens: int) -> None:
        """Forget the last num_tokens; see ``Rewindable``."""
        del self._text[len(self._text) - num_tokens :]

    def _fill(self, pending: torch.Tensor, shape: Shape, rule: Rule) -> Draft:
        """Choose from the law, level by level."""
        text = [*self._text[-1:], self._pending]
        drafted: dict[int, int] = {}

        def logits_behind(contexts: list[list[int]]) -> torch.Tensor:
            laws = torch.stack([torch.from_numpy(self.ngram.law(c)) for c in contexts])
            return laws.log().to(pending.device)

        def expand(
            nodes: Sequence[int], tokens: torch.Tensor, parents: Sequence[int]
        ) -> torch.Tensor:
            drafted.update(zip(nodes, tokens.tolist(), strict=True))
            before = {-1: self._pending, **drafted}
            return logits_behind([[before[parents[node]], drafted[node]] for node in nodes])

        return draft_tree(logits_behind([text]), shape, rule, expand, None)[0]
