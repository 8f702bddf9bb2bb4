"""Accuracies along a text, against what the drafters draft there, and against counting."""

from collections.abc import Callable

import pytest
import torch

from engine.decode import Request
from engine.drafters.base import Drafter
from engine.drafters.hydra import HydraDrafter
from engine.drafters.medusa import MedusaDrafter
from engine.drafters.mtp import MtpDrafter
from engine.heads.hydra import HydraHeads
from engine.heads.loading import Heads
from engine.heads.medusa import MedusaHeads
from engine.heads.mtp import MtpModule
from engine.heads.target_ends import TargetEnds
from engine.randomness import Uniforms
from engine.sampling import Sampling
from engine.trees import Tree
from profiler.head_accuracies import head_accuracies
from profiler.own_text import write_alone
from profiler.proposals import ForcedChoice, proposals
from tests.tiny_models import tiny_pair

DEPTH, RANKS, TOKENS = 3, 16, 32
PROMPTS = [[5, 9, 2, 7], [3]]
KINDS: list[tuple[Callable[..., Heads], Callable[..., Drafter]]] = [
    (MedusaHeads, MedusaDrafter),
    (HydraHeads, HydraDrafter),
    (MtpModule, MtpDrafter),
]


def random_heads(make: Callable[..., Heads], seed: int) -> tuple[Heads, object]:
    target, _ = tiny_pair()
    torch.manual_seed(seed)
    heads = make(TargetEnds.of(target))
    with torch.no_grad():
        for parameter in heads.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return heads.eval(), target


@pytest.mark.parametrize(("make", "drafter"), KINDS)
def test_ranks_are_those_of_the_laws_a_drafter_states_when_made_to_draft_the_text(
    make: Callable[..., Heads], drafter: Callable[..., Drafter]
) -> None:
    heads, target = random_heads(make, seed=1)
    sampling = Sampling(1.0)
    requests = [Request(prompt, TOKENS, sampling, seed=3) for prompt in PROMPTS]
    found = head_accuracies(target, {"heads": heads}, requests, DEPTH, RANKS)["heads"]
    hits, places = torch.zeros(DEPTH, RANKS), torch.zeros(DEPTH, 1)
    for request in requests:
        with torch.inference_mode():
            text = write_alone(target, request)
            forced = ForcedChoice(sampling, text.tokens, Uniforms(0, target.device), None)
            for proposal in proposals(drafter(heads), text, Tree.chain(DEPTH), forced):
                # nothing is drafted right behind a prompt of one token, nor at the text's end
                laws = None if proposal.draft is None else proposal.draft.laws
                for k in range(0 if laws is None else len(laws)):
                    best = laws[k].topk(RANKS).indices
                    hits[k] += (best == text.tokens[proposal.start + k]).float()
                    places[k] += 1
    # a round keeps one wanted token for the target, so no proposal reaches a text's last one
    texts = len(PROMPTS)
    more = torch.tensor(found) * (places + texts) - hits
    assert more.min() > -1e-3 and more.sum(dim=1).max() < texts + 1e-3
    assert hits.sum() > 20
