"""Does the Optimise page give the choice of the search, within the limits it was given?"""

from __future__ import annotations

import json

import numpy as np
import pytest

from app import figures
from app.search import LOSSY, search
from measurements import load_profile, scan
from simulator import Candidate, Constraints, choose
from tests.app.pages import address, numbers, visitor
from tests.factories import profile_header, stages_table, trace_table

visit = pytest.fixture(visitor)


@pytest.fixture(scope="module")
def found(demo):
    return search(load_profile(scan(demo).profiles[0][0]), "T0", Constraints())[0]


@pytest.fixture(scope="module")
def choice():
    from simulator import Scenario, predict

    made = [
        Candidate(
            method, json.dumps({"num_draft_tokens": g}), predict(Scenario.from_rates(a, g, c))
        )
        for method, a, c in (("chain", 0.8, 0.1), ("lookup", 0.3, 0.0))
        for g in (1, 2, 4, 8)
    ]
    return choose(made)


def test_the_page_shows_the_best_of_the_search(visit, demo, found):
    app = visit(demo, "optimize")
    best = found["best"]
    assert f"γ\xa0{best['parameters']['num_draft_tokens']}:" in app.markdown[0].value
    assert f"**{best['speedup']['L2']:.2f}×**" in app.markdown[0].value
    assert numbers(app)[0] == f"{best['speedup']['L2']:.2f}×"
    assert numbers(app)[3] == str(len(found["indistinguishable"]))


def test_a_narrow_verification_is_kept_to_and_linked(visit, demo):
    first = visit(demo, "optimize")
    first.slider(key="control_verify_most").set_value(3).run()
    assert not first.exception
    assert "γ\xa02" in first.markdown[0].value
    assert any("verifies 4 tokens" in line.value for line in first.caption)
    assert address(first) == {"verify_most": "3"}
    second = visit(demo, "optimize", **address(first))
    assert numbers(second) == numbers(first)


def test_the_other_sampling_is_another_search(visit, demo):
    app = visit(demo, "optimize")
    before = app.markdown[0].value
    app.segmented_control(key="control_sampling").set_value("T1").run()
    assert app.markdown[0].value != before and "T\xa0=\xa01" in app.markdown[0].value


def test_without_a_profile_the_page_says_so(visit, tmp_path):
    from measurements import save_validation
    from tests.factories import validation_record

    save_validation(tmp_path, validation_record())
    app = visit(tmp_path, "optimize")
    assert not app.exception and "speculens profile" in app.info[0].value


def test_the_drawn_front_is_unbeaten(choice):
    figure = figures.speed_against_work(choice)
    front = next(one for one in figure.data if one.name == "front")
    assert np.all(np.diff(front.x) > 0) and np.all(np.diff(front.y) > 0)
    for one in choice.ranking:
        better = (np.array(front.x) <= one.work) & (np.array(front.y) >= one.speedup)
        assert better.any(), "every setting is on the front or beaten by it"


def test_every_setting_is_drawn_once_where_it_stands(choice):
    figure = figures.ranked_settings(choice)
    drawn = {name: x for one in figure.data for name, x in zip(one.y, one.x, strict=True)}
    assert drawn == {figures.candidate_name(one): one.speedup for one in choice.ranking}
    assert sum(len(one.x) for one in figure.data) == len(choice.ranking)
    assert all("predicted" in str(list(one.customdata)) for one in figure.data)


def test_known_lossy_rules_are_refused_unless_allowed(visit, tmp_path):
    """A profile with one lossy method: refused by default, allowed on demand."""
    import pandas as pd

    from measurements import Sampling, save_profile

    trace = trace_table(greedy=True)
    parameters = json.dumps({"num_draft_tokens": 4, "rule": LOSSY[0]}, sort_keys=True)
    position = trace["position"].to_numpy()
    windows = pd.DataFrame(
        {"method": "medusa", "parameters": parameters, "sampling": "T0",
         "prompt": trace["prompt"], "position": position, "context": trace["context"],
         "num_drafted": 4, "survival": [[1.0] * 5] * len(trace), "draft_calls": np.nan,
         "exact": True}
    )  # fmt: skip
    left = trace.groupby("prompt")["position"].transform("max").to_numpy() - position
    windows["num_drafted"] = np.minimum(4, left)
    windows["survival"] = [[1.0] * (min(4, int(n)) + 1) for n in left]
    rounds = pd.DataFrame(
        [
            {"method": m, "parameters": p, "mode": "greedy", "block": 0, "round": r,
             "context": 100 + r, "num_drafted": n, "stage": "target", "seconds": 0.001}
            for m, p, n in (("autoregressive", "{}", 0), ("medusa", parameters, 4))
            for r in range(4)
        ]
    )  # fmt: skip
    save_profile(
        tmp_path, profile_header(), stages_table(), {Sampling(temperature=0.0): trace},
        windows, rounds,
    )  # fmt: skip
    app = visit(tmp_path, "optimize")
    assert not app.exception and not app.error
    assert "medusa" not in app.markdown[0].value
    assert any("changes the law" in line.value for line in app.caption)
    app.toggle(key="control_lossy").set_value(True).run()
    assert "medusa" in app.markdown[0].value, "every draft is kept and costs nothing"
    assert address(app) == {"lossy": "1"}
