"""What does a round with a token tree cost, from the measured stages of chains?

Supplies ``tree_choice`` with its two arrays, turns tokens per round into a
speedup, and says which sizes were never timed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.checks import FloatArray, above, at_least, one_count
from simulator.costs import Origin
from simulator.intervals import percentile_interval
from simulator.round_time import StageCosts


@dataclass(frozen=True, eq=False)
class TreeCosts:
    """Times of a round by the size and the depth of its tree.

    Attributes
    ----------
    verify_seconds : array [max_nodes + 1], > 0
        Target pass, verification, commit and rest; entry 0 is a plain step. [s]
    draft_seconds : array [max_depth + 1], >= 0
        Drafting so many levels. [s]
    origins : tuple of str, [max_nodes + 1]
        Where the time of each target pass comes from.
    """

    verify_seconds: FloatArray
    draft_seconds: FloatArray
    origins: tuple[Origin, ...]

    def round_seconds(self, num_nodes: int, depth: int) -> float:
        """Time of a round; ValueError beyond the sizes these costs were made for. [s]"""
        for name, value, array in (
            ("num_nodes", num_nodes, self.verify_seconds),
            ("depth", depth, self.draft_seconds),
        ):
            if one_count(name, value, 0) >= len(array):
                raise ValueError(f"{name} must be <= {len(array) - 1}, not {value}")
        return float(self.verify_seconds[num_nodes] + self.draft_seconds[depth])

    def speedup(self, tau: ArrayLike, num_nodes: int, depth: int) -> FloatArray:
        """Speedup of a tree that emits tau tokens a round, equation (M3.11). [unitless]"""
        plain = self.round_seconds(0, 0)
        return np.asarray(tau, dtype=np.float64) * plain / self.round_seconds(num_nodes, depth)


def tree_costs(costs: StageCosts, context: float, *, max_nodes: int, max_depth: int) -> TreeCosts:
    """Round costs of trees from those of chains.

    Parameters
    ----------
    costs : StageCosts
    context : float, >= 0
        Tokens cached before the round. [tokens]
    max_nodes, max_depth : int, >= 0
        [tokens]

    Returns
    -------
    TreeCosts

    Raises
    ------
    ValueError
        If a number leaves its bound, or a round would take no time.

    Notes
    -----
    Equation (M3.10) in docs/model.md. Assumes that verifying n nodes takes as
    long as verifying n tokens of a chain, and drafting a level as long as
    drafting one token: leaves out the mask of a tree, the wider calls of its
    levels, and the token a draft has to catch up with after a full round.
    A tree that was timed itself is predicted by ``method_prediction`` instead.

    Examples
    --------
    >>> made = tree_costs(StageCosts.assumed(0.1), 100, max_nodes=4, max_depth=2)
    >>> float(made.speedup(2.4, 4, 2)), made.origins[4]
    (2.0, 'assumed')
    """
    place = float(at_least("context", context, 0))
    nodes = np.arange(one_count("max_nodes", max_nodes, 0) + 1)
    levels = np.arange(one_count("max_depth", max_depth, 0) + 1)
    verify = costs.target.seconds(nodes + 1, place) + costs.rest.seconds(nodes, place)
    verify = verify + costs.commit.seconds(nodes, place)
    checked = costs.verification.seconds(nodes, place)
    checked[0] = float(costs.sampling.seconds(0, place))
    drafting = costs.draft.seconds(levels, place) + costs.draft_sampling.seconds(levels, place)
    drafting[0] = 0.0
    return TreeCosts(
        above("verify_seconds", verify + checked, 0),
        np.maximum(drafting, 0.0),
        tuple(costs.target.provenance(n + 1, place) for n in nodes.tolist()),
    )


def tau_interval(
    lengths: ArrayLike,
    rounds_per_prompt: ArrayLike,
    *,
    rng: np.random.Generator,
    bootstrap: int = 400,
    confidence: float = 0.9,
) -> tuple[float, float]:
    """Interval of the tokens per round over texts like these.

    Parameters
    ----------
    lengths : array [num_prompts], >= 1
        [tokens]
    rounds_per_prompt : array [num_prompts], > 0
        Of a replay. [rounds]
    rng : numpy.random.Generator
    bootstrap : int, >= 1
        Number of resamples.
    confidence : float, in (0, 1)
        [unitless]

    Returns
    -------
    tuple of float
        Low and high. [tokens/round]

    Raises
    ------
    ValueError
        If a number leaves its bound.

    Notes
    -----
    Equation (M10.1) in docs/model.md with one cell: prompts are drawn whole.
    Stage times are taken as they are.

    Examples
    --------
    >>> tau_interval([8, 8], [4, 4], rng=np.random.default_rng(0))
    (2.0, 2.0)
    """
    tokens, rounds = at_least("lengths", lengths, 1), above("rounds", rounds_per_prompt, 0)
    number = tokens.size
    size = one_count("bootstrap", bootstrap, 1)
    drawn = rng.multinomial(number, np.full(number, 1.0 / number), size=size)
    return percentile_interval((drawn @ tokens) / (drawn @ rounds), confidence)
