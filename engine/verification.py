"""Acceptance rules for drafted tokens.

Terms: *accepted* tokens are drafts that are kept, the *recovered* token is
drawn from the residual after a rejection, the *bonus* token from the target
when nothing was left to reject. A round emits the accepted tokens and one of
the other two.

p is the target's distribution and q the draft's, as in Leviathan, Kalman,
Matias, "Fast Inference from Transformers via Speculative Decoding", ICML 2023,
arXiv:2211.17192. Nothing here reads from the device but where a Verdict is
made, once. On a CPU reading costs nothing, so the ``walk`` functions judge
only what the way down meets.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from engine.drafters.base import Draft
from engine.randomness import Randomness

Kept = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""num_accepted [1], the target's next token [1], 1 where its law was finite else 0 [1]; int64."""


@dataclass(frozen=True)
class Verdict:
    """What the target made of a draft.

    Attributes
    ----------
    path : list of int
        Accepted tokens of the tree, from the first level down.
    drafted : list of int
        All drafted token ids, read back to the host.
    token : int
        The target's own token behind the path.
    pending : torch.Tensor [1], int64
        The same, on the device.
    finite : bool
        False when the logits it was chosen from were not finite.
    laws : tuple of torch.Tensor [1, vocab]
        What the pending position and those of the path were judged by; empty
        where nothing is drawn.
    """

    path: list[int]
    drafted: list[int]
    token: int
    pending: torch.Tensor
    finite: bool
    laws: tuple[torch.Tensor, ...] = ()


def verify_sampled(
    tokens: torch.Tensor, laws: torch.Tensor, target: torch.Tensor, randomness: Randomness
) -> Kept:
    """Speculative sampling of a chain: emitted tokens follow the target's law exactly.

    Draft token x at position i is kept with probability min(1, p_i(x)/q_i(x)).
    After the first rejection the next token is drawn from
    norm(max(0, p - q)); when all are kept, from p at the last position.

    Parameters
    ----------
    tokens : torch.Tensor [num_draft_tokens], int64
    laws : torch.Tensor [num_draft_tokens, vocab]
        The very vectors the tokens were drawn from.
    target : torch.Tensor [num_draft_tokens + 1, vocab]
        Probabilities.
    randomness : Randomness

    Returns
    -------
    Kept

    Notes
    -----
    arXiv:2211.17192, algorithm 1.
    """
    p_x = target[:-1].gather(1, tokens[:, None])[:, 0]
    q_x = laws.gather(1, tokens[:, None])[:, 0]
    kept = randomness.accept(p_x / q_x).cumprod(0).sum().reshape(1)
    return _finish(kept, target, laws, randomness)


def verify_block(
    tokens: torch.Tensor, laws: torch.Tensor, target: torch.Tensor, randomness: Randomness
) -> Kept:
    """Block verification of a chain: lossless, and keeps at least as many tokens on average.

    Parameters and result as ``verify_sampled``.

    Notes
    -----
    Sun et al., "Block Verification Accelerates Speculative Decoding",
    arXiv:2403.10444, algorithm 2. With w_0 = 1 and
    w_i = min(1, w_{i-1} p(x_i)/q(x_i)), the prefix of i tokens passes with
    probability h_i = A_i / (A_i + 1 - w_i), A_i = sum_x max(0, w_i p - q), and
    h = w behind the last token; the longest prefix that passes is kept, and
    the next token drawn from norm(max(0, w_i p - q)).
    """
    gamma = tokens.shape[0]
    ratios = (target[:-1].gather(1, tokens[:, None]) / laws.gather(1, tokens[:, None]))[:, 0]
    weights = [torch.ones_like(ratios[:1])]
    for i in range(gamma):
        weights.append((weights[-1] * ratios[i : i + 1]).clamp(max=1))
    weight = torch.cat(weights)  # [gamma + 1], of prefixes of 0..gamma tokens
    excess = (weight[:-1, None] * target[:-1] - laws).clamp(min=0).sum(-1)
    room = excess + 1 - weight[:-1]
    # no excess and full weight: p equals q there, and the next token passes for certain
    chance = torch.where(room == 0, torch.ones_like(room), excess / room)
    passes = randomness.accept(torch.cat([chance[1:], weight[-1:]]))
    order = torch.arange(1, gamma + 1, device=tokens.device)
    kept = (passes * order).max().reshape(1)
    return _finish(kept, target * weight[:, None], laws, randomness, unscaled=target)


