"""Medusa heads, Hydra heads and the MTP module draft losslessly, and from the right states."""

import itertools
import json
from pathlib import Path

import pytest
import torch

from engine.decode import Request, decode_autoregressive, decode_speculative
from engine.drafters import hydra, medusa, mtp
from engine.drafters.base import Drafter
from engine.drafters.hydra import HydraDrafter
from engine.drafters.medusa import MedusaDrafter
from engine.drafters.mtp import MtpDrafter
from engine.errors import InputError
from engine.heads.hydra import HydraHeads
from engine.heads.loading import KINDS, Heads, load_heads, save_heads
from engine.heads.medusa import MedusaHeads
from engine.heads.medusa_tree import medusa_tree
from engine.heads.target_ends import TargetEnds
from engine.model import Model, wrap
from engine.rules import Choice, Match, RuleName, Typical
from engine.sampling import Sampling
from engine.trees import Growth, Shape, Tree
from tests.laws import TableModel, largest_error
from tests.tiny_models import tiny_gpt2, tiny_llama

EXACT = 1e-12
PLAIN = Sampling(1.0)
SAMPLINGS = [PLAIN, Sampling(0.6), Sampling(1.0, top_k=2), Sampling(1.2, top_p=0.8)]
SHAPES: dict[str, Shape] = {
    "chain": Tree.chain(2),
    "two siblings": Tree((-1, -1)),
    "uneven": Tree((-1, -1, 0)),
    "two levels": Tree((-1, -1, 0, 1)),
    "grown": Growth(budget=3, depth=2, beam=2, width=2),
}
OPTIONS = {
    "medusa": {"num_heads": 3, "inner": 5},
    "hydra": {"num_heads": 3, "inner": 5},
    "mtp": {"attention_heads": 2, "intermediate": 6},
}


def random_heads(kind: str, ends: TargetEnds, seed: int = 0, scale: float = 0.7) -> Heads:
    """Heads whose every weight is random: no head is the target's own."""
    heads = KINDS[kind](ends, **OPTIONS[kind])
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in heads.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return heads.to(ends.output.device, ends.output.dtype).requires_grad_(False)


def toy_heads(kind: str, seed: int) -> Heads:
    """Heads in float64 for a TableModel: 3 tokens, hidden states of 4."""
    generator = torch.Generator().manual_seed(seed)
    matrices = torch.randn(2, 3, 4, dtype=torch.float64, generator=generator)
    return random_heads(kind, TargetEnds(matrices[0], matrices[1]), seed)


def drafter_of(heads: Heads) -> Drafter:
    if isinstance(heads, MedusaHeads):
        return MedusaDrafter(heads)
    return HydraDrafter(heads) if isinstance(heads, HydraHeads) else MtpDrafter(heads)


def error(
    kind: str, seed: int, shape: Shape, num_tokens: int, sampling: Sampling = PLAIN, rule=None
) -> float:  # type: ignore[no-untyped-def]
    heads = toy_heads(kind, seed)
    return largest_error(
        TableModel(seed), lambda: drafter_of(heads), shape, num_tokens, sampling, rule
    )


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: s.label)
@pytest.mark.parametrize("kind", KINDS)
def test_chain_has_the_targets_law(kind: str, sampling: Sampling) -> None:
    for seed in range(2):
        assert error(kind, seed, Tree.chain(2), 3, sampling) < EXACT


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_tree_has_the_targets_law(kind: str, shape: Shape) -> None:
    for seed in range(2):
        assert error(kind, seed, shape, 2) < EXACT
    assert error(kind, 0, shape, 2, Sampling(1.0, top_k=2)) < EXACT


@pytest.mark.parametrize("kind", KINDS)
def test_tree_has_the_targets_law_over_two_rounds(kind: str) -> None:
    assert error(kind, 0, Tree((-1, -1)), 3) < EXACT


@pytest.mark.parametrize("shape", [SHAPES["chain"], SHAPES["two levels"]], ids=["chain", "tree"])
@pytest.mark.parametrize("kind", KINDS)
def test_sample_and_match_has_the_targets_law(kind: str, shape: Tree) -> None:
    num_tokens = 3 if shape.is_chain else 2
    assert error(kind, 1, shape, num_tokens, PLAIN, lambda r: Match(PLAIN, r)) < EXACT


