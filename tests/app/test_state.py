"""Is the address a faithful and safe copy of the controls?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app import state
from app.state import Choice, Number, Several, Switch, Text, address_of, parse
from app.what_if_controls import MAP_AXIS, SCENARIO_CONTROLS

SCENARIO = [one for one in (*SCENARIO_CONTROLS.values(), MAP_AXIS) if not isinstance(one, Text)]
CONTROLS = [
    *SCENARIO,
    state.LOSSLESS_ONLY,
    Several("methods", ("chain", "tree", "medusa")),
    Text("tree", "", lambda text: [int(part) for part in text.split(",") if part]),
]


def _values(control: state.Control) -> st.SearchStrategy:
    if isinstance(control, Choice):
        return st.sampled_from(control.options)
    if isinstance(control, Several):
        chosen = st.sets(st.sampled_from(control.options))
        return chosen.map(lambda words: [word for word in control.options if word in words])
    if isinstance(control, Switch):
        return st.booleans()
    if isinstance(control, Text):
        return st.lists(st.integers(-1, 9), max_size=9).map(lambda v: ",".join(map(str, v)))
    if isinstance(control.default, int):
        return st.integers(int(control.low), int(control.high))
    return st.integers(0, 1000).map(
        lambda i: round(control.low + (control.high - control.low) * i / 1000, 4)
    )


@given(st.tuples(*(_values(control) for control in CONTROLS)))
def test_the_address_round_trips(chosen):
    values = {control.name: value for control, value in zip(CONTROLS, chosen, strict=True)}
    assert parse(address_of(values, CONTROLS), CONTROLS) == (values, [])


@given(st.dictionaries(st.sampled_from([c.name for c in CONTROLS]), st.text(max_size=200)))
def test_no_address_raises_and_every_value_is_usable(address):
    values, refused = parse(address, CONTROLS)
    for control in CONTROLS:
        assert control.parse(control.text(values[control.name])) == values[control.name]
    assert all("\n" not in line.replace(repr("\n"), "") for line in refused)


def test_defaults_leave_no_trace_in_the_address():
    values, _ = parse({}, CONTROLS)
    assert address_of(values, CONTROLS) == {}


def test_a_long_text_is_refused_before_it_is_read():
    control = Text("tree", "", int, longest=3)
    assert "4 characters, above 3" in parse({"tree": "1234"}, [control])[1][0]
    assert parse({"tree": "123"}, [control]) == ({"tree": "123"}, [])


def test_names_are_distinct():
    assert len({control.name for control in CONTROLS}) == len(CONTROLS)


def test_bounds_belong_to_the_range():
    control = Number("x", 0.5, 0.0, 1.0)
    assert parse({"x": "0"}, [control]) == ({"x": 0.0}, [])
    assert parse({"x": "1"}, [control]) == ({"x": 1.0}, [])
    assert parse({"x": "1.0001"}, [control])[1]