def recursive_rejection(draft: Draft, target: torch.Tensor, randomness: Randomness) -> Verdict:
    """A tree of siblings drawn without replacement, judged in turn: lossless.

    At a position with law p and children x_1, x_2, ... drawn from q: with r = p,
    child x_j is kept with probability min(1, r(x_j)/q_j(x_j)), q_j being q
    without the earlier siblings, renormalised; after a rejection
    r = norm(max(0, r - q_j)). Where no child is kept, the next token is drawn
    from r.

    Parameters
    ----------
    draft : Draft
        With laws; children of one position share a law.
    target : torch.Tensor [num_tokens + 1, vocab]
        Probabilities; row 0 is the pending token's.
    randomness : Randomness

    Returns
    -------
    Verdict

    Notes
    -----
    Jeon et al., arXiv:2402.14160 (recursive rejection sampling); Chen et al.,
    "Sequoia", arXiv:2402.12374. All positions are judged at once, the walk
    down stays on the device.
    """
    tree, tokens, laws = draft.tree, draft.tokens, draft.laws
    assert laws is not None
    device = tokens.device
    law_of = draft.law_of or tuple(range(len(tree)))
    # a drafter may keep its laws in float64, as tables do
    residual = target.to(torch.promote_types(target.dtype, laws.dtype), copy=True)
    onward = torch.arange(len(tree) + 1, device=device)  # position -> kept child's, or itself
    parents = sorted(tree.children, key=lambda node: -len(tree.children[node]))
    left = laws[[law_of[tree.children[node][0]] for node in parents]].clone()
    r = target[[node + 1 for node in parents]]
    undecided = torch.ones(len(parents), dtype=torch.bool, device=device)
    for rank in range(len(tree.children[parents[0]])):
        count = sum(len(tree.children[node]) > rank for node in parents)  # a prefix: sorted
        nodes = torch.tensor([tree.children[n][rank] for n in parents[:count]], device=device)
        x = tokens[nodes][:, None]
        mass = left[:count].sum(-1, keepdim=True)
        q = torch.where(mass > 0, left[:count] / mass, torch.zeros_like(mass))
        q_x = q.gather(1, x)[:, 0]
        chance = torch.where(q_x > 0, r[:count].gather(1, x)[:, 0] / q_x, torch.zeros_like(q_x))
        kept = randomness.accept(chance) & undecided[:count]
        positions = torch.tensor([n + 1 for n in parents[:count]], device=device)
        onward[positions] = torch.where(kept, nodes + 1, onward[positions])
        undecided[:count] &= ~kept
        rest = (r[:count] - q).clamp(min=0)
        total = rest.sum(-1, keepdim=True)
        # r == q up to rounding: a rejection then has probability 0 up to rounding
        r = torch.cat([torch.where(total > 0, rest / total, r[:count]), r[count:]])
        left[:count] = left[:count].scatter(1, x, 0.0)
    residual[[node + 1 for node in parents]] = r
    at = torch.zeros(1, dtype=torch.int64, device=device)
    walked = []
    for _ in range(tree.depth):
        at = onward[at]
        walked.append(at)
    pending = randomness.draw(residual[at])
    finite = residual[at].isfinite().all().reshape(1)
    token, fine, *rest_read = torch.cat([pending, finite, *walked, tokens]).tolist()
    visited, drafted = rest_read[: tree.depth], rest_read[tree.depth :]
    path = list(dict.fromkeys(position - 1 for position in visited if position > 0))
    return Verdict(path, drafted, token, pending, bool(fine), laws_along(path, target))


