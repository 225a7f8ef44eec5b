"""A person's mouse and keyboard: what Qt gets comes from the X server, by xdotool."""

import subprocess

import qt
import slicer
from course import after

DOUBLE_CLICK_LOOKS = 25
"""After so many looks a second press is one of its own."""
SECONDS = 20.0
"""Of patience for a thing to come to rest on the screen."""


class Hand:
    """Each movement is a generator of conditions, as the steps of a course are.

    A press is only made where its aim has come to rest: panels move while Slicer is busy.
    """

    def click(self, widget, place=None):
        """Click a widget in its middle, or at another place of it (x, y)."""
        yield from self._click(lambda: _on_screen(widget, place or (widget.width // 2, widget.height // 2)))

    def click_view(self, name, across, down):
        """Click a slice view at a share of its width and height."""
        view = slicer.app.layoutManager().sliceWidget(name).sliceView()
        yield from self.click(view, (across * view.width, down * view.height))

    def click_cell(self, table, row, column, inset=None):
        """Click a cell of a table, ``inset`` pixels from its left edge if given."""

        def place():
            cell = table.visualItemRect(table.item(row, column))
            x = cell.center().x() if inset is None else cell.left() + inset
            return _on_screen(table.viewport(), (x, cell.center().y()))

        yield from self._click(place)

    def click_tab(self, tabs, number):
        """Click a tab of a QTabWidget."""
        bar = tabs.tabBar()
        center = bar.tabRect(number).center()
        yield from self.click(bar, (center.x(), center.y()))

    def click_link(self, browser, words):
        """Click the last link with these words, which is scrolled into sight."""
        cursor = _last_link(browser, words)
        browser.setTextCursor(cursor)
        browser.ensureCursorVisible()

        def place():
            middle = qt.QTextCursor(cursor)
            middle.setPosition(cursor.position() - len(words) // 2)
            center = browser.cursorRect(middle).center()
            return _on_screen(browser.viewport(), (center.x(), center.y()))

        yield from self._click(place)

    def choose(self, box, index):
        """Choose an entry of a QComboBox by the arrows of the keyboard."""
        yield from self.click(box)
        yield lambda: slicer.app.activePopupWidget() is not None, SECONDS
        for _ in range(box.count):
            self.press("Up")
        for _ in range(index):
            self.press("Down")
        self.press("Return")
        yield lambda: slicer.app.activePopupWidget() is None, SECONDS

    def type(self, text):
        _xdotool("type", "--delay", "10", text)

    def press(self, *keys):
        _xdotool("key", "--delay", "30", *keys)

    def _click(self, place):
        yield from _at_rest(place)
        _xdotool("mousemove", *place())
        yield from _at_rest(place)
        _xdotool("click", 1)
        yield after(DOUBLE_CLICK_LOOKS), SECONDS


def _at_rest(place):
    """Wait until a place was the same for some looks."""
    seen = []

    def rests():
        seen.append(place())
        return len(seen) > 10 and len(set(seen[-10:])) == 1

    yield rests, SECONDS


def _on_screen(widget, place):
    point = widget.mapToGlobal(qt.QPoint(*map(int, place)))
    return point.x(), point.y()


def _last_link(browser, words):
    document, found = browser.document, None
    cursor = document.find(words)
    while not cursor.isNull():
        found = cursor if cursor.charFormat().isAnchor() else found
        cursor = document.find(words, cursor)
    if found is None:
        raise LookupError(f"'{words}' is no link")
    return found


def _xdotool(*arguments):
    subprocess.run(["xdotool", *map(str, arguments)], check=True, env=slicer.util.startupEnvironment())
