"""End to end at temperature 1: the first tokens of every method against autoregressive ones.

20,000 decodes of three tokens on each side, each with its own seed, on a tiny Transformers model
with a vocabulary of 6: chi-square on the 216 texts. The exact laws (tests/engine/test_laws.py)
prove more; this goes through the seeded uniforms and noise that users get. Left out of the
ordinary run: ``pytest -m proof -s tests/proofs``.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from engine.decode import Request
from engine.diffusion.lean import LeanDenoiser
from engine.drafters.base import Drafter, Rewindable
from engine.drafters.diffusion import DiffusionDrafter
from engine.drafters.fallback import FallbackDrafter
from engine.drafters.language_model import LanguageModelDrafter
from engine.drafters.lookup import LookupDrafter
from engine.drafters.ngram import NgramDrafter
from engine.drafters.staged import StagedDrafter
from engine.heads.target_ends import TargetEnds
from engine.model import Model, wrap
from engine.rules import RuleName
from engine.sampling import Sampling
from engine.trees import Growth, Shape, Tree
from profiler.methods import AUTOREGRESSIVE, Method
from tests.engine.test_diffusion_network import denoiser_for
from tests.engine.test_heads import drafter_of, random_heads
from tests.engine.test_ngram import small_ngram
from tests.tiny_models import noisy_copy, tiny_llama

DRAWS = 20_000
FALSE_ALARM = 1e-4
"""Of one comparison; of all together about 2 in 1,000 when nothing is wrong."""
VOCAB = 6
PROMPT = [1, 4, 2, 1, 4]
TREE, GROWN = Tree((-1, -1, 0, 1)), Growth(budget=4, depth=2, beam=2, width=2)

pytestmark = pytest.mark.proof


@cache
def models() -> tuple[Model, Model, Model]:
    """A target, a draft that often agrees, and a draft of that draft."""
    target = tiny_llama(vocab=VOCAB, num_key_value_heads=4, initializer_range=0.2)
    drafts = [noisy_copy(target, noise) for noise in (0.2, 0.5)]
    return wrap("target", target), wrap("draft", drafts[0]), wrap("draft2", drafts[1])


def language_model() -> Drafter:
    return LanguageModelDrafter(models()[1])


def ngram(sampled: bool = False) -> NgramDrafter:
    return NgramDrafter(small_ngram(VOCAB), sampled=sampled)


def staged(lower: Rewindable) -> StagedDrafter:
    return StagedDrafter(models()[1], lower, Tree.chain(2))


def three_levels() -> Drafter:
    return staged(StagedDrafter(models()[2], ngram(), Tree.chain(1), "draft2"))


def diffusion(num_steps: int) -> Drafter:
    target = models()[0]
    lean = LeanDenoiser(denoiser_for(target), target.context, target.dtype)
    return DiffusionDrafter(lean, num_steps)


def heads(kind: str) -> Drafter:
    return drafter_of(random_heads(kind, TargetEnds.of(models()[0])))


CASES: dict[str, tuple[Callable[[], Drafter], Shape, RuleName, int | None]] = {
    "chain": (language_model, Tree.chain(2), "rejection", None),
    "chain, block": (language_model, Tree.chain(2), "block", None),
    "chain, match": (language_model, Tree.chain(2), "match", None),
    "chain, coupled": (language_model, Tree.chain(2), "coupled", None),
    "chain, candidates": (language_model, Tree.chain(2), "rejection", 2),
    "tree": (language_model, TREE, "rejection", None),
    "tree, match": (language_model, TREE, "match", None),
    "tree, coupled": (language_model, TREE, "coupled", None),
    "tree, grown": (language_model, GROWN, "rejection", None),
    "tree, grown, coupled": (language_model, GROWN, "coupled", None),
    "staged": (lambda: staged(ngram()), Tree.chain(2), "rejection", None),
    "staged, tree": (lambda: staged(ngram()), TREE, "rejection", None),
    "staged, three levels": (three_levels, Tree.chain(2), "rejection", None),
    "n-gram": (ngram, Tree.chain(2), "rejection", None),
    "n-gram, sampled": (lambda: ngram(True), Tree.chain(2), "rejection", None),
    "lookup": (LookupDrafter, Tree.chain(2), "rejection", None),
    "lookup, else n-gram": (
        lambda: FallbackDrafter(LookupDrafter(min_ngram=2), ngram()),
        Tree.chain(2), "rejection", None,
    ),
    "lookup, else chain": (
        lambda: FallbackDrafter(LookupDrafter(min_ngram=2), language_model(), second_depth=1),
        Tree.chain(2), "rejection", None,
    ),
    "diffusion, 1 step": (lambda: diffusion(1), Tree.chain(2), "rejection", None),
    "diffusion, 2 steps": (lambda: diffusion(2), Tree.chain(2), "rejection", None),
    "medusa": (lambda: heads("medusa"), TREE, "rejection", None),
    "hydra": (lambda: heads("hydra"), TREE, "rejection", None),
    "mtp": (lambda: heads("mtp"), Tree.chain(2), "rejection", None),
}  # fmt: skip


def texts(method: Method, first_seed: int) -> Counter[tuple[int, ...]]:
    target = models()[0]
    requests = (
        Request(PROMPT, 3, Sampling(1.0), seed) for seed in range(first_seed, first_seed + DRAWS)
    )
    return Counter(tuple(method.decode(target, request).tokens) for request in requests)


@cache
def autoregressive() -> Counter[tuple[int, ...]]:
    return texts(AUTOREGRESSIVE, 10**9)


def p_value(one: Counter[tuple[int, ...]], other: Counter[tuple[int, ...]]) -> float:
    """Chi-square of two samples; texts seen fewer than ten times in all are one cell."""
    common = [text for text in one | other if one[text] + other[text] >= 10]
    rows = [[sample[text] for text in common] for sample in (one, other)]
    rest = [sample.total() - sum(row) for sample, row in zip((one, other), rows, strict=True)]
    table = np.array([[*row, r] for row, r in zip(rows, rest, strict=True)])
    return float(chi2_contingency(table[:, table.sum(0) > 0]).pvalue)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_first_tokens_have_the_law_of_autoregressive_sampling(
    case: tuple[Callable[[], Drafter], Shape, RuleName, int | None],
) -> None:
    make, shape, rule, candidates = case
    method = Method("method", {}, make(), shape, rule, candidates)
    chance = p_value(texts(method, 0), autoregressive())
    print(f"p = {chance:.4f}", flush=True)
    assert chance > FALSE_ALARM


def test_a_lossy_rule_is_rejected() -> None:
    method = Method("typical", {}, language_model(), Tree.chain(2), "typical")
    assert p_value(texts(method, 0), autoregressive()) < FALSE_ALARM
