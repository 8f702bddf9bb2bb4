"""How many drafts does a real round keep that starts here?

At every position of a text the method really drafts and the target really
judges; then both forget the draft and go on to the text's next token.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from engine.decode import Request, rule_of
from engine.masks import tree_layout
from engine.model import Model
from profiler.methods import Method
from profiler.own_text import OwnText
from profiler.proposals import proposals


@dataclass(frozen=True)
class RolledOut:
    """One round that was played and taken back.

    Attributes
    ----------
    kept, depth, num_drafted : int
        Drafts kept, the draft's longest path, and all it drafted. [tokens]
    draft_calls : float
        As ``profiler.proposals.Proposal``.
    """

    kept: int
    depth: int
    num_drafted: int
    draft_calls: float


@torch.inference_mode()
def kept_in_rollouts(
    target: Model, method: Method, text: OwnText, request: Request
) -> Iterator[RolledOut]:
    """A round at every position of a text.

    Parameters
    ----------
    target : Model
    method : Method
        With drafter and shape.
    text : OwnText
    request : Request
        Its rule, candidates and seed are the round's.

    Yields
    ------
    RolledOut
        Kept drafts follow the law of a round that starts there, whatever comes next in the text.
    """
    assert method.drafter is not None and method.shape is not None
    shape, rule = method.shape, rule_of(target, request)
    cache = target.new_cache(request.capacity, shape.size - shape.depth)
    if len(request.prompt) > 1:
        target.forward(torch.tensor(request.prompt[:-1], device=target.device), cache, 0)
    for proposal in proposals(method.drafter, text, shape, rule):
        draft, pending = proposal.draft, text.pending(proposal.start)
        if draft is None:
            target.forward(pending, cache, 0)
            yield RolledOut(0, 0, 0, proposal.draft_calls)
            continue
        base = cache.length
        layout = tree_layout(draft.tree, base, target.dtype, target.device)
        inputs = torch.cat([pending, draft.tokens])
        verdict = rule.verify(draft, target.forward(inputs, cache, len(inputs), layout))
        cache.commit(base, [0])
        size = len(draft.tree)
        yield RolledOut(len(verdict.path), draft.tree.depth, size, proposal.draft_calls)
