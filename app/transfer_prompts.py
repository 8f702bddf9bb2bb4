"""Tokens per round and speedup on prompts that were not profiled, predicted beside measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from simulator import predict_chain, ratio_standard_error, summarise_errors
from simulator.calibration import Calibration
from simulator.validation import Measurement, compare

Rows = list[dict[str, Any]]


def prompt_rows(decodes: pd.DataFrame, found: dict[str, Calibration]) -> Rows:
    """One row per sampling and draft length."""
    rows = []
    for label, calibration in found.items():
        of_sampling = decodes[decodes.sampling == label]
        plain = of_sampling[of_sampling.num_draft_tokens == 0].groupby("prompt").sum(True)
        for gamma in sorted(set(of_sampling.num_draft_tokens) - {0}):
            mine = of_sampling[of_sampling.num_draft_tokens == gamma].groupby("prompt").sum(True)
            rows.append({"sampling": label, **_prompt_row(calibration, gamma, mine, plain)})
    return rows


def _prompt_row(
    calibration: Calibration, gamma: int, mine: pd.DataFrame, plain: pd.DataFrame
) -> dict[str, Any]:
    """Predicted from one prompt set, measured on another; totals by prompt in, one row out."""
    prediction = predict_chain(calibration, gamma)
    tokens, rounds = mine.num_tokens.to_numpy(), mine.num_rounds.to_numpy()
    measurement = Measurement(
        tokens, rounds, mine.seconds.to_numpy(),
        plain.num_tokens.to_numpy(), plain.seconds.to_numpy(), {},
    )  # fmt: skip
    low, high = measurement.speedup_interval()
    error = compare(prediction, measurement)
    told = ratio_standard_error(calibration.lengths, prediction.rounds_per_prompt)
    seen = ratio_standard_error(tokens, rounds)
    return {
        "num_draft_tokens": gamma,
        "tau_measured": measurement.tau,
        "tau_predicted": prediction.tau.L2,
        "tau_error": float(np.expm1(error.log_tau)),
        "tau_error_standard_error": float(np.hypot(told, seen)),
        "speedup_measured": measurement.speedup,
        "speedup_measured_low": low,
        "speedup_measured_high": high,
        "speedup_predicted": prediction.speedup.L2,
        "speedup_predicted_low": prediction.speedup_low,
        "speedup_predicted_high": prediction.speedup_high,
        "speedup_error": error.relative,
        "log_tau": error.log_tau,
        "log_round": error.log_round,
        "log_autoregressive": error.log_autoregressive,
    }


def prompt_summary(rows: Rows) -> Rows:
    """Errors over all rows: one row for tokens per round, one for the speedup."""
    summary = []
    for what, key in (("tokens per round", "tau"), ("speedup", "speedup")):
        error = summarise_errors(
            [row[f"{key}_predicted"] for row in rows], [row[f"{key}_measured"] for row in rows]
        )
        summary.append({"question": "prompts", "what": what, **asdict(error)})
    return summary
