"""How often is the token that heads rank r-th at depth k the one that comes?

Asked along the text that the target writes alone behind a prompt, at every
position where a round could begin. A tree is built from these numbers
(``engine.heads.medusa_tree``).
"""

from collections.abc import Mapping, Sequence

import torch

from engine.decode import Request
from engine.heads.loading import Heads
from engine.model import Model
from profiler.own_text import OwnText, write_alone
from profiler.progress import Report, Step, silent

RANKS = 10


@torch.inference_mode()
def head_accuracies(
    target: Model,
    heads: Mapping[str, Heads],
    requests: Sequence[Request],
    depth: int,
    ranks: int = RANKS,
    report: Report = silent,
) -> dict[str, list[list[float]]]:
    """Accuracy by depth and rank of every kind of heads on the same texts.

    Parameters
    ----------
    target : Model
    heads : mapping of str to Heads
        By name.
    requests : sequence of Request
        What the target is to write; a depth that no text reaches counts 0.
    depth : int, >= 1
        [tokens]
    ranks : int, >= 1
    report : callable

    Returns
    -------
    dict
        Name to ``[k][r]``: share of positions where the r-th likeliest token (from 0) at
        depth k + 1 is the one that comes, given that all tokens before it came. [unitless]
    """
    hits = {name: torch.zeros(depth, ranks, dtype=torch.float64) for name in heads}
    places = torch.zeros(depth, 1, dtype=torch.float64)
    for number, request in enumerate(requests, start=1):
        text = write_alone(target, request)
        # nothing is drafted right behind a prompt of one token: no hidden state yet
        starts = len(text) - (text.prompt_features is None)
        places += torch.tensor([[max(0, starts - k)] for k in range(depth)])
        for name, kind in heads.items():
            hits[name] += _hits(kind, text, depth, ranks)
        report(Step(f"accuracy of heads, {request.sampling.label}", number, len(requests)))
    return {name: (count / places.clamp(min=1)).tolist() for name, count in hits.items()}


def _hits(heads: Heads, text: OwnText, depth: int, ranks: int) -> torch.Tensor:
    """Positions where each rank is right [depth, ranks]."""
    prompt = torch.tensor(text.request.prompt, device=text.tokens.device)
    tokens = torch.cat([prompt, text.tokens])
    parts = [] if text.prompt_features is None else [text.prompt_features]
    features = torch.cat([*parts, text.features])  # of all tokens but the last
    first = max(0, len(prompt) - 2)  # the last token in front of the pending one
    found = torch.zeros(depth, ranks, dtype=torch.float64)
    for k, rows in enumerate(heads.unrolled(features[None], tokens[None, :-1], depth)):
        best = heads.ends.logits(rows[0, first:]).topk(ranks).indices
        comes = tokens[first + k + 2 :]  # row i of depth k + 1 says what stands at i + k + 2
        found[k] = (best == comes[:, None]).sum(dim=0).cpu()
    return found
