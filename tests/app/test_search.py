"""Which trees does the search rank, and what does it say about chains and trees?"""

from __future__ import annotations

import numpy as np
import pytest

from app.records import calibrations, method_profile, searched_trees, static_shape
from app.search import TreesTried, search, searched, tree_verdict
from measurements import DATA, Profile, load_profile, scan
from simulator import Candidate, Constraints, Scenario, choose, predict


@pytest.fixture(scope="module")
def recorded() -> Profile:
    """Of every method, two static trees among them."""
    paths = [path for path, _ in scan(DATA).profiles if "76f4ea" in path.name]
    return load_profile(paths[0])


def test_a_profile_of_chains_alone_says_so(demo) -> None:
    profile = load_profile(scan(demo).profiles[0][0])
    for found in search(profile, None, Constraints()):
        assert found["trees"]["verdict"] == "no tree was profiled, so none is ranked"
        assert found["trees"]["chain_wins"] is None


def test_trees_that_were_never_timed_are_ranked_and_flagged(recorded: Profile) -> None:
    (found,) = search(recorded, "T0", Constraints(max_verify=9))
    trees = [row for row in found["ranking"] if "tree" in row["parameters"]]
    untimed = [row for row in trees if row["parameters"]["tree"].startswith("-1")]
    assert untimed and all(row["extrapolated"] > 0 for row in untimed)
    assert all(row["parameters"]["nodes"] <= 8 for row in trees)
    assert all(row["memory_bytes"] == recorded.record.draft.weight_bytes for row in untimed)
    # primarily a regression test: e of (M3.14) for two timed trees, docs/model.md
    assert found["trees"]["cost_error"] == pytest.approx(0.0615, abs=5e-4)


def test_a_profile_that_cannot_tell_the_second_child_ranks_profiled_trees_only(
    recorded: Profile,
) -> None:
    assert recorded.windows is not None
    second = recorded.windows["parameters"] == '{"nodes":14,"tree":"2-2-1-1"}'
    less = Profile(**{**vars(recorded), "windows": recorded.windows[~second]})
    found = searched(less, calibrations(less)["T1"], "T1")
    assert found.trees.note.startswith(
        "only trees that were profiled are ranked: the cost of a tree"
    )
    named = [one.parameters for one in found.candidates if one.method == "tree"]
    assert named and not any('"-1,' in parameters for parameters in named)


def test_chances_by_rank_rebuild_the_windows_that_were_recorded(recorded: Profile) -> None:
    """2-2-1-1 at temperature 1 from its first level and the chain's; float32 on disk."""
    methods = method_profile(recorded, "T1")
    assert methods is not None
    trees = searched_trees(recorded, methods, "T1")
    setting = ("tree", '{"nodes":14,"tree":"2-2-1-1"}')
    parents = static_shape(setting)
    assert parents is not None
    kept, said = methods.traces[setting].windows.survival, trees.kept.windows(parents).survival
    np.testing.assert_allclose(said, kept, atol=1e-5)


def test_where_trees_are_not_allowed_nothing_is_compared(recorded: Profile) -> None:
    found = searched(recorded, calibrations(recorded)["T1"], "T1")
    told = tree_verdict(choose(found.candidates, Constraints(chain_only=True)), found.trees)
    assert told["best_tree"] is None and told["chain_wins"] is None
    assert told["verdict"] == "not both a tree and a chain keep to these limits"


@pytest.mark.parametrize(("rate", "said"), [(0.7, "a chain beats"), (0.9, "a tree beats")])
def test_the_faster_of_chain_and_tree_is_named(rate: float, said: str) -> None:
    from simulator import draw_resamples

    def candidate(method: str, accepted: float) -> Candidate:
        scenario = Scenario.from_rates(accepted, 4, 0.1)
        resamples = draw_resamples(scenario.costs, scenario.trace.lengths.size)
        parameters = '{"nodes":4,"tree":"-1,0,1,-1"}' if method == "tree" else "{}"
        return Candidate(method, parameters, predict(scenario, resamples=resamples))

    choice = choose([candidate("chain", 0.8), candidate("tree", rate)])
    told = tree_verdict(choice, TreesTried("all trees", 0.05))
    assert told["verdict"].startswith(said) and "may be 5\xa0% off" in told["verdict"]
    assert told["chain_wins"] == (rate < 0.8) and told["told_apart"]
    same = choose([candidate("chain", 0.8), candidate("tree", 0.8)])
    assert "cannot be told apart" in tree_verdict(same, TreesTried("all trees"))["verdict"]
