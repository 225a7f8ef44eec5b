"""What an answer refers to, images and labelmaps, fetched and put where it belongs."""

from __future__ import annotations

from collections.abc import Callable

from VILAM3SlicerLib.chat.decision import Decision
from VILAM3SlicerLib.chat.images import ImageShelf
from VILAM3SlicerLib.chat.interfaces import Host, Scene, Transport
from VILAM3SlicerLib.chat.stepping import Stepping
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.events import ExpertResult
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume, decode_nrrd


class Fetching:
    """Fetches images for the shelf and labelmaps for the scene.

    Args:
        stepping: shows what was fetched, a piece at a time.
        is_wanted: whether the turn of that name is still part of the conversation.
        on_end: called when something has come, or will not, with what the person is to decide about it.
        on_trouble: called with a turn and the reason why its segments are not shown.
    """

    def __init__(
        self,
        transport: Transport,
        scene: Scene,
        host: Host,
        shelf: ImageShelf,
        *,
        stepping: Stepping,
        is_wanted: Callable[[str], bool],
        on_end: Callable[[Decision | None], None],
        on_trouble: Callable[[str, VilaM3Error], None],
    ) -> None:
        self.pending = 0
        self._transport = transport
        self._scene = scene
        self._host = host
        self._shelf = shelf
        self._stepping = stepping
        self._is_wanted = is_wanted
        self._on_end = on_end
        self._on_trouble = on_trouble

    def image(self, sha256: str | None) -> None:
        """Fetch an image for the shelf, unless it is there."""
        if sha256 is None or self._shelf.get(sha256) is not None:
            return
        name = sha256

        def keep(png: bytes) -> None:
            self._shelf.put(name, png)
            self._shelf.at_backend.add(name)
            self._end(None)

        self.pending += 1
        self._transport.get_image(name, keep, lambda _error: self._end(None))

    def result(self, turn_id: str, result: ExpertResult) -> None:
        """Fetch a result's labelmap and show it, as long as its turn is wanted."""
        if result.result_id is None:
            return

        def fail(error: VilaM3Error) -> None:
            self.pending -= 1
            self._on_trouble(turn_id, error)

        def show(labelmap: NrrdVolume) -> None:
            if self._is_wanted(turn_id):
                steps = self._scene.show_result(turn_id, result, labelmap)
                self._stepping.run(steps, self._end, fail, lambda: self._is_wanted(turn_id))
            else:
                self._end(None)

        def unpack(data: bytes) -> None:
            self._host.in_background(lambda: decode_nrrd(data), show, fail)

        self.pending += 1
        self._transport.get_result(result.result_id, unpack, fail)

    def _end(self, decision: Decision | None) -> None:
        self.pending -= 1
        self._on_end(decision)
