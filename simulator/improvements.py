"""Which single improvement buys most: a faster draft, a better one, less host work?

Every improvement is judged by time per token after over before, each with its
own best number of draft tokens: a faster target or host speeds up plain
decoding too, so the speedup alone would rank it last.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from simulator.changes import Change
from simulator.checks import FloatArray
from simulator.decode_time import decode_weights, total_seconds
from simulator.intervals import Resamples, percentile_interval
from simulator.optimise import CANDIDATES
from simulator.requirement import draft_candidates
from simulator.scenario import Scenario

CHANGES = (
    Change("draft 10 % faster", draft=0.9),
    Change("draft right in 10 % of its errors", acceptance=0.1),
    Change("host 10 % faster", host=0.9),
    Change("verifying costs one step", flat_verify=True),
    Change("target 10 % faster", target=0.9),
)


@dataclass(frozen=True, eq=False)
class Improvement:
    """What one change buys.

    Attributes
    ----------
    change : Change
    gain : float
        Tokens per second after / before. [unitless]
    gain_low, gain_high : float or None
        Interval of the gain; None without resamples. [unitless]
    num_draft_tokens : int
        Best after the change; 0 where plain decoding is fastest. [tokens]
    speedup : float
        After the change, over autoregressive decoding after the change. [unitless]
    close_to_best : bool or None
        Whether it may as well be the best of its ranking; None when unknown.
    """

    change: Change
    gain: float
    gain_low: float | None
    gain_high: float | None
    num_draft_tokens: int
    speedup: float
    close_to_best: bool | None


def acceptance_change(scenario: Scenario, points: float) -> Change:
    """A draft whose acceptance rate is higher by so much, as a change.

    Raises ValueError if the rate would leave [0, 1].

    Examples
    --------
    >>> acceptance_change(Scenario.from_rates(0.8, 4, 0.1), 0.05).acceptance
    0.25
    """
    today = scenario.trace.acceptance_rate
    if not 0.0 <= today + points <= 1.0:
        raise ValueError(f"acceptance rate must be in [0, 1], not {today:g} {points:+g}")
    room = 1.0 - today if points > 0 else today
    way = points / room if points else 0.0
    return Change(f"acceptance {points:+g}", acceptance=round(way, 12))


def rank_improvements(
    scenario: Scenario,
    changes: Sequence[Change] = CHANGES,
    *,
    candidates: Iterable[int] = CANDIDATES,
    resamples: Resamples | None = None,
    confidence: float = 0.9,
) -> tuple[Improvement, ...]:
    """Changes ordered by what they buy, most first.

    Parameters
    ----------
    scenario : Scenario
        Its own num_draft_tokens is replaced by the best candidate, before and
        after every change.
    changes : sequence of Change
    candidates : iterable of int, >= 1
        Plain decoding is always among them. [tokens]
    resamples : Resamples, optional
        From ``draw_resamples`` for the same costs and prompts; needed for
        intervals.
    confidence : float, in (0, 1)
        [unitless]

    Returns
    -------
    tuple of Improvement

    Raises
    ------
    ValueError
        If there is no change, or an argument leaves its bounds.

    Notes
    -----
    Equation (M12.6) in docs/model.md, fidelity L2. The numbers of draft
    tokens are chosen once, on all data, and kept in every resample; before
    and after are compared on the same resamples. Changes are given, not
    priced: what ten percent of anything costs to reach is not in here.

    Examples
    --------
    >>> ranked = rank_improvements(Scenario.from_rates(0.8, 4, 0.1, host_share=0.1))
    >>> [(i.change.name, round(i.gain, 3)) for i in ranked[:2]]
    [('target 10 % faster', 1.063), ('draft right in 10 % of its errors', 1.056)]
    """
    if not changes:
        raise ValueError("changes must hold >= 1 change, not 0")
    gammas = [0, *draft_candidates(candidates)]
    before = _fastest(Change("as it is"), scenario, gammas, resamples)
    after = [_fastest(change, scenario, gammas, resamples) for change in changes]
    order = sorted(range(len(after)), key=lambda i: after[i].seconds)
    best = after[order[0]]
    ranked = []
    for i in order:
        mine, low, high, close = after[i], None, None, None
        if mine.samples is not None and before.samples is not None and best.samples is not None:
            low, high = percentile_interval(before.samples / mine.samples, confidence)
            least, most = percentile_interval(np.log(mine.samples / best.samples), confidence)
            close = least <= 0.0 <= most
        ranked.append(
            Improvement(
                changes[i], before.seconds / mine.seconds, low, high, mine.num_draft_tokens,
                mine.plain_seconds / mine.seconds, close,
            )
        )  # fmt: skip
    return tuple(ranked)


@dataclass(frozen=True, eq=False)
class _Fastest:
    """The fastest decoding of a changed scenario: its drafts and times of all texts. [s]"""

    num_draft_tokens: int
    seconds: float
    plain_seconds: float
    samples: FloatArray | None


def _fastest(
    change: Change, scenario: Scenario, gammas: Sequence[int], resamples: Resamples | None
) -> _Fastest:
    changed = change.of_scenario(scenario)
    weights = [decode_weights(changed, int(gamma)) for gamma in gammas]
    seconds = [total_seconds(w, changed.costs) for w in weights]
    best = int(np.argmin(seconds))
    samples = None
    if resamples is not None:
        samples = change.of_resamples(scenario.costs, resamples).seconds(weights[best])
    return _Fastest(int(gammas[best]), seconds[best], seconds[0], samples)
