"""What a person takes away from the page and brings back: files, report, the saved scene."""

from __future__ import annotations

import numpy as np
import pytest

from browser_viewer.overview import coloured_share
from Testing.browser_viewer.conftest import PATIENCE_MS, viewer_process
from Testing.browser_viewer.person import (
    ask,
    download,
    last_turn,
    open_path,
    segment,
    view_pixels,
    wait_for_end,
    wait_until,
    write_other_scan,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("clean")]


def test_report_segmentation_and_transcript_are_downloaded(page, tmp_path):
    segment(page)
    for entry, name in (
        ("Report", "report.md"),
        ("Segmentation", "segmentation.seg.nrrd"),
        ("Transcript", "transcript.json"),
    ):
        download(page, entry, tmp_path / name)
    assert "- Left lung: " in (tmp_path / "report.md").read_text()
    assert (tmp_path / "segmentation.seg.nrrd").read_bytes().startswith(b"NRRD")
    assert "This is a CT image." in (tmp_path / "transcript.json").read_text()


def test_the_report_stands_beside_the_images_and_is_edited_and_exported(page, tmp_path):
    segment(page)
    page.click(".tabs >> text=Report")
    page.wait_for_selector("[aria-label='Findings 2']")
    assert page.input_value("[aria-label='Findings 1']").startswith("Left lung: ")
    marks = page.locator(".source-mark").all_inner_texts()
    assert {"person", "expert: CT_TISSUE 1.0", "model: Scripted demo model"} == set(marks)
    page.fill("[aria-label='Findings 1']", "The left lung is <b>normal</b>.")
    page.keyboard.press("Enter")
    first = page.locator(".report-section").nth(1).locator(".source-mark").first
    wait_until(page, lambda: first.inner_text() == "person", "the sentence is the person's")
    page.click("[aria-label='Remove from Findings 2']")
    page.wait_for_selector("[aria-label='Findings 2']", state="detached")
    page.click(".report >> text=Into the scene")
    with page.expect_download() as waiting:
        page.click(".report-foot >> text=HTML")
    waiting.value.save_as(tmp_path / "report.html")
    written = (tmp_path / "report.html").read_text()
    assert "&lt;b&gt;normal&lt;/b&gt;" in written
    assert "Right lung" not in written
    assert "not for diagnosis" in written
    assert "Scripted demo model" in written
    page.click(".report-foot >> text=Print or PDF")
    frame = page.wait_for_selector(".print-frame", state="attached").content_frame()
    assert "The left lung is <b>normal</b>." in frame.inner_text("ul >> nth=1")
    page.click(".report-foot >> text=Draft anew")
    page.wait_for_selector("[aria-label='Findings 2']")
    page.click(".tabs >> text=Chat")


def test_saved_scene_brings_conversation_links_and_segments_back(page, tmp_path):
    """In the same viewer, with another scan in between, on real Slicer Core."""
    segment(page)
    wait_until(page, lambda: coloured_share(view_pixels(page, "Axial")) > 0.02, "overlay")
    sizes = page.locator(".segment-size").all_inner_texts()
    answer = last_turn(page).locator(".answer").inner_text()
    seen = page.get_attribute(".question img", "src")
    saved, other = tmp_path / "scene.mrb", tmp_path / "other.nrrd"
    download(page, "Scene", saved)
    write_other_scan(other)
    open_path(page, other)
    page.wait_for_selector(".turn", state="detached")
    page.wait_for_selector(".segment", state="detached")
    wait_until(page, lambda: coloured_share(view_pixels(page, "Axial")) < 0.001, "no overlay")
    open_path(page, saved)
    page.wait_for_selector(".turn .answer")
    assert page.locator(".segment-name").all_inner_texts() == ["left lung", "right lung"]
    wait_until(page, lambda: page.locator(".segment-size").all_inner_texts() == sizes, "sizes measured")
    assert last_turn(page).locator(".answer").inner_text() == answer
    assert page.get_attribute(".question img", "src") == seen
    for caption in ("Axial", "Coronal", "3D"):
        wait_until(page, lambda at=caption: coloured_share(view_pixels(page, at)) > 0.02, caption)
    before = view_pixels(page, "Sagittal").astype(int)
    last_turn(page).locator(".answer .link", has_text="right lung").click()
    wait_until(page, lambda: np.abs(view_pixels(page, "Sagittal") - before).mean() > 3, "there")
    ask(page, "What is this?")
    wait_for_end(page)
    assert page.locator(".turn").count() == 2


def behind(page) -> str:
    """All that is shown behind the scenes of the last answer; its pictures must be there."""
    last_turn(page).locator("text=Behind the scenes").click()
    page.wait_for_selector(".sheet pre")
    pictures = page.locator(".sheet img")
    assert pictures.count() >= 3
    assert pictures.evaluate_all("images => images.every(image => image.naturalWidth > 0)")
    text = page.inner_text(".sheet")
    page.click(".sheet >> text=Close")
    return text


def test_a_saved_case_is_read_again_without_a_backend(page, browser, python_environment, tmp_path):
    """Prompt, pictures, trigger, raw result, times, report: a teacher replays a case from its file."""
    segment(page)
    shown = behind(page)
    for part in ("This is a CT image.", "<CT_TISSUE(lungs)>", '"volume_ml"', "Question to end", "100 in"):
        assert part in shown
    page.click(".tabs >> text=Report")
    page.fill("[aria-label='Impression 1']", "Both lungs are normal.")
    page.keyboard.press("Enter")
    first = page.locator(".report-section").nth(2).locator(".source-mark").first
    wait_until(page, lambda: first.inner_text() == "person", "the sentence is the person's")
    saved = tmp_path / "case.mrb"
    download(page, "Scene", saved)
    arguments = ["--backend", "http://127.0.0.1:9", "--volume", str(saved)]
    with viewer_process(arguments, python_environment, tmp_path / "viewer.log") as (_, url):
        other = browser.new_page(viewport={"width": 1280, "height": 720})
        other.set_default_timeout(PATIENCE_MS)
        other.goto(url)
        other.wait_for_selector(".turn .answer")
        other.wait_for_selector(".chip.bad")
        assert behind(other) == shown
        assert other.locator(".segment-name").all_inner_texts() == ["left lung", "right lung"]
        wait_until(other, lambda: coloured_share(view_pixels(other, "3D")) > 0.02, "surfaces")
        other.click(".tabs >> text=Report")
        assert other.input_value("[aria-label='Impression 1']") == "Both lungs are normal."
        other.close()
