"""The page as a person meets it, in a real browser: every question goes through a real HTTP backend."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest

from browser_viewer.overview import coloured_share
from Testing.browser_viewer.person import (
    ask,
    last_turn,
    open_path,
    segment,
    view_pixels,
    wait_for_end,
    wait_until,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("clean")]


def test_answer_streams_and_the_overlay_appears_on_slices_and_in_3d(page, running_page):
    for caption in ("Axial", "Coronal", "Sagittal", "3D"):
        assert coloured_share(view_pixels(page, caption)) < 0.001
    seen = page.get_attribute(".seen-image", "src")
    ask(page, "Segment the lungs.")
    page.wait_for_selector(".expert")
    page.wait_for_selector(".expert.done")
    wait_for_end(page)
    assert page.get_attribute(".question img", "src") == seen
    sent = running_page.backend.requests[-1]["messages"][-1]["content"][0]["image_url"]["url"]
    assert sent in (seen, f"sha256:{_sha256(seen)}")
    names = page.locator(".segment-name").all_inner_texts()
    assert names == ["left lung", "right lung"]
    listed = [float(re.sub(r"[^\d.]", "", text)) for text in page.locator(".segment-size").all_inner_texts()]
    told = [
        float(number) for number in re.findall(r"(\d+) mL", last_turn(page).locator(".answer").inner_text())
    ]
    assert listed == told
    assert min(listed) > 400
    for caption in ("Axial", "Coronal", "3D"):
        wait_until(
            page,
            lambda caption=caption: coloured_share(view_pixels(page, caption)) > 0.02,
            f"overlay on {caption}",
        )
    assert "Demo model" in page.inner_text(".bar")
    assert "not for diagnosis" in page.inner_text(".composer")


def _sha256(url: str) -> str:
    import hashlib

    return hashlib.sha256(base64.b64decode(url.partition(",")[2])).hexdigest()


def test_a_name_in_the_answer_brings_the_views_there(page):
    segment(page)
    last_turn(page).locator(".answer .link", has_text="left lung").click()
    page.wait_for_timeout(1500)
    before = view_pixels(page, "Sagittal").astype(int)
    last_turn(page).locator(".answer .link", has_text="right lung").click()
    wait_until(
        page, lambda: np.abs(view_pixels(page, "Sagittal") - before).mean() > 3, "the sagittal view moved"
    )


def test_a_segment_can_be_hidden_and_shown(page):
    segment(page)
    wait_until(page, lambda: coloured_share(view_pixels(page, "Axial")) > 0.02, "overlay")
    for name in ("left lung", "right lung"):
        page.click(f"[aria-label='Hide {name}']")
    wait_until(page, lambda: coloured_share(view_pixels(page, "Axial")) < 0.001, "overlay hidden")
    assert page.locator(".segment-expert").all_inner_texts() == ["CT_TISSUE 1.0"]
    page.click("[aria-label='Show left lung']")
    wait_until(page, lambda: coloured_share(view_pixels(page, "Axial")) > 0.01, "one shown again")


def test_all_segments_can_be_hidden_and_shown_at_once(page):
    segment(page)
    wait_until(page, lambda: coloured_share(view_pixels(page, "Axial")) > 0.02, "overlay")
    page.click("text=Hide all")
    wait_until(page, lambda: coloured_share(view_pixels(page, "Axial")) < 0.001, "overlay hidden")
    page.click("text=Show all")
    wait_until(page, lambda: coloured_share(view_pixels(page, "Axial")) > 0.02, "overlay shown again")


def test_a_segment_is_made_clear_by_its_slider(page):
    segment(page)
    wait_until(page, lambda: coloured_share(view_pixels(page, "Axial")) > 0.02, "overlay")
    for name in ("left lung", "right lung"):
        slider = page.locator(f"[aria-label='Opacity of {name}']")
        slider.evaluate("slider => { slider.value = 0; slider.dispatchEvent(new Event('change')); }")
    wait_until(page, lambda: coloured_share(view_pixels(page, "Axial")) < 0.001, "overlay cleared")


def test_results_stand_side_by_side_where_the_person_wants_so(page):
    segment(page)
    page.select_option("[aria-label='Repeated results']", "add")
    segment(page)
    wait_until(page, lambda: page.locator(".segment").count() == 4, "two of each")
    page.select_option("[aria-label='Repeated results']", "replace")
    page.click("text=Undo last question")
    wait_until(page, lambda: page.locator(".segment").count() == 2, "the second pair is gone")


def test_a_segment_in_the_list_and_a_colour_in_the_answer_lead_to_the_segment(page):
    segment(page)
    answer = last_turn(page).locator(".answer")
    assert "red (left lung)" in " ".join(answer.inner_text().split())
    answer.locator(".link", has_text=re.compile("^red$")).click()
    at_left = settled(page, "Sagittal")
    page.locator(".segment-name", has_text="right lung").click()
    at_right = settled(page, "Sagittal", unlike=at_left)
    answer.locator(".link", has_text=re.compile("^red$")).click()
    again = settled(page, "Sagittal", unlike=at_right)
    assert np.abs(again - at_left).mean() < 2  # the page sends lossy pictures; the other place differs by 3


def settled(page, caption: str, unlike: np.ndarray | None = None) -> np.ndarray:
    """A view's pixels once they stay the same (and differ from others)."""
    seen = [view_pixels(page, caption).astype(int)]

    def stays() -> bool:
        page.wait_for_timeout(600)
        seen.append(view_pixels(page, caption).astype(int))
        differs = unlike is None or np.abs(seen[-1] - unlike).mean() > 3
        return differs and np.abs(seen[-1] - seen[-2]).mean() < 0.2

    wait_until(page, stays, f"{caption} settled")
    return seen[-1]


