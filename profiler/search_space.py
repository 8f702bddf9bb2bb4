"""What a search over a pair's methods tries, and how it times one setting on one prompt."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import count

from engine.decode import Request
from engine.diffusion.loading import load_diffusion
from engine.drafters.diffusion import DiffusionDrafter
from engine.drafters.language_model import LanguageModelDrafter
from engine.drafters.lookup import LookupDrafter
from engine.drafters.ngram import NgramDrafter
from engine.drafters.staged import StagedDrafter
from engine.errors import InputError
from engine.katz import load_ngram
from engine.model import Model
from engine.trees import Tree
from profiler.catalogue import DIFFUSION, GROWN, LOWER, NGRAMS, TREES
from profiler.lock import device_lock
from profiler.methods import AUTOREGRESSIVE, Method, chain, fallback
from profiler.search import Measure
from profiler.search_ranking import Setting
from profiler.search_settings import Space

LENGTHS = range(1, 13)
STEPS = (1, 2, 4)
SPACE: Space = {
    "chain": {"num_draft_tokens": LENGTHS},
    "tree": {"tree": (*TREES, "grown")},
    "staged": {"num_draft_tokens": LENGTHS, "lower": ("lookup", *NGRAMS)},
    "lookup": {"num_draft_tokens": LENGTHS},
    "fallback": {"num_draft_tokens": LENGTHS},
    "diffusion": {"num_draft_tokens": LENGTHS, "steps": STEPS},
}
"""Methods whose parameters a search can choose; leave out what the pair has no drafter for."""


def method_of(target: Model, draft: Model, setting: Setting) -> Method:
    """The method that a setting of ``SPACE`` names.

    Raises InputError if the name is unknown, or the pair lacks the drafter.
    """
    values = dict(setting.parameters)
    shape = Tree.chain(int(values.get("num_draft_tokens", 1)))
    if setting.method == "chain":
        return chain(draft, shape.size)
    if setting.method == "tree":
        grown = GROWN if values["tree"] == "grown" else TREES[str(values["tree"])]
        return Method("tree", values, LanguageModelDrafter(draft), grown)
    if setting.method == "staged":
        name = str(values["lower"])
        lower = (
            LookupDrafter()
            if name == "lookup"
            else NgramDrafter(load_ngram(NGRAMS[name], draft), level=name)
        )
        return Method("staged", values, StagedDrafter(draft, lower, Tree.chain(LOWER)), shape)
    if setting.method == "lookup":
        return Method("lookup", values, LookupDrafter(), shape)
    if setting.method == "fallback":
        return fallback(draft, shape.size)
    if setting.method == "diffusion":
        model = load_diffusion(DIFFUSION, target)
        return Method("diffusion", values, DiffusionDrafter(model, int(values["steps"])), shape)
    raise InputError(f"method must be one of {', '.join(SPACE)}, not '{setting.method}'")


def paired_decodes(
    target: Model, make: Callable[[Setting], Method], requests: Sequence[Request]
) -> Measure:
    """The objective of a search: decode one prompt with a setting and autoregressively.

    Parameters
    ----------
    target : Model
    make : callable
        The method of a setting; asked once each.
    requests : sequence of Request
        One per prompt.

    Returns
    -------
    callable
        Decode seconds of both, prefill excluded. The device is held for the two
        decodes only, so that processes can take turns; which of the two goes first
        alternates. A setting's first use warms it up, untimed.
    """
    turns = count()

    @cache
    def warm(setting: Setting) -> Method:
        method = make(setting)
        for each in (method, AUTOREGRESSIVE):
            each.decode(target, requests[0])
        return method

    def measure(setting: Setting, prompt: int) -> tuple[float, float]:
        with device_lock(target.device):
            method = warm(setting)
            order = (method, AUTOREGRESSIVE)[:: 1 if next(turns) % 2 else -1]
            taken = {each: each.decode(target, requests[prompt]).decode_seconds for each in order}
        return taken[method], taken[AUTOREGRESSIVE]

    return measure
