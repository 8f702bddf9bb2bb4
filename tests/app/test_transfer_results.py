"""Answers of a transfer study from raw tables that are made up."""

import json

import numpy as np
import pytest

from app import transfer_results
from app.transfer_results import results
from measurements import StudyRecord
from simulator import Hardware, Precision, assumed_stage_time, shape_from_config
from tests.factories import comparison_record

CONFIG = {
    "model_type": "llama", "num_hidden_layers": 4, "hidden_size": 256, "num_attention_heads": 4,
    "intermediate_size": 512, "vocab_size": 4096, "tie_word_embeddings": True,
}  # fmt: skip


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals are tested in tests/simulator/test_stage_fit.py."""
    monkeypatch.setattr(transfer_results, "BOOTSTRAP", 3)


def study(stall: float = 1.0) -> StudyRecord:
    """Batches 1, 2, 4 of one model, timed exactly by a roofline; every third forward stalls."""
    machine = Hardware("m", 2e10, 1e9, {"bfloat16": 2e11}, "made up", "2026")
    time = assumed_stage_time(
        shape_from_config(CONFIG), machine, "bfloat16", overhead_seconds=1e-4, sharpness=1.0,
        precision=Precision(2.0, 4.0, 2.0),
    )  # fmt: skip
    rows = []
    for batch in (1, 2, 4):
        for context in (16, 400):
            for tokens in (1, 2, 4, 8, 16):
                seconds = float(time.seconds(tokens, context, batch))
                rows.append(
                    {
                        "question": "batch",
                        "role": "held out" if batch == 4 else "calibration",
                        "model": "m",
                        "num_tokens": tokens,
                        "context": context,
                        "batch": batch,
                        "block": 1,
                        **{f"seconds_{i}": seconds for i in (1, 2)},
                        "seconds_3": seconds * stall,
                        "memory_bytes": 1,
                        "memory": "counted",
                    }
                )
    record = comparison_record().model_dump()
    shared = {name: record[name] for name in record if name in StudyRecord.model_fields}
    return StudyRecord(
        **{
            **shared,
            "id": shared["id"].replace("comparison", "study").replace(shared["dtype"], "bfloat16"),
            "kind": "study",
            "dtype": "bfloat16",
            "complete": False,
            "name": "transfer",
            "question": "?",
            "tables": {
                "ceilings": [{"read_bandwidth_bytes_per_s": 2e10, "flop_per_s": 2e11}],
                "models": [
                    {
                        "question": "batch",
                        "model": "m",
                        "bytes_per_weight": 2,
                        "bytes_per_cached_number": 4,
                        "config": json.dumps(CONFIG),
                    }
                ],
                "stage times": rows,
            },
        }
    )


def test_a_machine_that_is_a_roofline_is_predicted_exactly() -> None:
    made = results(study(), None)
    assert made.complete and "prompts predicted" not in made.tables
    for row in made.tables["summary"]:
        assert row["points"] == 10 and row["max_abs_error"] < 1e-3
    found = {
        row["parameter"]: row["value"]
        for row in made.tables["fitted parameters"]
        if row["fit"] == "one rate"
    }
    assert found["constant per layer"] == pytest.approx(2.5e-5, rel=0.01)
    assert found["bandwidth"] == pytest.approx(0.8, rel=0.01)
    assert found["FLOP/s"] == pytest.approx(0.7, rel=0.01)
    assert {row["origin"] for row in made.tables["stage times predicted"]} == {"extrapolated"}
    assert made.tables["stage times"] == study().tables["stage times"]


def test_medians_pass_over_stalls_and_a_wide_spread_is_said() -> None:
    quiet, stalled = results(study(), None), results(study(stall=5.0), None)
    errors = [row["max_abs_error"] for row in stalled.tables["summary"]]
    assert max(np.array(errors, float)) < 1e-3
    assert not any("disturbed" in note for note in quiet.notes)
    assert "disturbed: 100% of the stage times" in stalled.notes[-1]
