"""From predictions and decodes to one validation record."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from app.records import (
    calibrations,
    method_profile,
    searched_trees,
    setting_of,
    static_shape,
)
from measurements import (
    AutoregressiveRow,
    ErrorRow,
    Fidelities,
    Profile,
    PromptRow,
    RecordError,
    RoundsRow,
    Sampling,
    SettingRow,
    SpeedupRow,
    ValidationRecord,
    ValidationSummary,
)
from simulator.calibration import predict_chain
from simulator.method_costs import AUTOREGRESSIVE, Setting
from simulator.method_prediction import MethodProfile
from simulator.prediction import Prediction
from simulator.token_trees import Parents
from simulator.validation import Measurement, compare, summarise

if TYPE_CHECKING:
    from profiler.runs import Run


Predictions = dict[tuple[str, Setting], Prediction]
"""By sampling label and setting."""


def predict_all(
    profile: Profile,
    labels: Sequence[str],
    gammas: Sequence[int],
    stages: pd.DataFrame | None = None,
) -> Predictions:
    """Predictions for every sampling label and draft length.

    Acceptance is the profile's; so are the stage times, unless others are given.
    """
    found = calibrations(profile, stages)
    return {
        (label, setting_of("chain", {"num_draft_tokens": g})): predict_chain(found[label], g)
        for label in labels
        for g in gammas
    }


def predict_methods(
    profile: Profile,
    labels: Sequence[str],
    wanted: Sequence[Setting],
    rounds: pd.DataFrame | None = None,
    future_prompts: int | None = None,
) -> Predictions:
    """Predictions of any methods that the profile holds at each sampling, and of any static tree.

    Other methods are left out. Acceptance is the profile's; so are the times of rounds, unless
    others are given. Intervals are for ``future_prompts`` other prompts where a number is given.
    """
    predictions: Predictions = {}
    for label in labels:
        known = method_profile(profile, label, rounds)
        if known is None:
            raise RecordError(
                profile.path, "holds chains only; run speculens profile --methods all first"
            )
        for setting in wanted:
            if setting in known.traces and setting in known.costs:
                predictions[label, setting] = known.predict(setting, future_prompts=future_prompts)
            elif setting[0] == "tree" and (parents := static_shape(setting)) is not None:
                predictions[label, setting] = _tree(profile, known, label, parents)
    return predictions


def _tree(profile: Profile, known: MethodProfile, label: str, parents: Parents) -> Prediction:
    try:
        trees = searched_trees(profile, known, label)
        return trees.predict(parents)
    except ValueError as error:
        raise RecordError(
            profile.path, f"cannot predict tree {parents} at {label}: {error}"
        ) from None


def build(
    header: dict[str, Any],
    predictions: Predictions,
    profiled: Predictions | None,
    runs: Sequence[Run],
    samplings: Sequence[Sampling],
    repeats: int,
    same_prompts: bool,
    replayed: Mapping[tuple[str, Setting], np.ndarray] | None = None,
    baseline: Setting = AUTOREGRESSIVE,
) -> ValidationRecord:
    """The record of predictions beside the decodes they foretold.

    Parameters
    ----------
    header : dict
        Fields of ValidationRecord that say what ran where.
    predictions : Predictions
    profiled : Predictions or None
        With the profile's own stage times, where those of predictions were taken between
        the decodes.
    runs : sequence of Run
        Every decode, autoregressive ones included.
    samplings : sequence of Sampling
        In the order of the report.
    repeats : int
        Passes over all prompts above temperature 0; at 0 there is one.
    same_prompts : bool
        Whether the profile decoded the same prompts.
    replayed : mapping, optional
        Rounds of each measured prompt along the target's own text behind it, one pass,
        where the profile decoded others.
    baseline : Setting
        What the speedups are over: autoregressive decoding by the engine that was foretold.
    """
    groups: dict[tuple[str, Setting], list[Run]] = defaultdict(list)
    for run in runs:
        setting = setting_of(run.method.name, run.method.parameters)
        groups[run.sampling.label, setting].append(run)
    by_label = {s.label: s for s in samplings}
    settings, pairs = [], []
    pairs_profiled: list[tuple[Prediction, Measurement]] = []
    for (label, setting), prediction in predictions.items():
        measurement = _measurement(groups[label, setting], groups[label, baseline])
        before = None if profiled is None else profiled.get((label, setting))
        pairs.append((prediction, measurement))
        pairs_profiled += [] if before is None else [(before, measurement)]
        sampling = by_label[label]
        passes = repeats if sampling.temperature > 0 else 1
        own = None if replayed is None else replayed[label, setting]
        if same_prompts and len(prediction.rounds_per_prompt) == len(measurement.num_rounds):
            own = prediction.rounds_per_prompt
        settings.append(
            _setting(
                sampling, setting, prediction, before, measurement,
                None if own is None else own * passes, same_prompts,
            )
        )  # fmt: skip
    return ValidationRecord(
        **header,
        repeats=repeats,
        same_prompts_as_profile=same_prompts,
        autoregressive=[_autoregressive(s, groups[s.label, baseline]) for s in samplings],
        settings=settings,
        summary=ValidationSummary(**asdict(summarise(pairs))),
        summary_profiled=(
            ValidationSummary(**asdict(summarise(pairs_profiled))) if pairs_profiled else None
        ),
    )


def _measurement(mine: Sequence[Run], baseline: Sequence[Run]) -> Measurement:
    stages: dict[str, float] = defaultdict(float)
    for run in mine:
        for stage, seconds in run.stage_seconds.items():
            stages[stage] += seconds
    return Measurement(
        num_tokens=_per_prompt(mine, lambda r: len(r.tokens)).astype(int),
        num_rounds=_per_prompt(mine, lambda r: r.num_rounds).astype(int),
        seconds=_per_prompt(mine, lambda r: r.seconds),
        baseline_tokens=_per_prompt(baseline, lambda r: len(r.tokens)).astype(int),
        baseline_seconds=_per_prompt(baseline, lambda r: r.seconds),
        seconds_by_stage=dict(stages),
    )


def _per_prompt(runs: Sequence[Run], quantity: Any) -> np.ndarray:
    """Sums over repeats, one per prompt."""
    total = np.zeros(1 + max(run.prompt for run in runs))
    for run in runs:
        total[run.prompt] += quantity(run)
    return total


def _setting(
    sampling: Sampling,
    setting: Setting,
    prediction: Prediction,
    before: Prediction | None,
    measurement: Measurement,
    own_rounds: np.ndarray | None,
    same_prompts: bool,
) -> SettingRow:
    mean_rounds = measurement.num_tokens / prediction.tau.L2
    expected_rounds = mean_rounds if own_rounds is None else own_rounds
    of_prompts = None
    if own_rounds is not None:
        of_prompts = 0.0 if same_prompts else float(np.log(own_rounds.sum() / mean_rounds.sum()))
    low, high = measurement.speedup_interval()
    assert prediction.speedup_low is not None
    assert prediction.speedup_high is not None
    return SettingRow(
        method=setting[0],
        parameters=json.loads(setting[1]),
        sampling=sampling,
        temperature=sampling.temperature,
        tau=Fidelities(measured=measurement.tau, **asdict(prediction.tau)),
        speedup=SpeedupRow(
            measured=measurement.speedup,
            measured_low=low,
            measured_high=high,
            L2_low=prediction.speedup_low,
            L2_high=prediction.speedup_high,
            L2_profiled=None if before is None else before.speedup.L2,
            **asdict(prediction.speedup),
        ),
        rounds=RoundsRow(
            measured=float(measurement.num_rounds.sum()),
            L2=float(expected_rounds.sum()),
            same_texts=own_rounds is not None,
        ),
        error=ErrorRow(**asdict(compare(prediction, measurement)), log_tau_prompts=of_prompts),
        time_split={k: max(0.0, v) for k, v in measurement.time_split.items()},
        round_seconds={"measured": measurement.round_seconds, "L2": prediction.round_seconds},
        per_prompt=[
            PromptRow(
                prompt=index,
                num_tokens=int(measurement.num_tokens[index]),
                num_rounds=int(measurement.num_rounds[index]),
                seconds=float(measurement.seconds[index]),
                baseline_seconds=float(measurement.baseline_seconds[index]),
                predicted_rounds=float(expected),
            )
            for index, expected in enumerate(expected_rounds)
        ],
    )


def _autoregressive(sampling: Sampling, runs: Sequence[Run]) -> AutoregressiveRow:
    by_prompt = _per_prompt(runs, lambda r: len(r.tokens))
    seconds = sum(run.seconds for run in runs)
    stages = dict.fromkeys(stage for run in runs for stage in run.stage_seconds)
    split = {s: sum(r.stage_seconds.get(s, 0.0) for r in runs) / seconds for s in stages}
    return AutoregressiveRow(
        sampling=sampling,
        seconds_per_token=float(np.median(_per_prompt(runs, lambda r: r.seconds) / by_prompt)),
        tokens=int(by_prompt.sum()),
        time_split={**split, "rest": max(0.0, 1 - sum(split.values()))},
    )
