"""Which ways of decoding can be measured, as values: drafter, shape and rule together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from engine.clock import StageClock
from engine.decode import OnRound, Request, decode_autoregressive, decode_speculative
from engine.drafters.base import Drafter
from engine.drafters.fallback import FallbackDrafter
from engine.drafters.language_model import LanguageModelDrafter
from engine.drafters.lookup import LookupDrafter
from engine.errors import InputError
from engine.events import Generation
from engine.model import Model
from engine.rules import RuleName
from engine.trees import Shape, Tree

OtherEngine = Callable[[Request, StageClock | None, OnRound | None], Generation]
"""A decode loop that is not this project's."""

THIS_ENGINE = "speculens"

COPIED = 12
"""Tokens that lookup proposes where a draft model stands behind it: copying costs nothing."""


@dataclass(frozen=True)
class Method:
    """One way of decoding.

    Attributes
    ----------
    name : str
        autoregressive, chain, tree, staged, ngram, lookup, fallback, diffusion, medusa,
        hydra or mtp.
    parameters : mapping
        What tells it from others of the same name; printed and recorded. ``engine`` names
        another engine than this project's.
    drafter : Drafter or None
        None decodes autoregressively.
    shape : Tree or Growth or None
    rule : str
        See ``engine.rules.make_rule``.
    candidates : int or None
        Draft only from the drafter's so many likeliest tokens.
    other : callable or None
        Decodes in place of this project's engine.
    """

    name: str
    parameters: Mapping[str, int | float | str] = field(default_factory=dict, hash=False)
    drafter: Drafter | None = field(default=None, compare=False)
    shape: Shape | None = field(default=None, compare=False)
    rule: RuleName = "rejection"
    candidates: int | None = None
    other: OtherEngine | None = field(default=None, compare=False)

    @property
    def engine(self) -> str:
        """Whose decode loop it is."""
        return str(self.parameters.get("engine", THIS_ENGINE))

    @property
    def baseline(self) -> "Method":
        """Autoregressive decoding by the same engine: what a speedup is over."""
        if self.engine == THIS_ENGINE:
            return AUTOREGRESSIVE
        return Method("autoregressive", {"engine": self.engine})

    @property
    def label(self) -> str:
        """Short text for tables and progress."""
        values = ", ".join(f"{name} {value}" for name, value in self.parameters.items())
        return f"{self.name} {values}".replace("num_draft_tokens", "γ").strip()

    @property
    def num_draft_tokens(self) -> int:
        """Tokens drafted per round at most; 0 is autoregressive decoding. [tokens]"""
        return 0 if self.shape is None else self.shape.size

    @property
    def lossless(self) -> bool:
        """Whether the text has the law of autoregressive sampling."""
        return self.rule != "typical"

    def decode(
        self,
        target: Model,
        request: Request,
        clock: StageClock | None = None,
        on_round: OnRound | None = None,
    ) -> Generation:
        """Decode one request; its rule and candidates are the method's."""
        mine = replace(request, rule=self.rule, candidates=self.candidates)
        if self.other is not None:
            return self.other(mine, clock, on_round)
        if self.drafter is None:
            return decode_autoregressive(target, mine, clock=clock, on_round=on_round)
        if self.shape is None:
            raise InputError(f"method {self.name} has a drafter but no shape")
        return decode_speculative(
            target, self.drafter, mine, self.shape, clock=clock, on_round=on_round
        )


AUTOREGRESSIVE = Method("autoregressive")
AUTOREGRESSIVE_COUPLED = Method("autoregressive", {"rule": "coupled"}, rule="coupled")


def static_tree(draft: Model, text: str) -> Method:
    """A tree given by its parents, drafted by a smaller language model.

    Raises InputError, in one line, if the text is no tree.
    """
    shape = Tree.from_text(text)
    parents = ",".join(map(str, shape.parents))
    return Method(
        "tree", {"tree": parents, "nodes": len(shape)}, LanguageModelDrafter(draft), shape
    )


def chain(draft: Model, num_draft_tokens: int, rule: RuleName = "rejection") -> Method:
    """A chain drafted by a smaller language model."""
    if num_draft_tokens < 1:
        raise InputError(f"draft tokens per round must be at least 1, not {num_draft_tokens}")
    parameters: dict[str, int | float | str] = {"num_draft_tokens": num_draft_tokens}
    if rule != "rejection":
        parameters["rule"] = rule
    shape = Tree.chain(num_draft_tokens)
    return Method("chain", parameters, LanguageModelDrafter(draft), shape, rule)


def fallback(draft: Model, num_draft_tokens: int) -> Method:
    """Prompt lookup, and where the last two tokens are new a chain drafted by a smaller model."""
    if not 1 <= num_draft_tokens <= COPIED:
        raise InputError(
            f"draft tokens behind lookup must be in 1 to {COPIED}, not {num_draft_tokens}"
        )
    drafter = FallbackDrafter(
        LookupDrafter(min_ngram=2), LanguageModelDrafter(draft), second_depth=num_draft_tokens
    )
    parameters = {"copied": COPIED, "num_draft_tokens": num_draft_tokens}
    return Method("fallback", parameters, drafter, Tree.chain(COPIED))
