"""The methods that ``speculens compare`` knows, with the parameters it tries."""

from collections.abc import Callable, Sequence

from engine.drafters.language_model import LanguageModelDrafter
from engine.errors import InputError
from engine.model import Model
from engine.trees import Growth, Tree
from profiler.methods import Method, chain

GAMMAS = (2, 4, 6)
TREES = {"4-2-1": Tree.k_ary((4, 2, 1)), "2-2-1-1": Tree.k_ary((2, 2, 1, 1))}
GROWN = Growth(budget=12, depth=6, beam=4, width=3)
FILTERED = 8  # candidate tokens

Maker = Callable[[Model, Model, Sequence[int]], list[Method]]


def catalogue(
    target: Model, draft: Model, names: Sequence[str], gammas: Sequence[int] = GAMMAS
) -> list[Method]:
    """Methods by name, each with a few parameters.

    Parameters
    ----------
    target, draft : Model
    names : sequence of str
        Of ``NAMES``, or ``all``: every method the pair has drafters for.
    gammas : sequence of int
        Chain lengths. [tokens]

    Raises
    ------
    InputError
        If a name is unknown, or the pair lacks the drafter a named method needs.
    """
    everything = "all" in names
    if unknown := [name for name in names if name != "all" and name not in MAKERS]:
        raise InputError(f"method must be one of {', '.join(NAMES)}, not '{unknown[0]}'")
    methods: list[Method] = []
    for name, make in MAKERS.items():
        if not everything and name not in names:
            continue
        try:
            methods += make(target, draft, gammas)
        except InputError:
            if not everything:
                raise
    return methods


def _autoregressive(target: Model, draft: Model, gammas: Sequence[int]) -> list[Method]:
    return []  # always measured


def _chains(target: Model, draft: Model, gammas: Sequence[int]) -> list[Method]:
    plain = [chain(draft, gamma) for gamma in gammas]
    last = gammas[len(gammas) // 2]
    drafter = LanguageModelDrafter(draft)
    filtered = Method(
        "chain", {"num_draft_tokens": last, "candidates": FILTERED}, drafter, Tree.chain(last),
        candidates=FILTERED,
    )  # fmt: skip
    return [*plain, chain(draft, last, "block"), chain(draft, last, "coupled"), filtered]


def _trees(target: Model, draft: Model, gammas: Sequence[int]) -> list[Method]:
    drafter = LanguageModelDrafter(draft)
    static = [
        Method("tree", {"tree": name, "nodes": len(tree)}, drafter, tree)
        for name, tree in TREES.items()
    ]
    return [
        *static,
        Method("tree", {"tree": "4-2-1", "rule": "match"}, drafter, TREES["4-2-1"], "match"),
        Method("tree", {"tree": "4-2-1", "rule": "coupled"}, drafter, TREES["4-2-1"], "coupled"),
        Method("tree", {"tree": "grown", "nodes": GROWN.budget}, drafter, GROWN),
    ]


MAKERS: dict[str, Maker] = {
    "autoregressive": _autoregressive,
    "chain": _chains,
    "tree": _trees,
}
NAMES = tuple(MAKERS)
