"""The conversation as text with links, brought up to date from the first turn that changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt

from VILAM3SlicerLib.chat.rows import TurnRow
from VILAM3SlicerLib.desktop.transcript_html import Look, image_name, read_link, turn_html
from VILAM3SlicerLib.desktop.translation import said

_THUMBNAIL = 64
"""Height of a question's picture, in pixels."""
_WIDEST = 4 * _THUMBNAIL
"""Of a question's picture, in pixels."""
_TURNS_AT_ONCE = 5
"""A turn takes some milliseconds."""
_NEAR_THE_END = 4
"""Pixels from the end of the text where a person still reads along."""


def look_of(palette: Any) -> Look:
    """The colours of a palette that the transcript uses."""
    text, ground = palette.color(qt.QPalette.Text), palette.color(qt.QPalette.Base)
    dark = ground.lightness() < 128
    return Look(
        quiet=_between(text, ground),
        shade=palette.color(qt.QPalette.AlternateBase).name(),
        link="#7fb4ff" if dark else "#1a5fb4",
        trouble="#ff8a80" if dark else "#b3261e",
        said=said,
    )


def _between(text: Any, ground: Any) -> str:
    """A colour that is quieter than the text and still easy to read."""
    pairs = ((text.red(), ground.red()), (text.green(), ground.green()), (text.blue(), ground.blue()))
    return "#" + "".join(f"{round(0.62 * loud + 0.38 * silent):02x}" for loud, silent in pairs)


def picture(png: bytes) -> Any:
    """PNG bytes as a QPixmap."""
    pixmap = qt.QPixmap()
    pixmap.loadFromData(qt.QByteArray(png))
    return pixmap


def fitted(png: bytes, width: int, height: int, widget: Any) -> Any:
    """PNG bytes as a QPixmap that fits into so many pixels of a widget, as sharp as its screen allows."""
    ratio = widget.devicePixelRatioF()
    wide, high = round(ratio * width), round(ratio * height)
    pixmap = picture(png).scaled(wide, high, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation)
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


class TranscriptView:
    """Shows turns in a QTextBrowser.

    Args:
        browser: the browser; what it holds is replaced.
        follow: called with what a clicked link is for and its value, see ``transcript_html.link``.
    """

    def __init__(self, browser: Any, follow: Callable[[str, str], None]) -> None:
        self._browser = browser
        self._follow = follow
        self._rows: list[TurnRow] = []
        self._count = 0
        self._starts: list[int] = []
        self._pictured: set[str] = set()
        self._welcome: str | None = None
        self._look: Look | None = None
        self._follows_the_end = True
        bar = browser.verticalScrollBar()
        bar.connect("actionTriggered(int)", self._on_scrolled_by_person)
        bar.connect("rangeChanged(int,int)", self._on_range)
        browser.setOpenLinks(False)
        browser.connect("anchorClicked(QUrl)", self._on_link)

    def show_welcome(self, html: str) -> None:
        """Show a text in place of turns."""
        if self._rows or html != self._welcome:
            self._rows, self._starts, self._count, self._welcome = [], [], 0, html
            self._pictured.clear()
            self._follows_the_end = False
            self._browser.setHtml(html)

    def show(self, rows: Sequence[TurnRow]) -> bool:
        """Show these turns; those before the first that changed stay, unless the colours changed.

        A long conversation comes some turns at a time: returns whether it is complete; if not, call again.
        """
        if self._welcome is not None:
            self._welcome = None
            self._pictured.clear()
            self._browser.clear()
        look = look_of(self._browser.palette)
        same = _count_same(self._rows, rows) if look == self._look else 0
        if same == len(rows) == len(self._rows):
            return True
        if len(rows) > self._count:
            self._follows_the_end = True
        self._count = len(rows)
        self._cut(same)
        self._look = look
        self._rows = list(rows[: same + _TURNS_AT_ONCE])
        for row in self._rows[same:]:
            self._append(row, look)
        return len(self._rows) == len(rows)

    def _on_scrolled_by_person(self, _action: int) -> None:
        bar = self._browser.verticalScrollBar()
        self._follows_the_end = bar.sliderPosition >= bar.maximum - _NEAR_THE_END

    def _on_range(self, _least: int, most: int) -> None:
        """The text has grown, or the panel beside it: what was said last stays in sight."""
        if self._follows_the_end:
            self._browser.verticalScrollBar().setValue(most)

    def _cut(self, first: int) -> None:
        """Remove the turns from this one on."""
        if first >= len(self._starts):
            return
        cursor = qt.QTextCursor(self._browser.document)
        cursor.setPosition(self._starts[first])
        cursor.movePosition(qt.QTextCursor.End, qt.QTextCursor.KeepAnchor)
        cursor.removeSelectedText()
        del self._starts[first:]

    def _append(self, row: TurnRow, look: Look) -> None:
        document = self._browser.document
        if row.image is not None and row.id not in self._pictured:
            self._pictured.add(row.id)
            image = fitted(row.image, _WIDEST, _THUMBNAIL, self._browser)
            name = qt.QUrl(image_name(row.id))
            document.addResource(qt.QTextDocument.ImageResource, name, image)
        cursor = qt.QTextCursor(document)
        cursor.movePosition(qt.QTextCursor.End)
        self._starts.append(cursor.position())
        cursor.insertHtml(turn_html(row, look))
        if len(self._starts) == 1:
            self._close_gap_at_the_top()

    def _close_gap_at_the_top(self) -> None:
        """A text that begins with a table has an empty line above it, which cannot be removed."""
        cursor, line = qt.QTextCursor(self._browser.document), qt.QTextBlockFormat()
        line.setLineHeight(1, qt.QTextBlockFormat.FixedHeight)
        cursor.setBlockFormat(line)

    def _on_link(self, url: Any) -> None:
        target = read_link(url.toEncoded().data().decode("ascii"))
        if target is not None:
            self._follow(*target)


def _count_same(old: Sequence[TurnRow], new: Sequence[TurnRow]) -> int:
    """How many turns at the beginning look the same."""
    for number, (before, after) in enumerate(zip(old, new, strict=False)):
        if not _looks_same(before, after):
            return number
    return min(len(old), len(new))


def _looks_same(before: TurnRow, after: TurnRow) -> bool:
    """Whether two states of a turn read the same: what runs shows its time elsewhere."""
    if before.running != after.running or before.state != after.state:
        return False
    ended = [expert for expert in before.experts if expert.state != "running"]
    ended_now = [expert for expert in after.experts if expert.state != "running"]
    return (before.id, before.paragraphs, before.notices, before.error) == (
        after.id,
        after.paragraphs,
        after.notices,
        after.error,
    ) and [expert.detail for expert in ended] == [expert.detail for expert in ended_now]
