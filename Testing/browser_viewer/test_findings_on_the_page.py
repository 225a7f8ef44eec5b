"""A radiograph on the page, in a real browser: findings, and the heat map of one on the image."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from Testing.browser_viewer.fake_backend import STRONGEST
from Testing.browser_viewer.person import ask, undo_all, view_pixels, wait_for_end, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS, COLUMNS = 1955, 1841


@pytest.fixture
def radiograph(data_folder: Path, page, scan_file):
    path = data_folder / "radiograph" / "RG1_UNCR.dcm"
    if not path.is_file():
        pytest.skip("the radiograph is not there: python3 setup_backend.py test fetches it")
    show(page, path)
    yield path
    undo_all(page)
    show(page, scan_file)


def show(page, path: Path) -> None:
    page.click("text=Open scan")
    page.fill("[aria-label=Path]", str(path))
    page.click(".sheet >> text=Open >> nth=-1")
    wait_until(page, lambda: path.name in page.inner_text(".scan-name"), f"{path.name} is shown")


def heat(pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels[..., 0].astype(int) - pixels[..., 2], 0, None)


def test_a_click_on_a_finding_shows_where(page, running_page, radiograph):
    assert page.input_value(".bar select") == "CXR"
    plain = view_pixels(page, "Coronal")
    assert heat(plain).max() < 20
    ask(page, "What does this x-ray show?")
    wait_for_end(page)
    context = running_page.backend.requests[-1]["vilam3"]
    assert (context["modality"], context["stored_range"]) == ("CXR", [0, 32767])
    rows = page.locator(".finding").all_inner_texts()
    assert [re.sub(r"\s+", " ", row).strip() for row in rows] == [
        "effusion 0.82",
        "hernia 0.50",
        "atelectasis 0.31",
    ]
    assert page.locator(".finding.likely").count() == 2
    assert page.locator(".finding-name", has_text="hernia").is_disabled()
    page.click(".finding-name >> text=effusion")
    wait_until(page, lambda: heat(view_pixels(page, "Coronal")).max() > 80, "the heat map on the image")
    assert "densenet121-res224-all saw signs of effusion" in page.inner_text(".turn")
    assert place_of(page) == pytest.approx(STRONGEST, abs=0.4)
    page.click(".finding-name >> text=effusion")
    wait_until(page, lambda: heat(view_pixels(page, "Coronal")).max() < 20, "the image alone again")
    page.click("text=Behind the scenes")
    page.wait_for_selector(".sheet .heat-picture")
    assert "0.82" in page.inner_text(".sheet .times >> nth=1")
    page.click(".sheet >> text=Close")
    page.click(".finding-name >> text=effusion")
    wait_until(page, lambda: heat(view_pixels(page, "Coronal")).max() > 80, "the heat map once more")
    page.click("text=Undo last question")
    wait_until(page, lambda: heat(view_pixels(page, "Coronal")).max() < 20, "undo takes it away")


def place_of(page) -> tuple[float, float]:
    """Where the heat is: column and row of the 8 x 8 pixels over the square at the image's top left.

    The image fills the view's height around the view's middle, so what was cut off above and below is known.
    """
    strength = heat(view_pixels(page, "Coronal"))
    strength[strength < 25] = 0
    rows, columns = np.mgrid[: strength.shape[0], : strength.shape[1]]
    row, column = (float((strength * places).sum() / strength.sum()) for places in (rows, columns))
    height = strength.shape[0] + 60
    pixel = ROWS / height
    from_left = COLUMNS / 2 + (column - strength.shape[1] / 2 + 0.5) * pixel
    from_top = ROWS / 2 + (row - strength.shape[0] / 2 + 0.5) * pixel
    return from_left / COLUMNS * 8 - 0.5, from_top / COLUMNS * 8 - 0.5
