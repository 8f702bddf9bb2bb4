"""How many calls does a draft take that is itself drafted for?

The lower level changes what a draft costs, never its law: tokens per round do
not move. Drafts within drafts to any depth, from hazards or from logged
roll-outs. Knows nothing about seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulator.acceptance import emitted_tokens_pmf
from simulator.checks import FloatArray, one_count, rates
from simulator.replay import replay_chain


@dataclass(frozen=True, eq=False)
class StagedCalls:
    """Work of every level for drafts of 0, 1, ... num_draft_tokens tokens.

    Attributes
    ----------
    calls : array [num_levels, num_draft_tokens + 1]
        Expected forwards of each drafting model, the one the target sees first.
        [calls]
    asked : array [num_draft_tokens + 1]
        Expected proposals of the lowest drafter, which is not itself drafted
        for. [proposals]
    proposed : array [num_draft_tokens + 1]
        Expected tokens in these proposals. [tokens]
    """

    calls: FloatArray
    asked: FloatArray
    proposed: FloatArray


def staged_draft_calls(hazards: Sequence[ArrayLike], num_draft_tokens: int) -> StagedCalls:
    """Expected calls of every level to draft chains of up to num_draft_tokens.

    Parameters
    ----------
    hazards : sequence of arrays, each [lower_draft_tokens], in [0, 1]
        For every drafting model, from the one the target sees downwards: how
        its lower level's tokens are accepted by it, by position. An empty list
        of levels, or a level with no lower drafts, is plain drafting.
        [unitless]
    num_draft_tokens : int, >= 0
        Longest chain the target asks for. [tokens]

    Returns
    -------
    StagedCalls
        Column g is for a chain of g tokens.

    Raises
    ------
    ValueError
        If a hazard is outside [0, 1].

    Notes
    -----
    Equations (M5.1) and (M5.2) in docs/model.md. A round of a level adds one
    token more than it keeps, so it asks the level below for at most the
    tokens still wanted less one. Assumes that hazards do not depend on where in
    the chain a round starts; ``rollout_draft_calls`` does not.

    Examples
    --------
    >>> staged_draft_calls([[0.5, 0.5]], 3).calls[0]
    array([0. , 1. , 1.5, 2. ])
    >>> staged_draft_calls([[]], 3).calls[0]
    array([0., 1., 2., 3.])
    """
    longest = one_count("num_draft_tokens", num_draft_tokens, 0)
    levels = [_hazards(level) for level in hazards]
    tokens = np.arange(longest + 1)
    # work[i, g]: expected use of resource i to draft g tokens; at first of the lowest drafter
    work = np.array([tokens > 0, tokens], dtype=np.float64)
    for level in levels[::-1]:
        below, work = work, np.zeros((len(work) + 1, longest + 1))
        for wanted in range(1, longest + 1):
            drafted = min(level.size, wanted - 1)
            left = wanted - 1 - np.arange(drafted + 1)
            work[0, wanted] = 1.0
            work[1:, wanted] = below[:, drafted]
            work[:, wanted] += work[:, left] @ emitted_tokens_pmf(level[:drafted])
    return StagedCalls(work[:-2], work[-2], work[-1])


def rollout_draft_calls(accept_prob: ArrayLike, num_lower_tokens: int) -> FloatArray:
    """Expected draft calls by start, from roll-outs of the draft logged with its lower level.

    Parameters
    ----------
    accept_prob : array [num_starts, num_draft_tokens], in [0, 1]
        Entry [s, i]: min(1, q(x)/p(x)) of token x number i of the chain that
        the draft writes at start s, p being the draft's law and q the lower
        level's. [unitless]
    num_lower_tokens : int, >= 0
        Tokens the lower level proposes at a time. [tokens]

    Returns
    -------
    array [num_starts, num_draft_tokens + 1]
        Column g: calls for a chain of g tokens at this start. [calls]

    Raises
    ------
    ValueError
        If accept_prob is no such table or leaves [0, 1].

    Notes
    -----
    Equation (M5.3) in docs/model.md: a roll-out is a text of its own, and the
    rule that a lower round stops short of the chain's end is the one that a
    round stops short of a text's end. So the calls are replayed round starts,
    and a chain of g tokens takes those among its first g. Exact given the
    roll-out.

    Examples
    --------
    >>> rollout_draft_calls([[1, 1, 0], [0, 1, 1]], 2)
    array([[0., 1., 1., 1.],
           [0., 1., 2., 2.]])
    """
    table = rates("accept_prob", accept_prob)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"accept_prob must be [num_starts, num_draft_tokens], not {table.shape}")
    number, longest = table.shape
    starts = replay_chain(table.ravel(), np.full(number, longest), num_lower_tokens).start_prob
    calls = np.zeros((number, longest + 1))
    np.cumsum(starts.reshape(table.shape), axis=1, out=calls[:, 1:])
    return calls


def _hazards(level: ArrayLike) -> FloatArray:
    array = rates("hazards", level)
    if array.ndim != 1:
        raise ValueError(f"hazards of a level must have one dimension, not {array.ndim}")
    return array