def laws_along(path: Sequence[int], target: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Rows [1, vocab] of target [num_tokens + 1, vocab] at the pending token and along a path."""
    return tuple(target[node + 1 : node + 2] for node in (-1, *path))


def recursive_walk(
    draft: Draft, law: Callable[[int], torch.Tensor], randomness: Randomness
) -> Verdict:
    """``recursive_rejection`` (of a chain: ``verify_sampled``), judging what the walk meets.

    Parameters
    ----------
    draft : Draft
        With laws; children of one position share a law.
    law : callable
        The target's law [1, vocab] at a position; 0 is the pending token's.
    randomness : Randomness

    Returns
    -------
    Verdict
    """
    assert draft.laws is not None
    drafted: list[int] = draft.tokens.tolist()
    path: list[int] = []
    left = law(0)
    laws = [left]
    while below := draft.tree.children.get(path[-1] if path else -1):
        row = draft.law_of[below[0]] if draft.law_of else below[0]
        child, left = _first_kept(below, drafted, left, draft.laws[row : row + 1], randomness)
        if child is None:
            break
        path.append(child)
        left = law(child + 1)
        laws.append(left)
    finite = math.isfinite(float(left.sum()))
    pending = randomness.draw(left)
    return Verdict(path, drafted, int(pending), pending, finite, tuple(laws))


def _first_kept(
    siblings: Sequence[int],
    drafted: Sequence[int],
    r: torch.Tensor,
    q: torch.Tensor,
    randomness: Randomness,
) -> tuple[int | None, torch.Tensor]:
    """The first sibling that is kept, and what is left of the target's law r where none is."""
    for rank, node in enumerate(siblings):
        if rank > 0:
            q = q.clone()
            q[0, drafted[siblings[rank - 1]]] = 0
            q /= q.sum().clamp_(min=torch.finfo(q.dtype).tiny)
        q_x = float(q.numpy()[0, drafted[node]])
        chance = float(r.numpy()[0, drafted[node]]) / q_x if q_x > 0 else 0.0
        if randomness.accept_one(chance):
            return node, r
        rest = (r - q).clamp_(min=0)
        total = float(rest.sum())
        # r == q up to rounding: a rejection then has probability 0 up to rounding
        r = rest.div_(total) if total > 0 else r
    return None, r


def typical_acceptance(
    draft: Draft,
    target: Callable[[list[int]], torch.Tensor],
    randomness: Randomness,
    epsilon: float,
    delta: float,
    judged_by: Callable[[list[int]], torch.Tensor] | None = None,
) -> Verdict:
    """Medusa's typical acceptance: NOT lossless.

    ``target`` gives the target's laws [n, vocab] at n positions, 0 being the pending token's.
    ``judged_by`` replaces it in the test, where the next token is chosen greedily but
    plausibility is of the unwarped law.

    A token x is kept where p(x) > min(epsilon, delta * exp(-H(p))), and the
    longest path of kept tokens wins; the next token is drawn from p behind it.

    Notes
    -----
    Cai et al., "Medusa", arXiv:2401.10774, section 2.3.1.
    """
    tree, tokens = draft.tree, draft.tokens
    inner = sorted(tree.children)  # tokens with children; -1 is the pending one
    row_of = {node: row for row, node in enumerate(inner)}
    p = (target if judged_by is None else judged_by)([node + 1 for node in inner])
    rows = [row_of[parent] for parent in tree.parents]
    p_x = p[rows, tokens]
    threshold = torch.clamp(delta * torch.exp(-torch.special.entr(p).sum(-1)), max=epsilon)
    passes = p_x > threshold[rows]
    flags, drafted = torch.stack([passes.long(), tokens]).tolist()
    path: list[int] = []
    for node in range(len(tree)):
        candidate = tree.path(node)
        if len(candidate) > len(path) and all(flags[n] for n in candidate):
            path = candidate
    end = path[-1] + 1 if path else 0
    law = target([end])
    pending = randomness.draw(law)
    return Verdict(path, drafted, int(pending), pending, bool(law.isfinite().all()))


def _finish(
    kept: torch.Tensor,
    target: torch.Tensor,
    laws: torch.Tensor,
    randomness: Randomness,
    unscaled: torch.Tensor | None = None,
) -> Kept:
    """Draw the next token from norm(max(0, p - q)) behind the kept ones."""
    # a row of zeros behind the last draft makes the residual p itself there
    q_rows = torch.cat([laws, torch.zeros_like(laws[:1])])
    p = target.index_select(0, kept)
    residual = (p - q_rows.index_select(0, kept)).clamp_(min=0)
    # p == q up to rounding: a rejection then has probability 0 up to rounding
    plain = p if unscaled is None else unscaled.index_select(0, kept)
    residual = torch.where(residual.sum(-1, keepdim=True) > 0, residual, plain)
    finite = residual.isfinite().all().reshape(1)
    return kept, randomness.draw(residual), finite.long()
