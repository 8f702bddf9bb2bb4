"""Predicts what speculative decoding gains, from measurements or from guesses.

Pure mathematics on numpy and scipy: no models, files, clocks or printing. Read
``acceptance`` (laws of emitted tokens), ``replay`` (exact prediction from a
trace), ``windows`` (what a method must tell it) and ``chains`` (who tells it for
chains), ``costs`` and ``round_time`` (stage and round times), ``scenario``
(everything together), ``optimise``, ``sensitivity``, ``calibration`` (from a
profile) and ``validation`` (against real decoding). Without a measurement:
``model_shape``, ``roofline`` and ``hardware`` (bytes, FLOP, peaks),
``stage_time`` and ``serving`` (batch and context), ``load`` (arrivals). Backwards:
``required_rates``, ``required_measured``, ``required_draft``, ``required_serving``
(what is needed), ``method_plan`` (any method from plain
numbers, both ways), ``improvements``, ``elasticities``, ``sample_size``.
Equations are numbered in docs/model.md, words defined in docs/nomenclature.md.

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
from simulator.arrivals import Requests, poisson_requests
from simulator.calibration import Calibration, predict_chain
from simulator.candidates import filter_candidates
from simulator.chains import block_windows, chain_windows, parallel_windows
from simulator.changes import Change
from simulator.child_acceptance import accept_by_rank, rank_shares, sampled_accept_by_rank
from simulator.choice import Candidate, Choice, Constraints, choose, pareto_front
from simulator.communication import Layout, all_reduce_seconds, communication_seconds
from simulator.costs import StageCurve
from simulator.degree_fit import DegreeFit, fit_degrees
from simulator.elasticities import Elasticity, speedup_elasticities
from simulator.emitted_trace import emitted_windows
from simulator.hardware import KNOWN_HARDWARE, Hardware, known_hardware
from simulator.hardware_costs import hardware_costs, transferred_costs
from simulator.hazards import (
    emitted_tokens_by_prompt,
    hazards_from_trace,
    pooled_emitted_tokens,
)
from simulator.implied_rates import (
    implied_acceptance_rate,
    implied_draft_cost,
    speedups_by_drafts,
)
from simulator.improvements import Improvement, acceptance_change, rank_improvements
from simulator.intervals import Resamples, draw_resamples, percentile_interval
from simulator.known_models import KNOWN_MODELS, known_shape
from simulator.latent_attention import LatentAttention
from simulator.links import KNOWN_LINKS, Link, known_link
from simulator.load import Load, simulate_load
from simulator.lookup import expected_emitted_with_misses, hit_rate, lookup_windows
from simulator.method_costs import MethodCosts, read_method_costs
from simulator.method_plan import (
    MethodPlan,
    RoundSteps,
    allowed_cost,
    chain_plan,
    needed_rate,
    parallel_plan,
    staged_plan,
    tree_plan,
    tree_tau_of_rates,
)
from simulator.method_prediction import (
    MethodProfile,
    MethodTrace,
    predict_method,
    read_method_traces,
)
from simulator.method_rounds import (
    simulate_staged_calls,
    simulate_tree,
    simulate_two_state_text,
    simulate_windows,
)
from simulator.model_config import shape_from_config
from simulator.model_shape import ModelShape
from simulator.optimise import Optimum, best_num_draft_tokens
from simulator.prediction import Fidelities, Prediction, speedup_ratio_interval
from simulator.replay import (
    Replay,
    kept_survival,
    replay_chain,
    replay_chain_naive,
    replay_windows,
)
from simulator.required_draft import largest_draft, readable_parameters, required_draft_seconds
from simulator.required_measured import required_acceptance, required_draft_time
from simulator.required_rates import (
    SpeedupLine,
    iso_speedup_line,
    required_acceptance_rate,
    required_cost_ratio,
)
from simulator.required_serving import largest_batch, shortest_context
from simulator.requirement import Requirement
from simulator.roofline import (
    OperatorCost,
    Precision,
    expected_distinct_experts,
    operator_costs,
    total_cost,
)
from simulator.roofline_points import RooflinePoint, free_tokens, roof, roofline_point
from simulator.round_table import RoundTable, prefill_seconds, tabulate_rounds
from simulator.round_time import StageCosts
from simulator.round_variance import rounds_left, rounds_variance
from simulator.rounds import simulate_chain, simulate_emitted_tokens
from simulator.sample_size import (
    difference_told_apart,
    log_speed_spread,
    power_to_tell_apart,
    prompts_to_tell_apart,
)
from simulator.scenario import Scenario, predict
from simulator.sensitivity import break_even_acceptance_rate, break_even_cost_ratio
from simulator.served_choice import ServedRun, choose_by_batch
from simulator.served_schedule import BatchChoice, ServedPrediction, steady_schedule
from simulator.server_rounds import ServedRounds, served_rounds
from simulator.server_times import (
    DRAFTS_EXPONENT,
    RoundLine,
    fit_round_line,
    fit_step_seconds,
    rounds_by_active,
    wave_seconds,
)
from simulator.serving import Server, mean_emitted_lockstep, serving_speedup
from simulator.serving_limits import (
    best_schedule,
    break_even_batch,
    break_even_context,
    fitting_batch,
)
from simulator.speedup import operations_factor, speedup_from_rates, textbook_speedup
from simulator.stage_fit import StageFit, fit_stage_time
from simulator.stage_time import StageTime, assumed_stage_time
from simulator.staged import StagedCalls, rollout_draft_calls, staged_draft_calls
from simulator.staging import (
    break_even_draft_cost,
    cost_ratio_for_gain,
    draft_calls_per_round,
    drafting_seconds,
    lower_acceptance_rate,
    staged_calls_from_rates,
    staged_gain,
    staged_speedup,
    staging_extra_seconds,
)
from simulator.token_trees import (
    Parents,
    chain_tree,
    checked_tree,
    child_ranks,
    level_order,
    tree_depths,
    with_child,
    without_subtree,
)
from simulator.trace import AcceptanceTrace
from simulator.traffic import (
    RoundTraffic,
    calls_cost,
    implied_mean_emitted,
    relative_bandwidth,
    round_traffic,
)
from simulator.transfer import (
    ErrorSummary,
    HeldOut,
    StagePoints,
    predict_held_out,
    ratio_standard_error,
    summarise_errors,
)
from simulator.tree_choice import ScoredTree, TreeChoice, choose_tree
from simulator.tree_costs import TreeCosts, tau_interval, tree_costs
from simulator.tree_windows import ranked_tree_windows, rejection_tree_windows
from simulator.trees import (
    GrownTree,
    best_first_trees,
    dynamic_programme_tau,
    expected_emitted_from_tree,
    path_probabilities,
)
from simulator.two_state import TwoStateText, fit_two_state, two_state_emitted_tokens
from simulator.uniform_starts import uniform_emitted_tokens, windows_hazards
from simulator.validation import ErrorTerms, Measurement, Summary, compare, summarise
from simulator.windows import Windows

__all__ = [
    "DRAFTS_EXPONENT",
    "KNOWN_HARDWARE",
    "KNOWN_LINKS",
    "KNOWN_MODELS",
    "AcceptanceTrace",
    "BatchChoice",
    "Calibration",
    "Candidate",
    "Change",
    "Choice",
    "Constraints",
    "DegreeFit",
    "Elasticity",
    "ErrorSummary",
    "ErrorTerms",
    "Fidelities",
    "GrownTree",
    "Hardware",
    "HeldOut",
    "Improvement",
    "LatentAttention",
    "Layout",
    "Link",
    "Load",
    "Measurement",
    "MethodCosts",
    "MethodPlan",
    "MethodProfile",
    "MethodTrace",
    "ModelShape",
    "OperatorCost",
    "Optimum",
    "Parents",
    "Precision",
    "Prediction",
    "Replay",
    "Requests",
    "Requirement",
    "Resamples",
    "RooflinePoint",
    "RoundLine",
    "RoundSteps",
    "RoundTable",
    "RoundTraffic",
    "Scenario",
    "ScoredTree",
    "ServedPrediction",
    "ServedRounds",
    "ServedRun",
    "Server",
    "SpeedupLine",
    "StageCosts",
    "StageCurve",
    "StageFit",
    "StagePoints",
    "StageTime",
    "StagedCalls",
    "Summary",
    "TreeChoice",
    "TreeCosts",
    "TwoStateText",
    "Windows",
    "accept_by_rank",
    "acceptance_change",
    "all_reduce_seconds",
    "allowed_cost",
    "assumed_stage_time",
    "best_first_trees",
    "best_num_draft_tokens",
    "best_schedule",
    "block_windows",
    "break_even_acceptance_rate",
    "break_even_batch",
    "break_even_context",
    "break_even_cost_ratio",
    "break_even_draft_cost",
    "calls_cost",
    "chain_plan",
    "chain_tree",
    "chain_windows",
    "checked_tree",
    "child_ranks",
    "choose",
    "choose_by_batch",
    "choose_tree",
    "communication_seconds",
    "compare",
    "cost_ratio_for_gain",
    "difference_told_apart",
    "draft_calls_per_round",
    "drafting_seconds",
    "draw_resamples",
    "dynamic_programme_tau",
    "emitted_tokens_by_prompt",
    "emitted_tokens_pmf",
    "emitted_windows",
    "expected_distinct_experts",
    "expected_emitted_from_hazards",
    "expected_emitted_from_tree",
    "expected_emitted_tokens",
    "expected_emitted_with_misses",
    "filter_candidates",
    "fit_degrees",
    "fit_round_line",
    "fit_stage_time",
    "fit_step_seconds",
    "fit_two_state",
    "fitting_batch",
    "free_tokens",
    "hardware_costs",
    "hazards_from_trace",
    "hit_rate",
    "implied_acceptance_rate",
    "implied_draft_cost",
    "implied_mean_emitted",
    "iso_speedup_line",
    "kept_survival",
    "known_hardware",
    "known_link",
    "known_shape",
    "largest_batch",
    "largest_draft",
    "level_order",
    "log_speed_spread",
    "lookup_windows",
    "lower_acceptance_rate",
    "mean_emitted_lockstep",
    "needed_rate",
    "operations_factor",
    "operator_costs",
    "parallel_plan",
    "parallel_windows",
    "pareto_front",
    "path_probabilities",
    "percentile_interval",
    "poisson_requests",
    "pooled_emitted_tokens",
    "power_to_tell_apart",
    "predict",
    "predict_chain",
    "predict_held_out",
    "predict_method",
    "prefill_seconds",
    "prompts_to_tell_apart",
    "rank_improvements",
    "rank_shares",
    "ranked_tree_windows",
    "ratio_standard_error",
    "read_method_costs",
    "read_method_traces",
    "readable_parameters",
    "rejection_tree_windows",
    "relative_bandwidth",
    "replay_chain",
    "replay_chain_naive",
    "replay_windows",
    "required_acceptance",
    "required_acceptance_rate",
    "required_cost_ratio",
    "required_draft_seconds",
    "required_draft_time",
    "rollout_draft_calls",
    "roof",
    "roofline_point",
    "round_traffic",
    "rounds_by_active",
    "rounds_left",
    "rounds_variance",
    "sampled_accept_by_rank",
    "served_rounds",
    "serving_speedup",
    "shape_from_config",
    "shortest_context",
    "simulate_chain",
    "simulate_emitted_tokens",
    "simulate_load",
    "simulate_staged_calls",
    "simulate_tree",
    "simulate_two_state_text",
    "simulate_windows",
    "speedup_elasticities",
    "speedup_from_rates",
    "speedup_ratio_interval",
    "speedups_by_drafts",
    "staged_calls_from_rates",
    "staged_draft_calls",
    "staged_gain",
    "staged_plan",
    "staged_speedup",
    "staging_extra_seconds",
    "steady_schedule",
    "summarise",
    "summarise_errors",
    "tabulate_rounds",
    "tau_interval",
    "textbook_speedup",
    "total_cost",
    "transferred_costs",
    "tree_costs",
    "tree_depths",
    "tree_plan",
    "tree_tau_of_rates",
    "two_state_emitted_tokens",
    "uniform_emitted_tokens",
    "wave_seconds",
    "windows_hazards",
    "with_child",
    "without_subtree",
]
