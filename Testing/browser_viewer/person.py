"""What a person does on the page and looks at, in words for the tests."""

from __future__ import annotations

import io

import numpy as np
import pytest
import SimpleITK
from PIL import Image


def ask(page, question: str) -> None:
    """Ask, and wait until the page shows that it was asked."""
    count = page.locator(".turn").count()
    page.fill("textarea[aria-label=Question]", question)
    page.keyboard.press("Enter")
    wait_until(page, lambda: page.locator(".turn").count() > count, "the question is in the transcript")


def last_turn(page):
    return page.locator(".turn").last


def wait_for_end(page) -> None:
    page.wait_for_selector(".stop:disabled")


def view_pixels(page, caption: str) -> np.ndarray:
    """What a view shows, without its frame, caption and slider; shape (rows, columns, 3)."""
    view = page.locator(".layout-grid-item", has=page.locator(".view-caption", has_text=caption))
    box = view.bounding_box()
    inside = {
        "x": box["x"] + 3,
        "y": box["y"] + 30,
        "width": box["width"] - 6,
        "height": box["height"] - 60,
    }
    return np.asarray(Image.open(io.BytesIO(page.screenshot(clip=inside))).convert("RGB"))


def wait_until(page, condition, what: str) -> None:
    for _ in range(240):
        if condition():
            return
        page.wait_for_timeout(250)
    pytest.fail(f"never: {what}")


def segment(page) -> None:
    ask(page, "Segment the lungs.")
    page.wait_for_selector(".segment")
    wait_for_end(page)


def undo_all(page) -> None:
    while page.locator(".turn").count():
        count = page.locator(".turn").count()
        page.click("text=Undo last question")
        wait_until(page, lambda count=count: page.locator(".turn").count() < count, "a turn was undone")


def open_path(page, path) -> None:
    page.click("text=Open scan")
    page.fill("[aria-label=Path]", str(path))
    page.press("[aria-label=Path]", "Enter")  # the dialog takes the focus to itself once it is open
    wait_until(page, lambda: not page.locator(".sheet").first.is_visible(), "the dialog closed")


def download(page, entry: str, path) -> None:
    page.click(".bar >> text=Save")
    with page.expect_download() as waiting:
        page.click(f".menu button >> text={entry} >> nth=0")
    waiting.value.save_as(path)
    page.keyboard.press("Escape")


def write_other_scan(path) -> None:
    voxels = np.zeros((40, 50, 60), np.int16)
    voxels[10:30, 10:40, 15:45] = 300
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(path))


def start_clean(page) -> None:
    """The chat in front, with no turns and no question."""
    page.click(".tabs >> text=Chat")
    undo_all(page)
    page.fill("textarea[aria-label=Question]", "")
