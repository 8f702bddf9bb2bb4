"""Does every page run, answer to its controls, and come back from its link?"""

from __future__ import annotations

import pytest

from measurements import scan
from tests.app.pages import address, numbers, visitor
from tests.factories import PROFILE_ID, VALIDATION_ID, profile_header, write_demo

PAGES = {
    "overview": "Does speculative decoding pay here?",
    "whatif": "What would it gain with other numbers?",
    "compare": "Which method is fastest here?",
    "optimize": "Which method and parameters should run here?",
    "roofline": "What bounds decoding, and how many tokens are verified for free?",
    "tree": "Does a token tree beat a chain, and which?",
    "staging": "Does it pay to draft for the draft?",
    "validation": "How far can the predictions be trusted?",
    "data": "Which measurements are here, and are they whole?",
}

MAKES = {"compare": "speculens compare"}
"""What makes the record a page lacks, where it is not a profile."""


visit = pytest.fixture(visitor)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_asks_its_question_and_answers(visit, demo, page):
    app = visit(demo, page)
    assert not app.exception and not app.error and not app.warning
    assert app.title[0].value == PAGES[page]
    assert any(character.isdigit() for character in app.markdown[0].value)
    assert app.get("plotly_chart") or page == "data"


def test_the_overview_gives_verdict_and_interval_of_the_record(visit, demo):
    validation = scan(demo).validations[0][1]
    greedy = [row for row in validation.settings if row.temperature == 0]
    best = max(greedy, key=lambda row: row.speedup.measured).speedup
    app = visit(demo)
    assert f"**{best.measured:.2f}×**" in app.markdown[0].value
    assert f"{best.measured_low:.2f}–{best.measured_high:.2f}×" in app.markdown[0].value
    assert numbers(app)[0] == f"{best.measured:.2f}×"


@pytest.mark.parametrize("page", PAGES)
def test_without_records_every_page_says_so(visit, tmp_path, page):
    app = visit(tmp_path, page)
    assert not app.exception
    if page == "roofline":
        assert numbers(app), "it reckons with published peaks"
    elif page == "staging":
        assert numbers(app) and "speculens profile" in app.caption[1].value
    elif page == "whatif":
        assert numbers(app), "What-if works from nothing"
        assert "text" not in [choice.key for choice in app.segmented_control]
    else:
        assert MAKES.get(page, "speculens profile") in app.info[0].value


@pytest.mark.parametrize("page", PAGES)
def test_a_profile_alone_predicts_without_claiming_to_have_measured(visit, tmp_path, page):
    write_demo(tmp_path, validated=False)
    app = visit(tmp_path, page)
    assert not app.exception
    if page == "overview":
        assert "not yet checked by decoding" in app.markdown[0].value
    if page == "validation":
        assert "speculens validate" in app.info[0].value


@pytest.mark.parametrize(
    ("key", "value"),
    [("gamma", 12), ("alpha", 0.4), ("c", 0.4), ("verify", 0.2), ("host", 0.5)],
)
def test_every_slider_changes_the_shown_speedup_and_the_address(visit, demo, key, value):
    app = visit(demo, "whatif")
    before = numbers(app)[0]
    app.slider(key=f"control_{key}").set_value(value).run()
    assert not app.exception
    assert numbers(app)[0] != before
    assert address(app) == {key: f"{value:g}"}


def test_a_link_restores_the_state(visit, demo):
    first = visit(demo, "whatif")
    first.slider(key="control_gamma").set_value(9).run()
    first.slider(key="control_c").set_value(0.025).run()
    first.segmented_control(key="control_text").set_value("trace").run()
    first.segmented_control(key="control_map").set_value("c").run()
    assert not first.exception
    second = visit(demo, "whatif", **address(first))
    assert not second.exception and not second.warning
    assert numbers(second) == numbers(first)
    assert second.slider(key="control_gamma").value == 9
    assert address(second) == address(first) == {
        "gamma": "9", "c": "0.025", "text": "trace", "map": "c"
    }  # fmt: skip


def test_recorded_text_and_costs_give_the_prediction_of_the_record(visit, demo):
    validation = scan(demo).validations[0][1]
    row = next(r for r in validation.settings
               if r.temperature == 1 and r.parameters["num_draft_tokens"] == 6)  # fmt: skip
    app = visit(demo, "whatif", text="trace", costs="record", trace="T1", gamma="6")
    assert numbers(app) == [f"{getattr(row.speedup, name):.2f}×" for name in ("L2", "L1", "L0")]
    shown = {slider.key for slider in app.slider}
    assert "control_gamma" in shown
    assert not {"control_c", "control_alpha", "control_verify", "control_host"} & shown


def test_a_link_to_one_setting_restores_it(visit, demo):
    app = visit(demo, "validation", setting="T1-g8")
    assert app.selectbox(key="control_setting").value == "T1-g8"
    app.selectbox(key="control_setting").set_value("T0-g2").run()
    assert address(app)["setting"] == "T0-g2"


