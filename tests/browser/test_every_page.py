"""Does a control count on every page, does its link restore it, and can it be undone?"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.browser.conftest import OTHER_ID
from tests.browser.serving import PAGES, chromium, faults, settle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="chromium is not installed"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="playwright is not installed"
    ),
]


@dataclass(frozen=True)
class Case:
    """A page's control, what moving it adds to the address, and tampered parameters."""

    move: Callable[[Any], None]
    parameter: str
    tampered: str
    complaints: tuple[str, ...]


def slide(number: int, key: str = "ArrowRight") -> Callable[[Any], None]:
    return lambda page: page.get_by_role("slider").nth(number).press(key)


def pick(label: str, option: int) -> Callable[[Any], None]:
    """The option of that number in a list to choose from."""

    def move(page: Any) -> None:
        page.get_by_role("combobox", name=label).click()
        page.get_by_role("option").nth(option).click()

    return move


def switch(label: str) -> Callable[[Any], None]:
    return lambda page: page.get_by_text(label, exact=True).click()


CASES = {
    "overview": Case(pick("Record", 1), "record=", "record=../../etc/passwd", ("not one of",)),
    "whatif": Case(
        slide(0), "gamma=5", "gamma=9e9&alpha=nan&costs=%3Cscript%3E&pins=a%00b",
        ("not a whole number", "not between 0 and 1", "not one of", "a pin knows no"),
    ),
    "compare": Case(switch("Lossless only"), "lossless=1", "methods=chain,poem&all=maybe",
                    ("not one of", "neither 0 nor 1")),
    "optimize": Case(slide(0, "Home"), "verify_most=2", "verify_most=-1&sampling=T9",
                     ("not between 2 and", "not one of")),
    "tree": Case(slide(0, "Home"), "nodes=1", "tree=-1,5&nodes=1e999",
                 ("must be in", "not a whole number")),
    "roofline": Case(slide(1), "batch=2", "hardware=abacus&batch=0",
                     ("not one of", "not between 1 and 256")),
    "staging": Case(slide(0), "gamma=5", "lower=99", ("not between 1 and 8",)),
    "watch": Case(slide(1, "End"), "tokens=400", "method=oracle&T=-1",
                  ("not one of", "not between 0 and 2")),
    "validation": Case(pick("Setting", 2), "setting=", "setting=T9-g99", ("not one of",)),
    "data": Case(pick("Record to look into", 1), "inspect=", "inspect=../secret", ("not one of",)),
}  # fmt: skip


def told(page: Any) -> str:
    """All that the page says in words and cards."""
    main = page.get_by_test_id("stMain")
    spoken = main.locator('[data-testid="stMarkdown"], [data-testid="stMetricValue"]')
    return "\n".join(spoken.all_inner_texts())


def wait_until_told(page: Any, expected: str) -> None:
    for _ in range(40):
        if told(page) == expected:
            return
        page.wait_for_timeout(250)
    assert told(page) == expected


@pytest.mark.parametrize("name", CASES)
def test_a_control_counts_links_restore_it_and_the_back_button_undoes_it(visit, address, name):
    case = CASES[name]
    # opened by a link, so that nobody is shown around
    first = f"{address}/{PAGES[name]}?record=validation-bfloat16-20260102T040506Z-3d4e5f"
    page = visit(first)
    assert faults(page, name, 1440) == []
    before = told(page)
    case.move(page)
    page.wait_for_url(f"**{case.parameter}**", wait_until="commit")
    settle(page)
    after = told(page)
    assert after != before
    other = visit(page.url)
    assert told(other) == after, "a second visitor sees what the link says"
    page.go_back()
    wait_until_told(page, before)
    assert case.parameter not in page.url.partition("?")[2] or name == "overview"
    assert told(other) == after, "and is not disturbed by what the first one does"


@pytest.mark.parametrize("name", CASES)
def test_tampered_values_give_a_message_each_and_the_page_still_answers(visit, address, name):
    case = CASES[name]
    page = visit(f"{address}/{PAGES[name]}?{case.tampered}")
    assert page.locator('[data-testid="stException"]').count() == 0
    alerts = "\n".join(page.locator('[data-testid="stAlert"]').all_inner_texts())
    for complaint in case.complaints:
        assert complaint in alerts
    assert page.locator("h1").count() == 1 and page.locator("h5").count() >= 1


def test_the_other_record_is_the_one_that_is_picked(visit, address):
    page = visit(f"{address}/?record={OTHER_ID}")
    assert "not yet checked by decoding" in page.locator("h5").first.inner_text()


def test_uploads_that_are_no_records_are_refused_in_words(visit, address):
    page = visit(f"{address}/data?inspect=validation-bfloat16-20260102T040506Z-3d4e5f")
    before = told(page)
    files = [
        {"name": "evil.json", "mimeType": "application/json", "buffer": b"\xff\xfe{}"},
        {"name": "lonely.parquet", "mimeType": "application/octet-stream", "buffer": b"PAR1"},
    ]
    page.locator('input[type="file"]').set_input_files(files)
    page.get_by_role("button", name="Import").click()
    page.wait_for_selector("text=lonely.parquet belongs to no record")
    alerts = page.locator('[data-testid="stAlert"]').all_inner_texts()
    assert len(alerts) == 2 and any("evil.json" in alert for alert in alerts)
    settle(page)
    assert told(page) == before, "nothing joined"
    again = visit(page.url)
    picked = {"name": "evil.zip", "mimeType": "application/zip", "buffer": b"PK\x03\x04"}
    again.locator('input[type="file"]').set_input_files([picked])
    again.wait_for_selector("text=not allowed")
