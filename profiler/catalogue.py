"""The methods that ``speculens compare`` knows, with the parameters it tries."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.diffusion.loading import load_diffusion
from engine.drafters.base import Rewindable
from engine.drafters.diffusion import DiffusionDrafter
from engine.drafters.fallback import FallbackDrafter
from engine.drafters.hydra import HydraDrafter
from engine.drafters.language_model import LanguageModelDrafter
from engine.drafters.lookup import LookupDrafter
from engine.drafters.medusa import MedusaDrafter
from engine.drafters.mtp import MtpDrafter
from engine.drafters.ngram import NgramDrafter
from engine.drafters.staged import StagedDrafter
from engine.errors import InputError
from engine.heads.hydra import HydraHeads
from engine.heads.loading import load_heads, read_card
from engine.heads.medusa import MedusaHeads
from engine.heads.medusa_tree import medusa_tree
from engine.heads.mtp import MtpModule
from engine.katz import KatzTrigram, load_ngram
from engine.model import Model
from engine.trees import Growth, Tree
from profiler.methods import COPIED, Method, chain, fallback, static_tree

GAMMAS = (2, 4, 6, 8)
TREES = {"4-2-1": Tree.k_ary((4, 2, 1)), "2-2-1-1": Tree.k_ary((2, 2, 1, 1))}
GROWN = Growth(budget=12, depth=6, beam=4, width=3)
FILTERED = 8  # candidate tokens
LOWER = 3  # tokens an n-gram proposes to the draft at a time
STAGED = 10  # with the draft cheaper, more of its tokens pay
LONG = 10  # lookup costs nothing, so it may propose more
MEDUSA_NODES = 16
# the paper counts at temperature 1.5; a draft that is not sharp is guessed better at 1
NGRAMS = {"ngram-T1": "python-ngram-t1", "ngram-T1.5": "python-ngram"}
DIFFUSION = "python-diffusion"
MEDUSA, HYDRA, MTP = "python-medusa", "python-hydra", "python-mtp"
TRAINED = {
    DIFFUSION: "diffusion",
    MEDUSA: "heads/medusa",
    HYDRA: "heads/hydra",
    MTP: "heads/mtp",
    NGRAMS["ngram-T1.5"]: "work-ngram/ngram",
}
"""Where ``speculens train`` puts a drafter beside its pair, by the embedded one's name."""

Maker = Callable[[Model, Model, Sequence[int]], list[Method]]


def catalogue(
    target: Model,
    draft: Model,
    names: Sequence[str],
    gammas: Sequence[int] = GAMMAS,
    trees: Sequence[str] = (),
) -> list[Method]:
    """Methods by name, each with a few parameters.

    Parameters
    ----------
    target, draft : Model
    names : sequence of str
        Of ``NAMES``, or ``all``: every method the pair has drafters for.
    gammas : sequence of int
        Chain lengths. [tokens]
    trees : sequence of str
        Static trees to add, each as its parents: "-1,-1,0".

    Raises
    ------
    InputError
        If a name is unknown, a tree is none, or the pair lacks the drafter a named method needs.
    """
    everything = "all" in names
    if unknown := [name for name in names if name != "all" and name not in MAKERS]:
        raise InputError(f"method must be one of {', '.join(NAMES)}, not '{unknown[0]}'")
    methods: list[Method] = []
    wanted = [static_tree(draft, text) for text in trees]
    for name, make in MAKERS.items():
        if not everything and name not in names:
            continue
        try:
            methods += make(target, draft, gammas)
        except InputError:
            if not everything:
                raise
    return list(
        dict.fromkeys([*methods, *wanted])
    )  # a wanted length may be one that is tried anyway


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


def drafter_source(name: str, model: Model) -> str:
    """What ``speculens train`` left beside the model in place of an embedded drafter, else that.

    Parameters
    ----------
    name : str
        Of the embedded drafter.
    model : Model
        Whose folder's neighbours are looked at.
    """
    trained = Path(model.hf.name_or_path).parent / TRAINED.get(name, name)
    return str(trained) if trained.is_dir() else name


def _ngrams(model: Model) -> dict[str, KatzTrigram]:
    """N-grams counted in the model's tokens, by level; the sharper one first.

    Raises
    ------
    InputError
        If there is none.
    """
    found = {}
    for level, name in NGRAMS.items():
        try:
            found[level] = load_ngram(drafter_source(name, model), model)
        except InputError as error:
            reason = error
    if not found:
        raise reason
    return found


