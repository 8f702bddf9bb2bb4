"""Does the Tree designer score, edit and link trees as the simulator does?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import figures
from app.records import method_profile, searched_trees
from app.tree_study import parse_tree, tree_text
from measurements import DATA, load_profile, scan
from simulator import (
    Calibration,
    chain_tree,
    path_probabilities,
    predict_chain,
    ranked_tree_windows,
    replay_windows,
    tree_depths,
)
from tests.app.pages import address, numbers, visitor

visit = pytest.fixture(visitor)
TREES = st.lists(st.integers(0, 99), max_size=14).map(
    lambda draws: tuple(draw % (node + 1) - 1 for node, draw in enumerate(draws))
)


def press(app, label: str):
    return next(button for button in app.button if button.label == label).click().run()


def test_a_linked_tree_is_scored_by_replay(visit, demo):
    app = visit(demo, "tree", tree="-1,-1,0")
    assert not app.exception and not app.warning
    trace = load_profile(scan(demo).profiles[0][0]).traces["T0"]
    lengths = trace.groupby("prompt").size().to_numpy()
    windows = ranked_tree_windows(trace["draft_rank"].to_numpy(), lengths, (-1, -1, 0))
    assert numbers(app)[1] == f"{replay_windows(windows).tau:.2f}"
    assert "This tree of 3 nodes" in app.markdown[0].value


def test_a_chain_is_predicted_as_elsewhere(visit, demo):
    """Second implementation: the scenario's own chain, which also catches up and ends early."""
    profile = load_profile(scan(demo).profiles[0][0])
    calibration = Calibration.from_tables(profile.stages, profile.traces["T0"], "greedy")
    expected = predict_chain(calibration, 4, bootstrap=0).speedup.L2
    app = visit(demo, "tree", tree=tree_text(chain_tree(4)))
    assert float(numbers(app)[0][:-1]) == pytest.approx(expected, rel=0.05)


def test_the_best_tree_is_no_slower_than_the_best_chain(visit, demo):
    app = visit(demo, "tree")
    this, _, best, chain = numbers(app)
    assert this == best and float(best[:-1]) >= float(chain[:-1])


def test_edits_change_the_tree_and_a_link_restores_it(visit, demo):
    app = visit(demo, "tree", tree="-1,0")
    app.selectbox(key="tree_node").set_value(0).run()
    app = press(app, "Add a child")
    assert not app.exception
    assert address(app) == {"tree": "-1,0,0"}
    assert app.code[0].value == "(-1, 0, 0)"
    again = visit(demo, "tree", **address(app))
    assert numbers(again) == numbers(app)
    app.selectbox(key="tree_node").set_value(1).run()
    app = press(app, "Remove it and all beneath")
    assert address(app) == {"tree": "-1,0"}
    app = press(app, "Take the best tree")
    assert address(app) == {}


def test_limits_are_kept_to(visit, demo):
    app = visit(demo, "tree", nodes="5", depth="2", width="2")
    tree = parse_tree(app.code[0].value.strip("()").replace(" ", "").rstrip(","))
    assert len(tree) <= 5 and max(tree_depths(tree), default=0) <= 2
    assert max(tree.count(node) for node in set(tree)) <= 2


@given(TREES)
def test_a_tree_in_the_address_comes_back(tree):
    assert parse_tree(tree_text(tree)) == tree


@pytest.mark.parametrize(
    "text",
    ["0", "-2", "-1,1", "x", "-1,,0", "1e3",
     ",".join(["-1"] * 9),  # too wide
     ",".join(str(node - 1) for node in range(17)),  # too deep
     ",".join(["-1", *(str((node - 1) // 2) for node in range(1, 513))])],  # too many
)  # fmt: skip
def test_what_is_no_tree_is_refused_in_one_line(text):
    with pytest.raises(ValueError) as refused:
        parse_tree(text)
    assert "\n" not in str(refused.value)


@given(TREES)
def test_no_two_nodes_are_drawn_in_one_place_and_lines_go_right(tree):
    chances = path_probabilities([0.5, 0.2], tree)
    figure = figures.token_tree(tree, chances)
    nodes = next(one for one in figure.data if one.mode == "markers+text")
    places = list(zip(nodes.x, nodes.y, strict=True))
    assert len(set(places)) == len(tree) + 1
    for node, parent in enumerate(tree):
        assert nodes.x[node + 1] == nodes.x[parent + 1] + 1
        assert nodes.y[node + 1] >= nodes.y[parent + 1]
    assert np.allclose([float(t.rstrip("\xa0%")) for t in nodes.text[1:]],
                       [100 * c for c in chances], atol=0.51)  # fmt: skip
    assert [node for node, _ in nodes.customdata] == list(range(-1, len(tree)))
    assert all("modelled" in story for _, story in nodes.customdata[1:])


def test_timed_rounds_price_trees_where_the_profile_has_them(visit, demo):
    """The committed profile of every method: as the search predicts; the demo's has stages only."""
    app = visit(DATA, "tree", tree="-1,0,-1")
    assert not app.exception and not app.warning
    assert any("timed trees (M3.12)" in caption.value for caption in app.caption)
    path = next(p for p, r in scan(DATA).profiles if r.rounds_file is not None)
    profile = load_profile(path)
    methods = method_profile(profile, "T0")
    assert methods is not None
    expected = searched_trees(profile, methods, "T0").predict((-1, -1, 0)).speedup
    assert numbers(app)[0] == f"{expected.L2:.2f}×", "whatever the order of the nodes"
    plain = visit(demo, "tree", tree="-1,0,-1")
    assert any("whole rounds were not timed" in caption.value for caption in plain.caption)
