"""What an answer refers to, images and labelmaps, fetched and put where it belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from VILAM3SlicerLib.chat.images import ImageShelf
from VILAM3SlicerLib.chat.interfaces import Host, Scene, Transport
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.events import ExpertResult
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume, decode_nrrd


class Fetching:
    """Fetches images for the shelf and labelmaps for the scene.

    Args:
        is_wanted: whether the turn of that name is still part of the conversation.
        on_change: called when something has come, or will not.
        on_trouble: called with a turn and the reason why its segments are not shown.
    """

    def __init__(
        self,
        transport: Transport,
        scene: Scene,
        host: Host,
        shelf: ImageShelf,
        *,
        is_wanted: Callable[[str], bool],
        on_change: Callable[[], None],
        on_trouble: Callable[[str, VilaM3Error], None],
    ) -> None:
        self.pending = 0
        self._transport = transport
        self._scene = scene
        self._host = host
        self._shelf = shelf
        self._is_wanted = is_wanted
        self._on_change = on_change
        self._on_trouble = on_trouble
        self._begun: dict[Iterator[None], str] = {}

    def image(self, sha256: str | None) -> None:
        """Fetch an image for the shelf, unless it is there."""
        if sha256 is None or self._shelf.get(sha256) is not None:
            return
        name = sha256

        def keep(png: bytes) -> None:
            self._shelf.put(name, png)
            self._shelf.at_backend.add(name)
            self._end()

        self.pending += 1
        self._transport.get_image(name, keep, lambda _error: self._end())

    def result(self, turn_id: str, result: ExpertResult) -> None:
        """Fetch a result's labelmap and show it a piece at a time, so that text goes on streaming."""
        if result.result_id is None:
            return

        def fail(error: VilaM3Error) -> None:
            self._fail(turn_id, error)

        def show(labelmap: NrrdVolume) -> None:
            if self._is_wanted(turn_id):
                steps = self._scene.show_result(turn_id, result, labelmap)
                self._begun[steps] = turn_id
                self._go_on(steps)
            else:
                self._end()

        def unpack(data: bytes) -> None:
            self._host.in_background(lambda: decode_nrrd(data), show, fail)

        self.pending += 1
        self._transport.get_result(result.result_id, unpack, fail)

    def finish_begun(self) -> None:
        """Show at once the rest of what is half shown."""
        while self._begun:
            self._step(next(iter(self._begun)))

    def _go_on(self, steps: Iterator[None]) -> None:
        if steps in self._begun and self._step(steps):
            self._host.later(0.0, lambda: self._go_on(steps))

    def _step(self, steps: Iterator[None]) -> bool:
        """Show the next piece, none of a turn taken back; whether there may be more."""
        turn_id = self._begun[steps]
        try:
            if self._is_wanted(turn_id):
                next(steps)
                return True
        except StopIteration:
            pass
        except VilaM3Error as error:
            del self._begun[steps]
            self._fail(turn_id, error)
            return False
        del self._begun[steps]
        self._end()
        return False

    def _fail(self, turn_id: str, error: VilaM3Error) -> None:
        self.pending -= 1
        self._on_trouble(turn_id, error)

    def _end(self) -> None:
        self.pending -= 1
        self._on_change()