@pytest.mark.parametrize(
    ("page", "name", "value", "message"),
    [
        ("whatif", "gamma", "99", "not between 1 and 16"),
        ("whatif", "gamma", "<script>", "not a whole number"),
        ("whatif", "alpha", "nan", "not between 0 and 1"),
        ("whatif", "c", "1e999", "not between 0 and 1"),
        ("whatif", "text", "poem", "not one of"),
        ("validation", "setting", "T9-g4", "not one of"),
        ("overview", "record", "../../etc/passwd", "not one of"),
        ("compare", "methods", "chain,poem", "not one of"),
        ("compare", "all", "yes", "neither 0 nor 1"),
        ("optimize", "verify_most", "1", "not between 2 and 17"),
        ("optimize", "sampling", "T9", "not one of"),
        ("data", "inspect", "profile-0", "not one of"),
        ("roofline", "hardware", "abacus", "not one of"),
        ("tree", "tree", "-1,5", "must be in"),
        ("tree", "tree", "oak", "whole numbers"),
        ("tree", "nodes", "65", "not between 1 and 64"),
        ("roofline", "batch", "0", "not between 1 and 256"),
    ],
)
def test_a_tampered_link_shows_a_message_and_the_default(visit, demo, page, name, value, message):
    app = visit(demo, page, **{name: value})
    assert not app.exception
    shown = [warning.value for warning in app.warning]
    assert len(shown) == 1 and message in shown[0] and name in shown[0]
    assert name not in address(app), "the address is repaired"
    assert app.title[0].value == PAGES[page]


def test_controls_survive_a_visit_to_another_page(visit, demo):
    app = visit(demo, "whatif")
    app.slider(key="control_gamma").set_value(11).run()
    app.switch_page("views/validation.py")
    app.query_params.clear()
    app.run()
    app.switch_page("views/whatif.py")
    app.query_params.clear()
    app.run()
    assert app.slider(key="control_gamma").value == 11
    assert address(app) == {"gamma": "11"}


def test_the_back_button_restores_the_earlier_state(visit, demo):
    app = visit(demo, "whatif")
    app.slider(key="control_gamma").set_value(11).run()
    app.query_params.clear()
    app.query_params["gamma"] = "3"
    app.run()
    assert app.slider(key="control_gamma").value == 3


def test_a_late_address_does_not_undo_a_moving_slider(visit, demo):
    """Seen in the browser: the address of the step before came with the next slider event."""
    app = visit(demo, "whatif")
    app.slider(key="control_gamma").set_value(5).run()
    app.query_params.clear()
    app.slider(key="control_gamma").set_value(6).run()
    assert app.slider(key="control_gamma").value == 6
    assert address(app) == {"gamma": "6"}


def test_the_record_can_be_chosen_and_linked(visit, tmp_path):
    from measurements import Sampling, save_profile
    from tests.factories import stages_table, trace_table

    write_demo(tmp_path)
    other = profile_header(
        id="profile-float32-20260301T000000Z-ffffff", created="2026-03-01T00:00:00+00:00"
    )
    save_profile(
        tmp_path, other, stages_table(), {Sampling(temperature=0): trace_table(greedy=True)}
    )
    app = visit(tmp_path)
    assert app.selectbox(key="control_record").value == VALIDATION_ID
    app.selectbox(key="control_record").set_value(other.id).run()
    assert not app.exception
    assert "predicted" in app.markdown[0].value
    linked = visit(tmp_path, record=other.id)
    assert linked.selectbox(key="control_record").value == other.id


def test_a_broken_file_is_named_and_hides_nothing(visit, tmp_path):
    write_demo(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    app = visit(tmp_path)
    assert not app.exception
    assert any("broken.json" in caption.value for caption in app.sidebar.caption)
    assert numbers(app)


def test_a_changed_table_becomes_a_message(visit, tmp_path):
    """Only the validation is left when its profile's samples were tampered with."""
    write_demo(tmp_path)
    table = next(tmp_path.rglob(f"{PROFILE_ID}.stages.parquet"))
    table.write_bytes(table.read_bytes()[:-10])
    app = visit(tmp_path)
    assert not app.exception
    assert any("stages.parquet" in caption.value for caption in app.sidebar.caption)
    assert "measured" in app.markdown[0].value


def test_the_tour_is_for_who_comes_by_the_front_door_and_ends_when_told(visit, demo):
    def sentences(app):
        return sum(element.proto.body.count("<li>") for element in app.get("html"))

    app = visit(demo)
    assert sentences(app) == 3
    app.switch_page("views/validation.py").run()
    assert sentences(app) == 3, "another page is no reason to put it away"
    app.button(key="tour_done").click().run()
    assert sentences(app) == 0
    app.switch_page("views/overview.py").run()
    assert sentences(app) == 0
    linked = visit(demo, "whatif", gamma="7")
    assert sentences(linked) == 0
    linked.slider(key="control_gamma").set_value(4).run()
    assert sentences(linked) == 0, "nor later, when the address is empty again"


def test_two_visitors_do_not_disturb_one_another(visit, demo):
    one, other = visit(demo, "whatif"), visit(demo, "whatif", gamma="9")
    alone = numbers(other)
    one.slider(key="control_gamma").set_value(2).run()
    one.slider(key="control_alpha").set_value(0.3).run()
    other.run()
    assert numbers(other) == alone and address(other) == {"gamma": "9"}
    other.slider(key="control_gamma").set_value(12).run()
    one.run()
    assert address(one) == {"gamma": "2", "alpha": "0.3"}
    assert numbers(one) == numbers(visit(demo, "whatif", gamma="2", alpha="0.3"))
