"""Pure Plotly figure builders: records and predictions in, figures out."""

from app.figures.campaign import (
    errors_by_method,
    places_in_intervals,
    predicted_against_measured,
)
from app.figures.choice import candidate_name, ranked_settings, speed_against_work
from app.figures.errors import decomposition, error_terms, per_prompt_speedup
from app.figures.methods import method_speedups, method_time, token_makers
from app.figures.roofline import roofline_chart
from app.figures.served import served_against_foretold
from app.figures.speedup import (
    CurvePoint,
    points_from_predictions,
    points_from_settings,
    speedup_by_draft_tokens,
)
from app.figures.staging import calls_by_length, gain_over_draft_cost, staged_beside_plain
from app.figures.time_split import time_per_token, time_shares
from app.figures.token_tree import node_names, token_tree
from app.figures.whatif import gain_curve, gain_map, method_gain, pinned_speedups

__all__ = [
    "CurvePoint",
    "calls_by_length",
    "candidate_name",
    "decomposition",
    "error_terms",
    "errors_by_method",
    "gain_curve",
    "gain_map",
    "gain_over_draft_cost",
    "method_gain",
    "method_speedups",
    "method_time",
    "node_names",
    "per_prompt_speedup",
    "pinned_speedups",
    "places_in_intervals",
    "points_from_predictions",
    "points_from_settings",
    "predicted_against_measured",
    "ranked_settings",
    "roofline_chart",
    "served_against_foretold",
    "speed_against_work",
    "speedup_by_draft_tokens",
    "staged_beside_plain",
    "time_per_token",
    "time_shares",
    "token_makers",
    "token_tree",
]
