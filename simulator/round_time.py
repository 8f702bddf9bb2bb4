"""What does a round cost, stage by stage, wherever along the text it starts?

Composes stage curves into rounds (equation M6). An autoregressive step is a
round without drafts, so both sides of a speedup go through the same lines.
Every cost is kept as weights over the measured cells until the last moment:
that is what makes a bootstrap over cells and prompts cheap.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.checks import FloatArray, IntArray
from simulator.costs import ORIGINS, StageCurve

STAGES = ("draft", "draft_sampling", "target", "sampling", "verification", "commit", "rest")
CURVES = ("catch_up", *STAGES)


@dataclass(frozen=True, eq=False)
class StageCosts:
    """Stage times of a whole round, as curves.

    Attributes
    ----------
    target : StageCurve
        One forward over n tokens, n = drafts + 1. [s]
    draft : StageCurve
        All draft calls of a round of n drafts, each reading one token. [s]
    catch_up : StageCurve
        What the first draft call takes longer when it reads two tokens: the
        round before was fully accepted, so its last draft was never read. [s]
    draft_sampling : StageCurve
        Choosing all n drafts of a round. [s]
    sampling : StageCurve
        Choosing the token of a round without drafts. [s]
    verification, commit : StageCurve
        Per round of n drafts. [s]
    rest : StageCurve
        Wall time of a round of n drafts that no stage explains. [s]
    """

    target: StageCurve
    draft: StageCurve
    catch_up: StageCurve
    draft_sampling: StageCurve
    sampling: StageCurve
    verification: StageCurve
    commit: StageCurve
    rest: StageCurve

    @classmethod
    def assumed(
        cls,
        cost_ratio: float,
        *,
        verify_slope: float = 0.0,
        host_steps: float = 0.0,
        target_seconds: float = 1.0,
    ) -> "StageCosts":
        """Costs written down instead of measured; arguments as in ``speedup_from_rates``.

        host_steps is the host's time per round in target steps; it is booked
        as verification (as sampling in a round without drafts).
        """
        nothing = StageCurve.line(0.0)
        host = StageCurve.line(host_steps * target_seconds)
        return cls(
            target=StageCurve.line(
                (1.0 - verify_slope) * target_seconds, verify_slope * target_seconds
            ),
            draft=StageCurve.line(0.0, cost_ratio * target_seconds),
            catch_up=nothing,
            draft_sampling=nothing,
            sampling=host,
            verification=host,
            commit=nothing,
            rest=nothing,
        )


@dataclass(frozen=True, eq=False)
class RoundWeights:
    """How often each measured cell is paid: seconds = sum of weights * medians.

    Attributes
    ----------
    by_curve : mapping of str to array [num_prompts, num_cells]
        One entry per curve that is used. [rounds]
    origin_seconds : array [num_origins]
        Predicted time by ``ORIGINS``. [s]
    """

    by_curve: Mapping[str, FloatArray]
    origin_seconds: FloatArray

    def seconds_by_prompt(self, costs: StageCosts) -> FloatArray:
        """Predicted time of each prompt [num_prompts]. [s]"""
        return sum(
            (w @ getattr(costs, name).medians for name, w in self.by_curve.items()),
            start=np.zeros(next(iter(self.by_curve.values())).shape[0]),
        )

    def seconds_by_stage(self, costs: StageCosts) -> dict[str, float]:
        """Predicted time of all prompts, by stage that is used. [s]"""
        seconds: dict[str, float] = {}
        for name, weights in self.by_curve.items():
            stage = "draft" if name == "catch_up" else name
            paid = float((weights @ getattr(costs, name).medians).sum())
            seconds[stage] = seconds.get(stage, 0.0) + paid
        return seconds

    def origin_shares(self) -> dict[str, float]:
        """Share of the predicted time by where its costs come from; adds up to 1."""
        total = self.origin_seconds.sum()
        if total <= 0:
            return {}
        shares = zip(ORIGINS, self.origin_seconds / total, strict=True)
        return {origin: float(share) for origin, share in shares if share > 0}


def weigh_rounds(
    costs: StageCosts,
    num_drafted: IntArray,
    rounds: FloatArray,
    after_full: FloatArray,
    cached: FloatArray,
    prompt: IntArray,
) -> RoundWeights:
    """Weights of the measured cells in the time of many rounds.

    Parameters
    ----------
    costs : StageCosts
    num_drafted : array [num_positions], >= 0
        Drafts of a round that starts here. [tokens]
    rounds : array [num_positions], >= 0
        Expected rounds that start here. [rounds]
    after_full : array [num_positions], >= 0
        Part of them that follow a fully accepted round. [rounds]
    cached : array [num_positions], >= 0
        Tokens cached before the round. [tokens]
    prompt : array [num_positions]
        Index of the prompt, ascending from 0.

    Returns
    -------
    RoundWeights

    Notes
    -----
    Equation (M6.4) in docs/model.md. Assumes stages run one after another and
    that their times do not depend on which tokens are accepted.
    """
    from scipy.sparse import csr_array  # slow to import

    # rounds alike in drafts and context cost the same: locate each kind once
    stride = float(num_drafted.max(initial=0)) + 1.0
    _, at, kind = np.unique(cached * stride + num_drafted, return_index=True, return_inverse=True)
    drafts, context = num_drafted[at], cached[at]
    # one row a prompt, one entry a position: positions lie in the order of prompts
    ends = np.append(0, np.cumsum(np.bincount(prompt)))
    matrices = (
        csr_array((weight, kind, ends), (ends.size - 1, at.size)) for weight in (rounds, after_full)
    )
    all_rounds, late_rounds = ((matrix, matrix.sum(axis=0)) for matrix in matrices)
    drafting = drafts > 0
    everywhere = np.ones_like(drafting)
    terms = {
        "draft": (drafts, all_rounds, drafting),
        "catch_up": (drafts, late_rounds, drafting),
        "draft_sampling": (drafts, all_rounds, drafting),
        "target": (drafts + 1, all_rounds, everywhere),
        "sampling": (drafts, all_rounds, ~drafting),
        "verification": (drafts, all_rounds, drafting),
        "commit": (drafts, all_rounds, everywhere),
        "rest": (drafts, all_rounds, everywhere),
    }
    by_curve: dict[str, FloatArray] = {}
    origin_seconds = np.zeros(len(ORIGINS))
    for name, (num_tokens, (weight, total), where) in terms.items():
        used = np.flatnonzero((total > 0) & where)
        if used.size == 0:
            continue
        curve: StageCurve = getattr(costs, name)
        spot = curve.locate(num_tokens[used], context[used])
        each = (spot.coefficients * curve.medians[spot.cells]).sum(axis=1)
        entries = np.zeros(at.size + 1, dtype=np.int64)
        entries[used + 1] = spot.cells.shape[1]
        coefficients = csr_array(
            (spot.coefficients.ravel(), spot.cells.ravel(), np.cumsum(entries)),
            (at.size, curve.medians.size),
        )
        by_curve[name] = (weight @ coefficients).toarray()
        seconds = np.maximum(total[used] * each, 0.0)
        origin_seconds += np.bincount(spot.origin, weights=seconds, minlength=len(ORIGINS))
    return RoundWeights(by_curve, origin_seconds)
