"""What would be drafted and kept along the texts a server decodes, by our own models?

The target's greedy texts, run on far enough behind what the server is asked for: its last round
may draft over the end. Rounds are not decoded here; ``simulator.server_rounds`` counts them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.decode import Request, decode_autoregressive
from engine.drafters.lookup import LookupDrafter
from engine.model import Model
from engine.rules import Greedy
from engine.sampling import Sampling
from engine.trees import Tree
from profiler.progress import Report, Step, silent
from profiler.proposals import num_kept
from profiler.traces import trace_prompt

GREEDY = Sampling(0.0)


@dataclass(frozen=True, eq=False)
class ServedTrace:
    """Along the texts, for a round that starts behind each of their tokens but the last.

    Attributes
    ----------
    tokens : tuple of tuple of int
        The texts.
    kept : array [num_positions]
        Drafts kept of the longest draft. [tokens]
    proposed : array [num_positions]
        Drafted at most; 0 where there was nothing to draft from. [tokens]
    lengths : array [num_prompts]
        Positions of each text: its tokens less the first, which the prefill emits. [tokens]
    """

    tokens: tuple[tuple[int, ...], ...]
    kept: NDArray[np.int64]
    proposed: NDArray[np.int64]
    lengths: NDArray[np.int64]


def trace_served(
    target: Model,
    draft: Model | None,
    prompts: Sequence[list[int]],
    new_tokens: int,
    num_draft_tokens: int,
    ngram: tuple[int, int] = (3, 1),
    report: Report = silent,
) -> ServedTrace:
    """Decode greedily and log what the drafter says beside it.

    Parameters
    ----------
    target : Model
    draft : Model or None
        None drafts from the text, by vLLM's rule.
    prompts : sequence of list of int
    new_tokens : int
        As the server is asked. [tokens]
    num_draft_tokens : int, >= 1
        Most of any server's. [tokens]
    ngram : tuple of int
        Longest and shortest suffix looked for. [tokens]
    report : callable
        Receives a Step after every prompt.

    Raises
    ------
    InputError
        If a prompt with its text exceeds a model's context.
    """
    texts, kept, proposed = [], [], []
    for number, prompt in enumerate(prompts):
        request = Request(prompt, new_tokens + num_draft_tokens, GREEDY)
        if draft is None:
            text = list(decode_autoregressive(target, request).tokens)
            found = looked_up(prompt, text, num_draft_tokens, ngram)
        else:
            frame = trace_prompt(target, draft, request, number)
            text = frame["token"].tolist()
            found = _chain(frame["draft_prob"].to_numpy() > 0, num_draft_tokens)
        texts.append(tuple(text))
        kept.append(found[0])
        proposed.append(found[1])
        report(Step("trace of our own", number + 1, len(prompts)))
    return ServedTrace(
        tuple(texts), np.concatenate(kept), np.concatenate(proposed),
        np.array([len(text) - 1 for text in texts]),
    )  # fmt: skip


def looked_up(
    prompt: Sequence[int], text: Sequence[int], num_draft_tokens: int, ngram: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Kept and proposed of prompt lookup by vLLM's rule, behind every token but the last."""
    drafter = LookupDrafter(ngram[0], min_ngram=ngram[1], recent=False, through_copy=False)
    drafter.start([*prompt, text[0]], 0)
    chain, rule = Tree.chain(num_draft_tokens), Greedy(GREEDY)
    kept, proposed = [], []
    for at in range(1, len(text)):
        pending = torch.tensor(text[at - 1 : at])
        draft = drafter.propose(pending, chain, rule, None)
        proposed.append(0 if draft is None else len(draft.tree))
        following = text[at : at + proposed[-1]]
        kept.append(0 if draft is None else num_kept(draft, following))
        drafter.skip(pending)
    return np.array(kept), np.array(proposed)


def _chain(
    accepted: NDArray[np.bool_], num_draft_tokens: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same of a draft model that says at each position whether it agrees."""
    runs = np.zeros(len(accepted) + 1, dtype=np.int64)
    for at in range(len(accepted) - 1, -1, -1):
        runs[at] = runs[at + 1] + 1 if accepted[at] else 0
    kept = np.minimum(runs[1:-1], num_draft_tokens)
    return kept, np.full(len(kept), num_draft_tokens)
