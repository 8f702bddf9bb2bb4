"""Predicts what speculative decoding gains, from measurements or from guesses.

Pure mathematics on numpy and scipy: no models, files, clocks or printing. Read
``acceptance`` (laws of emitted tokens), ``replay`` (exact prediction from a
trace), ``costs`` and ``round_time`` (stage and round times), ``scenario``
(everything together), ``optimise``, ``sensitivity``, ``calibration`` (from a
profile) and ``validation`` (against real decoding). Equations are numbered in
docs/model.md, words defined in docs/nomenclature.md.

Examples
--------
>>> scenario = Scenario.from_rates(acceptance_rate=0.8, num_draft_tokens=4, cost_ratio=0.05)
>>> round(predict(scenario).speedup.L0, 2)
2.8
"""

from simulator.acceptance import (
    emitted_tokens_pmf,
    expected_emitted_from_hazards,
    expected_emitted_tokens,
)
from simulator.calibration import Calibration, predict_chain
from simulator.costs import StageCurve
from simulator.hazards import (
    emitted_tokens_by_prompt,
    hazards_from_trace,
    pooled_emitted_tokens,
)
from simulator.intervals import Resamples, draw_resamples, percentile_interval
from simulator.optimise import Optimum, best_num_draft_tokens
from simulator.prediction import Fidelities, Prediction
from simulator.replay import Replay, replay_chain, replay_chain_naive
from simulator.round_time import StageCosts
from simulator.rounds import simulate_chain, simulate_emitted_tokens
from simulator.scenario import Scenario, predict
from simulator.sensitivity import break_even_acceptance_rate, break_even_cost_ratio
from simulator.speedup import operations_factor, speedup_from_rates, textbook_speedup
from simulator.trace import AcceptanceTrace
from simulator.validation import ErrorTerms, Measurement, Summary, compare, summarise

__all__ = [
    "AcceptanceTrace",
    "Calibration",
    "ErrorTerms",
    "Fidelities",
    "Measurement",
    "Optimum",
    "Prediction",
    "Replay",
    "Resamples",
    "Scenario",
    "StageCosts",
    "StageCurve",
    "Summary",
    "best_num_draft_tokens",
    "break_even_acceptance_rate",
    "break_even_cost_ratio",
    "compare",
    "draw_resamples",
    "emitted_tokens_by_prompt",
    "emitted_tokens_pmf",
    "expected_emitted_from_hazards",
    "expected_emitted_tokens",
    "hazards_from_trace",
    "operations_factor",
    "percentile_interval",
    "pooled_emitted_tokens",
    "predict",
    "predict_chain",
    "replay_chain",
    "replay_chain_naive",
    "simulate_chain",
    "simulate_emitted_tokens",
    "speedup_from_rates",
    "summarise",
    "textbook_speedup",
]
