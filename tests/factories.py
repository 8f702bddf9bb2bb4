"""Records as a profiler and a validation would have written them, made of the toy process."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from measurements import (
    AutoregressiveRow,
    Ceilings,
    ComparisonRecord,
    ErrorRow,
    Fidelities,
    Machine,
    MethodRow,
    ModelInfo,
    ProfileHeader,
    PromptRow,
    PromptSet,
    RoundsRow,
    Sampling,
    SettingRow,
    SpeedupRow,
    Spread,
    ValidationRecord,
    ValidationSummary,
    save_profile,
    save_record,
    save_validation,
)
from simulator import Calibration, Measurement, Prediction, compare, predict_chain, summarise
from tests.toy_process import (
    DRAFT_LENGTHS,
    NEW_TOKENS,
    NUM_PROMPTS,
    Decoded,
    decode,
    stages_table,
    trace_table,
)

__all__ = [
    "campaign_record",
    "comparison_record",
    "profile_header",
    "stages_table",
    "trace_table",
    "validation_record",
    "write_demo",
]

PROFILE_ID = "profile-bfloat16-20260102T030405Z-0a1b2c"
COMPARISON_ID = "comparison-bfloat16-20260102T050607Z-6f7a8b"
VALIDATION_ID = "validation-bfloat16-20260102T040506Z-3d4e5f"
GREEDY, SAMPLED = Sampling(temperature=0.0), Sampling(temperature=1.0)
MACHINE_DRIFT = 1.015  # the toy machine ran this much slower while decoding than while profiling


def _model(name: str, layers: int, parameters: int) -> ModelInfo:
    return ModelInfo(
        name=name,
        family="llama",
        forward="lean",
        num_parameters=parameters,
        num_layers=layers,
        hidden_size=256,
        vocab_size=4096,
        context=1024,
        weight_bytes=2 * parameters,
    )


_CONTEXT: dict[str, Any] = {
    "commit": "0123abc",
    "machine": Machine(
        slug="toy-2core",
        device="cpu",
        cpu="Toy CPU (2 cores, AVX-512)",
        cores=2,
        memory_bytes=16 * 2**30,
        os="Linux 6.1",
        python="3.11.7",
        torch="2.13.0",
        transformers="5.23.0",
        numpy="2.4.0",
        threads=2,
    ),
    "target": _model("toy-16x256", 16, 13_100_000),
    "draft": _model("toy-1x256", 1, 1_800_000),
    "dtype": "bfloat16",
    "prompts": PromptSet(
        name="toy prompts", sha256="ab" * 32, num_prompts=NUM_PROMPTS, mean_prompt_tokens=124.0
    ),
    "new_tokens": NEW_TOKENS,
    "complete": True,
}


def profile_header(**overrides: Any) -> ProfileHeader:
    """A complete profile's header; keywords replace fields."""
    fields = {
        **_CONTEXT,
        "id": PROFILE_ID,
        "created": "2026-01-02T03:04:05+00:00",
        "seed": 1,
        "ceilings": Ceilings(
            read_bandwidth_bytes_per_s=[31.2e9, 32.0e9, 32.3e9],
            flop_per_s=[210e9, 214e9, 216e9],
        ),
        **overrides,
    }
    fields["dtype"] = fields["id"].split("-")[1]
    return ProfileHeader.model_validate(fields)


def validation_record(**overrides: Any) -> ValidationRecord:
    """Nine draft lengths at T=0 and T=1, decoded for real by the toy process."""
    settings, baselines, summary = _settings()
    fields = {
        **_CONTEXT,
        "id": VALIDATION_ID,
        "created": "2026-01-02T04:05:06+00:00",
        "profile_id": PROFILE_ID,
        "repeats": 3,
        "same_prompts_as_profile": True,
        "autoregressive": list(baselines),
        "settings": list(settings),
        "summary": summary,
        **overrides,
    }
    return ValidationRecord.model_validate(fields)


METHODS: tuple[tuple[str, dict[str, Any], tuple[float, float, float], dict[str, float]], ...] = (
    ("autoregressive", {}, (1.0, 1.0, 1.0), {"target": 1.0}),
    ("chain", {"num_draft_tokens": 2}, (1.5, 1.4, 1.6), {"draft": 0.5, "recovered": 0.5}),
    ("chain", {"num_draft_tokens": 4}, (1.8, 1.7, 1.9), {"draft": 0.6, "bonus": 0.4}),
    ("tree", {"tree": "4-2-1", "nodes": 20}, (2.0, 1.9, 2.1), {"draft": 0.7, "bonus": 0.3}),
    ("staged", {"num_draft_tokens": 4, "lower": "lookup"}, (2.1, 1.95, 2.2),
     {"draft": 0.3, "lookup": 0.4, "recovered": 0.3}),
    ("medusa", {"nodes": 16, "rule": "typical"}, (2.5, 2.3, 2.7), {"medusa": 0.7, "bonus": 0.3}),
    ("lookup", {"num_draft_tokens": 4}, (0.9, 0.8, 0.97), {"lookup": 0.2, "recovered": 0.8}),
)  # fmt: skip
"""Method, parameters, speedup (median, low, high) and provenance at T=0 of the toy comparison."""


