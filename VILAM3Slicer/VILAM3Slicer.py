"""The scripted module of 3D Slicer: for now it says what the project is and starts nothing itself."""

import qt
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget

DEMO_COMMAND = "python3 setup_backend.py demo"


class VILAM3Slicer(ScriptedLoadableModule):
    """What Slicer's module list shows."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("VILAM3Slicer")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["The VILAM3Slicer authors"]
        parent.helpText = _(
            "Chat with a scan: the vision-language model VILA-M3 answers and calls expert models, run by a "
            "backend on this machine. For research and teaching, not for diagnosis. The chat runs in the "
            "browser viewer for now; a panel inside Slicer is not there yet."
        )
        parent.acknowledgementText = _(
            "VILA-M3 is a model by NVIDIA and MONAI; this project is independent of them."
        )


class VILAM3SlicerWidget(ScriptedLoadableModuleWidget):
    """A panel that names the command of the browser viewer and copies it to the clipboard."""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        text = qt.QLabel(
            _("The chat is not yet a panel of Slicer. In a terminal, in the folder of this project, type:")
        )
        text.wordWrap = True
        self.layout.addWidget(text)
        command = qt.QLineEdit(DEMO_COMMAND)
        command.readOnly = True
        self.layout.addWidget(command)
        copy = qt.QPushButton(_("Copy the command"))
        copy.clicked.connect(self.onCopyClicked)
        self.layout.addWidget(copy)
        self.layout.addStretch(1)

    def onCopyClicked(self):
        qt.QApplication.clipboard().setText(DEMO_COMMAND)
