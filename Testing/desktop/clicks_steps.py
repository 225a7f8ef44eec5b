"""The course of real clicks: what a person does with mouse and keyboard alone, and what is then true."""

from pathlib import Path

import qt
import slicer
import vtk
from hand import Hand
from steps import LONG, SHORT, Visit

CHAT, SEGMENTS, REPORT, BEHIND, BACKEND = range(5)
"""The tabs."""


class ClicksCourse(Visit):
    """A person at the screen with a scripted backend; nothing is called that a hand can do."""

    def __init__(self, run):
        super().__init__(run)
        self.hand = Hand()

    def steps(self):
        slicer.util.selectModule("Data")
        yield from self._open_by_key()
        yield from self._connect_by_hand()
        width = slicer.util.mainWindow().findChild("QDockWidget", "PanelDockWidget").width
        yield from self.take_scan("chest <&> 'one'")
        yield from self._example()
        yield from self._marks()
        yield from self._question()
        yield from self._links()
        yield from self._heat_map()
        yield from self._keys_of_the_question()
        yield from self._views()
        yield from self._segments()
        yield from self._report()
        yield from self._ask_again()
        now = slicer.util.mainWindow().findChild("QDockWidget", "PanelDockWidget").width
        self.check("whatever is said, the panel takes no room from the views", now == width, (width, now))

    @property
    def panels(self):
        return self.widget.panels

    @property
    def box(self):
        return self.chat._ui.questionEdit

    @property
    def browser(self):
        return self.chat._ui.transcriptBrowser

    def _open_by_key(self):
        yield from self.hand.click_view("Red", 0.5, 0.5)
        self.hand.press("ctrl+shift+k")
        yield lambda: slicer.util.selectedModule() == "VILAM3Slicer" and self.widget.panels is not None, SHORT
        yield self.box.hasFocus, SHORT
        self.check("the shortcut opens the chat and the person types on", True)

    def _connect_by_hand(self):
        yield from self.hand.click_link(self.browser, "No backend is ready")
        yield lambda: self.widget.ui.tabs.currentIndex == BACKEND, SHORT
        ui = self.panels.connection._ui
        yield from self._type_into(
            ui.addressBox.lineEdit(), self.run.task["url"].removeprefix("http://") + "/"
        )
        yield from self._type_into(ui.keyEdit, self.run.task["key"])
        yield from self.hand.click(ui.connectButton)
        yield lambda: self.connection.state.phase == "ready", LONG
        self.check("an address without http is connected to", True)
        yield from self.hand.click_tab(self.widget.ui.tabs, CHAT)
        self.check("a tab is chosen", self.widget.ui.tabs.currentIndex == CHAT)

    def _example(self):
        yield lambda: "What kind of image" in self.transcript, SHORT
        yield from self.hand.click_link(self.browser, "What kind of image is this?")
        yield lambda: self.presenter.turns and self.settled(), LONG
        self.check("an example question is asked", self.last_turn.state == "done", self.last_turn.error)
        self.check("then the question box has the focus", self.box.hasFocus())

    def _marks(self):
        width = self.widget.parent.width
        for words, places in (
            ("Ask here", [(0.4, 0.5)]),
            ("Not here", [(0.3, 0.3)]),
            ("Box", [(0.3, 0.3), (0.6, 0.6)]),
        ):
            yield from self.hand.click(self._button(words))
            for place in places:
                yield from self.hand.click_view("Red", *place)
        marks = self.session.scan_scene.marks
        signs = [point.is_positive for point in marks.points]
        self.check("two points and a box are placed", signs == [True, False] and marks.box is not None, marks)
        self.run.picture("clicks_1_marks")
        self.check("their lines do not widen the panel", self.widget.parent.width == width)
        yield from self.hand.click(self._button("Exclude"))
        yield lambda: len(self.session.scan_scene.marks.points) == 1, SHORT
        self.check("a mark is taken away", self.session.scan_scene.marks.points[0].is_positive)

    def _question(self):
        yield from self.hand.click(self.box)
        self.hand.type("Segment the lungs,")
        self.hand.press("shift+Return")
        self.hand.type("please.")
        self.hand.press("Return")
        yield lambda: len(self.presenter.turns) == 2, SHORT
        question = self.last_turn.question
        self.check("Shift+Enter breaks the line, Enter sends", question.text == "Segment the lungs,\nplease.")
        self.check("the marks go along", len(question.marks.points) == 1 and question.marks.box is not None)
        yield self.settled, LONG
        self.check("the lungs are found", len(self.session.scan_scene.rows()) == 2, self.last_turn.error)

    def _links(self):
        row = next(row for row in self.session.scan_scene.rows() if row.name == "left lung")
        self.check("the views cross outside the left lung", not self._lies_in(row.segment_id))
        yield from self.hand.click_link(self.browser, "left lung")
        yield lambda: self._lies_in(row.segment_id), SHORT
        self.check("a click on a finding brings the views there", True)
        yield from self.hand.click_link(self.browser, "Behind the scenes")
        yield lambda: self.widget.ui.tabs.currentIndex == BEHIND, SHORT
        yield lambda: "please." in self.panels.behind._ui.behindBrowser.plainText, SHORT
        self.check("a click shows the turn from behind", True)
        yield from self.hand.click_tab(self.widget.ui.tabs, CHAT)

    def _heat_map(self):
        yield from self._ask_by_hand("What does the x-ray show?")
        yield self.settled, LONG
        for is_shown in (True, False):
            yield from self.hand.click_link(self.browser, "effusion")
            yield (
                lambda is_shown=is_shown: (self.session.scan_scene.heat.shown is not None) == is_shown,
                SHORT,
            )
            self.run.picture(f"clicks_2_heat_{is_shown}")
        self.check("a click shows a heat map, another hides it", True)

    def _keys_of_the_question(self):
        yield from self.hand.click(self.box)
        self.hand.press("Up", "Up")
        yield lambda: self.box.plainText == "Segment the lungs,\nplease.", SHORT
        self.hand.press("Down", "Down")
        yield lambda: self.box.plainText == "", SHORT
        self.check("the arrows bring questions back", True)
        yield from self._ask_by_hand("a slow answer")
        yield lambda: "word word" in self.transcript, SHORT
        yield from self.hand.click(self.chat._ui.stopButton)
        yield lambda: self.presenter.is_settled, SHORT
        self.check("Stop stops", self.last_turn.state == "stopped", self.last_turn.state)
        self.check("after Stop the question box has the focus", self.box.hasFocus())

    def _views(self):
        boxes = self.chat.seen._ui
        yield from self.hand.choose(boxes.viewBox, boxes.viewBox.count - 1)
        yield lambda: len(self.chat.seen.shown_images) == 4, SHORT
        self.run.picture("clicks_3_all_views")
        self.check("all views and 3D are seen", True)
        yield from self.hand.choose(boxes.modeBox, 1)
        yield lambda: self.chat.seen.mode == "published" and len(self.chat.seen.shown_images) == 1, SHORT
        image = self.chat.seen.shown_images[0].geometry
        self.check("the published view is the whole slice", (image.columns, image.rows) == (60, 50), image)
        yield from self.hand.choose(boxes.modeBox, 0)
        yield from self.hand.choose(boxes.viewBox, 0)
        yield lambda: len(self.chat.seen.shown_images) == 1 and self.chat.seen.mode == "as_seen", SHORT

    def _segments(self):
        yield from self.hand.click_tab(self.widget.ui.tabs, SEGMENTS)
        ui, rows = self.panels.segments._ui, self.session.scan_scene.rows
        yield from self.hand.click_cell(ui.segmentTable, _line(ui.segmentTable, "left lung"), 0, 10)
        yield lambda: [row.visible for row in rows()] == [False, True], SHORT
        yield from self.hand.click_cell(ui.segmentTable, _line(ui.segmentTable, "right lung"), 0)
        yield from self.hand.click(ui.opacitySlider, (30, ui.opacitySlider.height // 2))
        yield lambda: rows()[1].opacity < 1.0 == rows()[0].opacity, SHORT
        yield from self.hand.click(ui.goToButton)
        yield lambda: self._lies_in(rows()[1].segment_id), SHORT
        self.check("visibility, opacity and the way to a segment are clicked", True)
        path = Path(self.run.output) / "both lungs & more.seg.nrrd"
        path.unlink(missing_ok=True)
        yield from self.hand.click(ui.exportButton)
        yield lambda: slicer.app.activePopupWidget() is not None, SHORT
        self.hand.press("Down", "Return")
        yield from self._name_file("both lungs & more")
        yield path.is_file, SHORT
        loaded = slicer.util.loadSegmentation(str(path))
        self.check(
            "a name without ending is saved as segmentation", _names(loaded) == {"left lung", "right lung"}
        )
        slicer.mrmlScene.RemoveNode(loaded)

    def _report(self):
        yield from self.hand.click_tab(self.widget.ui.tabs, REPORT)
        ui = self.panels.report._ui
        yield from self.hand.click_cell(ui.reportTable, 1, 0)
        yield from self.hand.click(ui.sentenceEdit)
        self.hand.press("ctrl+End")
        self.hand.type(' & <b>"mine"</b>')
        self.hand.press("Return")
        yield from self.hand.click(ui.addButton)
        self.hand.type("Nothing else.")
        path = Path(self.run.output) / "report.txt"
        path.unlink(missing_ok=True)
        yield from self._export_report(ui.exportTextButton, "report")
        yield path.is_file, SHORT
        text = path.read_text()
        for words in (
            "not for diagnosis",
            "demo model",
            '& <b>"mine"</b> [person]',
            "Nothing else. [person]",
        ):
            self.check(f"the report has '{words}'", words in text, text)
        yield from self._keep_what_is_there(ui.exportTextButton, path)
        pdf = path.with_name("the report.pdf")
        pdf.unlink(missing_ok=True)
        yield from self._export_report(ui.exportPdfButton, pdf.name)
        yield pdf.is_file, SHORT
        self.check("the PDF is whole", b"%%EOF" in pdf.read_bytes()[-1024:])

    def _keep_what_is_there(self, button, path):
        """The same name again, without its ending: the person is asked, and says no."""
        path.write_text("an older report")
        yield from self._export_report(button, path.stem)
        yield lambda: _has_focus("fileNameEdit"), SHORT
        self.hand.press("Return")
        yield lambda: isinstance(slicer.app.activeModalWidget(), qt.QMessageBox), SHORT
        self.hand.press("Escape")
        yield lambda: isinstance(slicer.app.activeModalWidget(), qt.QFileDialog), SHORT
        buttons = slicer.app.activeModalWidget().findChildren("QPushButton")
        yield from self.hand.click(next(one for one in buttons if "Cancel" in one.text))
        yield lambda: slicer.app.activeModalWidget() is None, SHORT
        self.check("an older file is not replaced unasked", path.read_text() == "an older report")

    def _ask_again(self):
        yield from self.hand.click_tab(self.widget.ui.tabs, CHAT)
        Path(self.run.task["new_key"]).write_text("another key")
        yield lambda: self.connection.state.phase == "failed", LONG
        yield from self._ask_by_hand("What is this?")
        yield lambda: self.settled() and self.last_turn.error is not None, LONG
        yield lambda: "Ask again" in self.transcript, SHORT
        self.connection.settings.change(key="another key")
        self.connection.connect()
        yield lambda: self.connection.state.phase == "ready", LONG
        yield from self.hand.click_link(self.browser, "Ask again")
        yield lambda: self.settled() and self.last_turn.state == "done", LONG
        self.check("a click asks again", True)
        self.run.picture("clicks_4_end")

    def _ask_by_hand(self, words):
        count = len(self.presenter.turns)
        yield from self.hand.click(self.box)
        self.hand.type(words)
        yield from self.hand.click(self.chat._ui.sendButton)
        yield lambda: len(self.presenter.turns) > count, SHORT

    def _type_into(self, edit, words):
        yield from self.hand.click(edit)
        self.hand.press("ctrl+a")
        self.hand.type(words)
        yield lambda: edit.text == words, SHORT

    def _export_report(self, button, name):
        yield from self.hand.click(button)
        yield from self._name_file(name)

    def _name_file(self, name):
        """Answer the file dialog with a name in the folder of the run."""
        yield lambda: _has_focus("fileNameEdit"), SHORT
        self.hand.press("ctrl+a")
        self.hand.type(str(Path(self.run.output) / name))
        self.hand.press("Return")

    def _button(self, words):
        """The button of the chat that begins with, or after its sign has, these words."""
        buttons = self.chat.widget.findChildren("QAbstractButton")
        return next(one for one in buttons if one.visible and one.text.lstrip("× ").startswith(words))

    def _crossing(self):
        """Where the three views cross, RAS in mm."""
        views = map(slicer.app.layoutManager().sliceWidget, ("Yellow", "Green", "Red"))
        return [view.mrmlSliceNode().GetSliceToRAS().GetElement(axis, 3) for axis, view in enumerate(views)]

    def _lies_in(self, segment_id):
        """Whether the three views cross in a segment."""
        volume, segmentation = self.session.scan_scene.node, self.session.scan_scene.segmentation
        to_voxels = vtk.vtkMatrix4x4()
        volume.GetRASToIJKMatrix(to_voxels)
        i, j, k = (round(number) for number in to_voxels.MultiplyPoint((*self._crossing(), 1.0))[:3])
        array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
        inside = all(0 <= index < length for index, length in zip((k, j, i), array.shape, strict=True))
        return inside and bool(array[k, j, i])


def _line(table, words):
    """The row of a table whose first cell has these words."""
    return next(row for row in range(table.rowCount) if table.item(row, 0).text() == words)


def _has_focus(name):
    widget = slicer.app.focusWidget()
    return widget is not None and widget.objectName == name


def _names(segmentation):
    segments = segmentation.GetSegmentation()
    return {segments.GetNthSegment(index).GetName() for index in range(segments.GetNumberOfSegments())}
