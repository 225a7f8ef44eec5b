"""Points, a box and the sequences of an MRI study, as a person attaches them in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from Testing.browser_viewer.person import ask, last_turn, open_path, wait_for_end, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAMES = ("case_t1ce", "case_t1", "case_t2", "case_flair")


@pytest.fixture
def sequences(tmp_path: Path) -> list[Path]:
    """Four volumes of 40 x 44 x 36 voxels of 2 mm around the origin."""
    files = []
    for number, name in enumerate(NAMES, 1):
        voxels = np.zeros((36, 44, 40), np.int16)
        voxels[6:30, 8:36, 8:32] = 100 * number
        image = SimpleITK.GetImageFromArray(voxels)
        image.SetSpacing((2, 2, 2))
        image.SetOrigin((-39, -43, -35))
        files.append(tmp_path / f"{name}.nii.gz")
        SimpleITK.WriteImage(image, str(files[-1]))
    return files


@pytest.fixture
def back_to_the_chest(page, scan_file):
    """What other tests of the page begin with."""
    yield
    while page.locator(".mark").count():
        page.locator(".mark button").first.click()
        page.wait_for_timeout(300)
    open_path(page, scan_file)
    wait_until(page, lambda: page.inner_text(".scan-name") == scan_file.name, "the first scan again")


def click_in(page, caption: str, right: float, down: float) -> None:
    """Click in a view, at a share of its width and height."""
    view = page.locator(".layout-grid-item", has=page.locator(".view-caption", has_text=caption))
    box = view.bounding_box()
    page.mouse.move(box["x"] + right * box["width"] - 5, box["y"] + down * box["height"] - 5)
    page.mouse.move(box["x"] + right * box["width"], box["y"] + down * box["height"])
    page.wait_for_timeout(300)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_timeout(300)


def context(running_page) -> dict:
    return running_page.backend.requests[-1]["vilam3"]


@pytest.mark.usefixtures("back_to_the_chest")
def test_points_are_placed_shown_removed_and_sent(page, running_page) -> None:
    page.click("text=Ask here")
    page.wait_for_selector(".mark-button.on")
    click_in(page, "Axial", 0.5, 0.5)
    page.wait_for_selector(".mark.add")
    click_in(page, "Axial", 0.4, 0.5)
    wait_until(page, lambda: page.locator(".mark.add").count() == 2, "two points")
    page.click("text=Ask here")
    page.wait_for_selector(".mark-button.on", state="detached")
    page.click("text=Not here")
    click_in(page, "Axial", 0.6, 0.5)
    page.wait_for_selector(".mark.remove")
    page.click("text=Not here")
    page.locator(".mark.add button").nth(1).click()
    wait_until(page, lambda: page.locator(".mark").count() == 2, "one point was removed")
    texts = [text.rstrip("×\n ") for text in page.locator(".mark").all_inner_texts()]
    ask(page, "What is this?")
    wait_for_end(page)
    page.wait_for_selector(".turn.is-done")
    sent = context(running_page)["points"]
    assert [one["is_positive"] for one in sent] == [True, False]
    assert np.abs(sent[0]["ras"]).max() < 8, "the middle of the view shows the middle of the scan"
    assert sent[1]["ras"][0] < -20, "patient left is on the right of the view"
    assert page.locator(".mark").count() == 0
    assert texts == last_turn(page).locator(".attached div").all_inner_texts()
    page.click("text=Undo last question")
    wait_until(page, lambda: page.locator(".mark").count() == 2, "the points are back")


@pytest.mark.usefixtures("back_to_the_chest")
def test_a_box_is_drawn_by_two_clicks_and_limits_the_picture(page, running_page) -> None:
    whole = page.inner_text(".seen-caption")
    page.click(".mark-button >> text=Box")
    click_in(page, "Axial", 0.45, 0.4)
    click_in(page, "Axial", 0.6, 0.6)
    page.wait_for_selector(".mark.box")
    wait_until(page, lambda: page.inner_text(".seen-caption") != whole, "the picture is another one")
    page.wait_for_selector(".mark-button.on", state="detached")
    ask(page, "What is this?")
    wait_for_end(page)
    page.wait_for_selector(".turn.is-done")
    sent = context(running_page)
    box = np.array(sent["box"]["box_to_ras"]).reshape(4, 4)
    (view,) = sent["views"]
    pixel_to_ras = np.array(view["pixel_to_ras"]).reshape(4, 4)
    corner = pixel_to_ras @ (view["columns"] - 1, view["rows"] - 1, 0, 1)
    extent = np.abs(corner - pixel_to_ras[:, 3])[:2]
    np.testing.assert_allclose(extent, np.abs(np.diag(box)[:2]), rtol=0.02)


@pytest.mark.usefixtures("back_to_the_chest")
def test_four_files_are_one_study_whose_table_can_be_corrected(page, running_page, sequences) -> None:
    page.click("text=Open scan")
    page.set_input_files(".scan-files", [str(path) for path in sequences])
    page.wait_for_selector(".study")
    assert page.inner_text(".scan-name") == "case_t1ce.nii.gz"
    chosen = page.locator(".study-row select")
    shown = [chosen.nth(place).locator("option:checked").inner_text() for place in range(4)]
    assert [text.split(".")[0] for text in shown] == list(NAMES)
    assert "found by name" in page.inner_text(".study-title")
    wait_until(page, lambda: "4 sequences" in page.inner_text(".seen-title"), "a picture of each")
    flair = chosen.nth(3).input_value()
    chosen.nth(3).select_option("")
    page.wait_for_selector("text=Missing: FLAIR")
    chosen.nth(3).select_option(flair)
    page.click("text=These are right")
    wait_until(page, lambda: "confirmed" in page.inner_text(".study-title"), "the table is confirmed")
    page.click(".study-role >> text=T2")
    ask(page, "What is this?")
    wait_for_end(page)
    page.wait_for_selector(".turn.is-done")
    sent = context(running_page)
    assert [one["role"] for one in sent["sequences"]] == ["T1c", "T1", "T2", "FLAIR"]
    held = running_page.backend.volumes
    values = [
        np.frombuffer(held[one["volume"]].voxels, held[one["volume"]].dtype).max()
        for one in sent["sequences"]
    ]
    assert values == [100, 200, 300, 400]
    assert sent["volume"] == sent["sequences"][0]["volume"]
    assert len(sent["views"]) == 4
    assert re.search(r"FLAIR: case_flair", page.inner_text(".attached"))


@pytest.mark.usefixtures("back_to_the_chest")
def test_sequences_of_two_patients_are_refused(page, running_page, tmp_path) -> None:
    from Testing.browser_viewer.test_page import write_series

    study = tmp_path / "study"
    for number, (description, patient) in enumerate((("T1 post", "A"), ("T2", "A"), ("FLAIR", "B")), 1):
        write_series(study, number, description, Modality="MR", PatientID=patient)
    asked = len(running_page.backend.requests)
    page.click("text=Open scan")
    page.set_input_files("input[webkitdirectory]", str(study))
    page.click("text=All of them, as the sequences of one MRI study")
    page.wait_for_selector("text=These are images of different patients: T1 post, T2, FLAIR.")
    page.fill("textarea[aria-label=Question]", "Segment the tumour.")
    page.keyboard.press("Enter")
    page.wait_for_selector(".alert >> text=different patients")
    assert len(running_page.backend.requests) == asked
