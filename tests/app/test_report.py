"""Does the report stand alone, and does it tell what the record says?"""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from app.report import render
from measurements import scan
from tests.factories import validation_record


@pytest.fixture(scope="module")
def report(demo):
    found = scan(demo)
    return render(found.validations[0][1], found.profiles[0][1])


def test_it_refers_to_no_other_file(report):
    found = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend(value for key, value in attrs if key in ("src", "href") and value)

    Links().feed(report)
    assert found == []


def test_headline_numbers_and_conditions_are_in_it(report):
    record = validation_record()
    best = max(record.settings, key=lambda row: row.speedup.measured)
    for text in (
        f"<strong>{best.speedup.measured:.2f}×</strong>",
        f"{best.speedup.measured_low:.2f}–{best.speedup.measured_high:.2f}×",
        record.machine.cpu,
        record.id,
        record.profile_id,
        "GB/s",
    ):
        assert text in report
    assert report.count("<tr>") == 1 + len(record.settings)
    assert report.count("js-plotly-plot") >= 1 and report.count('class="chart"') == 8


def test_it_works_without_the_profile():
    assert "GB/s read" not in render(validation_record())


def test_names_from_records_cannot_inject_markup():
    record = validation_record()
    nasty = "<img src=x onerror=alert(1)>"
    machine = record.machine.model_copy(update={"cpu": nasty})
    prompts = record.prompts.model_copy(update={"name": nasty})
    html = render(record.model_copy(update={"machine": machine, "prompts": prompts}))
    assert nasty not in html and "&lt;img" in html


def test_a_record_without_settings_is_refused():
    with pytest.raises(ValueError, match="holds no setting"):
        render(validation_record().model_copy(update={"settings": []}))
