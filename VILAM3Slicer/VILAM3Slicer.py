"""The scripted module of 3D Slicer: chat with the scan on the screen. Its work is done in VILAM3SlicerLib."""

import sys
from pathlib import Path
from typing import Annotated, Any

import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from VILAM3SlicerLib.scene.modality import MODALITIES

SHORTCUT = "Ctrl+Shift+K"
DOCUMENTATION = "https://github.com/SlicerVILAM3/SlicerVILAM3/blob/main/VILAM3Slicer/README.md"


class VILAM3Slicer(ScriptedLoadableModule):
    """What Slicer's module list shows."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("VILAM3Slicer")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["The VILAM3Slicer authors"]
        parent.helpText = _(
            "Chat with a scan: the vision-language model VILA-M3 looks at the slice on the screen, calls "
            "expert models where it needs them, and their segments appear in the views. The models run in a "
            "backend on this machine or on one that you name; a scan is sent nowhere else. For research and "
            "teaching, not for diagnosis. {shortcut} opens the chat."
        ).format(shortcut=SHORTCUT)
        parent.helpText += _("<p>A first visit, with pictures: {link}</p>").format(
            link=f'<a href="{DOCUMENTATION}">{DOCUMENTATION}</a>'
        )
        parent.acknowledgementText = _(
            "VILA-M3 is a model by NVIDIA and MONAI; this project is independent of them. The released "
            "weights have licences of their own, shown before they are downloaded. VILA-M3 is described in "
            "arXiv:2411.12915."
        )
        parent.icon = qt.QIcon(iconPath(self.resourcePath))
        slicer.app.connect("startupCompleted()", onStartupCompleted)


def iconPath(resourcePath):
    """The icon that stands out from the background of the application."""
    isDark = slicer.app.palette().color(qt.QPalette.Window).lightness() < 128
    return resourcePath("Icons/VILAM3SlicerDark.png" if isDark else "Icons/VILAM3Slicer.png")


def onStartupCompleted():
    """What needs the whole application: sample data and the keyboard shortcut."""
    from VILAM3SlicerLib.desktop.sample_data import register_sample_data

    register_sample_data(Path(__file__).parent)
    mainWindow = slicer.util.mainWindow()
    if mainWindow is not None:
        shortcut = qt.QShortcut(qt.QKeySequence(SHORTCUT), mainWindow)
        shortcut.connect("activated()", openChat)


def openChat():
    """Show the module and let the person type a question."""
    slicer.util.selectModule("VILAM3Slicer")
    slicer.modules.VILAM3SlicerWidget.panels.focus_question()


@parameterNodeWrapper
class VILAM3SlicerParameterNode:
    """
    What the person chose, kept with the scene.

    scan - The scan that is talked about.
    modality - What kind of image it is.
    """

    scan: vtkMRMLScalarVolumeNode
    modality: Annotated[str, Choice(MODALITIES)] = "Unknown"


class VILAM3SlicerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel: puts its parts together and follows the scene's life."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panels = None
        self.session = None
        self._settingsPage = None
        self._uiWidget = None
        self._isShowingScan = False
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self):
        super().setup()
        self._uiWidget = slicer.util.loadUI(self.resourcePath("UI/VILAM3Slicer.ui"))
        self.layout.addWidget(self._uiWidget)
        self.ui = slicer.util.childWidgetVariables(self._uiWidget)
        self._uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = VILAM3SlicerLogic()
        self._fillPanels()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
        slicer.app.connect("aboutToQuit()", self.cleanup)
        self.initializeParameterNode()

    def _fillPanels(self):
        from VILAM3SlicerLib.desktop.backend import desktop_connection
        from VILAM3SlicerLib.desktop.host import QtHost
        from VILAM3SlicerLib.desktop.module_panels import ModulePanels
        from VILAM3SlicerLib.desktop.module_session import ModuleSession
        from VILAM3SlicerLib.desktop.settings_page import register_settings_page

        host = QtHost()
        connection = desktop_connection(host, Path(__file__).parent)
        self.session = ModuleSession(slicer.mrmlScene, slicer.app.applicationLogic(), connection, host)
        self.panels = ModulePanels(self.ui, self.session)
        self.session.on_scan = self._onScanTakenUp
        self._settingsPage = register_settings_page(connection)
        self.session.open()

    def cleanup(self):
        """Called when the application ends, and when the module is unloaded or reloaded."""
        if self.session is None:
            return
        slicer.app.disconnect("aboutToQuit()", self.cleanup)
        self.setParameterNode(None)
        self.removeObservers()
        self._settingsPage.close()
        self.panels.close()
        self.session.close()
        self._uiWidget.deleteLater()  # a reload only hides it, with all that it observes
        self.session = self.panels = self._settingsPage = self._uiWidget = None

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        """The conversation goes on meanwhile; what the person chooses elsewhere is taken up on return."""
        self.setParameterNode(None)

    def onReload(self):
        """Read the library again too."""
        for name in [name for name in sys.modules if name.split(".")[0] == "VILAM3SlicerLib"]:
            del sys.modules[name]
        super().onReload()

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        self._showScan()

    def setParameterNode(self, parameterNode):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParameterChanged)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParameterChanged)

    def _onParameterChanged(self, caller=None, event=None):
        """The person chose another scan or kind of image."""
        if self._isShowingScan:
            return
        self.session.show(self._parameterNode.scan)
        if self._parameterNode.scan is self.session.scan_scene.node:
            self.session.set_modality(self._parameterNode.modality)

    def _onScanTakenUp(self):
        """What was said about the scan before is over."""
        self.panels.messages.clear()
        self._showScan()

    def _showScan(self):
        """Another scan is talked about: show which."""
        if self._parameterNode:
            self._isShowingScan = True
            self._parameterNode.scan = self.session.scan_scene.node
            self._parameterNode.modality = self.session.scan_scene.modality
            self._isShowingScan = False


class VILAM3SlicerLogic(ScriptedLoadableModuleLogic):
    """Asking from scripts and notebooks, without the panel."""

    def getParameterNode(self):
        return VILAM3SlicerParameterNode(super().getParameterNode())

    def ask(self, volumeNode, question, **options) -> Any:
        """Ask about a volume and wait for the answer: its text, and the scan's segmentation node.

        Slicer goes on drawing meanwhile. The options are those of ``VILAM3SlicerLib.viewer.ask``; without
        ``backend`` the one of the panel is asked, or the one that was used last.
        """
        from VILAM3SlicerLib.desktop.backend import scripted_options
        from VILAM3SlicerLib.viewer.ask import ask

        if "backend" not in options:
            options = {**scripted_options(self._panelConnection()), **options}
        options.setdefault("while_waiting", slicer.app.processEvents)
        return ask(slicer.mrmlScene, slicer.app.applicationLogic(), volumeNode, question, **options)

    def _panelConnection(self):
        session = getattr(getattr(slicer.modules, "VILAM3SlicerWidget", None), "session", None)
        return session.connection if session is not None else None


class VILAM3SlicerTest(ScriptedLoadableModuleTest):
    """What the panel does without a backend; with one, see Testing/desktop."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for test in (self.test_scanOnScreenIsTakenUp, self.test_questionWithoutBackendIsRefused):
            self.setUp()
            test()
        self.delayDisplay("Test passed")

    def test_scanOnScreenIsTakenUp(self):
        widget, node = self._openedModule(), self._shownVolume()
        self._waitUntil(lambda: widget.session.scan_scene.node is node)
        self._waitUntil(lambda: len(widget.panels.chat.seen.shown_images) == 1)
        slicer.mrmlScene.Clear()
        self._waitUntil(lambda: widget.session.scan_scene.node is None)

    def test_questionWithoutBackendIsRefused(self):
        widget, node = self._openedModule(), self._shownVolume()
        self._waitUntil(lambda: widget.session.scan_scene.node is node)
        widget.session.connection.stop()
        widget.panels.chat.ask("What is this?")
        self._waitUntil(lambda: widget.session.presenter.running is None)
        (turn,) = widget.session.presenter.turns
        assert turn.state == "failed"
        assert turn.error.message

    def _openedModule(self):
        slicer.util.selectModule("VILAM3Slicer")
        return slicer.modules.VILAM3SlicerWidget

    def _shownVolume(self):
        import numpy as np

        voxels = np.zeros((20, 30, 40), np.int16)
        voxels[5:15, 8:22, 10:30] = 100
        node = slicer.util.addVolumeFromArray(voxels, name="box")
        slicer.util.setSliceViewerLayers(background=node, fit=True)
        return node

    def _waitUntil(self, holds, seconds=20):
        import time

        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end
            slicer.app.processEvents()
            time.sleep(0.01)
