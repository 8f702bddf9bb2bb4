"""Is what was published put beside the right row, and never beside a wrong one?"""

from __future__ import annotations

from app.study_tables import beside, cell, fitted, tables

MEASURED = [
    {"sampling": "T0", "speed": 2.0, "n": 3},
    {"sampling": "T1", "speed": 1.5, "n": 3},
]


def test_published_values_stand_behind_the_columns_they_are_of():
    headings, rows = beside(MEASURED, [{"sampling": "T1", "speed": 4.0}])
    assert headings == ["sampling", "speed", "paper", "n"]
    assert rows == [["T0", "2", "–", "3"], ["T1", "1.5", "4", "3"]]


def test_rows_that_fit_none_or_several_are_not_put_anywhere():
    assert beside(MEASURED, [{"sampling": "T2", "speed": 4.0}]) is None
    assert beside(MEASURED, [{"speed": 4.0}]) is None
    assert beside([*MEASURED, MEASURED[0]], [{"sampling": "T0", "speed": 4.0}]) is None
    assert beside(MEASURED, [{"sampling": "T0", "speed": 4.0}] * 2) is None


def test_a_table_that_fits_nowhere_follows_its_own():
    other = [{"model": "T5", "speed": 3.1}]
    shown = tables({"speed": MEASURED, "time": MEASURED}, {"speed": other, "alone": other})
    assert list(shown) == ["speed", "speed: published", "time", "alone: published"]
    assert shown["speed: published"] == (["model", "speed"], [["T5", "3.1"]])


def test_values_are_short():
    assert [cell(v) for v in (0.12345, 1234.56, 7, None, False, "x")] == [
        "0.123", "1235", "7", "–", "no", "x",
    ]  # fmt: skip


def test_a_table_too_wide_lies_down_where_that_helps():
    made = (["sampling", "speed", "n"], [["T0", "2", "3"], ["T1", "1.5", "3"]])
    turned = (["sampling", "T0", "T1"], [["speed", "2", "1.5"], ["n", "3", "3"]])
    assert fitted(made, 80) == made
    assert fitted(made, 23) == turned
    assert fitted(made, 5) == made  # neither fits
