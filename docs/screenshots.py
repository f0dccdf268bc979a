"""Take the pictures of the interactive page that the documentation shows.

    python docs/screenshots.py results/demo

Needs Chromium. Writes `page.png` and `page_errors.png` beside this file.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent


def main() -> None:
    """Open the page, click a class and an image, and keep what is seen."""
    page_path = Path(sys.argv[1]).resolve() / "index.html"
    with sync_playwright() as started:
        path = shutil.which("chromium")
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme="light")
        page.goto(page_path.as_uri())
        page.screenshot(path=HERE / "page.png")
        page.get_by_role("button", name="living things", exact=True).click()
        page.locator("#class-detail .thumbs button", has_text="median").click()
        page.wait_for_selector("#viewer-panes canvas")
        page.locator("#viewer").screenshot(path=HERE / "page_errors.png")
        browser.close()


if __name__ == "__main__":
    main()
