"""What would the measured draft have to become for a wanted speedup on the measured texts?

The inverse of the replayed prediction (fidelity L2) in the draft's acceptance
and in its time, the number of draft tokens free or fixed.
"""

from collections.abc import Iterable

import numpy as np

from simulator.changes import Change
from simulator.checks import FloatArray, above
from simulator.decode_time import decode_weights, total_seconds
from simulator.optimise import CANDIDATES
from simulator.requirement import Requirement, draft_candidates, require
from simulator.scenario import Scenario


def required_acceptance(
    scenario: Scenario, wanted_speedup: float = 1.0, candidates: Iterable[int] = CANDIDATES
) -> Requirement:
    """Acceptance rate the draft of a scenario must reach on its texts.

    Parameters
    ----------
    scenario : Scenario
        Its own num_draft_tokens is replaced by each candidate.
    wanted_speedup : float, > 0
        [unitless]
    candidates : iterable of int, >= 1
        [tokens]

    Returns
    -------
    Requirement
        Of ``acceptance_rate``, the mean overlap after the move; today's is
        ``scenario.trace.acceptance_rate``. [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds, or the costs add up to nothing.

    Notes
    -----
    Equations (M12.1) and (M12.2) in docs/model.md. Every position moves the
    same share of the way; costs stay. Assumes that a round does not become
    dearer by what it keeps, so that the speedup rises with acceptance.

    Examples
    --------
    >>> today = Scenario.from_rates(0.6, 4, 0.1, new_tokens=4000)
    >>> required_acceptance(today, 2.0).verdict
    '2x needs acceptance_rate 0.7052 (γ = 4)'
    """
    gammas = draft_candidates(candidates)
    plain = _plain_seconds(scenario)

    def speedups(way: float) -> FloatArray:
        moved = Change("draft better", acceptance=way).of_scenario(scenario)
        return np.array(
            [plain / total_seconds(decode_weights(moved, int(g)), moved.costs) for g in gammas]
        )

    found = require("way to certainty", wanted_speedup, speedups, gammas, worst=-1.0, best=1.0)
    moved = Change("draft better", acceptance=found.value).of_scenario(scenario)
    return Requirement(
        "acceptance_rate",
        found.wanted_speedup,
        found.reachable,
        moved.trace.acceptance_rate,
        found.num_draft_tokens,
        found.speedup,
    )


def required_draft_time(
    scenario: Scenario, wanted_speedup: float = 1.0, candidates: Iterable[int] = CANDIDATES
) -> Requirement:
    """Share of its present time that the draft of a scenario may take.

    Parameters
    ----------
    scenario, wanted_speedup, candidates
        As in ``required_acceptance``.

    Returns
    -------
    Requirement
        Of ``draft_time_factor``: 0.5 asks for a draft twice as fast, 2 allows
        one half as fast; 0 where not even a free draft is enough. Times the
        scenario's cost_ratio it is a cost ratio. [unitless]

    Raises
    ------
    ValueError
        If an argument leaves its bounds, or drafting takes no time.

    Notes
    -----
    Equation (M12.4) in docs/model.md. Acceptance stays what was measured,
    which a smaller draft of the same make would not keep.

    Examples
    --------
    >>> today = Scenario.from_rates(0.8, 4, 0.1, new_tokens=4000)
    >>> required_draft_time(today, 2.0).verdict
    '2x needs draft_time_factor 1.701 (γ = 4)'
    """
    gammas = draft_candidates(candidates)
    wanted = float(above("wanted_speedup", wanted_speedup, 0))
    plain = _plain_seconds(scenario)
    drafting, others = np.empty(gammas.size), np.empty(gammas.size)
    for i, gamma in enumerate(gammas):
        stages = decode_weights(scenario, int(gamma)).seconds_by_stage(scenario.costs)
        drafting[i] = stages.pop("draft", 0.0)
        others[i] = sum(stages.values())
    if not (drafting > 0).all():
        raise ValueError(f"drafting must take a time above 0, not {drafting.min():g} s")
    allowed = (plain / wanted - others) / drafting
    reachable = bool(allowed.max() >= 0)
    value = max(float(allowed.max()), 0.0)
    speedups = plain / (others + value * drafting)
    chosen = int(np.argmax(allowed if reachable else speedups))
    return Requirement(
        "draft_time_factor",
        wanted,
        reachable,
        value,
        int(gammas[chosen]),
        float(speedups[chosen]),
    )


def _plain_seconds(scenario: Scenario) -> float:
    seconds = total_seconds(decode_weights(scenario, 0), scenario.costs)
    if not seconds > 0:
        raise ValueError(f"autoregressive decoding must take a time above 0, not {seconds:g} s")
    return seconds
