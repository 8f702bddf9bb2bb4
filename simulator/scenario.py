"""What will this method gain on this text at these costs?

The only file that knows acceptance, replay and costs together. A scenario made
of guessed numbers and one made of measurements go through the same lines, at
three fidelities that are always shown side by side.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from simulator.acceptance import expected_emitted_tokens
from simulator.checks import FloatArray, at_least, one_count
from simulator.hazards import Starts, pooled_emitted_tokens
from simulator.intervals import Resamples, percentile_interval
from simulator.prediction import Fidelities, Prediction
from simulator.replay import replay_chain
from simulator.round_time import RoundWeights, StageCosts, weigh_rounds
from simulator.speedup import host_steps, textbook_speedup
from simulator.trace import AcceptanceTrace


@dataclass(frozen=True, eq=False)
class Scenario:
    """One setting of chain drafting: text, costs and parameters.

    Attributes
    ----------
    num_draft_tokens : int, >= 0
        Tokens drafted per round. [tokens]
    trace : AcceptanceTrace
        Acceptance along the texts.
    costs : StageCosts
        Stage times.
    cost_ratio : float, >= 0
        One draft step / one target step, for the closed form. [unitless]

    Raises
    ------
    ValueError
        If a number leaves its bounds.

    Examples
    --------
    >>> scenario = Scenario.from_rates(0.8, 4, 0.05)
    >>> round(predict(scenario).speedup.L0, 4)
    2.8013
    """

    num_draft_tokens: int
    trace: AcceptanceTrace
    costs: StageCosts
    cost_ratio: float

    def __post_init__(self) -> None:
        one_count("num_draft_tokens", self.num_draft_tokens, 0)
        at_least("cost_ratio", self.cost_ratio, 0)

    @classmethod
    def from_rates(
        cls,
        acceptance_rate: float,
        num_draft_tokens: int,
        cost_ratio: float,
        *,
        verify_slope: float = 0.0,
        host_share: float = 0.0,
        new_tokens: int = 128,
        target_seconds: float = 1.0,
    ) -> "Scenario":
        """A scenario from nothing but guesses.

        Parameters
        ----------
        acceptance_rate, num_draft_tokens, cost_ratio, verify_slope, host_share
            As in ``speedup_from_rates``.
        new_tokens : int, >= 1
            Length of the decoded text; the last round of a text drafts less. [tokens]
        target_seconds : float, >= 0
            One target step; seconds are in target steps at the default. [s]

        Raises
        ------
        ValueError
            If a number leaves its bounds.
        """
        costs = StageCosts.assumed(
            float(at_least("cost_ratio", cost_ratio, 0)),
            verify_slope=float(at_least("verify_slope", verify_slope, 0)),
            host_steps=float(host_steps(host_share)),
            target_seconds=float(at_least("target_seconds", target_seconds, 0)),
        )
        trace = AcceptanceTrace.constant(acceptance_rate, new_tokens)
        return cls(num_draft_tokens, trace, costs, cost_ratio)


def predict(
    scenario: Scenario, *, resamples: Resamples | None = None, confidence: float = 0.9
) -> Prediction:
    """Tokens per round, time and speedup of a scenario at all three fidelities.

    Parameters
    ----------
    scenario : Scenario
    resamples : Resamples, optional
        From ``draw_resamples`` for the same costs and prompts; without it no
        interval is given.
    confidence : float, in (0, 1)
        [unitless]

    Returns
    -------
    Prediction

    Raises
    ------
    ValueError
        If the predicted time is not above 0, or confidence is outside (0, 1).

    Notes
    -----
    Equation (M6.5) in docs/model.md. L0 is ``textbook_speedup`` with the mean
    overlap and the cost ratio; L1 takes hazards by draft position, prompt by
    prompt, and the measured costs at the mean of all positions; L2 replays the
    trace and pays every round where it starts, the shorter last ones included.
    Leaves out prefill, batching, and any change of stage times with load.
    """
    return predict_each(scenario, [scenario.num_draft_tokens], resamples, confidence)[0]


def predict_each(
    scenario: Scenario,
    candidates: Iterable[int],
    resamples: Resamples | None = None,
    confidence: float = 0.9,
) -> tuple[Prediction, ...]:
    """As ``predict`` for each number of draft tokens; what they share is computed once.

    Raises
    ------
    ValueError
        As ``predict``, and if a candidate is negative.
    """
    trace = scenario.trace
    nothing = np.zeros(trace.num_tokens)
    steps = _weigh(scenario, nothing.astype(np.int64), nothing + 1.0, nothing)
    settings = [replace(scenario, num_draft_tokens=gamma) for gamma in candidates]
    longest = max((one.num_draft_tokens for one in settings), default=0)
    starts = Starts.from_trace(trace.accept_prob, trace.lengths, longest)
    return tuple(_predict(one, steps, starts, resamples, confidence) for one in settings)


def _predict(
    scenario: Scenario,
    steps: RoundWeights,
    starts: Starts,
    resamples: Resamples | None,
    confidence: float,
) -> Prediction:
    trace, gamma = scenario.trace, scenario.num_draft_tokens
    replay = replay_chain(trace.accept_prob, trace.lengths, gamma)
    rounds = _weigh(scenario, replay.num_drafted, replay.start_prob, replay.after_full_prob)
    round_stages = _per(rounds.seconds_by_stage(scenario.costs), replay.expected_rounds)
    step_stages = _per(steps.seconds_by_stage(scenario.costs), trace.num_tokens)
    round_seconds, step_seconds = sum(round_stages.values()), sum(step_stages.values())
    if not (round_seconds > 0 and step_seconds > 0):
        raise ValueError(
            f"costs must give a time above 0, not {round_seconds:g} s per round"
            f" and {step_seconds:g} s per autoregressive step"
        )
    tau_l1, speedup_l1 = _hazards_speedup(scenario, starts, step_seconds)
    samples = None if resamples is None else resamples.seconds(steps) / resamples.seconds(rounds)
    low, high = (None, None) if samples is None else percentile_interval(samples, confidence)
    return Prediction(
        num_draft_tokens=gamma,
        tau=Fidelities(
            float(expected_emitted_tokens(trace.acceptance_rate, gamma)), tau_l1, replay.tau
        ),
        speedup=Fidelities(
            float(textbook_speedup(trace.acceptance_rate, gamma, scenario.cost_ratio)),
            speedup_l1,
            replay.tau * step_seconds / round_seconds,
        ),
        speedup_low=low,
        speedup_high=high,
        confidence=None if samples is None else confidence,
        speedup_samples=samples,
        rounds_per_prompt=replay.rounds_per_prompt,
        num_tokens=trace.num_tokens,
        draft_efficiency=replay.draft_efficiency,
        round_seconds=round_seconds,
        round_seconds_by_stage=round_stages,
        autoregressive_seconds=step_seconds,
        autoregressive_seconds_by_stage=step_stages,
        provenance=rounds.origin_shares(),
    )


def _hazards_speedup(
    scenario: Scenario, starts: Starts, step_seconds: float
) -> tuple[float, float]:
    """Tau and speedup of L1: rounds start anywhere, and all draft the full number."""
    trace, gamma = scenario.trace, scenario.num_draft_tokens
    tau = float(pooled_emitted_tokens(starts.emitted_by_prompt(gamma), trace.lengths))
    full = float(np.prod(starts.hazards(gamma)))
    everywhere = np.full(trace.num_tokens, 1.0 / trace.num_tokens)
    drafted = np.full(trace.num_tokens, gamma)
    weights = weigh_rounds(
        scenario.costs, drafted, everywhere, everywhere * full, trace.cached, np.zeros_like(drafted)
    )
    seconds = float(weights.seconds_by_prompt(scenario.costs).sum())
    return tau, tau * step_seconds / seconds


def _weigh(
    scenario: Scenario, num_drafted: np.ndarray, rounds: FloatArray, after_full: FloatArray
) -> RoundWeights:
    trace = scenario.trace
    return weigh_rounds(
        scenario.costs, num_drafted, rounds, after_full, trace.cached, trace.prompt_of_position
    )


def _per(seconds: Mapping[str, float], number: float) -> dict[str, float]:
    return {stage: value / number for stage, value in seconds.items()}
