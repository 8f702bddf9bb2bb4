"""Do the figures show the record's numbers, with units, and say where they come from?"""

from __future__ import annotations

import re

import numpy as np
import plotly.graph_objects as go
import pytest

from app import figures, style, words
from app.judged import judged
from app.stage_groups import grouped
from simulator import Scenario, best_num_draft_tokens, speedup_from_rates
from tests.factories import validation_record


@pytest.fixture(scope="module")
def record():
    return validation_record()


@pytest.fixture(scope="module")
def groups(record):
    return words.by_sampling(record.settings)


@pytest.fixture(scope="module")
def every_figure(record, groups):
    rows = groups["T0"]
    searched = best_num_draft_tokens(Scenario.from_rates(0.8, 4, 0.1)).predictions
    curve = figures.points_from_predictions(searched)
    rates = np.linspace(0, 1, 5)
    speedup = speedup_from_rates(rates[:, None], np.arange(1, 4)[None, :], 0.1)
    return {
        "speedup": figures.speedup_by_draft_tokens(figures.points_from_settings(rows), rows),
        "gain": figures.gain_curve(curve, 4, 6),
        "map": figures.gain_map(
            np.arange(1, 4), rates, speedup, x_title="γ", y_title="acceptance rate α [–]",
            here=(2, 0.5),
        ),
        "time": figures.time_per_token(rows, record.autoregressive[0]),
        "shares": figures.time_shares(rows),
        "scatter": figures.predicted_against_measured(judged([record])),
        "causes": figures.decomposition(rows),
        "prompts": figures.per_prompt_speedup(rows[0]),
    }  # fmt: skip


def trace(figure: go.Figure, name: str):
    return next(one for one in figure.data if one.name == name)


@pytest.mark.parametrize(
    "name", ["speedup", "gain", "map", "time", "shares", "scatter", "causes", "prompts"]
)
def test_axes_are_titled_and_text_is_readable(every_figure, name):
    layout = every_figure[name].layout
    assert layout.xaxis.title.text and layout.yaxis.title.text
    assert "[" in layout.yaxis.title.text, "the unit stands in brackets"
    sizes = [layout.font.size, layout.xaxis.tickfont.size, layout.yaxis.tickfont.size,
             layout.legend.font.size, layout.xaxis.title.font.size]  # fmt: skip
    assert min(sizes) >= 12
    assert layout.legend.orientation == "h"


@pytest.mark.parametrize("name", ["speedup", "gain", "map", "time", "shares", "prompts"])
def test_hover_says_how_a_value_came_about(every_figure, name):
    texts = ""
    for one in every_figure[name].data:
        texts += str(one.hovertemplate)
        if one.customdata is not None:
            texts += str(list(one.customdata))
    assert re.search("measured|predicted|assumed", texts)


def test_measured_points_and_error_bars_are_the_records(every_figure, groups):
    points = trace(every_figure["speedup"], "measured")
    rows = [row.speedup for row in groups["T0"]]
    assert list(points.y) == [row.measured for row in rows]
    assert np.allclose(np.add(points.y, points.error_y.array), [row.measured_high for row in rows])
    low = np.subtract(points.y, points.error_y.arrayminus)
    assert np.allclose(low, [row.measured_low for row in rows])


def test_bars_per_token_are_as_high_as_the_speedup_says(every_figure, record, groups):
    """Bar heights are times per token, so their ratio to the first bar is the speedup."""
    heights = np.sum([one.y for one in every_figure["time"].data], axis=0)
    expected = [row.speedup.measured for row in groups["T0"]]
    seconds = record.autoregressive[0].seconds_per_token
    assert heights[0] == pytest.approx(1e3 * seconds, rel=0.02), "median against total"
    assert np.allclose(heights[0] / heights[1:], expected)


def test_shares_fill_the_whole_time(every_figure):
    assert np.allclose(np.sum([one.y for one in every_figure["shares"].data], axis=0), 100)


def test_causes_add_up_to_the_error(every_figure):
    figure = every_figure["causes"]
    bars = np.sum([one.y for one in figure.data if one.type == "bar"], axis=0)
    assert np.allclose(bars, trace(figure, "sum").y)


def test_prompts_are_sorted_and_the_prediction_keeps_the_total(every_figure, groups):
    figure = every_figure["prompts"]
    assert np.all(np.diff(trace(figure, "measured").y) >= 0)
    row = groups["T0"][0]
    predicted = np.array(trace(figure, "replay (L2)").y)
    ordered = sorted(row.per_prompt, key=lambda p: p.baseline_seconds / p.seconds)
    tokens = np.array([prompt.num_tokens for prompt in ordered])
    # All tokens over all predicted time, in units of the predicted time without drafts.
    assert tokens.sum() / (tokens / predicted).sum() == pytest.approx(row.speedup.L2, rel=1e-9)


def test_intervals_upside_down_by_rounding_do_not_break_the_scatter(record):
    figures.predicted_against_measured(judged([record])[:1])


def test_levels_of_a_staged_draft_count_as_drafting():
    assert grouped({"target": 0.5, "draft": 0.25, "ngram-T1.5": 0.25})["draft"] == 0.5


def _contrast(one: str, other: str) -> float:
    """WCAG 2.1 contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("background", ["#FFFFFF", "#11161D"])
def test_lines_and_points_stand_out_in_light_and_dark(background):
    """WCAG asks 3:1 for graphics; the orange fill of large bars may go to 2.5."""
    colours = [*style.FIDELITY_COLOURS.values(), style.MEASURED, style.TAU_COLOUR,
               style.BASELINE_COLOUR]  # fmt: skip
    assert min(_contrast(colour, background) for colour in colours) >= 3
    assert min(_contrast(c, background) for c in style.GROUP_COLOURS.values()) >= 2.5
