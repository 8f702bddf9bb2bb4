"""Does a record come back as it was saved, and is anything else refused?"""

from __future__ import annotations

import json
import os
import re

import pandas as pd
import pytest

import measurements.files
from measurements import (
    RecordError,
    Sampling,
    load_profile,
    load_validation,
    new_record_id,
    save_profile,
    save_validation,
    scan,
)
from tests.factories import profile_header, stages_table, trace_table, validation_record

GREEDY = Sampling(temperature=0.0)
SAMPLED = Sampling(temperature=1.0)


@pytest.fixture
def saved(tmp_path):
    header = profile_header()
    stages = stages_table()
    traces = {GREEDY: trace_table(greedy=True), SAMPLED: trace_table(greedy=False)}
    return save_profile(tmp_path, header, stages, traces), header, stages, traces


def test_a_profile_round_trips_with_its_tables(saved, tmp_path):
    path, header, stages, traces = saved
    profile = load_profile(path)
    assert profile.record.header == header
    pd.testing.assert_frame_equal(profile.stages, stages, check_dtype=False)
    assert profile.traces.keys() == {"T0", "T1"}
    plain = [name for name in profile.trace(SAMPLED) if not name.startswith("draft_top")]
    pd.testing.assert_frame_equal(
        profile.trace(SAMPLED)[plain], traces[SAMPLED][plain], check_dtype=False
    )
    assert path == tmp_path / header.machine.slug / header.pair_slug / f"{header.id}.json"
    assert {file.name for file in path.parent.iterdir()} == {
        f"{header.id}.json",
        f"{header.id}.stages.parquet",
        f"{header.id}.trace-T0.parquet",
        f"{header.id}.trace-T1.parquet",
    }


def test_a_validation_round_trips(tmp_path):
    record = validation_record()
    assert load_validation(save_validation(tmp_path, record)) == record


def test_the_wrong_kind_is_refused(saved, tmp_path):
    with pytest.raises(RecordError, match="a validation is needed"):
        load_validation(saved[0])
    with pytest.raises(RecordError, match="a profile is needed"):
        load_profile(save_validation(tmp_path, validation_record()))


def test_a_missing_trace_names_what_exists(saved):
    with pytest.raises(KeyError, match=r"no trace at T0\.5.*T0.*T1"):
        load_profile(saved[0]).trace(Sampling(temperature=0.5))


def test_an_incomplete_record_grows_under_its_id(tmp_path):
    header = profile_header(complete=False)
    stages = stages_table()
    first = save_profile(tmp_path, header, stages.head(50), {})
    assert not load_profile(first).record.complete
    second = save_profile(tmp_path, header, stages, {GREEDY: trace_table(greedy=True)})
    assert second == first
    assert len(load_profile(second).stages) == len(stages)
    final = save_profile(
        tmp_path,
        header.model_copy(update={"complete": True}),
        stages,
        {GREEDY: trace_table(greedy=True)},
    )
    assert load_profile(final).record.complete
    assert len(list(final.parent.iterdir())) == 3


def test_a_complete_record_is_never_overwritten(saved, tmp_path):
    _, header, stages, traces = saved
    with pytest.raises(RecordError, match="append-only"):
        save_profile(tmp_path, header, stages, traces)
    record = validation_record()
    save_validation(tmp_path, record)
    with pytest.raises(RecordError, match="append-only"):
        save_validation(tmp_path, record)


