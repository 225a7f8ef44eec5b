"""The volumes of a question on their way to the backend, and how far they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from VILAM3SlicerLib.chat.interfaces import End, Host, OnDone, OnError, PackedVolume, Transport
from VILAM3SlicerLib.protocol.phrases import Phrase, joined, phrases

_ = phrases(__name__)

OnProgress = Callable[[str, float | None], bool]
"""Told in words what is sent, and the fraction (0 to 1) of it that has gone, None where nobody knows; says
whether more is wanted."""

_KILOBYTE, _MEGABYTE = 1_000, 1_000_000
TELL_EVERY = 0.25
"""Seconds between two words about the same volume: a window that is drawn anew each time keeps its pace."""


class Sending:
    """Sends one volume after the other.

    Args:
        on_progress: asked and told before each volume, and while it goes.
        on_end: called once all are there.
        on_error: called instead, once, where one cannot be sent.
    """

    def __init__(
        self, transport: Transport, host: Host, on_progress: OnProgress, on_end: OnDone, on_error: OnError
    ) -> None:
        self._transport = transport
        self._host = host
        self._on_progress = on_progress
        self._on_end = on_end
        self._on_error = on_error
        self._told_at = 0.0
        self._end: End = lambda: None

    def start(self, volumes: Sequence[PackedVolume]) -> None:
        """Send these, of which there is at least one."""
        self._put(volumes, 0)

    def stop(self) -> None:
        """Let nothing more go out."""
        self._end()

    def _put(self, volumes: Sequence[PackedVolume], place: int) -> None:
        words = _("Sending the scan")
        if len(volumes) > 1:
            words = _("Sending the scan, {number} of {total}").format(number=place + 1, total=len(volumes))
        if not self._on_progress(words, None):
            return
        self._told_at = self._host.now()

        def go_on() -> None:
            if place + 1 < len(volumes):
                self._put(volumes, place + 1)
            else:
                self._on_end()

        self._end = self._transport.put_volume(
            volumes[place], go_on, self._on_error, lambda sent, total: self._tell(words, sent, total)
        )

    def _tell(self, words: Phrase, sent: int, total: int | None) -> None:
        now = self._host.now()
        if now - self._told_at < TELL_EVERY:
            return
        self._told_at = now
        unit, size = ("MB", _MEGABYTE) if (total or sent) >= _MEGABYTE else ("kB", _KILOBYTE)
        amount = _("{sent:.0f} {unit}").format(sent=sent / size, unit=unit)
        if total:
            told = {"sent": sent / size, "total": total / size, "unit": unit}
            amount = _("{sent:.0f} of {total:.0f} {unit}").format(**told)
        self._on_progress(joined(", ", (words, amount)), sent / total if total else None)