def _staged(target: Model, draft: Model, gammas: Sequence[int]) -> list[Method]:
    last = gammas[-1]
    levels: list[Rewindable] = [LookupDrafter()]
    lowers: list[tuple[int, Rewindable]] = []
    with contextlib.suppress(InputError):  # counted for the embedded draft, of use to no other
        ngrams = [NgramDrafter(ngram, level=name) for name, ngram in _ngrams(draft).items()]
        # where the text repeats itself the copy is right more often than the count
        both = FallbackDrafter(LookupDrafter(min_ngram=2), ngrams[0])
        lowers = [(gamma, both) for gamma in (*gammas, STAGED)]
        levels = [*ngrams, *levels]
    lowers = [*((last, level) for level in levels), *lowers]
    methods = [
        Method(
            "staged",
            {"num_draft_tokens": gamma, "lower": lower.level},
            StagedDrafter(draft, lower, Tree.chain(LOWER)),
            Tree.chain(gamma),
        )
        for gamma, lower in lowers
    ]
    tree = Method(
        "staged",
        {"tree": "2-2-1-1", "lower": levels[0].level},
        StagedDrafter(draft, levels[0], Tree.chain(LOWER)),
        TREES["2-2-1-1"],
    )
    return [*methods, tree]


def _ngram(target: Model, draft: Model, gammas: Sequence[int]) -> list[Method]:
    return [
        Method(
            "ngram",
            {"num_draft_tokens": gammas[0], "counted": name},
            NgramDrafter(ngram),
            Tree.chain(gammas[0]),
        )
        for name, ngram in _ngrams(target).items()
    ]


def _lookup(target: Model, draft: Model, gammas: Sequence[int]) -> list[Method]:
    return [
        Method("lookup", {"num_draft_tokens": gamma}, LookupDrafter(), Tree.chain(gamma))
        for gamma in (*gammas, LONG)
    ]


def _fallback(target: Model, draft: Model, gammas: Sequence[int]) -> list[Method]:
    # only where nothing repeats does the draft speak, and there long drafts are not kept
    return [fallback(draft, gamma) for gamma in gammas[:2] if gamma <= COPIED]


def _diffusion(target: Model, draft: Model, gammas: Sequence[int]) -> list[Method]:
    model = load_diffusion(drafter_source(DIFFUSION, target), target)
    return [
        Method(
            "diffusion",
            {"num_draft_tokens": gamma, "steps": steps},
            DiffusionDrafter(model, steps),
            Tree.chain(gamma),
        )
        for gamma, steps in ((4, 1), (8, 1), (8, 2), (8, 4))
    ]


def _medusa(target: Model, draft: Model, gammas: Sequence[int]) -> list[Method]:
    source = drafter_source(MEDUSA, target)
    heads = load_heads(source, target)
    if not isinstance(heads, MedusaHeads):
        raise InputError(f"'{source}' holds other heads than Medusa's")
    drafter = MedusaDrafter(heads)
    tree = _rank_tree(source)
    typical: dict[str, int | float | str] = {"nodes": MEDUSA_NODES, "rule": "typical"}
    return [
        Method("medusa", {"num_draft_tokens": 3}, drafter, Tree.chain(3)),
        Method("medusa", {"nodes": MEDUSA_NODES}, drafter, tree),
        Method("medusa", {"nodes": MEDUSA_NODES, "rule": "match"}, drafter, tree, "match"),
        Method("medusa", typical, drafter, tree, "typical"),
    ]


def _hydra(target: Model, draft: Model, gammas: Sequence[int]) -> list[Method]:
    source = drafter_source(HYDRA, target)
    heads = load_heads(source, target)
    if not isinstance(heads, HydraHeads):
        raise InputError(f"'{source}' holds other heads than Hydra's")
    drafter = HydraDrafter(heads)
    tree = _rank_tree(source)
    return [
        Method("hydra", {"num_draft_tokens": 3}, drafter, Tree.chain(3)),
        Method("hydra", {"nodes": MEDUSA_NODES}, drafter, tree),
    ]


def _rank_tree(source: str) -> Tree:
    """The tree that the heads' measured accuracies suggest."""
    accuracies = read_card(source)["training"]["accuracy_by_rank"]["greedy_continuation"]
    return medusa_tree(accuracies, MEDUSA_NODES, max_depth=5, max_children=6)


def _mtp(target: Model, draft: Model, gammas: Sequence[int]) -> list[Method]:
    source = drafter_source(MTP, target)
    module = load_heads(source, target)
    if not isinstance(module, MtpModule):
        raise InputError(f"'{source}' holds no MTP module")
    drafter = MtpDrafter(module)
    return [
        Method("mtp", {"num_draft_tokens": gamma}, drafter, Tree.chain(gamma)) for gamma in gammas
    ]


MAKERS: dict[str, Maker] = {
    "autoregressive": _autoregressive,
    "chain": _chains,
    "tree": _trees,
    "staged": _staged,
    "ngram": _ngram,
    "lookup": _lookup,
    "fallback": _fallback,
    "diffusion": _diffusion,
    "medusa": _medusa,
    "hydra": _hydra,
    "mtp": _mtp,
}
NAMES = tuple(MAKERS)
