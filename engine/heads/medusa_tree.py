"""The tree that measured head accuracies ask for."""

import heapq
from collections.abc import Sequence

from engine.errors import InputError
from engine.trees import Tree


def medusa_tree(
    accuracies: Sequence[Sequence[float]], num_nodes: int, max_depth: int, max_children: int
) -> Tree:
    """Greedy tree: always add the node that is most likely to be accepted.

    The node reached by ranks r_1 ... r_d is right with probability
    a_1[r_1] * ... * a_d[r_d], taking the heads as independent; the sum over
    nodes is the expected number of accepted tokens. Exact where accuracies
    fall with the rank: then a node never beats its parent or an earlier sibling.

    Parameters
    ----------
    accuracies : sequence of sequences of float
        ``accuracies[k][r]``: how often the token that head k ranks r-th (both from 0) is right.
    num_nodes : int
        Tokens in the tree; fewer where depth and children allow fewer. [tokens]
    max_depth, max_children : int

    Returns
    -------
    Tree

    Raises
    ------
    InputError
        If a bound is below 1, or an accuracy lies outside [0, 1].

    Notes
    -----
    Cai et al., arXiv:2401.10774, section 2.3.3.

    Examples
    --------
    >>> medusa_tree([[0.6, 0.2], [0.5, 0.1]], 3, 2, 2).parents
    (-1, -1, 0)
    """
    for name, bound in (("nodes", num_nodes), ("depth", max_depth), ("children", max_children)):
        if bound < 1:
            raise InputError(f"tree {name} must be at least 1, not {bound}")
    wrong = [a for ranks in accuracies for a in ranks if not 0 <= a <= 1]
    if wrong or not accuracies or not accuracies[0]:
        raise InputError(f"head accuracies must lie in [0, 1], not {wrong or accuracies}")
    heads = [ranks[:max_children] for ranks in accuracies[:max_depth]]
    chosen: list[tuple[int, ...]] = []
    waiting: list[tuple[float, tuple[int, ...]]] = [(-heads[0][0], (0,))]
    while waiting and len(chosen) < num_nodes:
        score, path = heapq.heappop(waiting)
        chosen.append(path)
        head, rank = heads[len(path) - 1], path[-1]
        if rank + 1 < len(head) and head[rank] > 0:
            sibling = (*path[:-1], rank + 1)
            heapq.heappush(waiting, (score * head[rank + 1] / head[rank], sibling))
        if len(path) < len(heads) and heads[len(path)]:
            heapq.heappush(waiting, (score * heads[len(path)][0], (*path, 0)))
    return Tree.from_paths(chosen)
