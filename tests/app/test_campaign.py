"""What many validation records say together."""

import math
from html import escape

import pytest

from app.campaign import terms, verdict
from app.campaign_report import render
from measurements import SettingRow
from tests.factories import validation_record


def changed(row: SettingRow, **parts: dict) -> SettingRow:
    """A setting with some fields of its parts replaced."""
    updated = {name: getattr(row, name).model_copy(update=values) for name, values in parts.items()}
    return row.model_copy(update=updated)


def test_figures_are_those_of_all_settings_together() -> None:
    record = validation_record()
    one, two = verdict([record]), verdict([record, record])
    assert one.settings == len(record.settings) and two.settings == 2 * one.settings
    assert one.median == pytest.approx(record.summary.median_abs_error)
    assert one.p95 == pytest.approx(record.summary.p95_abs_error)
    assert one.bias == pytest.approx(record.summary.bias)
    assert one.coverage == pytest.approx(record.summary.coverage_90)
    assert two.median == pytest.approx(one.median)
    assert sum(row.settings for row in one.by_method) == one.settings
    assert set(one.by_sampling) == {"T0", "T1"}


def test_the_parts_of_an_error_add_up() -> None:
    for row in validation_record().settings:
        split = changed(row, error={"log_tau_prompts": 0.01})
        for setting in (row, split):
            assert sum(terms(setting).values()) == pytest.approx(setting.error.log_speedup)
        assert terms(split)["other prompts"] == 0.01


def test_the_largest_term_is_blamed() -> None:
    row = validation_record().settings[0]
    fast = row.speedup.measured
    error = {
        "log_speedup": math.log(1.2), "log_tau": math.log(1.2) + 0.03, "log_tau_prompts": 0.15,
        "log_round": -0.03, "log_autoregressive": 0.0, "log_round_by_stage": {"target": -0.03},
    }  # fmt: skip
    wrong = changed(
        row, speedup={"L2": 1.2 * fast, "L2_low": fast, "L2_high": 2 * fast}, error=error
    )
    found = verdict([validation_record(settings=[wrong])])
    (case,) = found.wrong
    assert case.term == "other prompts" and case.share == 0.15
    assert case.error == pytest.approx(0.2)
    assert "on the profiled prompts" in case.explanation
    target = changed(
        wrong,
        error={
            **error,
            "log_tau": 0.0,
            "log_tau_prompts": 0.0,
            "log_round": 0.18,
            "log_round_by_stage": {"target": 0.18},
        },
    )
    (case,) = verdict([validation_record(settings=[target])]).wrong
    assert case.term == "time of target" and "ms, decoded" in case.explanation


def test_records_that_do_not_belong_together_are_refused() -> None:
    record = validation_record()
    other = record.model_copy(update={"dtype": "float32"})
    with pytest.raises(ValueError, match="records differ in dtype"):
        verdict([record, other])
    machine = record.machine.model_copy(update={"slug": "another"})
    with pytest.raises(ValueError, match="records differ in machine"):
        verdict([record, record.model_copy(update={"machine": machine})])
    with pytest.raises(ValueError, match="at least 1 record, not 0"):
        verdict([])


def test_the_report_holds_every_setting_and_its_verdict() -> None:
    record = validation_record()
    page = render([record])
    assert page.count("<tr>") >= len(record.settings)
    for line in verdict([record]).lines():
        assert escape(line) in page
    assert "http://" not in page.split("<script")[0]
