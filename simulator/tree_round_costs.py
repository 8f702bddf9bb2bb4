"""What does a round with any static tree cost, once a few trees were timed?

What a round does to the whole tree at once (target pass, verification, rest)
takes its time from the timed chains and trees by the number of nodes, the commit
from the trees alone. Drafting goes level by level: a linear fit says by how much another tree's
differs from that of a timed one. Knows nothing about what a tree keeps.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.checks import FloatArray
from simulator.costs import Origin, StageCurve
from simulator.method_costs import MethodCosts
from simulator.token_trees import Parents, chain_tree, child_ranks, tree_depths

DRAFTING = ("draft", "draft_sampling")
"""Stages that go level by level."""
OF_TREES = ("commit",)
"""Stages that do more for any tree than for a chain, whose kept tokens lie side by side."""
FEWEST = 2
"""Chains, and trees, that a fit takes: one tree alone could not be checked by another."""


@dataclass(frozen=True, eq=False)
class TreeRoundCosts:
    """Round costs of static trees, from those that were timed; made by ``tree_round_costs``.

    Attributes
    ----------
    timed : mapping of Parents to MethodCosts
        Chains and trees of one draft and one rule.
    plain : mapping of str to StageCurve
        Stages of a round without drafts. [s]
    whole : mapping of str to StageCurve
        Stages of the whole tree, by its nodes. [s]
    drafting : mapping of str to array
        Coefficients of (M3.12) by stage. [s]
    """

    timed: Mapping[Parents, MethodCosts]
    plain: Mapping[str, StageCurve]
    whole: Mapping[str, StageCurve]
    drafting: Mapping[str, FloatArray]

    def round_seconds(self, parents: Parents, context: float) -> float:
        """Time of a round with this tree behind so many cached tokens. [s]"""
        whole = sum(float(curve.seconds(len(parents), context)) for curve in self.whole.values())
        drafting = (_levels(stage, parents) @ fitted for stage, fitted in self.drafting.items())
        return whole + float(sum(drafting))

    def of_tree(self, parents: Parents) -> MethodCosts:
        """Stage curves as a timed method has them; equation (M3.13).

        A round that is cut near the end of a text costs what the tree cut there does.
        """
        depths = np.array(tree_depths(parents))
        cuts = [parents[: int((depths <= level).sum())] for level in range(1, depths.max() + 1)]
        return MethodCosts(
            self.plain,
            {**self.whole, **{stage: self._drafting(stage, cuts) for stage in self.drafting}},
        )

    def _drafting(self, stage: str, cuts: list[Parents]) -> StageCurve:
        """The samples of the timed tree that takes most nearly as long, moved by the fit."""
        fitted = self.drafting[stage]
        alike = {tree: float(_levels(stage, tree) @ fitted) for tree in timed_trees(self.timed)}
        wanted = float(_levels(stage, cuts[-1]) @ fitted)
        reference = min(alike, key=lambda tree: abs(alike[tree] - wanted))
        curve = self.timed[reference].drafting[stage]
        cells = np.flatnonzero(curve.num_tokens == len(reference))
        number = len(cuts)
        return StageCurve(
            np.repeat([len(cut) for cut in cuts], cells.size),
            np.tile(curve.context[cells], number),
            tuple(
                np.maximum(
                    curve.samples[cell] + float(_levels(stage, cut) @ fitted) - alike[reference], 0
                )
                for cut in cuts
                for cell in cells
            ),
            np.tile(curve.context_low[cells], number),
            np.tile(curve.context_high[cells], number),
            origin=self._origin(cuts[-1]),
        )

    def _origin(self, parents: Parents) -> Origin:
        """Interpolated while levels and drafted nodes lie among those of the timed trees."""
        sizes = np.array([_extent(tree) for tree in timed_trees(self.timed)])
        extent = _extent(parents)
        inside = (sizes.min(axis=0) <= extent) & (extent <= sizes.max(axis=0))
        return "interpolated" if inside.all() else "extrapolated"


def tree_round_costs(
    timed: Mapping[Parents, MethodCosts], plain: Mapping[str, StageCurve]
) -> TreeRoundCosts:
    """Costs of static trees that were not timed, from chains and trees that were.

    Parameters
    ----------
    timed : mapping of Parents to MethodCosts
        Chains and trees of one draft and one rule, level by level. Shapes of which
        no whole round was timed are left out.
    plain : mapping of str to StageCurve
        Stages of a round without drafts. [s]

    Returns
    -------
    TreeRoundCosts

    Raises
    ------
    ValueError
        If fewer than 2 chains or 2 trees remain.

    Notes
    -----
    Equation (M3.12) in docs/model.md. Coefficients are kept from being negative:
    a further level, mask or token takes no less. Assumes that what a round does
    to the whole tree depends on its nodes, not on its shape, and that the
    context adds the same to the drafting of every tree.

    Examples
    --------
    >>> def stage(nodes, seconds):
    ...     return StageCurve.from_samples([nodes], [100], [seconds])
    >>> shapes = {(-1, 0): 1.2, (-1, 0, 1, 2): 1.4, (-1, -1, 0): 1.3, (-1, -1, 0, 1, 2): 1.5}
    >>> timed = {p: MethodCosts({}, {"target": stage(len(p), s)}) for p, s in shapes.items()}
    >>> costs = tree_round_costs(timed, {"target": stage(0, 1.0)})
    >>> round(costs.round_seconds((-1, -1, 0, 1), 100), 3)
    1.4
    """
    whole = {p: mine for p, mine in timed.items() if _timed_whole(mine, len(p))}
    trees = len(timed_trees(whole))
    chains = len(whole) - trees
    if min(chains, trees) < FEWEST:
        raise ValueError(
            f"the cost of a tree takes timed rounds of at least {FEWEST} chains and {FEWEST} "
            f"static trees, not of {chains} and {trees}"
        )
    return _fit(whole, plain)


def leave_one_out(costs: TreeRoundCosts) -> dict[Parents, float]:
    """How far off is the round of every timed tree when the other shapes predict it?

    Returns
    -------
    dict of Parents to float
        Time of a round at the mean timed context, predicted over measured, less 1.
        [unitless]

    Notes
    -----
    Equation (M3.14) in docs/model.md.
    """
    errors = {}
    for tree in timed_trees(costs.timed):
        others = {parents: mine for parents, mine in costs.timed.items() if parents != tree}
        without = _fit(others, costs.plain)
        curves = costs.timed[tree].drafting.values()
        context = float(np.mean([_mean_context(curve, len(tree)) for curve in curves]))
        measured = sum(float(curve.seconds(len(tree), context)) for curve in curves)
        errors[tree] = without.round_seconds(tree, context) / measured - 1.0
    return errors


def timed_trees(timed: Mapping[Parents, MethodCosts]) -> list[Parents]:
    """Those of the shapes that are no chains."""
    return [parents for parents in timed if not is_chain(parents)]


def is_chain(parents: Parents) -> bool:
    """True when no token has a sibling.

    Examples
    --------
    >>> is_chain((-1, 0)), is_chain((-1, -1))
    (True, False)
    """
    return parents == chain_tree(len(parents))


def tokens_by_draft_call(parents: Parents) -> tuple[int, ...]:
    """Tokens that each call of a causal drafter reads: the pending one, then parents.

    Examples
    --------
    >>> tokens_by_draft_call((-1, -1, 0, 0, 1, 2))
    (1, 2, 1)
    """
    depths = tree_depths(parents)
    levels = [0 if parent == -1 else depths[parent] for parent in set(parents)]
    return tuple(np.bincount(levels).tolist())


def _fit(timed: Mapping[Parents, MethodCosts], plain: Mapping[str, StageCurve]) -> TreeRoundCosts:
    from scipy.optimize import nnls  # slow to import, seldom used

    stages = sorted({stage for mine in timed.values() for stage in mine.drafting})
    # of a chain and a tree with as many nodes, the tree counts
    shapes = {len(p): p for p in sorted(timed, key=lambda parents: not is_chain(parents))}
    whole = {}
    for stage in (stage for stage in stages if stage not in DRAFTING):
        like = [p for _, p in sorted(shapes.items()) if stage not in OF_TREES or not is_chain(p)]
        whole[stage] = _by_nodes([(len(p), timed[p].drafting.get(stage)) for p in like])
    drafting = {}
    for stage in (stage for stage in stages if stage in DRAFTING):
        features = np.array([_levels(stage, parents) for parents in timed])
        seconds = [_typical(mine, stage, len(parents)) for parents, mine in timed.items()]
        drafting[stage] = np.asarray(nnls(features, seconds)[0])
    return TreeRoundCosts(timed, plain, whole, drafting)


def _by_nodes(curves: list[tuple[int, StageCurve | None]]) -> StageCurve:
    """The cells of whole rounds, by number of nodes."""
    places = [
        (curve, int(cell))
        for nodes, curve in curves
        if curve is not None
        for cell in np.flatnonzero(curve.num_tokens == nodes)
    ]
    return StageCurve(
        np.array([curve.num_tokens[cell] for curve, cell in places]),
        np.array([curve.context[cell] for curve, cell in places]),
        tuple(curve.samples[cell] for curve, cell in places),
        np.array([curve.context_low[cell] for curve, cell in places]),
        np.array([curve.context_high[cell] for curve, cell in places]),
    )


def _levels(stage: str, parents: Parents) -> FloatArray:
    """What the time of drafting is linear in; equation (M3.12)."""
    calls = np.array(tokens_by_draft_call(parents))
    wide = np.flatnonzero(calls > 1)
    special = calls.size - wide[0] if wide.size else 0  # siblings stay in the draft's cache
    if stage == "draft_sampling":
        depths = np.array(tree_depths(parents))
        special = np.unique(depths[np.array(child_ranks(parents)) > 0]).size
    return np.array([1.0, calls.size, special, calls.sum() - calls.size])


def _typical(costs: MethodCosts, stage: str, nodes: int) -> float:
    """Time of a stage in whole rounds at their mean context; 0 where there is no such stage. [s]"""
    curve = costs.drafting.get(stage)
    return 0.0 if curve is None else float(curve.seconds(nodes, _mean_context(curve, nodes)))


def _mean_context(curve: StageCurve, nodes: int) -> float:
    cells = np.flatnonzero(curve.num_tokens == nodes)
    sizes = [curve.samples[cell].size for cell in cells]
    return float(np.average(curve.context[cells], weights=sizes))


def _timed_whole(costs: MethodCosts, nodes: int) -> bool:
    return all((curve.num_tokens == nodes).any() for curve in costs.drafting.values())


def _extent(parents: Parents) -> FloatArray:
    """Levels and tokens that the draft reads."""
    calls = tokens_by_draft_call(parents)
    return np.array([len(calls), sum(calls)], dtype=np.float64)