def test_a_3d_view_that_the_person_turned_is_not_turned_back_by_further_surfaces(page):
    segment(page)
    wait_until(page, lambda: coloured_share(view_pixels(page, "3D")) > 0.02, "surfaces")
    settled(page, "3D")
    box = page.locator(".layout-grid-item", has=page.locator(".view-caption", has_text="3D")).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 150, y + 10, steps=8)
    page.mouse.up()
    page.mouse.move(5, 5)
    turned = settled(page, "3D")
    ask(page, "Segment the lungs again.")
    wait_for_end(page)
    page.wait_for_selector(".view-note", state="detached")
    assert np.abs(settled(page, "3D") - turned).mean() < 1


def test_undo_takes_the_segments_away_and_gives_the_question_back(page):
    segment(page)
    page.click("text=Undo last question")
    page.wait_for_selector(".segment", state="detached")
    assert page.input_value("textarea[aria-label=Question]") == "Segment the lungs."
    wait_until(page, lambda: coloured_share(view_pixels(page, "Axial")) < 0.001, "overlay gone")


def test_stop_ends_the_answer_and_keeps_what_was_said(page, running_page):
    ask(page, "Speak slowly: slow")
    page.wait_for_selector(".answer")
    page.click(".stop")
    page.wait_for_selector(".is-stopped .note")
    assert "word" in last_turn(page).locator(".answer").inner_text()
    assert running_page.backend.cancelled


def test_backend_killed_in_mid_answer_leaves_a_clear_word_and_the_conversation(page, running_page):
    ask(page, "What is this?")
    wait_for_end(page)
    ask(page, "Speak slowly: slow")
    page.wait_for_selector(".turn:last-child .answer")
    running_page.backend.stop()
    page.wait_for_selector(".turn:last-child .trouble")
    trouble = last_turn(page).locator(".trouble").inner_text()
    assert "Nothing listens at" in trouble
    assert "start it again" in trouble
    assert "contrast CT" in page.locator(".turn").first.inner_text()
    assert "word" in last_turn(page).locator(".answer").inner_text()
    running_page.restart_backend()
    page.click(".again")
    wait_until(page, lambda: page.locator(".turn").count() == 3, "the question is asked again")
    page.wait_for_selector(".turn:last-child .answer")
    page.click(".stop")
    wait_for_end(page)


