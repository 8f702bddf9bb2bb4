"""Screenshots of every page, wide and narrow, light and dark.

Usage: python tests/browser/screenshots.py FOLDER [DATA]

DATA is a folder of records; without it the committed ones are shown, and
synthetic ones where there are none.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from measurements import DATA, scan
from tests.browser.serving import PAGES, TOUR_BUTTON, browser, chromium, dashboard, settle
from tests.factories import write_demo

WIDTHS = {"wide": 1440, "narrow": 390}
SCHEMES = ("light", "dark")


def main(folder: Path, data: Path | None) -> None:
    """Write ``<page>-<width>-<scheme>.png`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as synthetic:
        if data is None:
            data = DATA
            if not scan(DATA).validations:
                data = Path(synthetic)
                write_demo(data)
        with dashboard(data) as address, browser() as opened:
            for scheme in SCHEMES:
                for width_name, width in WIDTHS.items():
                    for name, path in PAGES.items():
                        page = opened.new_page(
                            viewport={"width": width, "height": 900}, color_scheme=scheme
                        )
                        page.goto(f"{address}/{path}")
                        settle(page)
                        page.locator(TOUR_BUTTON).click()
                        page.locator(TOUR_BUTTON).wait_for(state="detached")
                        settle(page)
                        height = page.evaluate(
                            "() => document.querySelector('[data-testid=\"stMain\"]').scrollHeight"
                        )
                        page.set_viewport_size({"width": width, "height": max(int(height), 900)})
                        page.wait_for_timeout(600)
                        file = folder / f"{name}-{width_name}-{scheme}.png"
                        page.screenshot(path=str(file))
                        page.close()
                        print(file)


if __name__ == "__main__":
    if chromium() is None:
        sys.exit("chromium is not installed: no screenshots")
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None)
