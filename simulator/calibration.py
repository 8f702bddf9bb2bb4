"""What did the profiler measure, in the simulator's terms?

Turns the two tables of a profile, stage times and an acceptance trace, into
stage curves and an acceptance trace. Takes anything whose columns can be read
by name (a DataFrame, a dict of arrays); reads no files.
"""

from dataclasses import dataclass
from typing import Any

from simulator.checks import FloatArray, IntArray
from simulator.costs import StageCurve
from simulator.intervals import Resamples, draw_resamples
from simulator.prediction import Prediction
from simulator.profile_tables import Mode, read_rounds, read_trace
from simulator.round_time import StageCosts
from simulator.scenario import Scenario, predict
from simulator.trace import AcceptanceTrace


@dataclass(frozen=True, eq=False)
class Calibration:
    """Everything the simulator needs from one profile at one sampling.

    Attributes
    ----------
    trace : AcceptanceTrace
        Acceptance along the profiled texts.
    costs : StageCosts
        Stage times per round.
    draft_call : StageCurve
        One draft call over n tokens. [s]
    """

    trace: AcceptanceTrace
    costs: StageCosts
    draft_call: StageCurve

    @classmethod
    def from_tables(cls, stages: Any, trace: Any, mode: Mode, *, batch: int = 1) -> "Calibration":
        """Read the tables of a profile.

        Parameters
        ----------
        stages : table
            Columns stage, mode, num_draft_tokens, num_tokens, context [tokens],
            batch, repeat, seconds [s]; one row per timed stage. Rows that share
            num_draft_tokens, context and repeat belong to one round.
        trace : table
            Columns prompt, position, context [tokens], target_prob,
            draft_prob, overlap; sorted by prompt and position.
        mode : "greedy", "sampled" or "filtered"
            Which rows of stages to use: "greedy" for temperature 0, "filtered" with top-k or top-p.
        batch : int, >= 1

        Returns
        -------
        Calibration

        Raises
        ------
        ValueError
            If autoregressive or speculative rounds or one of their stages are
            missing, or the trace is not in order.
        """
        rounds = read_rounds(stages, mode, batch)
        return cls(read_trace(trace), rounds.costs(), rounds.draft_call())

    @property
    def acceptance_rate(self) -> float:
        """Mean overlap; at temperature 0 how often draft and target agree. [unitless]"""
        return self.trace.acceptance_rate

    @property
    def cost_ratio(self) -> float:
        """One draft call / one target call, one token each, at the mean context. [unitless]"""
        context = float(self.trace.cached.mean())
        return float(self.draft_call.seconds(1, context) / self.costs.target.seconds(1, context))

    @property
    def accept_prob(self) -> FloatArray:
        """Acceptance of the emitted token at each position [num_positions]. [unitless]"""
        return self.trace.accept_prob

    @property
    def overlap(self) -> FloatArray:
        """Acceptance before the token is known, at each position [num_positions]. [unitless]"""
        return self.trace.overlap

    @property
    def context(self) -> FloatArray:
        """Tokens before each position [num_positions]. [tokens]"""
        return self.trace.context

    @property
    def lengths(self) -> IntArray:
        """Tokens of each prompt [num_prompts]. [tokens]"""
        return self.trace.lengths

    def scenario(self, num_draft_tokens: int) -> Scenario:
        """A setting on the measured text at the measured costs."""
        return Scenario(num_draft_tokens, self.trace, self.costs, self.cost_ratio)

    def resamples(self, *, seed: int = 0, bootstrap: int = 400) -> Resamples:
        """Bootstrap draws to share between predictions; see ``draw_resamples``."""
        return draw_resamples(self.costs, self.trace.lengths.size, seed=seed, bootstrap=bootstrap)


def predict_chain(
    calibration: Calibration,
    num_draft_tokens: int,
    *,
    seed: int = 0,
    bootstrap: int = 400,
    confidence: float = 0.9,
    resamples: Resamples | None = None,
) -> Prediction:
    """What chain drafting will gain on the profiled pair, text and machine.

    Parameters
    ----------
    calibration : Calibration
    num_draft_tokens : int, >= 0
        [tokens]
    seed : int
        Of the bootstrap; equal seeds make settings comparable in pairs.
    bootstrap : int, >= 0
        Number of resamples; 0 gives no interval.
    confidence : float, in (0, 1)
        [unitless]
    resamples : Resamples, optional
        ``calibration.resamples()``, to share over many settings; seed and
        bootstrap are then unused.

    Returns
    -------
    Prediction

    Raises
    ------
    ValueError
        If a number leaves its bounds.

    Notes
    -----
    ``predict`` of ``calibration.scenario``; equation (M6.5) in docs/model.md.
    """
    if resamples is None and bootstrap != 0:
        resamples = calibration.resamples(seed=seed, bootstrap=bootstrap)
    scenario = calibration.scenario(num_draft_tokens)
    return predict(scenario, resamples=resamples, confidence=confidence)
