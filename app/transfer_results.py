"""From the raw tables of a transfer study to its answers: predicted beside measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from app.records import calibrations
from app.transfer_prompts import prompt_rows, prompt_summary
from measurements import Profile, StudyRecord
from simulator import (
    HeldOut,
    Precision,
    StagePoints,
    operator_costs,
    predict_held_out,
    shape_from_config,
    summarise_errors,
    total_cost,
)
from simulator.hardware import Hardware
from simulator.stage_fit import Fitted

FITS = {"attention apart": True, "one rate": False}
"""Name of a fit to whether attention has a rate of its own; the first is the headline."""

BOOTSTRAP = 100

SPREAD_LIMIT, MOST_WIDE = 0.1, 0.25
"""IQR/median from which a time is wide, and the share of wide ones that is tolerated."""

Rows = list[dict[str, Any]]


def results(record: StudyRecord, profile: Profile | None) -> StudyRecord:
    """The study with its answers, complete.

    Parameters
    ----------
    record : StudyRecord
        Raw tables as ``profiler.transfer`` leaves them.
    profile : Profile or None
        Of the first prompt set, where there are decodes of the second.
    """
    stages: Rows = []
    parameters: Rows = []
    by_split: Rows = []
    summary: Rows = []
    if "stage times" in record.tables:
        for told in _held_out(record):
            stages += told["points"]
            parameters += told["parameters"]
        by_split = _stage_errors(stages, "question", "held_out", "fit")
        summary += [
            {"what": f"stage time, {row.pop('fit')}", **row}
            for row in _stage_errors(stages, "question", "fit")
        ]
    prompts: Rows = []
    if profile is not None:
        prompts = prompt_rows(pd.DataFrame(record.tables["decodes"]), calibrations(profile))
        summary += prompt_summary(prompts)
    answers = {
        "summary": summary,
        "errors by what was held out": by_split,
        "stage times predicted": stages,
        "fitted parameters": parameters,
        "prompts predicted": prompts,
    }
    tables = {**{k: rows for k, rows in answers.items() if rows}, **record.tables}
    fields = {
        **record.model_dump(),
        "tables": tables,
        "notes": [*NOTES, *_disturbed(stages)],
        "complete": True,
    }
    return StudyRecord(**fields)


def _held_out(record: StudyRecord) -> Iterator[dict[str, Rows]]:
    """Every split of every question under every fit."""
    machine = _machine(record)
    models = pd.DataFrame(record.tables["models"])
    samples = pd.DataFrame(record.tables["stage times"])
    for question, of_question in samples.groupby("question", sort=False):
        points = _medians(of_question)
        known = models[models.question == question].set_index("model")
        shapes = {name: shape_from_config(json.loads(row.config)) for name, row in known.iterrows()}
        first = known.iloc[0]
        precision = Precision(
            float(first.bytes_per_weight),
            float(first.bytes_per_cached_number),
            float(first.bytes_per_weight),
        )
        timed = StagePoints(
            tuple(shapes[name] for name in points.model),
            points.num_tokens.to_numpy(),
            points.context.to_numpy(),
            points.batch.to_numpy(),
            points.seconds.to_numpy(),
        )
        for label, mask in _splits(str(question), points):
            for fit, own in FITS.items():
                told = predict_held_out(
                    timed, mask, machine, record.dtype, rng=np.random.default_rng(0),
                    precision=precision, own_attention_rate=own, bootstrap=BOOTSTRAP,
                )  # fmt: skip
                named = {"question": str(question), "held_out": label, "fit": fit}
                yield {
                    "points": _point_rows(named, points[mask], told, precision),
                    "parameters": _parameter_rows(named, told),
                }


def _machine(record: StudyRecord) -> Hardware:
    """The machine at its measured ceilings."""
    ceilings = pd.DataFrame(record.tables["ceilings"]).median()
    return Hardware(
        record.machine.slug,
        float(ceilings.read_bandwidth_bytes_per_s),
        record.machine.memory_bytes,
        {record.dtype: float(ceilings.flop_per_s)},
        "measured",
        record.created[:10],
    )


def _medians(samples: pd.DataFrame) -> pd.DataFrame:
    """One row per point: median time of all its forwards, and their spread."""
    keys = ["model", "role", "num_tokens", "context", "batch"]
    times = [name for name in samples.columns if name.startswith("seconds_")]
    long = samples.melt(id_vars=keys, value_vars=times, value_name="seconds")
    grouped = long.groupby(keys, sort=False).seconds
    median = grouped.median()
    spread = ((grouped.quantile(0.75) - grouped.quantile(0.25)) / median).rename("spread")
    return pd.concat([median, spread], axis=1).reset_index()


def _splits(question: str, points: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """What is held out, by name: every model in turn, or the points marked so."""
    if question == "sizes":
        for name in points.model.unique():
            yield str(name), (points.model == name).to_numpy()
    else:
        held = points.role == "held out"
        values = points[question][held].unique()
        yield f"{question} {', '.join(map(str, values))}", held.to_numpy()


def _point_rows(
    named: dict[str, str], points: pd.DataFrame, told: HeldOut, precision: Precision
) -> Rows:
    rows: Rows = []
    measured = points.to_dict("records")
    for index, row in enumerate(measured):
        n, k, b = (int(row[name]) for name in ("num_tokens", "context", "batch"))
        cost = total_cost(operator_costs(told.points.shapes[index], n, k, b, precision=precision))
        predicted = float(told.predicted[index])
        rows.append(
            {
                **named,
                "model": row["model"],
                "num_tokens": n,
                "context": k,
                "batch": b,
                "measured_seconds": row["seconds"],
                "spread": row["spread"],
                "predicted_seconds": predicted,
                "error": predicted / row["seconds"] - 1,
                "origin": told.origins[index],
                "traffic_bytes_counted": float(cost.bytes),
                "flop_counted": float(cost.flop),
            }
        )
    return rows


def _parameter_rows(named: dict[str, str], told: HeldOut) -> Rows:
    fit = told.fit
    depth = fit.time.shape.num_layers
    constant = fit.overhead_seconds
    per_layer = Fitted(constant.value / depth, constant.low / depth, constant.high / depth)
    found: dict[str, tuple[Fitted, str]] = {
        "constant per layer": (per_layer, "s"),
        "bandwidth": (fit.bandwidth_efficiency, "of measured ceiling"),
        "FLOP/s": (fit.flop_efficiency, "of measured ceiling"),
    }
    if fit.attention_flop_efficiency is not None:
        found["FLOP/s of attention"] = (fit.attention_flop_efficiency, "of measured ceiling")
    shared = {
        "sharpness": fit.time.sharpness,
        "fitted_points_median_abs_error": fit.median_abs_error,
    }
    return [
        {**named, "parameter": name, **asdict(value), "unit": unit, **shared}
        for name, (value, unit) in found.items()
    ]


def _stage_errors(points: Rows, *keys: str) -> Rows:
    """Errors of predicted stage times, one row per value of the keys."""
    rows = []
    for values, group in pd.DataFrame(points).groupby(list(keys), sort=False):
        error = summarise_errors(group.predicted_seconds, group.measured_seconds)
        spread = {"spread": float(group.spread.median())}
        rows.append({**dict(zip(keys, values, strict=True)), **asdict(error), **spread})
    return rows


def _disturbed(points: Rows) -> list[str]:
    """A line where the measured times themselves are too wide to judge a prediction by."""
    if not points:
        return []
    wide = float(np.mean([row["spread"] > SPREAD_LIMIT for row in points]))
    if wide <= MOST_WIDE:
        return []
    return [
        f"disturbed: {wide:.0%} of the stage times spread (IQR/median) by more than"
        f" {SPREAD_LIMIT:.0%}; measure again on a quiet machine"
    ]


NOTES = [
    "sizes: random weights, every size predicted from the others; context and batch: the target,"
    " the largest predicted from the smaller. Medians over blocks of forwards; spread: IQR/median.",
    "fit 'attention apart' has four parameters, 'one rate' three; equations (M7.7) and (M7.9) in"
    " docs/model.md. traffic_bytes_counted is computed, no counter was read; column memory says"
    " where memory_bytes come from.",
    "prompts: one set profiled, the other decoded, stage times of the profile: drift of the machine"
    " between the two is in speedup_error (log_round, log_autoregressive), not in tau_error.",
    "tau_error_standard_error: over prompts of both sets, equation (M10.4). Rows share prompts, so"
    " their errors go together.",
]
