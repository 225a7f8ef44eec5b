"""What the model will see: the very pictures that a question asked now would carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from VILAM3SlicerLib.chat.rows import image_caption, images_caption
from VILAM3SlicerLib.chat.turn import QuestionImage
from VILAM3SlicerLib.desktop.transcript_view import fitted
from VILAM3SlicerLib.desktop.translation import said, said_in_lines
from VILAM3SlicerLib.desktop.ui_files import load_ui
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.messages import ViewMode
from VILAM3SlicerLib.protocol.phrases import joined

_SMALL, _LARGE = 96, 320
"""Greatest height of a picture in pixels, and of the one that was clicked."""

_IN_A_ROW = 4
_FRAME = 10
"""What a button is wider than its picture, in pixels."""

_REST_MS = 150
"""How long the views must rest before the pictures are made again, in ms."""


class SeenStrip:
    """Pictures with plane, window and size; the person chooses mode and view. ``shown_images`` are there now.

    Args:
        capture: gives the pictures of a mode; raises a VilaM3Error that says why there are none.
        on_choice: called with the mode and the name of the view that the person chose.
    """

    def __init__(
        self,
        capture: Callable[[ViewMode], tuple[QuestionImage, ...]],
        on_choice: Callable[[ViewMode, str], None],
    ) -> None:
        self.widget, self._ui = load_ui("SeenStrip")
        self._capture = capture
        self._on_choice = on_choice
        self._buttons: list[Any] = []
        self.shown_images: tuple[QuestionImage, ...] = ()
        self._large: int | None = None
        self._views: tuple[tuple[str, str], ...] = ()
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.connect("timeout()", self.refresh)
        modes: dict[ViewMode, str] = {"as_seen": _("As seen"), "published": _("Whole slice")}
        for mode, words in modes.items():
            self._ui.modeBox.addItem(words, mode)
        self._ui.modeBox.connect("activated(int)", self._chosen)
        self._ui.viewBox.connect("activated(int)", self._chosen)

    def add_beside(self, widget: Any) -> None:
        """Show a widget under the words about the picture."""
        self._ui.side.layout().addWidget(widget)

    @property
    def mode(self) -> ViewMode:
        """The mode that is chosen."""
        mode: ViewMode = self._ui.modeBox.currentData
        return mode

    def set_mode(self, mode: ViewMode) -> None:
        """Choose a mode for the person."""
        self._ui.modeBox.setCurrentIndex(self._ui.modeBox.findData(mode))
        self.soon()

    def set_views(self, views: tuple[tuple[str, str], ...], asked: str) -> None:
        """Offer views: the name of each and the words for it."""
        if views != self._views:
            self._views = views
            self._ui.viewBox.clear()
            for name, words in views:
                self._ui.viewBox.addItem(words, name)
        self._ui.viewBox.setCurrentIndex(self._ui.viewBox.findData(asked))

    def soon(self) -> None:
        """Make the pictures again when the views have come to rest."""
        self._rest.start()

    def close(self) -> None:
        """Make no more pictures."""
        self._rest.stop()

    def refresh(self) -> None:
        """Make the pictures again now."""
        self._ui.viewBox.setEnabled(self.mode == "as_seen")
        try:
            self.shown_images = self._capture(self.mode)
            caption: str = images_caption(self.shown_images)
        except VilaM3Error as error:
            self.shown_images, caption = (), joined(" ", filter(None, (error.message, error.hint)))
        self._ui.captionLabel.text = said_in_lines(caption)
        self._show()

    def _show(self) -> None:
        """One picture with the words beside it, several in rows above them, or the clicked one alone."""
        images = self.shown_images
        if self._large is not None and self._large < len(images):
            images = (images[self._large],)
        is_beside = len(images) == 1 and self._large is None
        self._arrange(is_beside)
        self._make_buttons(len(images))
        width = self.widget.width // (2 if is_beside else max(min(len(images), _IN_A_ROW), 1)) - _FRAME
        for button, image in zip(self._buttons, images, strict=True):
            height = _SMALL if self._large is None else _LARGE
            pixmap = fitted(image.png, max(width, _SMALL // 2), height, self.widget)
            ratio = pixmap.devicePixelRatioF()
            button.setIcon(qt.QIcon(pixmap))
            button.setIconSize(qt.QSize(round(pixmap.width() / ratio), round(pixmap.height() / ratio)))
            button.setToolTip(said(image_caption(image)))

    def _arrange(self, is_beside: bool) -> None:
        direction = qt.QBoxLayout.LeftToRight if is_beside else qt.QBoxLayout.TopToBottom
        self._ui.body.layout().setDirection(direction)
        wide = qt.QSizePolicy.Maximum if is_beside else qt.QSizePolicy.Ignored
        self._ui.pictures.setSizePolicy(wide, qt.QSizePolicy.Preferred)

    def _make_buttons(self, count: int) -> None:
        layout = self._ui.pictures.layout()
        while len(self._buttons) > count:
            button = self._buttons.pop()
            layout.removeWidget(button)
            button.hide()
            button.deleteLater()
        while len(self._buttons) < count:
            number = len(self._buttons)
            button = qt.QToolButton()
            button.setAutoRaise(True)
            button.connect("clicked()", lambda number=number: self._enlarge(number))
            layout.addWidget(button, number // _IN_A_ROW, number % _IN_A_ROW)
            self._buttons.append(button)
        self._ui.pictures.setVisible(count > 0)

    def _enlarge(self, number: int) -> None:
        self._large = number if self._large is None else None
        self._show()

    def _chosen(self, _index: int) -> None:
        self._on_choice(self.mode, self._ui.viewBox.currentData or "")
        self.refresh()