def test_typical_acceptance_of_heads_is_not_lossless() -> None:
    assert error("medusa", 0, Tree.chain(2), 3, PLAIN, lambda r: Typical(PLAIN, r, 0.3, 0.5)) > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_a_law_that_is_not_the_one_drawn_from_is_rejected(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plausible bug: every level reports the law behind the pending token."""
    module = {"medusa": medusa, "hydra": hydra, "mtp": mtp}[kind]
    honest = module.draft_tree

    def careless(*arguments):  # type: ignore[no-untyped-def]
        draft, origin = honest(*arguments)
        laws = draft.laws[:1].expand(len(draft.tree), -1)
        return type(draft)(draft.tokens, draft.tree, laws), origin

    monkeypatch.setattr(module, "draft_tree", careless)
    assert error(kind, 1, Tree.chain(2), 3) > 1e-3


# --- real models ------------------------------------------------------------------------------

PROMPT = [5, 17, 3, 42, 8]


def tiny_target(family: str = "llama") -> Model:
    return wrap("tiny", tiny_llama() if family == "llama" else tiny_gpt2())


def agreeing_heads(kind: str, target: Model) -> Heads:
    """Heads trained for a moment on the target's own greedy text, so that many drafts are kept."""
    heads = random_heads(kind, TargetEnds.of(target), scale=0.05)
    text = decode_autoregressive(target, Request(PROMPT, 100)).tokens
    tokens = torch.tensor([PROMPT + text])
    features = target.forward_with_features(tokens[0], target.new_cache(tokens.shape[1]), 0)[1]
    heads.requires_grad_(True)
    optimizer = torch.optim.Adam(heads.parameters(), 3e-3)
    with torch.enable_grad():
        for _ in range(120):
            loss = torch.zeros(())
            for k, rows in enumerate(heads.unrolled(features.detach()[None], tokens, 3), start=1):
                logits = heads.ends.logits(rows[0, :-1])
                loss = loss + torch.nn.functional.cross_entropy(logits, tokens[0, k + 1 :])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return heads.requires_grad_(False)


@pytest.fixture(scope="module")
def target() -> Model:
    return tiny_target()


@pytest.fixture(scope="module")
def trained(target: Model) -> dict[str, Heads]:
    return {kind: agreeing_heads(kind, target) for kind in KINDS}


REAL_SHAPES: list[Shape] = [
    Tree.chain(3),
    Tree((-1, -1, 0, 0, 1, 2, 2)),
    Growth(budget=6, depth=3, beam=4, width=3),
]


@pytest.mark.parametrize("rule", ["rejection", "match", "coupled"])
@pytest.mark.parametrize("shape", REAL_SHAPES, ids=["chain", "tree", "grown"])
@pytest.mark.parametrize("kind", KINDS)
def test_greedy_text_is_the_targets(
    kind: str, shape: Shape, rule: RuleName, target: Model, trained: dict[str, Heads]
) -> None:
    request = Request(PROMPT, 60, rule=rule)
    wanted = decode_autoregressive(target, request).tokens
    random = decode_speculative(
        target, drafter_of(random_heads(kind, TargetEnds.of(target))), request, shape
    )
    close = decode_speculative(target, drafter_of(trained[kind]), request, shape)
    assert random.tokens == close.tokens == wanted
    assert len(close.rounds) < len(random.rounds)
    assert len(close.rounds) < 35  # often more than one token a round


@pytest.mark.parametrize("temperature", [0.7, 1.0])
@pytest.mark.parametrize("shape", REAL_SHAPES, ids=["chain", "tree", "grown"])
@pytest.mark.parametrize("kind", KINDS)
def test_coupled_text_is_that_of_autoregressive_sampling(
    kind: str, shape: Shape, temperature: float, target: Model, trained: dict[str, Heads]
) -> None:
    request = Request(PROMPT, 50, Sampling(temperature), seed=3, rule="coupled")
    wanted = decode_autoregressive(target, request).tokens
    assert decode_speculative(target, drafter_of(trained[kind]), request, shape).tokens == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_heads_serve_other_families(kind: str) -> None:
    target = tiny_target("gpt2")
    heads = random_heads(kind, TargetEnds.of(target))
    request = Request(PROMPT, 20)
    drafted = decode_speculative(target, drafter_of(heads), request, Tree.chain(2))
    assert drafted.tokens == decode_autoregressive(target, request).tokens


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_of_one_token_starts_without_a_draft(kind: str, target: Model) -> None:
    request = Request([7], 12)
    heads = random_heads(kind, TargetEnds.of(target))
    drafted = decode_speculative(target, drafter_of(heads), request, Tree.chain(2))
    assert drafted.tokens == decode_autoregressive(target, request).tokens
    assert [r.num_draft_tokens for r in drafted.rounds[:2]] == [0, 2]


@pytest.mark.parametrize("kind", ["medusa", "hydra"])
def test_a_shape_deeper_than_there_are_heads_is_cut(kind: str, target: Model) -> None:
    heads = random_heads(kind, TargetEnds.of(target))
    drafted = decode_speculative(target, drafter_of(heads), Request(PROMPT, 20), Tree.chain(9))
    assert max(r.num_draft_tokens for r in drafted.rounds) == heads.num_heads == 3


# --- drafting and training see the same states ------------------------------------------------


class Recording:
    """A rule that notes the logits it was given and chooses the tokens of a known text."""

    guesses = True

    def __init__(self, text: list[int]) -> None:
        self.text, self.seen = text, []

    def choose(self, logits, depth, width):  # type: ignore[no-untyped-def]
        self.seen.append(logits[0])
        return Choice(torch.tensor([[self.text[depth]]]), None)


@pytest.mark.parametrize("kind", KINDS)
def test_drafting_computes_what_training_does(kind: str) -> None:
    """Rounds over a known text, some tokens kept, some not: the same logits as unrolled()."""
    target = wrap("double", tiny_llama().double())
    heads = random_heads(kind, TargetEnds.of(target), scale=0.2)
    tokens = torch.randint(0, 64, (16,), generator=torch.Generator().manual_seed(1))
    features = target.forward_with_features(tokens, target.new_cache(16), 0)[1]
    depth = 3
    wanted = [
        heads.ends.logits(rows[0]) for rows in heads.unrolled(features[None], tokens[None], depth)
    ]
    drafter = drafter_of(heads)
    drafter.start(tokens[:4].tolist(), 16, 0, features[:3])
    at = 3  # place of the pending token
    for kept in (2, 0, 3, None, 1):
        if kept is None:
            drafter.skip(tokens[at : at + 1], features[at : at + 1])
            at += 1
            continue
        rule = Recording(tokens[at + 1 :].tolist())
        drafter.propose(tokens[at : at + 1], Tree.chain(depth), rule, None)  # type: ignore[arg-type]
        for k, logits in enumerate(rule.seen, start=1):
            # head k at place at - 1 says what follows the token at - 1 + k
            assert torch.allclose(logits, wanted[k - 1][at - 1], atol=1e-9)
        drafter.commit(list(range(kept)), features[at : at + 1 + kept])
        at += kept + 1


@pytest.mark.parametrize("kind", KINDS)
def test_branches_of_a_tree_see_their_own_path(kind: str) -> None:
    """Each leaf's logits are those a chain along its path would give."""
    target = wrap("double", tiny_llama().double())
    heads = random_heads(kind, TargetEnds.of(target), scale=0.2)
    features = target.forward_with_features(torch.tensor(PROMPT), target.new_cache(8), 0)[1]
    tree = Tree((-1, -1, 0, 0, 1, 2, 4))
    node_tokens = [11, 12, 21, 22, 23, 31, 32]

    class Known(Recording):
        def choose(self, logits, depth, width):  # type: ignore[no-untyped-def]
            self.seen.append(logits)
            level = [n for n in range(len(tree)) if tree.depths[n] == depth + 1]
            above = sorted({tree.parents[n] for n in level})
            rows = [[node_tokens[n] for n in level if tree.parents[n] == p] for p in above]
            return Choice(torch.tensor([(r + [0] * width)[:width] for r in rows]), None)

    def levels(shape: Tree, rule: Recording) -> list[torch.Tensor]:
        drafter = drafter_of(heads)
        drafter.start(PROMPT, 20, len(shape), features[:-1])
        drafter.propose(torch.tensor(PROMPT[-1:]), shape, rule, None)  # type: ignore[arg-type]
        return rule.seen

    branched = levels(tree, Known([]))
    for node, row in ((2, 0), (4, 1)):  # the third level's parents
        path = [node_tokens[n] for n in tree.path(node)]
        alone = levels(Tree.chain(3), Recording([*path, 0]))
        assert torch.allclose(branched[2][row], alone[2], atol=1e-9)


# --- loading ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_saved_heads_load_as_they_were(kind: str, target: Model, tmp_path: Path) -> None:
    heads = random_heads(kind, TargetEnds.of(target))
    save_heads(heads, "tiny", {"steps": 0}, tmp_path)
    again = load_heads(str(tmp_path), target)
    assert again.kind == kind and again.config == heads.config
    for name, value in heads.state_dict().items():
        assert torch.equal(again.state_dict()[name], value.bfloat16().float())


@pytest.mark.parametrize("change", [{"hidden_size": 64, "head_dim": 8}, {"vocab": 65}])
def test_heads_of_another_target_are_refused(change: dict, target: Model, tmp_path: Path) -> None:
    save_heads(random_heads("medusa", TargetEnds.of(target)), "tiny", {}, tmp_path)
    with pytest.raises(InputError, match=r"trained for tiny .hidden size 32, 64 tokens"):
        load_heads(str(tmp_path), wrap("other", tiny_llama(**change)))


def test_damaged_and_missing_heads_are_refused(target: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no heads"):
        load_heads(str(tmp_path / "nowhere"), target)
    save_heads(random_heads("hydra", TargetEnds.of(target)), "tiny", {}, tmp_path)
    (tmp_path / "heads.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot read the weights"):
        load_heads(str(tmp_path), target)
    card = json.loads((tmp_path / "heads.json").read_text())
    (tmp_path / "heads.json").write_text(json.dumps({**card, "kind": "eagle"}))
    with pytest.raises(InputError, match="known kind"):
        load_heads(str(tmp_path), target)


# --- the tree measured accuracies ask for -----------------------------------------------------


def expected_tokens(tree: Tree, accuracies: list[list[float]]) -> float:
    """Sum over nodes of the chance that all ranks on their path are right."""
    chances: list[float] = []
    for node, parent in enumerate(tree.parents):
        rank = tree.children[parent].index(node)
        above = 1.0 if parent == -1 else chances[parent]
        chances.append(above * accuracies[tree.depths[node] - 1][rank])
    return sum(chances)


@pytest.mark.parametrize("seed", range(6))
def test_greedy_tree_is_the_best_of_all(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(3, 3, generator=generator).sort(dim=1, descending=True).values
    accuracies = (drawn / drawn.sum(1, keepdim=True).clamp(min=1)).tolist()
    for nodes in range(1, 6):
        shapes = itertools.product(*(range(-1, node) for node in range(nodes)))
        trees = {Tree.of(parents) for parents in shapes}
        allowed = [t for t in trees if t.depth <= 3 and all(w <= 3 for w in t.widths)]
        best = max(expected_tokens(tree, accuracies) for tree in allowed)
        ours = medusa_tree(accuracies, nodes, 3, 3)
        assert len(ours) == nodes
        assert expected_tokens(ours, accuracies) == pytest.approx(best, abs=1e-12)


def test_greedy_tree_keeps_its_bounds() -> None:
    accuracies = [[0.5, 0.3, 0.1]] * 4
    tree = medusa_tree(accuracies, 100, 2, 2)
    assert tree == Tree.k_ary((2, 2))  # no more than depth and children allow
    assert medusa_tree([[0.9, 0.0]], 5, 5, 2) == Tree((-1, -1))
    for arguments in [(0, 1, 1), (1, 0, 1), (1, 1, 0)]:
        with pytest.raises(InputError, match="at least 1"):
            medusa_tree(accuracies, *arguments)
    with pytest.raises(InputError, match=r"in .0, 1."):
        medusa_tree([[1.5]], 1, 1, 1)
