"""Does What-if pin scenarios, and say what a wanted speedup takes?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.views.pinned import parse_pins, pins_text
from simulator import required_acceptance_rate, required_cost_ratio
from tests.app.pages import address, numbers, visitor

visit = pytest.fixture(visitor)
PIN = st.tuples(
    st.integers(1, 16), st.sampled_from([0.0, 0.37, 1.0]), st.sampled_from([0.0, 0.105, 1.0]),
    st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.8]),
)  # fmt: skip


def press(app, label: str):
    return next(button for button in app.button if button.label == label).click().run()


@given(st.lists(PIN, max_size=4))
def test_pins_in_the_address_come_back(pins):
    assert parse_pins(pins_text(pins)) == pins


@pytest.mark.parametrize(
    "text",
    ["4", "4:0.8:0.1:0.02", "99:0.8:0.1:0.02:0.03", "4:nan:0.1:0.02:0.03",
     ";".join(["4:0.8:0.1:0.02:0.03"] * 5)],
)  # fmt: skip
def test_pins_that_are_none_are_refused_in_one_line(text):
    with pytest.raises(ValueError) as refused:
        parse_pins(text)
    assert "\n" not in str(refused.value)


def test_scenarios_are_pinned_compared_and_linked(visit, demo):
    app = press(visit(demo, "whatif"), "Pin this scenario")
    first = numbers(app)[0]
    app.slider(key="control_c").set_value(0.3).run()
    app = press(app, "Pin this scenario")
    assert not app.exception
    table = app.dataframe[0].value
    assert [f"{value:.2f}×" for value in table["speedup"]] == [first, numbers(app)[0]]
    assert list(table["c"]) == [0.1, 0.3]
    linked = visit(demo, "whatif", **address(app))
    assert not linked.warning and linked.dataframe[0].value.equals(table)
    gone = press(linked, "Take the pins away")
    assert "pins" not in address(gone) and not gone.dataframe


def test_a_fifth_scenario_and_a_recorded_one_are_not_pinned(visit, demo):
    four = ";".join(f"{gamma}:0.8:0.1:0.02:0.03" for gamma in (1, 2, 3, 5))
    full = visit(demo, "whatif", pins=four)
    button = next(one for one in full.button if one.label == "Pin this scenario")
    assert button.disabled and len(full.dataframe[0].value) == 4
    recorded = visit(demo, "whatif", costs="record")
    assert next(one for one in recorded.button if one.label == "Pin this scenario").disabled
    tampered = visit(demo, "whatif", pins="4:0.8")
    assert "a pin has 5 numbers, not 2" in tampered.warning[0].value


def test_what_a_wanted_speedup_takes_is_the_simulators_answer(visit, demo):
    app = visit(demo, "whatif", wanted="2.5", alpha="0.7")
    extras = {"verify_slope": 0.02, "host_share": 0.03}
    rate = required_acceptance_rate(0.1, 2.5, range(1, 17), **extras)
    cost = required_cost_ratio(0.7, 2.5, range(1, 17), **extras)
    text = next(m.value for m in app.markdown if "2.50×" in m.value and m.value.startswith("- "))
    assert f"{100 * rate.value:.0f}\xa0%" in text
    if cost.reachable:
        assert f"c = {cost.value:.3g}" in text
    else:
        assert "Cheaper drafts alone do not do" in text
    far = visit(demo, "whatif", wanted="6", c="0.9")
    assert any("is out of reach at c = 0.9" in m.value for m in far.markdown)
