"""The sizes of a scan's segments, measured again after each change, a person's too, and kept as a table.

The headings of the experts follow such changes here as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from VILAM3SlicerLib.chat.interfaces import Host
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.scene.expert_groups import put_headings_in_steps
from VILAM3SlicerLib.scene.label_counts import CountedLayers
from VILAM3SlicerLib.scene.measurements import Measurement, measure_in_steps
from VILAM3SlicerLib.scene.segmentation import find_segmentation, layers_of, segment_ids
from VILAM3SlicerLib.scene.size_table import keep_table
from VILAM3SlicerLib.scene.steps import Steps, finish

_REST_SECONDS = 0.5
"""How long segments must rest before they are measured: a brush changes them many times a second."""

_STEP_SECONDS = 0.005


class SizeKeeping:
    """Measures on the front end's own clock; ``on_change`` is called when sizes were measured.

    Args:
        scene: the MRML scene.
        counted: the counts of the layers, shared with whoever looks for edited segments.
    """

    def __init__(self, scene: Any, host: Host, counted: CountedLayers) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._scene = scene
        self._host = host
        self._counted = counted
        self._volume: Any = None
        self._known: dict[str, Measurement] = {}
        self._round = self._done = 0
        self._watched: Any = None
        self._observers: list[int] = []

    @property
    def is_measuring(self) -> bool:
        """Whether sizes are measured, or are to be soon."""
        return self._done != self._round

    def of(self, segment_id: str) -> Measurement | None:
        """What was measured last, None where nothing was yet."""
        return self._known.get(segment_id)

    def watch(self, volume_node: Any) -> None:
        """Keep the sizes of the segments of this scan from now on, None for none."""
        self._volume = volume_node
        self._known = {}
        self.refresh()

    def refresh(self) -> None:
        """Measure soon: segments came or went."""
        self._plan(0.0)

    def close(self) -> None:
        """Measure no more."""
        self._round = self._done = self._round + 1
        self._observe(None)

    def _plan(self, seconds: float) -> None:
        self._round += 1
        number = self._round
        self._host.later(seconds, lambda: self._begin(number))

    def _begin(self, number: int) -> None:
        if number != self._round:
            return
        node = self._segmentation()
        self._observe(node.GetSegmentation() if node is not None else None)
        ids = segment_ids(node) if node is not None else []
        self._go_on(number, measure_in_steps(node, ids, self._counted))

    def _go_on(self, number: int, steps: Steps[list[Measurement]]) -> None:
        if number != self._round:
            return
        try:
            next(steps)
        except StopIteration as end:
            self._keep(end.value)
        except SceneError:  # a segment went meanwhile
            self._plan(_REST_SECONDS)
        else:
            self._host.later(_STEP_SECONDS, lambda: self._go_on(number, steps))

    def _keep(self, measured: list[Measurement]) -> None:
        self._done = self._round
        self._known = {one.segment_id: one for one in measured}
        node = self._segmentation()
        self._counted.forget_all_but(layers_of(node) if node is not None else ())
        if self._is_open():
            keep_table(self._scene, self._volume, measured)
        if node is not None:
            finish(put_headings_in_steps(node))  # mostly one or two for a segment that the person added
        self.on_change()

    def _segmentation(self) -> Any:
        return find_segmentation(self._scene, self._volume) if self._is_open() else None

    def _is_open(self) -> bool:
        return self._volume is not None and self._volume.GetScene() is self._scene

    def _observe(self, segmentation: Any) -> None:
        """Look at another ``vtkSegmentation``, None for none."""
        if segmentation is self._watched:
            return
        for tag in self._observers:
            self._watched.RemoveObserver(tag)
        self._watched, self._observers = segmentation, []
        if segmentation is not None:
            kinds = slicer.vtkSegmentation
            events = (
                kinds.SourceRepresentationModified,
                kinds.SegmentAdded,
                kinds.SegmentRemoved,
                kinds.SegmentModified,
            )
            self._observers = [segmentation.AddObserver(event, self._after_change) for event in events]

    def _after_change(self, *_: object) -> None:
        self._plan(_REST_SECONDS)
