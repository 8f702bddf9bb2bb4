"""From chances along a text to the law of how many drafts a round keeps.

survival[j] is P(the first j tokens of the text come from kept drafts of a round
that starts here), given the text (docs/model.md, M1).
"""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from engine.trees import Tree


def tree_survival(tree: Tree, chances: np.ndarray) -> list[float]:
    """P(the first j tokens come from kept drafts) of a tree judged child by child.

    Parameters
    ----------
    tree : Tree
    chances : array [depth, width]
        P(the token at a depth came as the kept child of a rank), given that
        the depth was reached. [unitless]

    Returns
    -------
    list of float
        For j = 0 ... depth of the tree.

    Notes
    -----
    Equation (M3.2) in docs/model.md.

    Examples
    --------
    >>> tree_survival(Tree((-1, -1, 0)), np.array([[0.5, 0.2], [0.5, 0.2]]))
    [1.0, 0.7, 0.25]
    """
    survival = [1.0] + [0.0] * tree.depth
    path: dict[int, float] = {-1: 1.0}
    for parent in (-1, *range(len(tree))):
        for rank, child in enumerate(tree.children.get(parent, ())):
            depth = tree.depths[child]
            path[child] = path[parent] * float(chances[depth - 1, rank])
            survival[depth] += path[child]
    return list(accumulate(survival, min))  # sums of estimates and products may rise


def block_survival(ratios: Sequence[float]) -> list[float]:
    """The same of a chain under block verification.

    Parameters
    ----------
    ratios : sequence of float
        q(x)/p(x) of the text's tokens from the start of the round on, not cut at 1.

    Notes
    -----
    With r_i = p_i/q_i, w_0 = 1 and w_i = min(1, w_(i-1) r_i), survival is
    w_j / (r_1 ... r_j) (arXiv:2403.10444): the running minimum of the products
    of q/p, which divides by nothing.

    Examples
    --------
    >>> block_survival([0.5, 4.0, 0.25])
    [1.0, 0.5, 0.5, 0.5]
    """
    products = accumulate(ratios, lambda product, ratio: product * ratio, initial=1.0)
    return list(accumulate(products, min))