@pytest.mark.parametrize("crash_at", [1, 2, 3])
def test_a_crash_at_any_write_leaves_the_previous_version(tmp_path, monkeypatch, crash_at):
    """Saving writes stages, trace and JSON: interrupt before each of the three moves."""
    header = profile_header(complete=False)
    stages = stages_table()
    path = save_profile(tmp_path, header, stages.head(50), {GREEDY: trace_table(greedy=True)})
    calls = 0
    replace = os.replace

    def failing_replace(source, target):
        nonlocal calls
        calls += 1
        if calls == crash_at:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(measurements.files.os, "replace", failing_replace)
    with pytest.raises(KeyboardInterrupt):
        save_profile(tmp_path, header, stages, {GREEDY: trace_table(greedy=True, seed=8)})
    monkeypatch.undo()
    assert len(load_profile(path).stages) == 50
    assert not list(path.parent.glob("*.tmp")) and not list(path.parent.glob(".*.tmp"))
    save_profile(tmp_path, header, stages, {GREEDY: trace_table(greedy=True)})
    assert len(load_profile(path).stages) == len(stages)
    assert len(list(path.parent.iterdir())) == 3, "left-overs of the crash are cleared"


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def _edit(path):
    content = json.loads(path.read_text())
    content["new_tokens"] += 1
    path.write_text(json.dumps(content))


def _reformat(path):
    path.write_text(json.dumps(json.loads(path.read_text()), indent=7))


def _future(path):
    content = json.loads(path.read_text())
    content["schema_version"] = 99
    path.write_text(json.dumps(content))


def _foreign(path):
    path.write_text('{"name": "package.json"}')


def _array(path):
    path.write_text("[1, 2]")


def _binary(path):
    path.write_bytes(b"\xff\x00\xfe")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_truncate, "truncated"),
        (_edit, "was edited"),
        (_future, "schema_version 99, this version reads 1"),
        (_foreign, "not a speculens record"),
        (_array, "not a speculens record"),
        (_binary, "not JSON"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_a_damaged_json_is_refused_in_one_line(saved, damage, reason):
    path = saved[0]
    damage(path)
    with pytest.raises(RecordError, match=reason) as caught:
        load_profile(path)
    assert caught.value.path == path
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_reformatting_without_change_is_harmless(saved):
    """Negative control of the seal: it covers the content, not the spacing."""
    _reformat(saved[0])
    load_profile(saved[0])


def test_a_renamed_file_is_refused(saved):
    renamed = saved[0].rename(saved[0].with_name("other.json"))
    with pytest.raises(RecordError, match="renamed"):
        load_profile(renamed)


@pytest.mark.parametrize("damage", [_truncate, lambda path: path.unlink()])
@pytest.mark.parametrize("table", ["stages", "trace-T1"])
def test_a_damaged_table_is_refused_by_name(saved, damage, table):
    path = saved[0]
    victim = path.with_name(f"{path.stem}.{table}.parquet")
    damage(victim)
    with pytest.raises(RecordError) as caught:
        load_profile(path)
    assert caught.value.path == victim


def test_a_broken_file_never_hides_the_others(saved, tmp_path):
    validation = validation_record(profile_id=saved[1].id)
    save_validation(tmp_path, validation)
    broken = save_profile(
        tmp_path,
        profile_header(id=new_record_id("profile", "float32")),
        stages_table(),
        {GREEDY: trace_table(greedy=True)},
    )
    _truncate(broken.with_name(f"{broken.stem}.stages.parquet"))
    (tmp_path / "foreign.json").write_text("{}")
    found = scan(tmp_path)
    assert [record.id for _, record in found.profiles] == [saved[1].id]
    assert [record.id for _, record in found.validations] == [validation.id]
    assert len(found.problems) == 2
    assert found.profile_of(validation)[1].id == saved[1].id
    assert found.validations_of(found.profiles[0][1])[0][1] == validation


def test_an_absent_folder_holds_nothing(tmp_path):
    found = scan(tmp_path / "nowhere")
    assert (found.profiles, found.validations, found.problems) == ([], [], [])


def test_record_ids_are_distinct_and_well_formed():
    first, second = (new_record_id("validation", "bfloat16") for _ in range(2))
    assert first != second
    assert re.fullmatch(r"validation-bfloat16-\d{8}T\d{6}Z-[0-9a-f]{6}", first)
