"""Are the tables of methods kept exactly, and wrong ones refused?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from measurements import (
    ROUNDS_SCHEMA,
    WINDOWS_SCHEMA,
    RecordError,
    Sampling,
    as_rounds,
    as_windows,
    load_profile,
    save_profile,
)
from measurements.schema import ProfileRecord
from measurements.store import verify_tables
from tests.factories import profile_header, stages_table, trace_table

TRACES = {Sampling(temperature=0.0): trace_table(greedy=True)}


def windows_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": ["lookup"] * 2 + ["chain"] * 3,
            "parameters": ['{"num_draft_tokens":2}'] * 5,
            "sampling": "T1",
            "prompt": [0, 0, 0, 0, 1],
            "position": [0, 1, 0, 1, 0],
            "context": [9, 10, 9, 10, 4],
            "num_drafted": [1, 0, 1, 0, 0],
            "survival": [[1.0, 0.0], [1.0], [1.0, 0.25], [1.0], [1.0]],
            "draft_calls": [np.nan, np.nan, 1.0, 0.0, 0.0],
            "exact": True,
        }
    )


def rounds_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": "chain",
            "parameters": '{"num_draft_tokens":2}',
            "mode": "greedy",
            "block": 0,
            "round": [2, 2, 3, 3],
            "context": [23, 23, 25, 25],
            "num_drafted": [2, 2, 1, 1],
            "draft_calls": [2.0, 2.0, 1.0, 1.0],
            "stage": ["target", "round"] * 2,
            "seconds": [0.004, 0.006, 0.003, 0.004],
        }
    )


def test_columns_and_types_become_exact_in_any_order():
    shuffled = windows_table()[sorted(WINDOWS_SCHEMA.names)]
    assert as_windows(shuffled).schema == WINDOWS_SCHEMA
    assert as_rounds(rounds_table()).schema == ROUNDS_SCHEMA


def test_draft_calls_that_an_older_table_lacks_are_unknown():
    older = as_rounds(rounds_table().drop(columns="draft_calls"))
    assert older.schema == ROUNDS_SCHEMA and older["draft_calls"].null_count == 4
    with pytest.raises(ValueError, match="draft_calls -1 in row 0 must be >= 0"):
        as_rounds(rounds_table().assign(draft_calls=-1.0))


def test_a_profile_round_trips_with_its_methods(tmp_path):
    windows, rounds = windows_table(), rounds_table()
    path = save_profile(tmp_path, profile_header(), stages_table(), TRACES, windows, rounds)
    profile = load_profile(path)
    assert profile.windows is not None and profile.rounds is not None
    pd.testing.assert_frame_equal(profile.rounds, rounds, check_dtype=False)
    plain = [name for name in windows if name != "survival"]
    pd.testing.assert_frame_equal(profile.windows[plain], windows[plain], check_dtype=False)
    assert [list(s) for s in profile.windows["survival"]] == list(windows["survival"])
    verify_tables(path, profile.record)
    path.with_name(f"{path.stem}.windows.parquet").unlink()
    with pytest.raises(RecordError, match="windows"):
        verify_tables(path, profile.record)


def test_a_record_without_methods_loads_as_before(tmp_path):
    path = save_profile(tmp_path, profile_header(), stages_table(), TRACES)
    profile = load_profile(path)
    assert profile.windows is None and profile.rounds is None
    fields = profile.record.model_dump()
    for name in ("windows", "rounds"):  # as written before these fields existed
        del fields[f"{name}_file"], fields[f"{name}_sha256"]
    assert ProfileRecord.model_validate(fields) == profile.record
    with pytest.raises(ValueError, match="windows_file and windows_sha256 go together"):
        ProfileRecord.model_validate({**fields, "windows_file": "a.parquet"})


def _set(column, value, row=2):
    def change(frame):
        frame = frame.copy()
        frame[column] = frame[column].astype(object)
        frame.at[row, column] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda frame: frame.drop(columns="exact"), r"columns missing \['exact'\]"),
        (_set("position", 5), "position 5 in row 2 must be 0, 1, 2"),
        (_set("num_drafted", -1), "num_drafted -1 in row 2 must be >= 0"),
        (_set("draft_calls", -1.0), "draft_calls -1 in row 2 must be >= 0"),
        (_set("survival", [0.5]), "survival 0.5 in row 2 must be 1 at j = 0"),
        (_set("survival", []), "survival 0 in row 2 must be at least 1 value"),
        (_set("survival", [1.0, 0.5, 0.6]), "survival 0.6 in row 2 must lie between 0"),
        (_set("survival", [1.0, -0.5]), "survival -0.5 in row 2 must lie between 0"),
        (_set("survival", [1.0, float("nan")]), "survival nan in row 2 must lie between 0"),
        (_set("method", None), "column 'method' has 1 null values"),
    ],
)
def test_wrong_windows_are_refused(change, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        as_windows(change(windows_table()))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_set("mode", "beam"), "unknown mode 'beam'"),
        (_set("seconds", -1.0), "seconds -1 in row 2 must be finite and >= 0"),
        (_set("seconds", float("inf")), "seconds inf"),
        (_set("round", -2), "round -2 in row 2 must be >= 0"),
    ],
)
def test_wrong_rounds_are_refused(change, reason):
    with pytest.raises(ValueError, match=reason):
        as_rounds(change(rounds_table()))
