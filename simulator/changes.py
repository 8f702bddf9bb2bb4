"""What would a scenario be like if one part of it were better?

A change of acceptance or of stage times, applied to a scenario and, alike, to
the resamples of its costs, so that before and after are compared in pairs.
"""

from dataclasses import dataclass, replace

import numpy as np

from simulator.checks import FloatArray, above, at_least
from simulator.costs import StageCurve
from simulator.intervals import Resamples
from simulator.required_rates import toward_certainty
from simulator.round_time import CURVES, StageCosts
from simulator.scenario import Scenario
from simulator.trace import AcceptanceTrace

DRAFT = ("draft", "catch_up")
HOST = ("draft_sampling", "sampling", "verification", "commit", "rest")


@dataclass(frozen=True)
class Change:
    """One way in which a scenario may differ.

    Attributes
    ----------
    name : str
    acceptance : float, in [-1, 1]
        Way to certain acceptance, see ``toward_certainty``. [unitless]
    draft, host : float, >= 0
        Factor on the time of draft calls; on everything outside the models,
        the unexplained rest included. [unitless]
    target : float, > 0
        Factor on the time of target passes. [unitless]
    flat_verify : bool
        Verifying any number of tokens takes one target step.

    Raises
    ------
    ValueError
        If a number leaves its bounds.

    Examples
    --------
    >>> from simulator.scenario import predict
    >>> today = Scenario.from_rates(0.8, 4, 0.1)
    >>> after = Change("draft twice as fast", draft=0.5).of_scenario(today)
    >>> round(predict(after).speedup.L0, 3), round(predict(today).speedup.L0, 3)
    (2.801, 2.401)
    """

    name: str
    acceptance: float = 0.0
    draft: float = 1.0
    host: float = 1.0
    target: float = 1.0
    flat_verify: bool = False

    def __post_init__(self) -> None:
        toward_certainty(0.0, self.acceptance)
        at_least("draft", self.draft, 0)
        at_least("host", self.host, 0)
        above("target", self.target, 0)

    def of_scenario(self, scenario: Scenario) -> Scenario:
        """The changed scenario; equation (M12.5)."""
        curves = {
            name: _changed(getattr(scenario.costs, name), self._matrix(name, scenario.costs))
            for name in CURVES
        }
        return replace(
            scenario,
            trace=_moved(scenario.trace, self.acceptance),
            costs=StageCosts(**curves),
            cost_ratio=scenario.cost_ratio * self.draft / self.target,
        )

    def of_resamples(self, costs: StageCosts, resamples: Resamples) -> Resamples:
        """Resamples of the changed costs, drawn with the same luck; costs are those before."""
        medians = {
            name: resamples.medians[name] @ self._matrix(name, costs).T
            for name in resamples.medians
        }
        return Resamples(resamples.prompt_counts, medians)

    def _matrix(self, name: str, costs: StageCosts) -> FloatArray:
        """New cell medians as a linear map of the old ones [num_cells, num_cells]."""
        curve: StageCurve = getattr(costs, name)
        if name != "target":
            factor = self.draft if name in DRAFT else self.host
            return factor * np.eye(curve.medians.size)
        if not self.flat_verify:
            return self.target * np.eye(curve.medians.size)
        one = curve.locate(np.ones_like(curve.context), curve.context)
        step = np.zeros((curve.medians.size, curve.medians.size))
        np.add.at(step, (np.arange(curve.medians.size)[:, None], one.cells), one.coefficients)
        return self.target * step


def _changed(curve: StageCurve, matrix: FloatArray) -> StageCurve:
    """The curve through mapped medians; scaled cells keep their raw samples' spread."""
    if np.array_equal(matrix, np.diag(np.diag(matrix))):
        samples = tuple(f * cell for f, cell in zip(np.diag(matrix), curve.samples, strict=True))
    else:
        samples = tuple(np.array([median]) for median in matrix @ curve.medians)
    return replace(curve, samples=samples)


def _moved(trace: AcceptanceTrace, way: float) -> AcceptanceTrace:
    return replace(
        trace,
        accept_prob=toward_certainty(trace.accept_prob, way),
        overlap=toward_certainty(trace.overlap, way),
    )
