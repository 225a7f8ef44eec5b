"""Pictures of the running page for the README: ``python -m Testing.browser_viewer.take_screenshots``.

Asks a question in a real browser, waits for the answer and its surfaces, and saves PNG files.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from Testing.browser_viewer.conftest import ARGUMENTS, CHROMIUM

SIZES = {"viewer": (1600, 1000), "viewer_small": (1280, 800)}
PATIENCE_MS = 600_000


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", required=True, help="address of the page, with its secret")
    parser.add_argument("--ask", default="Segment the lungs.")
    parser.add_argument("--output", type=Path, default=Path("Resources/Screenshots"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        page = browser.new_page(viewport=dict(zip(("width", "height"), SIZES["viewer"], strict=True)))
        page.set_default_timeout(PATIENCE_MS)
        page.goto(options.page)
        page.wait_for_selector(".seen-image:not(.empty)")
        _ask(page, options.ask)
        for name, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(8000)
            page.screenshot(path=options.output / f"{name}.png")
        page.set_viewport_size(dict(zip(("width", "height"), SIZES["viewer"], strict=True)))
        page.locator(".turn").last.locator("text=Behind the scenes").click()
        page.wait_for_timeout(4000)
        page.screenshot(path=options.output / "behind_the_scenes.png")
        browser.close()


def _ask(page: Any, question: str) -> None:
    if page.locator(".turn").count() == 0:
        page.fill("textarea[aria-label=Question]", question)
        page.keyboard.press("Enter")
        page.wait_for_selector(".turn")
    page.wait_for_selector(".stop:disabled")
    link = page.locator(".answer .link, .segment-name").first
    if link.count():
        link.click()
        page.mouse.move(5, 5)
    page.wait_for_selector(".view-note", state="detached")
    page.wait_for_timeout(4_000)


if __name__ == "__main__":
    main()
