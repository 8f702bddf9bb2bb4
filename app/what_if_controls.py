"""Which numbers make up a scenario of the What-if page, and how does a link name several?"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from app.machine_controls import MACHINE_CONTROLS
from app.state import (
    ACCEPTANCE_RATE,
    BATCH,
    CONTEXT,
    COST_RATIO,
    HOST_SHARE,
    LOWER_COST,
    LOWER_RATE,
    LOWER_TOKENS,
    NUM_DRAFT_TOKENS,
    TEXT_SOURCE,
    VERIFY_SLOPE,
    Choice,
    Control,
    Number,
    Switch,
    Text,
    Value,
)
from app.tree_study import parse_tree
from simulator import Parents
from simulator.token_trees import k_ary_tree

METHOD = Choice("drafting", "chain", ("chain", "tree", "staged", "parallel"))
COST_SOURCE = Choice("costs", "sliders", ("sliders", "hardware", "record"))
OWN_COST = Switch("own_c")
TREE_SOURCE = Choice("tree_from", "sizes", ("sizes", "text"))
TREE_WIDTH = Number("tree_width", 2, 1, 8)
TREE_DEPTH = Number("tree_depth", 4, 1, 16)
FURTHER_RATE = Number("further", 0.4, 0.0, 1.0)
DRAFT_STEPS = Number("steps", 1, 1, 32)
MAP_AXIS = Choice("map", "gamma", ("gamma", "c", "batch", "context"))
MOST_PINS = 4


def parse_shape(text: str) -> Parents:
    """A tree by its parents, "-1,-1,0", or by the children of each level, "2-1".

    Raises
    ------
    ValueError
        One line: what is wrong with it.

    Examples
    --------
    >>> parse_shape("2-1"), parse_shape("-1,-1,0")
    ((-1, -1, 0, 1), (-1, -1, 0))
    """
    text = text.strip()
    widths = text.split("-")
    if all(width.isascii() and width.isdigit() and len(width) < 5 for width in widths):
        text = ",".join(map(str, k_ary_tree([int(width) for width in widths])))
    tree = parse_tree(text)
    if not tree:
        raise ValueError("a tree has at least 1 node, like -1,-1,0 or 2-1")
    return tree


def sized_tree(width: int, depth: int) -> Parents:
    """So many candidates on every level, of which the likeliest goes on.

    Examples
    --------
    >>> sized_tree(2, 3)
    (-1, -1, 0, 0, 2, 2)
    """
    return tuple(
        -1 if level == 0 else (level - 1) * width for level in range(depth) for _ in range(width)
    )


TREE_SHAPE = Text("shape", "2-2-1", parse_shape, longest=2000)
SCENARIO_CONTROLS: dict[str, Control] = {
    control.name: control
    for control in (
        METHOD, NUM_DRAFT_TOKENS, TREE_SOURCE, TREE_WIDTH, TREE_DEPTH, TREE_SHAPE, FURTHER_RATE,
        LOWER_RATE, LOWER_TOKENS, LOWER_COST, DRAFT_STEPS, TEXT_SOURCE, ACCEPTANCE_RATE,
        COST_SOURCE, OWN_COST, COST_RATIO, VERIFY_SLOPE, HOST_SHARE, BATCH, CONTEXT,
        *MACHINE_CONTROLS,
    )
}  # fmt: skip
"""All of a scenario whose bounds are fixed."""
RECORD_CONTROLS = ("record", "trace", "hardware", "dtype")
"""The others: what they may be depends on the records."""
Values = dict[str, Value]


def parse_pins(text: str) -> list[Values]:
    """The scenarios a text names, each as an address: "gamma=4&alpha=0.8;drafting=tree".

    Raises
    ------
    ValueError
        One line: what is wrong with it. Names of records and machines are checked where
        the scenario is answered.

    Examples
    --------
    >>> parse_pins("gamma=4&alpha=0.5")
    [{'gamma': 4, 'alpha': 0.5}]
    """
    pins = []
    for part in text.split(";") if text else []:
        found: Values = {}
        for name, value in parse_qsl(part, keep_blank_values=True):
            if name in found:
                raise ValueError(f"a pin names {name[:40]} twice")
            if name in SCENARIO_CONTROLS:
                found[name] = SCENARIO_CONTROLS[name].parse(value)
            elif name in RECORD_CONTROLS:
                found[name] = value[:200]
            else:
                raise ValueError(f"a pin knows no {name[:40]!r}")
        if not found:
            raise ValueError("a pin is empty")
        pins.append(found)
    if len(pins) > MOST_PINS:
        raise ValueError(f"at most {MOST_PINS} scenarios are pinned, not {len(pins)}")
    return pins


def pins_text(pins: list[Values]) -> str:
    """Scenarios as they stand in the address."""
    return ";".join(urlencode(_as_text(pin)) for pin in pins)


def pin_of(values: Mapping[str, Value]) -> Values:
    """What is pinned of a scenario: what names it, and all that is not a default."""
    always = {one.name for one in (METHOD, NUM_DRAFT_TOKENS, TREE_WIDTH, TREE_DEPTH)}
    return {
        name: value
        for name, value in values.items()
        if name in always or name in RECORD_CONTROLS or value != SCENARIO_CONTROLS[name].default
    }


def value_of(values: Mapping[str, Value], control: Control) -> Value:
    """What a scenario says of a control, or its default."""
    return values.get(control.name, control.default)


def _as_text(pin: Values) -> dict[str, str]:
    return {
        name: SCENARIO_CONTROLS[name].text(value) if name in SCENARIO_CONTROLS else str(value)
        for name, value in pin.items()
    }


PINS = Text("pins", "", parse_pins, longest=6000)
