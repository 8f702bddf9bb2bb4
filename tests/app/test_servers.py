"""Do the Data and Validation pages show sweeps over servers, apart from the engine's errors?"""

from __future__ import annotations

import shutil

import pytest

from measurements import DATA, save_record, scan
from tests.app.pages import address, numbers, visitor
from tests.factories import write_demo

visit = pytest.fixture(visitor)


@pytest.fixture(scope="module")
def served():
    """The committed sweeps, newest first: one foretold from the other."""
    records = [record for _, record in scan(DATA).servers]
    foretold = next(record for record in records if record.settings)
    return foretold, next(record for record in records if record.id == foretold.profile_id)


@pytest.fixture(scope="module")
def folder(served, tmp_path_factory):
    """A profile and a validation, and two sweeps over servers of its target."""
    root = tmp_path_factory.mktemp("served")
    write_demo(root)
    target = scan(root).profiles[0][1].target.name
    for record in served:
        save_record(root, record.model_copy(update={"model": target}))
    return root


def table(app, column: str):
    return next(one.value for one in app.dataframe if column in one.value.columns)


def test_sweeps_are_counted_listed_and_inspected(visit, folder, served):
    foretold, profiled = served
    app = visit(folder, "data")
    assert "1 comparison and 2 sweeps over servers" in app.markdown[0].value
    assert {foretold.id, profiled.id} <= set(table(app, "record")["record"])
    app.selectbox(key="control_inspect").set_value(foretold.id).run()
    assert not app.exception and address(app) == {"inspect": foretold.id}
    keys = sorted({(wave.num_draft_tokens, wave.batch) for wave in foretold.waves})
    rows = table(app, "first token [ms]")
    assert list(zip(rows["K"], rows["batch"], strict=True)) == keys
    assert (rows.loc[rows["K"] > 0, "S"] > 1).all() and rows.loc[rows["K"] == 0, "S"].isna().all()
    assert (table(app, "each draft")["each draft"] > 0).all()
    assert len(table(app, "error of S")) == len(foretold.settings)
    app.selectbox(key="control_inspect").set_value(profiled.id).run()
    assert not any("error of S" in one.value.columns for one in app.dataframe)


def test_what_was_foretold_of_servers_stands_apart_from_the_engines_errors(
    visit, demo, folder, served
):
    foretold = served[0]
    app, without = visit(folder, "validation"), visit(demo, "validation")
    assert not app.exception
    assert numbers(app) == numbers(without)
    known = [one.speedup for one in foretold.settings if one.speedup]
    rows = table(app, "error of S")
    assert rows["error of S"].tolist() == pytest.approx(
        [100 * one.error for one in known], abs=0.051
    )
    worst = max(abs(one.error) for one in known)
    assert any(f"{100 * worst:.1f}\xa0% at worst" in line.value for line in app.markdown)
    assert not any("error of S" in one.value.columns for one in without.dataframe)


def test_servers_are_shown_where_nothing_of_the_engine_is(visit, served, tmp_path):
    save_record(tmp_path, served[0])
    app = visit(tmp_path, "validation")
    assert not app.exception and "No record" in app.info[0].value
    assert len(table(app, "error of S")) == len(served[0].settings)


def test_a_broken_sweep_stands_with_its_reason_and_hides_nothing(visit, folder, served, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    path = next((tmp_path / "copy").rglob(f"{served[0].id}.json"))
    path.write_text(path.read_text().replace('"batch": 4', '"batch": 5', 1))
    app = visit(tmp_path / "copy", "data")
    assert not app.exception
    assert "1 sweep over servers" in app.markdown[0].value
    assert any(f"{served[0].id}.json" in line.value for line in app.caption)
