"""Do the sentences follow from the numbers?"""

from __future__ import annotations

import pytest

from app import words
from tests.factories import validation_record


def _scaled(factor: float):
    """The record with every speedup scaled, as on a machine where drafting is dearer."""
    record = validation_record()
    settings = []
    for row in record.settings:
        given = row.speedup.model_dump(exclude_none=True)
        scaled = {name: value * factor for name, value in given.items()}
        settings.append(row.model_copy(update={"speedup": row.speedup.model_copy(update=scaled)}))
    return record.model_copy(update={"settings": settings})


@pytest.mark.parametrize(
    ("factor", "opening"),
    [(1.0, "Yes"), (0.1, "No"), (0.45, "Undecided"), (0.5, "In part")],
)
def test_the_verdict_follows_the_intervals(factor, opening):
    assert words.measured_verdict(_scaled(factor)).startswith(opening)


def test_bias_has_a_direction():
    record = validation_record()
    low = record.summary.model_copy(update={"bias": -0.02})
    assert "too high" in words.trust_verdict(record)
    assert "too low" in words.trust_verdict(record.model_copy(update={"summary": low}))


def test_settings_are_grouped_in_order():
    groups = words.by_sampling(reversed(validation_record().settings))
    assert list(groups) == ["T0", "T1"]
    for rows in groups.values():
        assert [words.drafts(row) for row in rows] == sorted(words.drafts(row) for row in rows)
