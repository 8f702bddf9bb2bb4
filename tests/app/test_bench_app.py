"""Does the dashboard's bench measure the real pages, without their times being asserted?"""

from __future__ import annotations

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands import bench_app
from app.commands.bench_app import Page, large_tree, repeated, rerun


def test_a_move_is_timed_and_what_the_records_lack_is_not(demo, monkeypatch):
    monkeypatch.setenv("SPECULENS_DATA", str(demo))
    assert rerun(demo, Page("staging", "slider", "gamma", (5, 6))) > 0
    assert rerun(demo, Page("compare", "toggle", "all", (True, False))) > 0
    assert rerun(demo, Page("validation", "selectbox", "setting", (1, 2))) > 0
    assert rerun(demo, Page("staging", "selectbox", "stack", (1,))) is None
    with pytest.raises(ValueError):
        rerun(demo, Page("nowhere"))


def test_copies_of_a_trace_have_prompts_of_their_own():
    trace = pd.DataFrame({"prompt": [0, 0, 1], "position": [0, 1, 0]})
    longer = repeated(trace, 8)
    assert longer["prompt"].tolist() == [0, 0, 1, 2, 2, 3, 4, 4]
    assert longer["position"].tolist() == [0, 1, 0] * 2 + [0, 1]
    assert longer.dtypes.equals(trace.dtypes)


def test_the_table_and_the_json_hold_every_page(demo, monkeypatch):
    monkeypatch.setenv("SPECULENS_DATA", str(demo))
    monkeypatch.setattr(bench_app, "PAGES", (Page("roofline", "slider", "batch", (2, 3)),))
    monkeypatch.setattr(bench_app, "TRACE_ROWS", 3000)
    monkeypatch.setattr(bench_app, "TREE_NODES", 40)
    shown = CliRunner().invoke(app, ["bench", "--app", "--data", str(demo), "--json"])
    assert shown.exit_code == 0, shown.output
    seconds = json.loads(shown.stdout)["seconds"]
    assert set(seconds["app_rerun"]) == {"roofline"}
    assert {"app_first_load", "app_rerun_median", "app_trace_200k_first_load",
            "app_trace_200k_rerun", "app_trace_200k_overview_rerun", "app_tree_500",
            "app_tree_500_rerun"} <= seconds.keys()  # fmt: skip
    assert seconds["app_first_load"] > 0 and large_tree() > 0
