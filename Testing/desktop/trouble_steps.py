"""What may go wrong with a scan, a backend or a disk: each is said in the panel, never in a dialog, and
nothing of the scene is lost or half-changed."""

import sys
from pathlib import Path

import slicer
import vtk
from scans import chest, show_in_views
from steps import LONG, LUNGS, SHORT, Visit

STRANGE = "a/b\\c:d|e <f> \"g\" 'h' %i; ä 肺 & ]]>"
ROOM = 100
"""Bytes that still fit on a full disk."""
SEQUENCES = ("t1ce", "t1", "t2", "flair")


class TroubleCourse(Visit):
    """The same person with a scripted backend and all kinds of bad luck."""

    def steps(self):
        yield from self._open()
        for trouble in (
            self._no_scan,
            self._transforms,
            self._colour,
            self._frames,
            self._another_scan,
            self._other_voxels,
            self._removed_scan,
            self._closed_scene,
            self._one_slice,
            self._names,
            self._two_patients,
            self._another_key,
            self._reloaded_module,
            self._full_disk,
        ):
            self.widget.panels.messages.clear()
            yield from trouble()
            dialogs = [one.windowTitle for one in slicer.app.topLevelWidgets() if _is_open_dialog(one)]
            self.check(f"no dialog after {trouble.__name__}", not dialogs, dialogs)

    def _no_scan(self):
        self.chat.ask("What is this?")
        yield self._said_above("shows no scan"), SHORT
        self.check("a question without a scan is told", not self.presenter.turns, self._above())
        self.check("the question is not lost", self.chat._box.text == "What is this?")

    def _transforms(self):
        scan = yield from self.take_scan("moved")
        matrix = vtk.vtkMatrix4x4()
        matrix.DeepCopy((0, -1, 0, 10, 1, 0, 0, -5, 0, 0, 1, 3, 0, 0, 0, 1))
        linear = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "linear")
        linear.SetMatrixTransformToParent(matrix)
        scan.SetAndObserveTransformNodeID(linear.GetID())
        yield from self._segment()
        under = self.session.scan_scene.segmentation.GetTransformNodeID()
        self.check("the result is under the linear transform of its scan", under == linear.GetID())
        bend = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bend")
        bend.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
        scan.SetAndObserveTransformNodeID(bend.GetID())
        before, turns = _nodes(), self.presenter.turns
        self.chat.ask(LUNGS)
        yield self._said_above("non-linear transform"), SHORT
        same = _nodes() == before and self.presenter.turns == turns
        self.check("a non-linear transform is told", same, self._above())
        scan.SetAndObserveTransformNodeID(None)

    def _colour(self):
        image = vtk.vtkImageData()
        image.SetDimensions(20, 20, 20)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
        photo = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
        photo.SetAndObserveImageData(image)
        photo.CreateDefaultDisplayNodes()
        talked_about = self.session.scan_scene.node
        show_in_views(photo)
        yield self._said_above("3 values per voxel"), SHORT
        self.check("colour is told", self.session.scan_scene.node is talked_about, self._above())
        slicer.mrmlScene.RemoveNode(photo)

    def _frames(self):
        """A sequence in time whose next frame is shown in mid-answer."""
        sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "beating")
        for frame in range(2):
            node = slicer.vtkMRMLScalarVolumeNode()
            slicer.util.updateVolumeFromArray(node, chest() + frame)
            sequence.SetDataNodeAtValue(node, str(frame))
        browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "player")
        browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
        shown = browser.GetProxyNode(sequence)
        shown.CreateDefaultDisplayNodes()
        show_in_views(shown)
        yield lambda: self.session.scan_scene.node is shown, SHORT
        yield from self._while_the_expert_works(lambda: browser.SetSelectedItemNumber(1))
        self._check_refused("the next frame in mid-answer", "was changed after the question")

    def _another_scan(self):
        scan = yield from self.take_scan("first")
        other = slicer.util.addVolumeFromArray(chest(), name="second")
        yield from self._while_the_expert_works(lambda: show_in_views(other))
        yield lambda: self.session.scan_scene.node is other, SHORT
        self.check("another scan begins with no segments", not self.session.scan_scene.rows())
        show_in_views(scan)
        yield lambda: self.session.scan_scene.node is scan, SHORT
        self.check("the answer is with its own scan", len(self.session.scan_scene.rows()) == 2)
        self.check("and so is the conversation", len(self.presenter.turns) == 1)

    def _other_voxels(self):
        scan = self.session.scan_scene.node
        changed = slicer.util.arrayFromVolume(scan).copy()
        changed[5, 5, 5] += 7
        yield from self._while_the_expert_works(lambda: slicer.util.updateVolumeFromArray(scan, changed))
        self._check_refused("other voxels in mid-answer", "was changed after the question", segments=2)

    def _removed_scan(self):
        scan = self.session.scan_scene.node
        yield from self._while_the_expert_works(lambda: slicer.mrmlScene.RemoveNode(scan))
        yield self._said_above("was closed while its answer was on the way"), SHORT
        shown = self.session.scan_scene.node
        self.check("a scan removed in mid-answer is told", shown is not scan, self._above())

    def _closed_scene(self):
        yield from self.take_scan("chest")
        yield from self._while_the_expert_works(lambda: slicer.mrmlScene.Clear(0))
        yield self._said_above("was closed while its answer was on the way"), SHORT
        left = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        clean = not left and not self.presenter.turns
        self.check("a scene closed in mid-answer is clean", clean, self._above())

    def _one_slice(self):
        flat = slicer.util.addVolumeFromArray(chest()[15:16], name="flat")
        show_in_views(flat)
        yield lambda: self.session.scan_scene.node is flat, SHORT
        self.session.set_modality("CT")
        yield from self._ask_to_the_end("What is this?")
        self.check("a scan of one slice is answered", self.last_turn.state == "done", self.last_turn.error)

    def _names(self):
        yield from self.take_scan(STRANGE)
        yield from self._segment()
        path = str(Path(self.run.output) / "names.mrb")
        slicer.util.saveScene(path)
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(path)
        yield lambda: self.presenter.turns and len(self.session.scan_scene.rows()) == 2, SHORT
        self.check(
            "names with any character are saved and loaded", True, self.session.scan_scene.node.GetName()
        )

    def _two_patients(self):
        slicer.mrmlScene.Clear(0)
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        patients = [hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name) for name in "AB"]
        nodes = [slicer.util.addVolumeFromArray(chest() + 900, name=f"brain {one}") for one in SEQUENCES]
        for number, node in enumerate(nodes):
            hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), patients[number == 3])
        show_in_views(nodes[3])
        yield lambda: self.session.scan_scene.node is nodes[3], SHORT
        self.session.set_modality("MRI")
        self.chat.ask("Is there a tumour?")
        yield self._said_above("different patients"), SHORT
        self.check("sequences of two patients are told", not self.presenter.turns, self._above())
        self.run.picture("trouble_two_patients")

    def _another_key(self):
        yield from self.take_scan("chest")
        Path(self.run.task["new_key"]).write_text("another key")
        yield lambda: self.connection.state.phase == "failed", LONG
        yield from self._ask_to_the_end(LUNGS)
        self.check("another key is told", "key" in self.last_turn.error.message, self.last_turn.error)
        self.run.picture("trouble_key")
        connection = self.connection
        connection.settings.change(key="another key")
        connection.connect()
        yield lambda: connection.state.phase == "ready", LONG
        self.chat.follow("again", self.last_turn.turn_id)
        yield self.settled, LONG
        self.check("with the new key it goes on", len(self.session.scan_scene.rows()) == 2)

    def _reloaded_module(self):
        old, said = self.widget, self.said()
        self.chat.ask(LUNGS)
        yield lambda: self.presenter.running and self.presenter.running.state == "expert", LONG
        old.onReload()
        yield lambda: self.widget is not old and self.widget.panels is not None, SHORT
        yield lambda: len(self.presenter.turns) > len(said), SHORT
        kept = self.said()[: len(said)] == said and len(self.session.scan_scene.rows()) == 2
        self.check("a module reloaded in mid-answer has stopped it", self.last_turn.state == "stopped")
        self.check("what was there before is kept", kept)

    def _full_disk(self):
        if sys.platform == "win32":  # where a process cannot limit the size of its files
            return
        from Testing.full_disk import full_disk
        from VILAM3SlicerLib.desktop import report_panel

        report = self.widget.panels.report
        report.refresh()
        path = Path(self.run.output) / "report"
        report_panel.ask_file_name = lambda *_arguments: path
        for button in (report._ui.exportPdfButton, report._ui.exportTextButton):
            path.write_bytes(b"an older report")
            with full_disk(ROOM):
                button.click()
            yield self._said_above("cannot be written"), SHORT
            kept = path.read_bytes() == b"an older report" and len(list(path.parent.glob("report.*"))) == 0
            self.check(f"a full disk is told by {button.text}", kept, self._above())
        before = self.said(), self.session.scan_scene.rows()
        with full_disk(ROOM):
            saved = slicer.util.saveScene(str(Path(self.run.output) / "full.mrb"))
        kept = (self.said(), self.session.scan_scene.rows()) == before
        self.check("a scene that could not be saved is as it was", kept and not saved)

    def _above(self):
        """The message above the tabs."""
        return self.widget.panels.messages.text

    def _said_above(self, words):
        return lambda: words in self._above() and self.widget.ui.messageBar.visible

    def _segment(self):
        yield from self._ask_to_the_end(LUNGS)
        notices = [notice.message for notice in self.last_turn.notices]
        self.check("lungs are found", len(self.session.scan_scene.rows()) == 2, notices)

    def _ask_to_the_end(self, question):
        self.chat.ask(question)
        yield lambda: self.presenter.turns and self.settled(), LONG

    def _while_the_expert_works(self, happening):
        """Ask for the lungs, let something happen once the expert works, and wait for the end of it."""
        self.chat.ask(LUNGS)
        yield lambda: self.presenter.running and self.presenter.running.state == "expert", LONG
        happening()
        yield self.settled, LONG

    def _check_refused(self, what, words, segments=0):
        """The result came and was not shown, which is said in the transcript."""
        notices = [notice.message for notice in self.last_turn.notices]
        told = any(words in one for one in notices)
        self.check(f"{what} is told", told and len(self.session.scan_scene.rows()) == segments, notices)


def _nodes():
    """The IDs of all nodes that are not Slicer's own."""
    scene = slicer.mrmlScene
    found = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    return sorted(node.GetID() for node in found if not node.GetSingletonTag())


def _is_open_dialog(widget):
    return widget.visible and widget.inherits("QDialog")