def comparison_record(**overrides: Any) -> ComparisonRecord:
    """Seven settings at T=0, written down; at T=1 every speedup is a fifth smaller."""
    rows = [
        MethodRow(
            method=method,
            parameters=parameters,
            sampling=sampling,
            tau=2.0 * speedup[0],
            draft_efficiency=None if method == "autoregressive" else 0.5,
            tokens_per_s=400.0 * speedup[0],
            speedup=Spread(
                **dict(zip(("median", "low", "high"), np.array(speedup) * share, strict=True))
            ),
            time_split={"target": 0.6, "draft": 0.2, "commit": 0.1, "rest": 0.1},
            provenance=provenance,
            lossless=parameters.get("rule") != "typical",
            identical_texts={"same": 4, "texts": 4} if sampling is GREEDY else None,
        )
        for sampling, share in ((GREEDY, 1.0), (SAMPLED, 0.8))
        for method, parameters, speedup, provenance in METHODS
    ]
    fields = {
        **_CONTEXT,
        "id": COMPARISON_ID,
        "created": "2026-01-02T05:06:07+00:00",
        "seed": 0,
        "methods": rows,
        **overrides,
    }
    return ComparisonRecord.model_validate(fields)


def campaign_record(**overrides: Any) -> ValidationRecord:
    """Several methods with equal γ on prompts that were not profiled: the toy's chains, renamed."""
    known = [r for r in validation_record().settings if r.parameters["num_draft_tokens"] in (2, 4)]
    rows = [
        row.model_copy(
            update={
                "method": method,
                "parameters": {**row.parameters, **extra},
                "error": row.error.model_copy(update={"log_tau_prompts": 0.25 * row.error.log_tau}),
            }
        )
        for method, extra in (("chain", {}), ("staged", {"lower": "lookup"}), ("lookup", {}))
        for row in known
    ]
    fields = {"settings": rows, "same_prompts_as_profile": False, **overrides}
    return validation_record(**fields)


def write_demo(root: Path, *, validated: bool = True) -> None:
    """A profile, and its validation and a comparison if wanted, under ``root``."""
    traces = {GREEDY: trace_table(greedy=True), SAMPLED: trace_table(greedy=False)}
    save_profile(root, profile_header(), stages_table(), traces)
    if validated:
        save_validation(root, validation_record())
        save_record(root, comparison_record())


@lru_cache(maxsize=1)
def _settings() -> tuple[tuple[SettingRow, ...], tuple[AutoregressiveRow, ...], ValidationSummary]:
    rows, baselines, pairs = [], [], []
    stages = stages_table()
    for sampling in (GREEDY, SAMPLED):
        trace = trace_table(greedy=sampling is GREEDY)
        baseline = decode(trace, 0, seed=100)
        baselines.append(_autoregressive(sampling, baseline))
        mode = "greedy" if sampling is GREEDY else "sampled"
        calibration = Calibration.from_tables(stages, trace, mode)
        resamples = calibration.resamples()
        for gamma in DRAFT_LENGTHS:
            decoded = decode(trace, gamma, seed=200 + gamma, drift=MACHINE_DRIFT)
            measured = _measurement(decoded, baseline)
            predicted = predict_chain(calibration, gamma, resamples=resamples)
            pairs.append((predicted, measured))
            rows.append(_setting(sampling, predicted, measured))
    return tuple(rows), tuple(baselines), ValidationSummary(**asdict(summarise(pairs)))


def _autoregressive(sampling: Sampling, baseline: list[Decoded]) -> AutoregressiveRow:
    total = sum(item.total_seconds for item in baseline)
    tokens = sum(item.num_tokens for item in baseline)
    split = {stage: seconds / total for stage, seconds in _by_stage(baseline).items()}
    return AutoregressiveRow(
        sampling=sampling, seconds_per_token=total / tokens, tokens=tokens, time_split=split
    )


def _measurement(decoded: list[Decoded], baseline: list[Decoded]) -> Measurement:
    stages = _by_stage(decoded)
    stages.pop("rest")
    return Measurement(
        num_tokens=np.array([item.num_tokens for item in decoded]),
        num_rounds=np.array([item.num_rounds for item in decoded]),
        seconds=np.array([item.total_seconds for item in decoded]),
        baseline_tokens=np.array([item.num_tokens for item in baseline]),
        baseline_seconds=np.array([item.total_seconds for item in baseline]),
        seconds_by_stage=stages,
    )


def _by_stage(decoded: list[Decoded]) -> dict[str, float]:
    """Seconds of all prompts by stage. [s]"""
    frame = pd.DataFrame([item.seconds for item in decoded]).sum()
    return {str(stage): float(seconds) for stage, seconds in frame.items()}


def _setting(sampling: Sampling, predicted: Prediction, measured: Measurement) -> SettingRow:
    low, high = measured.speedup_interval()
    error = compare(predicted, measured)
    return SettingRow(
        method="chain",
        parameters={"num_draft_tokens": predicted.num_draft_tokens},
        sampling=sampling,
        temperature=sampling.temperature,
        tau=Fidelities(measured=measured.tau, **asdict(predicted.tau)),
        speedup=SpeedupRow(
            measured=measured.speedup,
            measured_low=low,
            measured_high=high,
            L2_low=predicted.speedup_low,
            L2_high=predicted.speedup_high,
            **asdict(predicted.speedup),
        ),
        rounds=RoundsRow(measured=measured.num_rounds.sum(), L2=predicted.rounds),
        error=ErrorRow(**asdict(error)),
        time_split=measured.time_split,
        round_seconds={"measured": measured.round_seconds, "L2": predicted.round_seconds},
        per_prompt=[
            PromptRow(
                prompt=index,
                num_tokens=int(measured.num_tokens[index]),
                num_rounds=int(measured.num_rounds[index]),
                seconds=float(measured.seconds[index]),
                baseline_seconds=float(measured.baseline_seconds[index]),
                predicted_rounds=float(predicted.rounds_per_prompt[index]),
            )
            for index in range(len(measured.seconds))
        ],
    )
