"""An expert's result as the model is told of it: a text, and an overlay on the image of the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inference_backend.conversation import wording
from inference_backend.conversation.interfaces import HeatPicture, View
from inference_backend.experts.interface import FindingHeat, Findings, Segment, Segmentation
from inference_backend.experts.measurement import measure
from inference_backend.imaging.overlay import ColouredLabel, draw_overlay, encode_png, sample_labels
from VILAM3SlicerLib.protocol.events import Finding, LegendEntry, SegmentInfo


@dataclass(frozen=True)
class Feedback:
    """``image`` is the overlay (PNG), None where the text has no ``<image>``."""

    text: str
    image: bytes | None = None
    legend: tuple[LegendEntry, ...] = ()
    segments: tuple[SegmentInfo, ...] = ()
    findings: tuple[Finding, ...] = ()
    heat_maps: tuple[HeatPicture, ...] = ()


def feedback(result: Segmentation | Findings, views: Sequence[View], tells_sizes: bool) -> Feedback:
    """Word and draw a result.

    The overlay is drawn on the first of ``views``, as in the published system. Without a view (a question
    of text alone) the model is told the sizes, whether or not the expert does so otherwise.

    Raises:
        InvalidRequest: the image of the view cannot be read or does not fit its geometry.
    """
    if isinstance(result, Findings):
        votes = [(finding.name, finding.probability >= 0.5) for finding in result.findings]
        pictures = tuple(_heat_picture(heat) for heat in result.heat_maps)
        return Feedback(wording.classification_result(votes), findings=result.findings, heat_maps=pictures)
    segments = measure(result)
    sizes = wording.segment_sizes([(info.name, info.volume_ml) for info in segments if info.voxel_count])
    if not views:
        return Feedback(sizes, segments=segments)
    image, coloured = _overlay(result, views[0])
    legend = _legend(result, coloured)
    named = [(entry.colour, entry.segment) for entry in legend]
    text = result.told(coloured) if result.told else wording.segmentation_result(named)
    return Feedback(text + sizes if tells_sizes else text, image, legend, segments)


def _heat_picture(heat: FindingHeat) -> HeatPicture:
    rows, columns = heat.strength.shape
    image = encode_png(np.rint(heat.strength * 255).astype(np.uint8))
    matrix: Any = tuple(float(number) for number in heat.pixel_to_ras.ravel())
    return HeatPicture(heat.finding, image, columns, rows, matrix, heat.source)


def _overlay(result: Segmentation, view: View) -> tuple[bytes, tuple[ColouredLabel, ...]]:
    """The view with one colour for each segment in it; where segments overlap the smaller one shows."""
    labels = sample_labels(result.labelmap, view.geometry)
    return draw_overlay(view.image, _one_label_per_segment(_owners(result.segments), labels))


def _legend(result: Segmentation, coloured: Sequence[ColouredLabel]) -> tuple[LegendEntry, ...]:
    owners = _owners(result.segments)
    entries = [(entry, owners.get(entry.label)) for entry in coloured]
    return tuple(LegendEntry(entry.colour, entry.rgb, owner.name) for entry, owner in entries if owner)


def _owners(segments: Sequence[Segment]) -> dict[int, Segment]:
    """For each label value the segment with the fewest values that has it."""
    owners: dict[int, Segment] = {}
    for segment in sorted(segments, key=lambda segment: len(segment.label_values), reverse=True):
        owners.update(dict.fromkeys(segment.label_values, segment))
    return owners


def _one_label_per_segment(
    owners: dict[int, Segment], labels: npt.NDArray[np.integer]
) -> npt.NDArray[np.integer]:
    """Give all values of a segment the lowest of those that it owns; values without a segment stay."""
    lowest: dict[str, int] = {}
    for value in sorted(owners):
        lowest.setdefault(owners[value].name, value)
    merged = labels.copy()
    for value in np.unique(labels):
        if int(value) in owners:
            merged[labels == value] = lowest[owners[int(value)].name]
    return merged
