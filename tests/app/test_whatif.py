"""Does What-if ask what a method takes, pin scenarios, and say what a wanted speedup takes?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.data import Shelf, search
from app.state import Choice, Number, Switch
from app.tree_study import gain, parse_tree, tree_basis, tree_text
from app.what_if import answer
from app.what_if_controls import (
    SCENARIO_CONTROLS,
    parse_pins,
    parse_shape,
    pin_of,
    pins_text,
    sized_tree,
)
from measurements import scan
from simulator import (
    AcceptanceTrace,
    Precision,
    RoundSteps,
    StageCosts,
    assumed_stage_time,
    chain_plan,
    hardware_costs,
    known_hardware,
    known_shape,
    parallel_plan,
    replay_chain,
    required_acceptance_rate,
    required_cost_ratio,
    staged_plan,
    tree_depths,
    tree_plan,
)
from simulator.speedup import host_steps
from tests.app.pages import address, numbers, visitor

visit = pytest.fixture(visitor)


def _values(control) -> st.SearchStrategy:
    if isinstance(control, Choice):
        return st.sampled_from(control.options)
    if isinstance(control, Switch):
        return st.booleans()
    assert isinstance(control, Number)
    if isinstance(control.default, int):
        return st.integers(int(control.low), int(control.high))
    return st.sampled_from([float(control.low), float(control.high), 0.37 * float(control.high)])


PIN = st.fixed_dictionaries(
    {"drafting": _values(SCENARIO_CONTROLS["drafting"])},
    optional={
        name: _values(control)
        for name, control in SCENARIO_CONTROLS.items()
        if name not in ("drafting", "shape", "config")
    }
    | {"shape": st.sampled_from(["2-1", "-1,-1,0"]), "record": st.just("profile-x;&=%")},
)


def press(app, label: str):
    return next(button for button in app.button if button.label == label).click().run()


@given(st.lists(PIN, max_size=4))
def test_pins_in_the_address_come_back(pins):
    assert parse_pins(pins_text(pins)) == [
        {name: pytest.approx(v) if isinstance(v, float) else v for name, v in pin.items()}
        for pin in pins
    ]


@pytest.mark.parametrize(
    "text",
    ["4", "gamma", "gamma=99", "gamma=4;", "alpha=nan", "gamma=4&gamma=5", "__class__=1",
     "shape=oak", ";".join(["gamma=4"] * 5)],
)  # fmt: skip
def test_pins_that_are_none_are_refused_in_one_line(text):
    with pytest.raises(ValueError) as refused:
        parse_pins(text)
    assert "\n" not in str(refused.value)


def test_only_what_is_special_is_pinned():
    given = {"drafting": "chain", "gamma": 4, "alpha": 0.7}
    assert pin_of(given | {"c": 0.1, "host": 0.03}) == given


def test_scenarios_are_pinned_compared_and_linked(visit, demo):
    app = press(visit(demo, "whatif"), "Pin this scenario")
    first = numbers(app)[0]
    app.slider(key="control_c").set_value(0.3).run()
    app = press(app, "Pin this scenario")
    app.segmented_control(key="control_drafting").set_value("tree").run()
    app = press(app, "Pin this scenario")
    assert not app.exception
    table = app.dataframe[0].value
    third = numbers(app)[0]
    shown = [f"{value:.2f}×" for value in table["speedup"]]
    assert shown[0] == first and shown[2] == third and len(set(shown)) == 3
    assert list(table["c"]) == [0.1, 0.3, 0.3]
    assert all("assumed" in origin for origin in table["from"])
    linked = visit(demo, "whatif", **address(app))
    assert not linked.warning and linked.dataframe[0].value.equals(table)
    gone = press(linked, "Take the pins away")
    assert "pins" not in address(gone) and not gone.dataframe


def test_a_recorded_scenario_is_pinned_with_its_record_and_interval(visit, demo):
    app = visit(demo, "whatif", text="trace", costs="record", trace="T1", gamma="6")
    app = press(app, "Pin this scenario")
    row = app.dataframe[0].value.iloc[0]
    assert f"{row['speedup']:.2f}×" == numbers(app)[0]
    assert "–" in row["90 %"] and "measured" in row["from"]
    away = visit(demo, "whatif", pins=address(app)["pins"])
    assert away.dataframe[0].value.equals(app.dataframe[0].value), "whatever is shown above it"


def test_a_pin_of_a_record_that_is_not_here_says_so(visit, tmp_path):
    app = visit(tmp_path, "whatif", pins="drafting=chain&costs=record&record=profile-gone")
    assert not app.exception and numbers(app)
    assert "record 'profile-gone' is not here" in app.warning[0].value


def test_a_fifth_scenario_and_a_second_time_the_same_are_not_pinned(visit, demo):
    four = ";".join(f"gamma={gamma}" for gamma in (1, 2, 3, 5))
    full = visit(demo, "whatif", pins=four)
    button = next(one for one in full.button if one.label == "Pin this scenario")
    assert button.disabled and len(full.dataframe[0].value) == 4
    same = press(visit(demo, "whatif"), "Pin this scenario")
    assert next(one for one in same.button if one.label == "Pin this scenario").disabled
    tampered = visit(demo, "whatif", pins="4:0.8")
    assert "a pin knows no" in tampered.warning[0].value or "empty" in tampered.warning[0].value


STEPS = {
    "tree": {"tree_width": 3, "tree_depth": 2, "further": 0.7, "alpha": 0.6, "c": 0.2},
    "staged": {"gamma": 8, "lower": 5, "lower_alpha": 0.9, "lower_c": 0.2, "alpha": 0.6},
    "parallel": {"steps": 4, "gamma": 9, "alpha": 0.6, "host": 0.2},
}


@pytest.mark.parametrize("method", STEPS)
def test_every_control_of_a_method_counts_and_comes_back_in_the_link(visit, demo, method):
    app = visit(demo, "whatif", drafting=method)
    assert not app.exception and not app.error
    seen = numbers(app)
    for name, value in STEPS[method].items():
        app.slider(key=f"control_{name}").set_value(value).run()
        assert not app.exception and numbers(app) != seen, name
        seen = numbers(app)
    assert address(app) == {"drafting": method} | {k: f"{v:g}" for k, v in STEPS[method].items()}
    again = visit(demo, "whatif", **address(app))
    assert numbers(again) == seen and not again.warning
    assert float(seen[0][:-1]) == pytest.approx(_expected(method), abs=0.0051)


def _expected(method: str) -> float:
    given = {"c": 0.1, "host": 0.03} | STEPS[method]
    costs = StageCosts.assumed(
        given["c"], verify_slope=0.02, host_steps=float(host_steps(given["host"]))
    )
    steps = RoundSteps.from_costs(costs, 0, 16)
    if method == "tree":
        plan = tree_plan(steps, sized_tree(3, 2), 0.7)
        return float(plan.speedup(plan.tau_of(0.6)))
    if method == "staged":
        plan = staged_plan(steps, 8, 0.9, 5, 0.2 * 0.1)
    else:
        plan = parallel_plan(steps, 9, 4)
    # the text has 128 tokens, and its last round drafts less: a little below the closed form
    return float(plan.speedup(_tau_of_text(0.6, plan.num_drafts)))


def _tau_of_text(rate: float, gamma: int) -> float:
    text = AcceptanceTrace.constant(rate, 128)
    return replay_chain(text.accept_prob, text.lengths, gamma).tau


@pytest.mark.parametrize(
    ("method", "shown", "hidden"),
    [("chain", {"gamma", "alpha", "c"}, {"steps", "further", "lower_alpha", "tree_width"}),
     ("tree", {"tree_width", "tree_depth", "further"}, {"gamma", "steps", "lower"}),
     ("staged", {"gamma", "lower", "lower_c"}, {"steps", "further"}),
     ("parallel", {"gamma", "steps"}, {"lower", "further", "tree_depth"})],
)  # fmt: skip
def test_what_does_not_apply_is_not_asked(visit, demo, method, shown, hidden):
    app = visit(demo, "whatif", drafting=method)
    keys = {slider.key.removeprefix("control_") for slider in app.slider}
    assert shown <= keys and not hidden & keys


def test_a_tree_may_be_typed_and_what_is_none_stays_in_the_box(visit, demo):
    app = visit(demo, "whatif", drafting="tree", tree_from="text", shape="-1,-1,0")
    assert "a tree of 3 nodes on 2 levels" in app.markdown[0].value
    before = numbers(app)
    box = app.text_area(key="typed_shape")
    box.set_value("3-2").run()
    assert "a tree of 9 nodes on 2 levels" in app.markdown[0].value
    assert address(app)["shape"] == "3-2" and numbers(app) != before
    app.text_area(key="typed_shape").set_value("oak").run()
    assert not app.exception and "Not used" in app.error[0].value
    assert "a tree of 9 nodes" in app.markdown[0].value
    bad = visit(demo, "whatif", drafting="tree", tree_from="text", shape="9-9")
    assert "shape" in bad.warning[0].value and not bad.exception


def test_a_recorded_tree_is_predicted_as_the_designer_does(visit, demo):
    app = visit(demo, "whatif", drafting="tree", text="trace", costs="record", tree_depth="3")
    assert not app.exception and not app.error
    path = str(scan(demo).profiles[0][0])
    basis = tree_basis(path, ())
    assert basis is not None
    expected = gain(path, (), basis, sized_tree(2, 3))
    assert numbers(app)[0] == f"{expected.speedup:.2f}×"
    designer = visit(demo, "tree", tree=tree_text(sized_tree(2, 3)))
    assert numbers(designer)[0] == numbers(app)[0]


def test_on_hardware_the_cost_is_computed_and_may_be_overridden(visit, demo):
    given = {"hardware": "L4", "batch": "16", "context": "4000", "dtype": "float32"}
    app = visit(demo, "whatif", costs="hardware", **given)
    assert not app.exception and not app.warning
    card = known_hardware("L4")
    times = [
        assumed_stage_time(known_shape(name), card, "float32", precision=Precision(4, 4, 4))
        for name in ("Llama-3.1-8B", "Llama-3.2-1B")
    ]
    cost = float(times[1].seconds(1, 4000, 16) / times[0].seconds(1, 4000, 16))
    assert f"c = {cost:.3g}" in app.markdown[0].value
    assert not [one for one in app.slider if one.key == "control_c"]
    made = hardware_costs(*times, max_draft_tokens=16, contexts=[4000], batch=16)
    plan = chain_plan(RoundSteps.from_costs(made, 4000, 16), 4)
    assert float(numbers(app)[0][:-1]) == pytest.approx(plan.speedup(plan.tau_of(0.8)), rel=0.03)
    assert any("modelled from published peaks of L4" in m.value for m in app.caption)
    app.toggle(key="control_own_c").set_value(True).run()
    app.slider(key="control_c").set_value(0.5).run()
    assert "c = 0.5" in app.markdown[0].value and not app.exception
    again = visit(demo, "whatif", **address(app))
    assert numbers(again) == numbers(app) and address(again) == address(app)


def test_the_map_over_batch_belongs_to_hardware(visit, demo):
    app = visit(demo, "whatif", costs="hardware", map="batch")
    assert not app.exception and not app.warning
    assert app.segmented_control(key="control_map").options == ["draft tokens γ", "cost ratio c",
                                                                "batch", "context"]  # fmt: skip
    assert any("up to a batch of" in one.value or "No batch" in one.value for one in app.markdown)
    plain = visit(demo, "whatif", map="batch")
    assert "not one of" in plain.warning[0].value and not plain.exception


def test_the_sliders_can_start_from_the_record(visit, demo):
    app = visit(demo, "whatif", text="trace", costs="record", gamma="4")
    recorded = float(numbers(app)[2][:-1])
    app = press(app, "Start from this record")
    assert not app.exception and {"alpha", "c"} <= address(app).keys()
    assert {"text", "costs"}.isdisjoint(address(app))
    assert float(numbers(app)[2][:-1]) == pytest.approx(recorded, abs=0.02)
    again = visit(demo, "whatif", **address(app))
    assert numbers(again) == numbers(app)


def test_every_number_says_where_it_comes_from(visit, demo):
    for method in ("chain", "tree", "staged", "parallel"):
        app = visit(demo, "whatif", drafting=method)
        assert all("assumed" in metric.help for metric in app.metric), method
    recorded = visit(demo, "whatif", text="trace", costs="record")
    assert all("measured" in metric.help for metric in recorded.metric)


@pytest.mark.parametrize(
    ("text", "expected"), [("2-1", (-1, -1, 0, 1)), ("-1,-1,0", (-1, -1, 0)), (" 1 ", (-1,))]
)
def test_a_shape_is_parents_or_widths(text, expected):
    assert parse_shape(text) == expected


@pytest.mark.parametrize("text", ["", "0", "2-0", "99-99-99", "-1,5", "2,-1", "9999999999"])
def test_what_is_no_shape_is_refused_in_one_line(text):
    with pytest.raises(ValueError) as refused:
        parse_shape(text)
    assert "\n" not in str(refused.value)


@given(st.integers(1, 8), st.integers(1, 16))
def test_a_sized_tree_has_as_many_candidates_on_every_level(width, depth):
    tree = sized_tree(width, depth)
    levels = tree_depths(tree)
    assert [levels.count(level + 1) for level in range(depth)] == [width] * depth
    assert parse_tree(tree_text(tree)) == tree


def test_what_a_wanted_speedup_takes_is_the_simulators_answer(visit, demo):
    app = visit(demo, "whatif", wanted="2.5", alpha="0.7")
    extras = {"verify_slope": 0.02, "host_share": 0.03}
    rate = required_acceptance_rate(0.1, 2.5, range(1, 17), **extras)
    cost = required_cost_ratio(0.7, 2.5, range(1, 17), **extras)
    text = next(m.value for m in app.markdown if "2.50×" in m.value and m.value.startswith("- "))
    assert f"{100 * rate.value:.0f}\xa0%" in text
    if cost.reachable:
        assert f"c\xa0=\xa0{cost.value:.3g}" in text
    else:
        assert "Cheaper drafts alone do not do" in text
    far = visit(demo, "whatif", wanted="6", c="0.9")
    assert any("is out of reach at c = 0.9" in m.value for m in far.markdown)


@pytest.mark.parametrize("costs", [{"costs": "hardware"}, {"c": 0.2}])
def test_plain_chains_are_the_same_whatever_tree_stands_beside_them(costs):
    """They are computed once for all trees, so they must not depend on the tree."""
    shelf = Shelf([], [], [], [], [], [], [])
    found = []
    for depth in (2, 16):
        search.clear()
        tree = {"drafting": "tree", "tree_width": 8, "tree_depth": depth, **costs}
        found.append([(one.tau, one.speedup) for one in answer(tree, shelf).chains])
    assert found[0] == found[1]
