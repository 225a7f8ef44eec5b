"""The course of one visit: connect, ask, look, stop, undo, lose the backend, save, load, reload."""

from pathlib import Path

import numpy as np
import slicer
from course import Course, after
from scans import chest, show_in_views

LUNGS = "Segment the lungs."
SHORT, LONG = 60.0, 240.0
"""Seconds of patience."""


class Visit(Course):
    """A person who comes to chat with a scan."""

    @property
    def chat(self):
        return self.widget.panels.chat

    @property
    def transcript(self):
        return self.widget.ui.chatTab.findChild("QTextBrowser", "transcriptBrowser").plainText

    def steps(self):
        yield from self._open()
        yield from self._load()
        yield from self._ask()
        yield from self._look_around()
        yield from self._stop()
        yield from self._undo()
        yield from self._lose_the_backend()
        yield from self._save_and_load()
        yield from self._reload_module()
        yield from self._close_scene()
        self._ask_from_a_script()

    @property
    def presenter(self):
        return self.session.presenter

    @property
    def last_turn(self):
        return self.presenter.turns[-1]

    def take_scan(self, name):
        """Show a small scan of a chest, and wait until it is the one talked about."""
        node = slicer.util.addVolumeFromArray(chest(), name=name)
        show_in_views(node)
        yield lambda: self.session.scan_scene.node is node, SHORT
        self.session.set_modality("CT")
        return node

    def said(self):
        return [turn.text for turn in self.session.presenter.turns]

    def settled(self):
        presenter = self.session.presenter
        return presenter.is_settled and not self.session.scan_scene.surfaces.is_running

    def _open(self):
        self.run.watch.begin("opening the module")
        slicer.util.selectModule("VILAM3Slicer")
        yield lambda: self.widget.panels is not None, SHORT
        self.run.watch.begin("")
        self.run.watch.follow(self.session.host)
        self.run.picture("1_opened")
        yield from self._connect()

    def _connect(self):
        connection = self.connection
        connection.settings.change(address=self.run.task["url"], key=self.run.task["key"], remember_key="")
        connection.connect()
        self.run.watch.begin("connecting")
        yield lambda: connection.state.phase == "ready", LONG
        self.run.watch.begin("")
        self.check("the backend is found and ready", True, connection.state.status.model.name)

    def _load(self):
        self.run.watch.begin("")
        node = slicer.util.loadVolume(self.run.task["scan"])
        yield lambda: self.session.scan_scene.node is node, SHORT
        self.run.watch.begin("picturing the view")
        yield lambda: self.chat.seen.shown_images, SHORT
        (image,) = self.chat.seen.shown_images
        self.check(
            "the strip shows a picture of the view", image.geometry.columns > 100, image.geometry.plane
        )
        self.check("the modality is found", self.session.scan_scene.modality == "CT")
        self.run.picture("2_scan")

    def _ask(self):
        self.run.watch.begin("asking and answering")
        self.chat.ask(LUNGS)
        self.check("the question runs", self.session.presenter.running is not None)
        yield lambda: self.session.presenter.running.state == "expert", LONG
        yield after(40), SHORT
        self.run.picture("3_expert_at_work")
        self.run.watch.begin("expert, result and answer")
        yield self.settled, LONG
        self.run.watch.begin("")
        (turn,) = self.session.presenter.turns
        self.check("the turn is done", turn.state == "done", turn.error)
        self._check_segments()
        yield after(10), SHORT
        said = " ".join(self.transcript.replace("■", "").split())
        self.check("the answer is in the transcript", turn.text in said, turn.text)
        self.run.picture("4_answer")

    def _check_segments(self):
        rows = self.session.scan_scene.rows()
        self.check("lungs were found", any("lung" in row.name for row in rows), [row.name for row in rows])
        segmentation, volume = self.session.scan_scene.segmentation, self.session.scan_scene.node
        voxel_ml = np.prod(volume.GetSpacing()) / 1000
        for row in rows:
            array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, row.segment_id, volume)
            counted = float(np.count_nonzero(array)) * voxel_ml
            self.check(f"size of {row.name}", abs(counted - row.volume_ml) < 0.5, f"{counted:.1f} mL")
            hounsfield = slicer.util.arrayFromVolume(volume)[array > 0]
            if "lung" in row.name and len(hounsfield):
                self.check(f"{row.name} lies on air", np.median(hounsfield) < -600, np.median(hounsfield))
        surface = segmentation.GetClosedSurfaceInternalRepresentation(rows[0].segment_id)
        self.check("surfaces are there", surface is not None and surface.GetNumberOfPoints() > 100)

    def _look_around(self):
        name = next(row.name for row in self.session.scan_scene.rows() if "lung" in row.name)
        red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        red.SetSliceOffset(red.GetSliceOffset() + 60)
        before = red.GetSliceOffset()
        self.chat.follow("segment", name)
        self.check("a link brings the views to its segment", red.GetSliceOffset() != before, name)
        tabs = self.widget.ui.tabs
        for number, picture in ((1, "5_segments"), (2, "6_report"), (4, "8_backend")):
            tabs.setCurrentIndex(number)
            yield after(10), SHORT
            self.run.picture(picture)
        self.chat.follow("behind", self.session.presenter.turns[0].turn_id)
        yield after(10), SHORT
        browser = self.widget.ui.behindTab.findChild("QTextBrowser", "behindBrowser")
        self.check("the exact prompt is shown", LUNGS in browser.plainText and "USER" in browser.plainText)
        self.run.picture("7_behind_the_scenes")
        tabs.setCurrentIndex(0)

    def _stop(self):
        segments = [row.segment_id for row in self.session.scan_scene.rows()]
        self.run.watch.begin("stopping")
        self.chat.ask("Segment everything and tell me the sizes.")
        yield lambda: self.session.presenter.running.state == "expert", LONG
        self.widget.ui.chatTab.findChild("QPushButton", "stopButton").click()
        yield lambda: self.session.presenter.running is None, SHORT
        self.run.watch.begin("")
        self.check("Stop stops", self.session.presenter.turns[-1].state == "stopped")
        now = [row.segment_id for row in self.session.scan_scene.rows()]
        self.check("what was there is untouched", now == segments)
        self.run.picture("9_stopped")

    def _undo(self):
        undo = self.widget.ui.chatTab.findChild("QPushButton", "undoButton")
        yield lambda: undo.enabled, SHORT
        undo.click()
        yield lambda: len(self.session.presenter.turns) == 1, SHORT
        yield lambda: undo.enabled, SHORT
        self.check("undoing a stopped turn keeps the segments", self.session.scan_scene.rows())
        undo.click()
        yield lambda: not self.session.presenter.turns and self.settled(), SHORT
        self.check("undo takes the segments of its turn", not self.session.scan_scene.rows())
        self.run.picture("10_undone")

    def _lose_the_backend(self):
        self.run.watch.begin("losing the backend")
        self.chat.ask(LUNGS)
        yield lambda: self.session.presenter.running.state == "expert", LONG
        self.run.kill_backend()
        yield lambda: self.session.presenter.running is None, SHORT
        self.run.watch.begin("")
        turn = self.session.presenter.turns[-1]
        self.check("a lost backend is told", turn.state == "failed" and turn.error.message, turn.error)
        self.check("nothing half-done is in the scene", not self.session.scan_scene.rows())
        yield after(10), SHORT
        self.run.picture("11_backend_lost")
        self.run.watch.begin("finding the backend again")
        yield lambda: self.connection.state.phase == "ready", LONG
        self.chat.follow("again", turn.turn_id)
        self.run.watch.begin("asking again")
        yield self.settled, LONG
        self.check("asking again is answered", self.session.presenter.turns[-1].state == "done")
        self.run.watch.begin("")
        self._check_segments()

    def _save_and_load(self):
        path = str(Path(self.run.output) / "visit.mrb")
        said = self.said()
        sizes = {row.name: row.volume_ml for row in self.session.scan_scene.rows()}
        self.check("the scene is saved", slicer.util.saveScene(path))
        slicer.mrmlScene.Clear(0)
        yield lambda: self.session.scan_scene.node is None, SHORT
        self.check("closing the scene ends the conversation", not self.session.presenter.turns)
        yield after(20), SHORT
        self.run.picture("12_closed")
        self.check("nothing of the scan is shown any more", not self.chat.seen.shown_images)
        slicer.util.loadScene(path)
        yield lambda: self.session.presenter.turns and self.settled(), LONG
        self.check("the conversation comes back", self.said() == said)
        yield lambda: all(row.volume_ml is not None for row in self.session.scan_scene.rows()), SHORT
        back = {row.name: row.volume_ml for row in self.session.scan_scene.rows()}
        same = back.keys() == sizes.keys() and all(abs(back[name] - sizes[name]) < 0.5 for name in sizes)
        self.check("the segments come back in their sizes", same, back)
        yield after(20), SHORT
        self.run.picture("13_loaded")

    def _reload_module(self):
        said = self.said()
        old = self.widget
        self.widget.onReload()
        yield lambda: self.widget is not old and self.widget.panels is not None, SHORT
        yield lambda: self.session.presenter.turns, SHORT
        self.check("a reloaded module goes on", self.said() == said)
        self.run.picture("14_reloaded")

    def _close_scene(self):
        slicer.mrmlScene.Clear(0)
        yield lambda: self.session.scan_scene.node is None, SHORT
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        self.check("a closed scene is clean", not nodes and not self.session.presenter.turns)

    def _ask_from_a_script(self):
        self.run.watch.begin("")
        node = slicer.util.loadVolume(self.run.task["scan"])
        logic = slicer.util.getModuleLogic("VILAM3Slicer")
        address = {"backend": self.run.task["url"], "key": self.run.task["key"]}
        text, segmentation = logic.ask(node, LUNGS, **address)
        found = segmentation.GetSegmentation().GetNumberOfSegments() if segmentation else 0
        self.check("a script asks without the panel", "lung" in text and found == 2, text)
