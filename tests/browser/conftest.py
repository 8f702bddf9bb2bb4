"""One served dashboard over two records, one browser, and pages opened in it."""

from __future__ import annotations

import pytest

from measurements import Sampling, save_profile
from tests.browser.serving import browser, dashboard, settle
from tests.factories import profile_header, stages_table, trace_table, write_demo

OTHER_ID = "profile-float32-20260301T000000Z-ffffff"
"""A profile beside that of the demo, without a validation."""


@pytest.fixture(scope="package")
def address(tmp_path_factory):
    data = tmp_path_factory.mktemp("records")
    write_demo(data)
    header = profile_header(id=OTHER_ID, created="2026-03-01T00:00:00+00:00")
    save_profile(data, header, stages_table(), {Sampling(temperature=0): trace_table(greedy=True)})
    with dashboard(data) as served:
        yield served


@pytest.fixture(scope="package")
def opened():
    with browser() as running:
        yield running


@pytest.fixture
def visit(opened):
    """Open an address in a fresh context; fails on console errors when it ends."""
    contexts, errors = [], []

    def go(url: str, width: int = 1440, scheme: str = "light"):
        context = opened.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.extend(own_errors(message)))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        settle(page)
        return page

    yield go
    for context in contexts:
        context.close()
    assert errors == []


def own_errors(message) -> list[str]:
    """A console error's text, unless it is Streamlit asking which folder it is served from."""
    probing = "/_stcore/" in message.location.get("url", "")
    return [message.text] if message.type == "error" and not probing else []
