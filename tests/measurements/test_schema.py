"""Does the schema refuse what cannot be true?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from measurements import ProfileHeader, Sampling, SpeedupRow, ValidationRecord
from measurements.naming import pair_slug
from tests.factories import profile_header, validation_record


@given(
    st.floats(0, 5, allow_nan=False),
    st.none() | st.integers(1, 1000),
    st.none() | st.floats(0.01, 1.0),
)
def test_labels_are_safe_file_names(temperature, top_k, top_p):
    label = Sampling(temperature=temperature, top_k=top_k, top_p=top_p).label
    assert set(label) <= set("Tkp0123456789.e+-")


def test_labels_of_the_contract():
    assert Sampling(temperature=0.0).label == "T0"
    assert Sampling(temperature=1.0).label == "T1"
    assert Sampling(temperature=0.7, top_k=50, top_p=0.9).label == "T0.7-k50-p0.9"


@pytest.mark.parametrize("bad", [{"temperature": -1}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}])
def test_impossible_sampling_is_refused(bad):
    with pytest.raises(ValidationError):
        Sampling(**{"temperature": 1.0, **bad})


def test_records_are_frozen_and_refuse_unknown_fields():
    header = profile_header()
    with pytest.raises(ValidationError, match="frozen"):
        header.seed = 3
    with pytest.raises(ValidationError, match="Extra inputs"):
        ProfileHeader.model_validate({**header.model_dump(), "colour": "blue"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "profile-float16-20260101T000000Z-abcdef"),
        ("id", "../../etc/passwd"),
        ("created", "yesterday"),
        ("created", "2026-01-01T00:00:00+02:00"),
        ("created", "2026-01-01T00:00:00"),
        ("dtype", "int8"),
        ("new_tokens", 0),
    ],
)
def test_impossible_headers_are_refused(field, value):
    with pytest.raises(ValidationError):
        ProfileHeader.model_validate({**profile_header().model_dump(), field: value})


def test_an_interval_upside_down_is_refused():
    row = validation_record().settings[0].speedup.model_dump()
    with pytest.raises(ValidationError, match=r"L2_low .* exceeds"):
        SpeedupRow.model_validate({**row, "L2_low": 9.0, "L2_high": 1.0})


def test_shares_above_one_and_nan_are_refused():
    content = validation_record().model_dump()
    content["settings"][0]["time_split"] = {"target": 0.9, "draft": 0.3}
    with pytest.raises(ValidationError, match="more than 1"):
        ValidationRecord.model_validate(content)
    content = validation_record().model_dump()
    content["summary"]["bias"] = float("nan")
    with pytest.raises(ValidationError, match="finite"):
        ValidationRecord.model_validate(content)


def test_hub_names_make_safe_folders():
    assert pair_slug("org/target-7b", "small") == "org-target-7b+small"
    assert "/" not in pair_slug("../x", "a/b")
