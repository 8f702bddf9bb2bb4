"""Does the Validation page tell many methods apart, filter them, and blame the right term?"""

from __future__ import annotations

import math

import pytest

from app import figures
from app.campaign import coverage, place_in_interval, terms
from app.judged import campaign_of, judged, setting_key
from measurements import save_validation
from tests.app.pages import address, visitor
from tests.factories import campaign_record, validation_record, write_demo

visit = pytest.fixture(visitor)
OTHER_ID = "validation-bfloat16-20260103T040506Z-aaaaaa"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """Two records of one campaign, of two prompt sets."""
    root = tmp_path_factory.mktemp("campaign")
    write_demo(root, validated=False)
    first = campaign_record()
    other = first.prompts.model_copy(update={"name": "other prompts", "sha256": "cd" * 32})
    save_validation(root, first)
    save_validation(
        root,
        campaign_record(id=OTHER_ID, created="2026-01-03T04:05:06+00:00", prompts=other),
    )
    return root


def test_settings_of_many_methods_have_keys_of_their_own():
    record = campaign_record()
    keys = [setting_key(row) for row in record.settings]
    assert len(set(keys)) == len(keys)
    assert {"T0-g4", "T1-lookup-num_draft_tokens:4"} <= set(keys)
    other = record.model_copy(update={"id": OTHER_ID})
    both = judged([record, other])
    assert len({one.key for one in both}) == len({one.title for one in judged([record])}) * 2


def test_every_mark_of_a_clickable_figure_carries_the_key_of_its_setting():
    settings = judged([campaign_record()])
    rows = {one.key: one.row.speedup for one in settings}
    for figure, times in (
        (figures.predicted_against_measured(settings), 1),
        (figures.errors_by_method(settings), 3),
        (figures.places_in_intervals(settings), 1),
    ):
        marks = [one for one in figure.data if one.customdata is not None]
        keys = [entry[0] for one in marks for entry in one.customdata]
        assert sorted(keys) == sorted([*rows] * times)
    for mark in (m for m in figures.predicted_against_measured(settings).data if m.customdata):
        places = [(rows[key].measured, rows[key].L2) for key, _ in mark.customdata]
        assert places == list(zip(mark.x, mark.y, strict=True))


def test_the_place_in_an_interval_says_whether_it_covers():
    rows = validation_record().settings
    inside = sum(abs(place_in_interval(row)) <= 1 for row in rows)
    assert coverage(rows) == pytest.approx(inside / len(rows))
    row = rows[0]
    at = {"L2": 2.0, "L2_low": 1.0, "L2_high": 2.5, "measured_low": 0.1, "measured_high": 9.0}
    for measured, place in ((2.25, 0.5), (1.5, -0.5), (3.0, 2.0), (2.0, 0.0), (1.0, -1.0)):
        moved = row.model_copy(
            update={"speedup": row.speedup.model_copy(update={**at, "measured": measured})}
        )
        assert place_in_interval(moved) == place
    flat = row.model_copy(
        update={"speedup": row.speedup.model_copy(update={**at, "L2_high": 2.0, "measured": 3.0})}
    )
    assert place_in_interval(flat) == math.inf


def test_the_terms_of_a_setting_fall_to_its_whole_error():
    row = next(row for row in campaign_record().settings if row.temperature == 1)
    (fall,) = figures.error_terms(row).data
    assert sum(fall.x[:-1]) == pytest.approx(100 * row.error.log_speedup)
    assert fall.measure[-1] == "total" and "other prompts" in fall.y
    assert dict(zip(fall.y, fall.x, strict=True))["other prompts"] == pytest.approx(
        100 * terms(row)["other prompts"]
    )


def test_charts_of_mixed_methods_lie_down_and_still_add_up():
    rows = [row for row in campaign_record().settings if row.temperature == 0]
    causes = figures.decomposition(rows)
    bars = [one for one in causes.data if one.type == "bar"]
    assert {one.orientation for one in bars} == {"h"}
    sums = [sum(values) for values in zip(*(one.x for one in bars), strict=True)]
    assert sums == pytest.approx([100 * row.error.log_speedup for row in rows])
    assert len(set(bars[0].y)) == len(rows)
    shares = figures.time_shares(rows)
    assert sum(one.x[0] for one in shares.data) == pytest.approx(100)


def test_a_record_of_many_methods_is_shown_and_filtered_by_its_link(visit, campaign):
    app = visit(campaign, "validation")
    assert not app.exception and not app.warning
    assert len(app.dataframe[-1].value) == 12
    options = app.selectbox(key="control_setting").options
    assert len(options) == len(set(options)) == 12
    linked = visit(campaign, "validation", kinds="staged", samplings="T0")
    assert not linked.exception and not linked.warning
    assert linked.dataframe[-1].value["setting"].str.startswith("staged").all()
    assert len(linked.dataframe[-1].value) == 2
    assert address(linked) == {"kinds": "staged", "samplings": "T0"}
    none = visit(campaign, "validation", kinds="none")
    assert not none.exception and "No setting is left" in none.info[0].value


def test_a_setting_of_another_method_can_be_linked(visit, campaign):
    key = "T1-staged-lower:lookup,num_draft_tokens:4"
    app = visit(campaign, "validation", setting=key)
    assert not app.warning and app.selectbox(key="control_setting").value == key
    row = next(row for row in campaign_record().settings if setting_key(row) == key)
    text = next(m.value for m in app.markdown if m.value.startswith("Predicted **"))
    assert f"{row.speedup.L2:.2f}×" in text and f"{row.speedup.measured:.2f}×" in text


def test_records_of_a_campaign_are_read_together_when_wanted(visit, campaign):
    app = visit(campaign, "validation", together="1")
    assert not app.exception and not app.warning
    assert "24 settings on prompts that were not profiled" in app.markdown[0].value
    assert len(app.dataframe[-1].value) == 24
    assert len(app.selectbox(key="control_setting").options) == 24


def test_only_records_of_one_campaign_belong_together():
    first = campaign_record()
    twin = first.model_copy(update={"id": OTHER_ID})
    prompts = first.prompts.model_copy(update={"sha256": "cd" * 32})
    second = twin.model_copy(update={"prompts": prompts})
    foreign = second.model_copy(update={"dtype": "float32"})
    profiled = second.model_copy(update={"same_prompts_as_profile": True})
    assert campaign_of(first, [first, twin, second, foreign, profiled]) == [first, second]
    assert campaign_of(profiled, [first, second]) == [profiled]


def test_what_is_far_off_stands_with_the_term_to_blame(visit, tmp_path):
    row = validation_record().settings[0]
    wrong = row.model_copy(
        update={
            "speedup": row.speedup.model_copy(update={"L2": 1.25 * row.speedup.measured,
                                                      "L2_high": 2 * row.speedup.measured}),
            "error": row.error.model_copy(
                update={"log_speedup": math.log(1.25), "log_tau": math.log(1.25),
                        "log_round": 0.0, "log_autoregressive": 0.0, "log_round_by_stage": {}}
            ),
        }
    )  # fmt: skip
    write_demo(tmp_path, validated=False)
    save_validation(tmp_path, validation_record(settings=[wrong]))
    app = visit(tmp_path, "validation")
    assert not app.exception
    case = next(t.value for t in app.dataframe if "to blame" in t.value.columns).iloc[0]
    assert case["to blame"] == "tokens per round" and case["error"] == pytest.approx(25)
