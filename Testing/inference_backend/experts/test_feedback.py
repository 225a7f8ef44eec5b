"""What the model is told of a result and shown of it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inference_backend.conversation.interfaces import View
from inference_backend.experts.feedback import feedback
from inference_backend.experts.interface import Findings, Segment, Segmentation
from inference_backend.imaging.volume import Volume
from VILAM3SlicerLib.protocol.events import Finding
from VILAM3SlicerLib.protocol.messages import IDENTITY, ViewGeometry

BODY = (
    Segment("left lung", (1,)),
    Segment("right lung", (2,)),
    Segment("bone", (4,)),
    Segment("body", (1, 2, 4, 9)),
)


@pytest.fixture
def result() -> Segmentation:
    voxels = np.zeros((40, 30, 20), np.uint8)
    voxels[5:35, 5:25] = 9
    voxels[8:14, 10:20] = 1
    voxels[24:32, 10:20] = 2
    voxels[18:20, 7:9, 10:] = 4
    return Segmentation(Volume(voxels, np.eye(4)), BODY)


@pytest.fixture
def view() -> View:
    buffer = io.BytesIO()
    Image.new("L", (40, 30), 128).save(buffer, "PNG")
    return View(buffer.getvalue(), ViewGeometry("as_seen", "axial", 40, 30, IDENTITY, 400, 50))


def test_text_names_colours_in_the_image_and_sizes_of_the_whole(result: Segmentation, view: View) -> None:
    told = feedback(result, [view], tells_sizes=True)
    assert told.text == (
        "The results are <image>. The colors in this image describe "
        "red: left lung, blue: right lung, yellow: body. "
        "The sizes are left lung: 1.2 mL, right lung: 1.6 mL, bone: 0.0 mL, body: 12 mL. "
    )
    assert [entry.segment for entry in told.legend] == ["left lung", "right lung", "body"]
    assert told.image is not None
    pixels = np.asarray(Image.open(io.BytesIO(told.image)))
    assert pixels[15, 10].argmax() == 0
    assert pixels[15, 28].argmax() == 2


def test_published_experts_tell_no_sizes(result: Segmentation, view: View) -> None:
    assert "sizes" not in feedback(result, [view], tells_sizes=False).text


def test_nothing_found_is_said_in_the_published_form(result: Segmentation, view: View) -> None:
    empty = replace(result, labelmap=result.labelmap.with_voxels(np.zeros((40, 30, 20), np.uint8)))
    told = feedback(empty, [view], tells_sizes=True)
    assert told.text == ("The results are <image>. The colors in this image describe . The sizes are none. ")
    assert told.image is not None
    assert told.legend == ()


def test_a_segment_of_several_values_has_one_colour(result: Segmentation, view: View) -> None:
    lungs = replace(result, segments=(Segment("lungs", (1, 2)), Segment("rest", (4, 9))))
    told = feedback(lungs, [view], tells_sizes=False)
    assert [(entry.colour, entry.segment) for entry in told.legend] == [("red", "lungs"), ("blue", "rest")]


def test_values_without_a_segment_are_painted_but_not_named(result: Segmentation, view: View) -> None:
    told = feedback(replace(result, segments=BODY[:1]), [view], tells_sizes=False)
    assert [(entry.colour, entry.segment) for entry in told.legend] == [("red", "left lung")]
    assert told.image is not None
    outside_of_lung = np.asarray(Image.open(io.BytesIO(told.image)))[7, 25]
    assert len(set(outside_of_lung.tolist())) > 1


def test_without_an_image_the_model_is_told_sizes_alone(result: Segmentation) -> None:
    told = feedback(result, [], tells_sizes=False)
    assert told.image is None
    assert told.text.startswith("The sizes are left lung")


def test_findings_are_worded_as_published() -> None:
    findings = Findings((Finding("edema", 0.2), Finding("lung opacity", 0.5)))
    told = feedback(findings, [], tells_sizes=False)
    assert told.text == "The resulting predictions are:\nedema: no\nlung opacity: yes\n."
    assert told.findings == findings.findings
