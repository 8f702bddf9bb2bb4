"""One round of every method of verification, all outcomes enumerated on toy tables.

Written from the papers' algorithms, not from the simulator's formulas. Each
function yields (emitted tokens, probability); ``tests.oracles.decode_law``
plays rounds until a text is complete.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

from tests.oracles import MarkovPair, Text


def block_round(
    pair: MarkovPair, last: int, drafts: int, *, weighted: bool = True
) -> Iterator[tuple[Text, float]]:
    """Block verification (arXiv:2403.10444, algorithm 2).

    ``weighted=False`` drops the running ratio from the residual: wrong, for
    negative controls.
    """
    for drafted in product(range(pair.vocab), repeat=drafts):
        context = (last, *drafted)
        p, q = pair.target[list(context)], pair.draft[list(context)]
        chance = float(np.prod([q[i, x] for i, x in enumerate(drafted)]))
        w = [1.0]
        for i, x in enumerate(drafted):
            w.append(min(1.0, w[-1] * p[i, x] / q[i, x]))
        excess = [float(np.maximum(w[i] * p[i] - q[i], 0).sum()) for i in range(drafts)]
        passes = [excess[i] / (excess[i] + 1 - w[i]) if i else 1.0 for i in range(drafts)]
        passes.append(w[drafts])
        for kept in range(drafts + 1):
            longest = passes[kept] if kept else 1.0
            longest *= float(np.prod([1 - h for h in passes[kept + 1 :]]))
            law = (
                p[kept]
                if kept == drafts
                else np.maximum((w[kept] if weighted else 1.0) * p[kept] - q[kept], 0)
            )
            for y in np.flatnonzero(law):
                share = chance * longest * float(law[y] / law.sum())
                if share > 0:
                    yield (*drafted[:kept], int(y)), share


def rejection_tree_round(
    pair: MarkovPair, last: int, parents: tuple[int, ...], room: int, *, renewed: bool = True
) -> Iterator[tuple[Text, float]]:
    """Children drawn without replacement, judged in turn (arXiv:2402.12374, algorithm 2).

    ``renewed=False`` judges every child against p itself: wrong, for negative
    controls.
    """
    below: dict[int, list[int]] = {}
    for node, parent in enumerate(parents):
        below.setdefault(parent, []).append(node)

    def at(node: int, context: int, emitted: Text, weight: float) -> Iterator[tuple[Text, float]]:
        children = below.get(node, []) if len(emitted) < room else []
        yield from judge(children, pair.target[context], pair.draft[context], emitted, weight)

    def judge(
        children: list[int], r: np.ndarray, q: np.ndarray, emitted: Text, weight: float
    ) -> Iterator[tuple[Text, float]]:
        if not children or q.sum() == 0:
            for y in np.flatnonzero(r):
                yield (*emitted, int(y)), weight * float(r[y])
            return
        law = q / q.sum()
        rest = np.maximum(r - law, 0)
        rest = rest / rest.sum() if renewed and rest.sum() > 0 else r
        for x in np.flatnonzero(law):
            kept = min(1.0, r[x] / law[x])
            if kept > 0:
                share = weight * float(law[x]) * kept
                yield from at(children[0], int(x), (*emitted, int(x)), share)
            if kept < 1:
                left = law.copy()
                left[x] = 0
                yield from judge(
                    children[1:], rest, left, emitted, weight * float(law[x]) * (1 - kept)
                )

    yield from at(-1, last, (), 1.0)


def matched_tree_round(
    pair: MarkovPair, last: int, parents: tuple[int, ...], room: int
) -> Iterator[tuple[Text, float]]:
    """The draft's favourites as children; the target samples, and goes on where it matches."""
    children = {node: [n for n, p in enumerate(parents) if p == node] for node in range(-1, 99)}

    def at(node: int, context: int, emitted: Text, weight: float) -> Iterator[tuple[Text, float]]:
        favourites = np.argsort(-pair.draft[context], kind="stable").tolist()
        for y, chance in enumerate(pair.target[context]):
            rank = favourites.index(y)
            share = weight * float(chance)
            if len(emitted) < room and rank < len(children[node]):
                yield from at(children[node][rank], y, (*emitted, y), share)
            else:
                yield (*emitted, y), share

    yield from at(-1, last, (), 1.0)
