"""A page opened over a data folder, with an address as a link would carry it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

ENTRY = str(Path(__file__).resolve().parents[2] / "app" / "dashboard.py")


def visitor(monkeypatch) -> Callable[..., AppTest]:
    """The opener; a fixture in the modules that use it."""

    def open_page(data: Path, page: str = "overview", **address: str) -> AppTest:
        monkeypatch.setenv("SPECULENS_DATA", str(data))
        app = AppTest.from_file(ENTRY, default_timeout=60)
        app.query_params.update(address)
        if page != "overview":
            app.switch_page(f"views/{page}.py")
            app.query_params.update(address)
        return app.run()

    return open_page


def address(app: AppTest) -> dict[str, str]:
    """Parameters of the address as the page left it."""
    return {key: value if isinstance(value, str) else value[0]
            for key, value in dict(app.query_params).items()}  # fmt: skip


def numbers(app: AppTest) -> list[str]:
    """Values of the cards."""
    return [metric.value for metric in app.metric]
