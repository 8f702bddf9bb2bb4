"""Does the staging page say what the model says, from sliders and from a record?"""

from __future__ import annotations

import numpy as np
import pytest

from app import data, figures
from app.staging_study import break_even, recorded_staging
from measurements import DATA, scan
from simulator import speedup_from_rates, staged_speedup
from tests.app.pages import address, numbers, visitor

visit = pytest.fixture(visitor)


@pytest.fixture(scope="module")
def stacks():
    """The committed profile of every method: by sampling."""
    path, record = next((p, r) for p, r in scan(DATA).profiles if "windows" in _tables(p))
    assert record.complete
    return recorded_staging(str(path), data.fingerprint_of(str(path)))


def _tables(path):
    return [table.name.split(".")[-2] for table in path.parent.glob(f"{path.stem}.*.parquet")]


def test_the_cards_are_the_closed_form(visit, demo):
    app = visit(demo, "staging", gamma="8", alpha="0.7", c="0.25", lower="2")
    assert not app.exception and not app.warning
    staged = staged_speedup(0.7, 8, 0.25, 0.6, 2, 0.05 * 0.25)
    plain = speedup_from_rates(0.7, 8, 0.25)
    assert numbers(app)[:2] == [f"{staged:.2f}×", f"{plain:.2f}×"]
    assert app.markdown[0].value.startswith("##### Yes")


@pytest.mark.parametrize(
    ("key", "value"),
    [("gamma", 12), ("alpha", 0.4), ("c", 0.4), ("lower", 1), ("lower_alpha", 0.1),
     ("lower_c", 0.4)],
)  # fmt: skip
def test_every_slider_changes_the_speedup_and_a_link_restores_it(visit, demo, key, value):
    app = visit(demo, "staging")
    before = numbers(app)[0]
    app.slider(key=f"control_{key}").set_value(value).run()
    assert not app.exception and numbers(app)[0] != before
    assert address(app) == {key: f"{value:g}"}
    assert numbers(visit(demo, "staging", **address(app))) == numbers(app)


def test_a_level_that_never_agrees_saves_nothing(visit, demo):
    app = visit(demo, "staging", lower_alpha="0")
    assert app.markdown[0].value.startswith("##### No")
    assert numbers(app)[2:] == ["0\xa0%", "none"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("lower", "9", "not between 1 and 8"), ("lower_alpha", "two", "not a number"),
     ("lower_c", "-1", "not between 0 and 1")],
)  # fmt: skip
def test_a_tampered_link_shows_a_message(visit, demo, name, value, message):
    app = visit(demo, "staging", **{name: value})
    assert not app.exception and len(app.warning) == 1
    assert message in app.warning[0].value and name not in address(app)


def test_a_record_answers_with_intervals_and_its_link_restores_it(visit):
    app = visit(DATA, "staging", numbers="record")
    assert not app.exception and not app.warning
    assert "draft calls a round" in app.markdown[0].value and "90\xa0%" in app.markdown[0].value
    chosen = app.selectbox(key="control_stack")
    other = next(option for option in chosen.options if option != chosen.options[0])
    first = numbers(app)
    chosen.select(other).run()
    assert not app.exception and numbers(app) != first
    again = visit(DATA, "staging", **address(app))
    assert not again.warning and numbers(again) == numbers(app)
    tampered = visit(DATA, "staging", numbers="record", stack="oak")
    assert "not one of" in tampered.warning[0].value and not tampered.exception


def test_recorded_calls_are_fewer_and_text_moves_as_for_the_chain(stacks):
    """Greedy drafts are the same with a lower level: so is what a round keeps, token for token."""
    for one in stacks["T0"].staged:
        plain = stacks["T0"].counterpart(one)
        if plain is not None:
            assert one.draft_calls < plain.draft_calls
            even = break_even(one, plain)
            assert even is not None and even >= 0
    compared = [s for s in stacks["T0"].staged if stacks["T0"].counterpart(s) is not None]
    assert len(compared) >= 4, "the profile holds chains of the same lengths"


def test_figures_name_axes_and_mark_both_kinds(stacks):
    rows = [*stacks["T0"].staged, *stacks["T0"].plain]
    figure = figures.staged_beside_plain(rows, {}, rows[0].name)
    assert {trace.name for trace in figure.data} == {"staged, predicted", "plain, predicted"}
    assert "[" in figure.layout.xaxis.title.text
    curve = figures.gain_over_draft_cost(
        np.array([0, 0.5]), {"staged": [2.0, 1.5], "plain": [2.0, 1.0]}, 0.2, 0.1
    )
    assert [trace.name for trace in curve.data] == ["staged", "plain"]
    calls = figures.calls_by_length([1, 2], [1, 2], [1, 1.5], 2)
    assert "[" in calls.layout.yaxis.title.text
