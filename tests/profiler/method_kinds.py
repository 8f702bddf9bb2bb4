"""A method of every drafter kind, on tiny models and on random tables."""

import torch

from engine.diffusion.lean import LeanDenoiser
from engine.drafters.diffusion import DiffusionDrafter
from engine.drafters.fallback import FallbackDrafter
from engine.drafters.language_model import LanguageModelDrafter
from engine.drafters.lookup import LookupDrafter
from engine.drafters.ngram import NgramDrafter
from engine.drafters.staged import StagedDrafter
from engine.heads.target_ends import TargetEnds
from engine.model import Model
from engine.rules import RuleName
from engine.trees import Growth, Shape, Tree
from profiler.methods import Method
from tests.engine.test_diffusion_network import denoiser_for
from tests.engine.test_heads import drafter_of, random_heads
from tests.engine.test_ngram import small_ngram

CHAIN, DEEP = Tree.chain(3), Tree.chain(6)
TREE = Tree((-1, -1, -1, 0, 0, 1, 3))
GROWN = Growth(budget=6, depth=3, beam=3, width=2)


def methods_of(target: Model, draft: Model, rule: RuleName = "rejection") -> list[Method]:
    """Every drafter with the shapes it takes."""
    ngram = NgramDrafter(small_ngram(64, 1), level="ngram")
    both = FallbackDrafter(LookupDrafter(min_ngram=2), NgramDrafter(small_ngram(64, 1)))
    heads = {kind: random_heads(kind, TargetEnds.of(target), scale=0.05) for kind in HEADS}
    medusa, hydra, mtp = (drafter_of(heads[kind]) for kind in HEADS)
    denoiser = LeanDenoiser(denoiser_for(target), target.context, torch.float32)
    model = LanguageModelDrafter(draft)
    copied = FallbackDrafter(LookupDrafter(min_ngram=2), model, second_depth=3)
    lower = Tree.chain(2)
    kinds: list[tuple[str, object, Shape]] = [
        ("chain", model, DEEP),
        ("tree", model, TREE),
        ("grown tree", model, GROWN),
        ("staged", StagedDrafter(draft, ngram, lower), DEEP),
        ("staged, lookup", StagedDrafter(draft, LookupDrafter(), lower), DEEP),
        ("staged, both", StagedDrafter(draft, both, lower), DEEP),
        ("staged tree", StagedDrafter(draft, ngram, lower), TREE),
        ("staged grown tree", StagedDrafter(draft, ngram, lower), GROWN),
        ("ngram", NgramDrafter(small_ngram(64, 1)), CHAIN),
        ("ngram tree", NgramDrafter(small_ngram(64, 1)), TREE),
        ("ngram, sampled", NgramDrafter(small_ngram(64, 1), sampled=True), TREE),
        ("lookup", LookupDrafter(), DEEP),
        ("lookup, else ngram", both, CHAIN),
        ("lookup, else chain", copied, DEEP),
        ("diffusion", DiffusionDrafter(denoiser), DEEP),
        ("diffusion tree", DiffusionDrafter(denoiser), TREE),
        ("diffusion, two steps", DiffusionDrafter(denoiser, 2), DEEP),
        ("diffusion, hybrid", DiffusionDrafter(denoiser, 2, "hybrid"), DEEP),
        ("diffusion, guesses", DiffusionDrafter(denoiser, 2, "guess"), DEEP),
        ("medusa", medusa, DEEP),  # deeper than there are heads
        ("medusa tree", medusa, TREE),
        ("hydra tree", hydra, TREE),
        ("mtp", mtp, DEEP),
        ("mtp grown tree", mtp, GROWN),
    ]
    return [Method(name, {}, drafter, shape, rule) for name, drafter, shape in kinds]  # type: ignore[arg-type]


HEADS = ("medusa", "hydra", "mtp")