def test_questions_that_cannot_be_asked_are_refused_beside_the_question(page):
    page.fill("textarea[aria-label=Question]", "long " * 10_000)
    page.keyboard.press("Enter")
    page.wait_for_selector(".alert")
    assert "50,000 characters" in page.inner_text(".alert") or "49,999" in page.inner_text(".alert")
    assert page.input_value("textarea[aria-label=Question]").startswith("long long")
    page.fill("textarea[aria-label=Question]", "  ")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=There is no question.")
    assert page.locator(".turn").count() == 0


def test_a_file_that_is_no_scan_changes_nothing(page, tmp_path):
    ask(page, "What is this?")
    wait_for_end(page)
    (tmp_path / "broken.nrrd").write_bytes(b"no image")
    seen = page.get_attribute(".seen-image", "src")
    page.click("text=Open scan")
    page.set_input_files(".scan-files", str(tmp_path / "broken.nrrd"))
    page.wait_for_selector(".sheet .trouble")
    assert "cannot be read as an image" in page.inner_text(".sheet .trouble")
    page.fill("[aria-label=Path]", "/nowhere/scan.nrrd")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=There is no file or folder")
    page.click(".sheet >> text=Close")
    assert page.locator(".turn").count() == 1
    assert page.get_attribute(".seen-image", "src") == seen


def write_series(folder, number: int, description: str, **tags: str) -> None:
    """Five slices of a DICOM series, a CT unless ``tags`` say otherwise."""
    import pydicom
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(exist_ok=True)
    series = generate_uid()
    for index in range(5):
        slice_ = pydicom.Dataset()
        slice_.file_meta = pydicom.dataset.FileMetaDataset()
        slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice_.SOPClassUID, slice_.SOPInstanceUID = CTImageStorage, generate_uid()
        slice_.SeriesInstanceUID, slice_.SeriesNumber, slice_.Modality = series, number, "CT"
        slice_.SeriesDescription = description
        for name, value in tags.items():
            setattr(slice_, name, value)
        slice_.Rows = slice_.Columns = 32
        slice_.PixelSpacing, slice_.ImageOrientationPatient = [2, 2], [1, 0, 0, 0, 1, 0]
        slice_.ImagePositionPatient = [0, 0, 4 * index]
        slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
        slice_.BitsAllocated = slice_.BitsStored = 16
        slice_.HighBit, slice_.PixelRepresentation = 15, 1
        slice_.PixelData = (np.arange(32 * 32, dtype=np.int16) + number).tobytes()
        slice_.save_as(folder / f"{number}-{index}.dcm", enforce_file_format=True)


def test_of_two_series_in_a_folder_one_is_chosen_by_a_click(page, scan_file, tmp_path):
    write_series(tmp_path / "study", 1, "Thorax soft")
    write_series(tmp_path / "study", 2, "Thorax sharp")
    page.click("text=Open scan")
    page.set_input_files("input[webkitdirectory]", str(tmp_path / "study"))
    page.wait_for_selector(".choices")
    *offered, together = page.locator(".choices button").all_inner_texts()
    assert together == "All of them, as the sequences of one MRI study"
    assert sorted(text.split("'")[1] for text in offered) == ["Thorax sharp", "Thorax soft"]
    page.locator(".choices button", has_text="Thorax sharp").click()
    wait_until(page, lambda: page.inner_text(".scan-name") == "study", "the series is shown")
    wait_until(page, lambda: not page.locator(".sheet").first.is_visible(), "the dialog closed")
    open_path(page, scan_file)
    wait_until(page, lambda: page.inner_text(".scan-name") == scan_file.name, "the first scan again")


def test_behind_the_scenes_shows_what_the_model_was_given(page):
    segment(page)
    last_turn(page).locator("text=Behind the scenes").click()
    page.wait_for_selector(".sheet pre")
    sheet = page.inner_text(".sheet")
    assert "This is a CT image." in sheet
    assert "<CT_TISSUE(lungs)>" in sheet
    assert '"volume_ml"' in sheet
    assert page.locator(".sheet img").evaluate_all("images => images.every(image => image.naturalWidth > 0)")
    page.click(".sheet >> text=Close")


def test_reloading_keeps_the_conversation(page):
    ask(page, "What is this?")
    wait_for_end(page)
    page.reload()
    page.wait_for_selector(".turn .answer")
    assert "secret" not in page.url
