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
