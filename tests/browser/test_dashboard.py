"""In a real browser: do pages load without errors, and does a copied link restore them?"""

from __future__ import annotations

import importlib.util

import pytest

from app.judged import setting_key
from tests.browser.serving import PAGES, TOUR_BUTTON, chromium, faults, settle
from tests.factories import validation_record

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="chromium is not installed"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="playwright is not installed"
    ),
]


def shown(page) -> str:
    return page.locator('[data-testid="stMetricValue"]').first.inner_text()


@pytest.mark.parametrize("name", PAGES)
def test_pages_load_on_a_phone_without_an_error_and_without_sideways_scrolling(
    visit, address, name
):
    page = visit(f"{address}/{PAGES[name]}", 390)
    assert faults(page, name, 390) == []


def test_a_slider_changes_the_number_and_the_copied_link_restores_it(visit, address):
    page = visit(f"{address}/whatif")
    before = shown(page)
    slider = page.get_by_role("slider").first
    for wanted in (5, 6, 7, 8):
        slider.press("ArrowRight")
        page.wait_for_url(f"**gamma={wanted}**", wait_until="commit")
        settle(page)
    after = shown(page)
    assert after != before
    again = visit(page.url)
    assert shown(again) == after
    assert again.get_by_role("slider").first.get_attribute("aria-valuetext") == "8"


def test_the_back_button_and_the_menu_keep_the_state(visit, address):
    page = visit(f"{address}/whatif?gamma=7")
    number = shown(page)
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Validation").click()
    page.wait_for_selector("text=How far can the predictions be trusted?")
    settle(page)
    page.get_by_test_id("stSidebarNavLink").filter(has_text="What if").click()
    page.wait_for_selector("text=What would it gain with other numbers?")
    page.wait_for_url("**gamma=7**", wait_until="commit")
    settle(page)
    assert shown(page) == number


def test_a_decode_can_be_watched_stopped_and_linked(visit, address):
    page = visit(f"{address}/watch?tokens=400&pause=200&example=2")
    page.get_by_role("button", name="Decode", exact=True).click()
    page.wait_for_selector(".written span[title*='round 3']", timeout=60_000)
    page.get_by_role("button", name="Stop", exact=True).click()
    page.wait_for_selector("text=was stopped after", timeout=60_000)
    page.get_by_role("button", name="Stop", exact=True).wait_for(state="detached")
    settle(page)
    tokens = page.locator(".written span[title]").count()
    page.wait_for_timeout(1200)
    assert page.locator(".written span[title]").count() == tokens, "nothing is added any more"
    page.wait_for_function("() => !document.querySelector('[data-testid=\"stException\"]')")
    again = visit(page.url)
    assert "up to 400 tokens" in again.locator("h5").first.inner_text()
    tampered = visit(f"{address}/watch?method=oracle")
    assert "not one of" in tampered.locator('[data-testid="stAlert"]').inner_text()


def test_the_tour_is_put_away_with_a_click(visit, address):
    page = visit(address)
    assert page.locator(".tour li").count() == 3
    page.locator(TOUR_BUTTON).click()
    page.wait_for_selector(".tour", state="detached")
    assert visit(f"{address}/whatif?gamma=7").locator(".tour").count() == 0


def click_mark(page, chart: str, trace: int, mark: int) -> None:
    """Click a mark of a scatter where Plotly drew it."""
    place = page.evaluate(
        """([chart, trace, mark]) => {
          const plot = document.querySelector(`[class*="st-key-clicks_${chart}"] .js-plotly-plot`);
          plot.scrollIntoView({block: "center"});
          const box = plot.querySelector(".plot-container").getBoundingClientRect();
          const layout = plot._fullLayout, data = plot._fullData[trace];
          return {
            x: box.x + layout.xaxis._offset + layout.xaxis.d2p(data.x[mark]),
            y: box.y + layout.yaxis._offset + layout.yaxis.d2p(data.y[mark]),
          };
        }""",
        [chart, trace, mark],
    )
    page.mouse.move(place["x"], place["y"])
    page.wait_for_timeout(300)
    page.mouse.click(place["x"], place["y"])


def test_a_click_on_a_point_looks_into_its_setting(visit, address):
    page = visit(f"{address}/validation?setting=T1-g8")
    click_mark(page, "scatter", 1, 0)  # the first setting at temperature 0
    page.wait_for_url("**setting=T0-g1**", wait_until="commit")
    settle(page)
    row = next(r for r in validation_record().settings if setting_key(r) == "T0-g1")
    told = page.get_by_text("Tokens per round", exact=False).first.inner_text()
    assert f"measured {row.speedup.measured:.2f}×" in told


def test_a_click_on_a_node_adds_a_child_and_another_removes_it(visit, address):
    page = visit(f"{address}/tree?tree=-1,0&click=add")
    click_mark(page, "token_tree", nodes_trace(page), 2)
    page.wait_for_url("**tree=-1%2C0%2C1**", wait_until="commit")
    settle(page)
    page.get_by_text("remove it", exact=True).click()
    page.wait_for_url("**click=remove**", wait_until="commit")
    settle(page)
    click_mark(page, "token_tree", nodes_trace(page), 2)
    page.wait_for_function("() => !location.search.includes('%2C')")
    settle(page)
    assert page.locator("code").last.inner_text() == "(-1,)"


def nodes_trace(page) -> int:
    """Position of the trace of nodes: branches come before it, the ring behind."""
    return page.evaluate(
        """() => document.querySelector('[class*="st-key-clicks_token_tree"] .js-plotly-plot')
          ._fullData.findIndex((one) => one.mode === "markers+text")"""
    )
