"""What do an engine's own timed forwards say about drafting and verifying? No printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from measurements.engines import ForwardCase

SPREAD = 1.6
"""Contexts of cases that are compared may differ by this factor: the benchmark jitters them."""


@dataclass(frozen=True)
class ForwardCosts:
    """Costs relative to a plain step of the same batch.

    Attributes
    ----------
    batch : int
        [sequences]
    step_seconds : float
        A plain step. [s]
    verify_slope : float
        Extra time per verified token. [steps]
    cost_ratio : float or None
        Time per drafted token; None where no case has a drafter in it. [steps]
    """

    batch: int
    step_seconds: float
    verify_slope: float
    cost_ratio: float | None


def forward_costs(cases: Sequence[ForwardCase], batch: int | None = None) -> ForwardCosts:
    """Slope of verification and cost of a draft token at one batch.

    Parameters
    ----------
    cases : sequence of ForwardCase
        Of one engine and model; at least a plain step and one that verifies, without drafter.
    batch : int, optional
        Needed where plain steps of several batches were timed.

    Raises
    ------
    ValueError
        One line: what is missing, or what cannot be compared.

    Notes
    -----
    With t(n) the time of a step over n tokens per request, the slope is the least-squares fit
    of t(n)/t(1) − 1 = slope (n − 1); a drafted token costs (t_both(n) − t(n)) / ((n − 1) t(1)),
    the mean over n, where t_both has the drafter in it.

    Examples
    --------
    >>> cases = [
    ...     ForwardCase("decode", 8, 1, 900.0, 0.010, False),
    ...     ForwardCase("verify", 8, 4, 900.0, 0.013, False),
    ...     ForwardCase("verify", 8, 4, 900.0, 0.019, True),
    ... ]
    >>> costs = forward_costs(cases)
    >>> round(costs.verify_slope, 3), round(costs.cost_ratio, 3)
    (0.1, 0.2)
    """
    plain = [c for c in cases if c.num_tokens == 1 and not c.with_drafter]
    known = sorted({c.batch for c in plain})
    if not known:
        raise ValueError("no plain step without drafter was timed: a case such as decode=8*1@1024")
    if batch is None and len(known) > 1:
        raise ValueError(f"plain steps of batches {known} were timed: say --batch")
    at = known[0] if batch is None else batch
    if at not in known:
        raise ValueError(f"batch must be one of the timed {known}, not {at}")
    mine = [c for c in cases if c.batch == at]
    contexts = [c.context for c in mine]
    if max(contexts) > SPREAD * min(contexts):
        raise ValueError(
            f"cases of batch {at} have {min(contexts):.0f} to {max(contexts):.0f} tokens of "
            "context: compare files of one context"
        )
    step = float(np.mean([c.seconds for c in plain if c.batch == at]))
    verifying = [c for c in mine if c.num_tokens > 1 and not c.with_drafter]
    if not verifying:
        raise ValueError(f"no verifying step of batch {at} was timed: a case such as 8*4@1024:3")
    extra = np.array([c.num_tokens - 1 for c in verifying], dtype=np.float64)
    growth = np.array([c.seconds / step - 1 for c in verifying])
    return ForwardCosts(
        batch=at,
        step_seconds=step,
        verify_slope=max(0.0, float(extra @ growth / (extra @ extra))),
        cost_ratio=_draft_cost(mine, verifying, step),
    )


def _draft_cost(
    mine: Sequence[ForwardCase], verifying: Sequence[ForwardCase], step: float
) -> float | None:
    """Mean extra time per drafted token of steps with a drafter over those without. [steps]"""
    found = []
    for both in mine:
        alone = [c.seconds for c in verifying if c.num_tokens == both.num_tokens]
        if both.with_drafter and alone:
            drafts = both.num_tokens - 1
            found.append((both.seconds - float(np.mean(alone))) / (drafts * step))
    return max(0.0, float(np.mean(found))) if found else None
