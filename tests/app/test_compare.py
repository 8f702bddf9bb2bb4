"""Does the Compare page name the winner, and what cannot be told apart from it?"""

from __future__ import annotations

import numpy as np
import pytest

from app import comparison, figures, style
from app.comparison import allowed, best_of_each, engine_of, methods_of, overlaps, verdict
from app.data import evidence
from app.judged import campaign_of
from measurements import Scan, save_record
from tests.app.pages import address, numbers, visitor
from tests.factories import comparison_record, validation_record

visit = pytest.fixture(visitor)


@pytest.fixture(scope="module")
def rows():
    return [row for row in comparison_record().methods if row.sampling.temperature == 0]


@pytest.fixture(scope="module")
def ranked(rows):
    return allowed(rows, methods_of(rows))


def test_the_winner_is_the_fastest_and_the_baseline_takes_no_part(ranked):
    assert [row.method for row in best_of_each(ranked)] == [
        "medusa", "staged", "tree", "chain", "lookup"
    ]  # fmt: skip
    assert np.all(np.diff([row.speedup.median for row in ranked]) <= 0)


def test_limits_keep_what_they_say(rows):
    every = methods_of(rows)
    assert all(row.lossless for row in allowed(rows, every, lossless_only=True))
    chains = allowed(rows, every, chains_only=True)
    assert {row.method for row in chains} == {"chain", "staged", "lookup"}
    assert allowed(rows, []) == []


def test_the_verdict_names_exactly_those_whose_interval_reaches_the_best(rows):
    kept = allowed(rows, methods_of(rows), lossless_only=True)
    text = verdict(kept)
    assert "staged" in text and "**2.10×**" in text and "1.95–2.20×" in text
    close = text.split("The interval")[1]
    assert "tree" in close and "chain" not in close and "lookup" not in close
    assert [row.method for row in kept if overlaps(row, kept[0])] == ["staged", "tree"]


def test_a_clear_winner_and_a_comparison_without_gain_are_said(rows, ranked):
    assert "clearly ahead" in verdict(ranked)
    assert "none gains" in verdict(allowed(rows, ["lookup"]))
    assert verdict(allowed(rows, ["chain"])).endswith("(90\xa0%: 1.70–1.90×).")


def test_marks_and_intervals_are_the_records_and_lossy_ones_are_open(ranked):
    figure = figures.method_speedups(ranked)
    drawn = {}
    for one in figure.data:
        spans = zip(one.error_x.arrayminus, one.error_x.array, strict=True)
        for name, x, (below, above), symbol in zip(
            one.y, one.x, spans, one.marker.symbol, strict=True
        ):
            drawn[name] = (x, x - below, x + above, symbol.endswith("-open"))
    assert len(drawn) == len(ranked)
    for row in ranked:
        s = row.speedup
        seen = next(v for v in drawn.values() if v[0] == s.median)
        assert seen[1:3] == pytest.approx((s.low, s.high)) and seen[3] is not row.lossless


@pytest.mark.parametrize("draw", [figures.method_time, figures.token_makers])
def test_shares_fill_the_whole(ranked, draw):
    figure = draw(ranked)
    assert np.allclose(np.sum([one.x for one in figure.data], axis=0), 100)


def test_drafts_of_a_lower_level_are_told_from_the_drafts_of_lookup(ranked):
    lower = next(one for one in figures.token_makers(ranked).data if one.name == "lower levels")
    by_row = dict(zip([row.method for row in ranked], lower.x, strict=True))
    assert by_row["staged"] == pytest.approx(40) and by_row["lookup"] == 0


@pytest.mark.parametrize(
    "draw", [figures.method_speedups, figures.method_time, figures.token_makers]
)
def test_text_is_readable_and_hover_says_measured(ranked, draw):
    figure = draw(ranked)
    layout = figure.layout
    assert "[" in layout.xaxis.title.text
    assert min(layout.font.size, layout.yaxis.tickfont.size, layout.legend.font.size) >= 12
    for one in figure.data:
        assert "measured" in one.hovertemplate + str(list(one.customdata))
    assert max(len(part) for row in ranked for part in comparison.row_name(row).split()) < 24


def test_the_image_button_is_offered():
    assert style.CHART_CONFIG["modeBarButtons"] == [["toImage"]]


def test_filters_change_the_winner_and_a_link_restores_them(visit, demo):
    first = visit(demo, "compare")
    assert "medusa" in first.markdown[0].value and "not lossless" in first.markdown[0].value
    first.toggle(key="control_lossless").set_value(True).run()
    first.toggle(key="control_chains").set_value(True).run()
    first.button_group(key="control_methods").set_value(["chain", "lookup"]).run()
    first.segmented_control(key="control_sampling").set_value("T1").run()
    assert not first.exception and not first.warning
    assert "T\xa0=\xa01" in first.markdown[0].value and "chain" in first.markdown[0].value
    assert numbers(first)[0] == "1.44×", "1.8 at T=0, a fifth less at T=1"
    assert address(first) == {
        "sampling": "T1", "lossless": "1", "chains": "1", "methods": "chain,lookup"
    }  # fmt: skip
    second = visit(demo, "compare", **address(first))
    assert not second.exception and not second.warning
    assert numbers(second) == numbers(first)
    assert address(second) == address(first)


def test_what_another_engine_decoded_is_offered_last_and_judges_no_profile(visit, tmp_path):
    def elsewhere(row):
        return row.model_copy(update={"parameters": {**row.parameters, "engine": "transformers"}})

    later = "2026-02-02T05:06:07+00:00"
    ours = comparison_record()
    theirs = comparison_record(
        id=ours.id[:-6] + "abcdef", created=later, methods=[elsewhere(r) for r in ours.methods]
    )
    assert (engine_of(ours.methods), engine_of(theirs.methods)) == ("speculens", "transformers")
    for record in (ours, theirs):
        save_record(tmp_path, record)
    page = visit(tmp_path, "compare")
    (box,) = [one for one in page.selectbox if one.label == "Comparison"]
    assert [("transformers" in option) for option in box.options] == [False, True]
    checked = validation_record()
    wrong = checked.model_copy(
        update={"created": later, "settings": [elsewhere(r) for r in checked.settings]}
    )
    path = tmp_path / "validation.json"
    found = Scan(
        profiles=[], validations=[(path, wrong), (path, checked)], comparisons=[], studies=[],
        servers=[], problems=[],
    )  # fmt: skip
    assert [one.validation for one in evidence(found)] == [checked]
    other_prompts = {"same_prompts_as_profile": False}
    known = [one.model_copy(update=other_prompts) for one in (checked, wrong)]
    assert campaign_of(known[0], known) == [known[0]]


def test_no_method_left_is_said(visit, demo):
    app = visit(demo, "compare", methods="none")
    assert not app.exception
    assert "No measured setting" in app.markdown[0].value
    assert not app.get("plotly_chart")
