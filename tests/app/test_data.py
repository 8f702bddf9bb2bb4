"""Does the Data page list, inspect and compare what is there?"""

from __future__ import annotations

import pytest

from measurements import load_profile, scan
from tests.app.pages import address, visitor
from tests.factories import COMPARISON_ID, PROFILE_ID, VALIDATION_ID

visit = pytest.fixture(visitor)


def test_every_record_is_listed_and_counted(visit, demo):
    app = visit(demo, "data")
    listed = app.dataframe[0].value
    assert set(listed["record"]) == {PROFILE_ID, VALIDATION_ID, COMPARISON_ID}
    assert listed["complete"].all()
    text = app.markdown[0].value
    assert "**3** records from 1 machine: 1 profile, 1 validation and 1 comparison" in text


def test_the_machine_table_shows_ceilings_and_medians_of_the_profile(visit, demo):
    app = visit(demo, "data")
    row = app.dataframe[2].value.iloc[0]
    assert row["GB/s"] == 32.0 and row["GFLOP/s"] == 214.0
    stages = load_profile(scan(demo).profiles[0][0]).stages
    one = stages[(stages["stage"] == "target") & (stages["num_tokens"] == 1)]
    assert row["target [ms]"] == pytest.approx(1e3 * one["seconds"].median())


def test_a_record_can_be_inspected_and_linked(visit, demo):
    app = visit(demo, "data")
    assert "tokens of" in str(app.dataframe[1].value["holds"].tolist())
    app.selectbox(key="control_inspect").set_value(COMPARISON_ID).run()
    assert not app.exception
    assert app.dataframe[1].value["holds"].tolist() == ["14 decoded settings"]
    assert address(app) == {"inspect": COMPARISON_ID}
    assert visit(demo, "data", **address(app)).selectbox(key="control_inspect").value == (
        COMPARISON_ID
    )


def test_a_broken_file_stands_with_its_reason(visit, tmp_path):
    (tmp_path / "broken.json").write_text("{")
    app = visit(tmp_path, "data")
    assert not app.exception
    assert any("broken.json: is not JSON" in line.value for line in app.caption)
    assert "No record" in app.markdown[0].value


def test_dropped_files_join_or_are_refused_and_the_outcome_is_shown_once(visit, demo, tmp_path):
    whole = {path.name: path.read_bytes() for path in demo.rglob("*") if path.is_file()}
    name = f"{VALIDATION_ID}.json"
    app = visit(tmp_path, "data")
    assert "No record" in app.markdown[0].value
    app.file_uploader[0].set_value(
        [(name, whole[name], "application/json"), ("a_b.json", b"{", "application/json")]
    )
    next(one for one in app.button if one.label == "Import").click().run()
    assert not app.exception
    assert VALIDATION_ID in app.success[0].value and "is not JSON" in app.error[0].value
    assert "**1** record " in app.markdown[0].value
    assert [record.id for _, record in scan(tmp_path).validations] == [VALIDATION_ID]
    app.selectbox(key="control_inspect").set_value(VALIDATION_ID).run()
    assert not app.success and not app.error
