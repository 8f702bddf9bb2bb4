"""The one-dimensional search behind inverse questions."""

import numpy as np
import pytest

from simulator.requirement import draft_candidates, require


def test_the_search_finds_the_crossing_of_the_best_candidate():
    """Two straight lines whose envelope crosses 3 on the second one, at 0.75."""
    found = require(
        "x", 3.0, lambda x: np.array([1 + x, 4 * x]), np.array([1, 2]), worst=0.0, best=1.0
    )
    assert (found.value, found.num_draft_tokens) == (pytest.approx(0.75), 2)
    assert found.speedup == pytest.approx(3.0)


def test_the_range_may_run_downwards():
    found = require("x", 3.0, lambda x: np.array([4 - x]), np.array([1]), worst=4.0, best=0.0)
    assert found.value == pytest.approx(1.0)


def test_both_ends_of_the_range_are_answers():
    law = {"speedup_of": lambda x: np.array([1 + x]), "candidates": np.array([3])}
    too_much = require("x", 2.5, **law, worst=0.0, best=1.0)
    assert (too_much.reachable, too_much.value, too_much.speedup) == (False, 1.0, 2.0)
    assert too_much.verdict == "2.5x is unreachable: even x 1 gives at most 2x (γ = 3)"
    little = require("x", 0.5, **law, worst=0.0, best=1.0)
    assert (little.reachable, little.value, little.speedup) == (True, 0.0, 1.0)


def test_inadmissible_wishes_and_candidates_are_refused():
    with pytest.raises(ValueError, match="wanted_speedup must be finite and > 0, not 0"):
        require("x", 0.0, lambda x: np.array([x]), np.array([1]), worst=0.0, best=1.0)
    with pytest.raises(ValueError, match="candidates must hold >= 1"):
        draft_candidates([])
    with pytest.raises(ValueError, match="candidates must be finite and >= 1, not 0"):
        draft_candidates([4, 0])
