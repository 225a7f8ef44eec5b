"""The course around the backend: test, connect, send a large scan, install, start, crash, remove, settings.

What is installed here is a small stand-in for the set-up, so that it takes seconds; the rest is real.
"""

import gc
import os
import tempfile
import time
from pathlib import Path

import qt
import slicer
from course import Course

SHORT, LONG = 30.0, 120.0
"""Seconds of patience."""
SLICES = 600
"""Of 512 x 512 voxels of 2 bytes: 315 MB."""


class BackendCourse(Course):
    """A person who looks after the backend."""

    @property
    def ui(self):
        return self.widget.panels.connection._ui

    def steps(self):
        yield from self._open()
        yield from self._test()
        yield from self._connect()
        yield from self._upload()
        yield from self._weights()
        yield from self._install()
        yield from self._settings()
        yield from self._other_colours()

    def _open(self):
        slicer.util.selectModule("VILAM3Slicer")
        yield lambda: self.widget.panels is not None, SHORT
        self.widget.panels.show_backend()
        self.run.picture("backend_1_nothing")
        self.check("without a backend the panel offers to install or connect", self.ui.installButton.enabled)

    def _test(self):
        for address, key, words in (
            ("http://127.0.0.1:1", "any", "Nothing listens"),
            ("no-such-machine.invalid", "any", "No machine named"),
            ("ftp://gpu", "any", "not how a backend is reached"),
            (self.run.task["url"], "a wrong key of some length", "key is missing or wrong"),
            (self.run.task["url"] + "/v1/", self.run.task["key"], ""),
        ):
            self.ui.addressBox.setEditText(address)
            self.ui.keyEdit.text = key
            self.ui.testButton.click()
            yield lambda: "Trying" not in self.ui.reportLabel.text, SHORT
            said = self.ui.reportLabel.text
            good = words in said if words else "All is well" in said or "still loading" in said
            self.check(f"Test says what is wrong with {address}", good, said)

    def _connect(self):
        self.run.watch.begin("connecting")
        self.ui.connectButton.click()
        yield lambda: self.connection.state.phase == "ready", LONG
        self.run.watch.begin("")
        self.run.picture("backend_2_connected")
        self.check("the panel names the model", "demo" in self.ui.stateLabel.text, self.ui.stateLabel.text)
        self.check("this machine needs no consent", not self.connection.state.consent_question)

    def _upload(self):
        from VILAM3SlicerLib.chat.interfaces import PackedVolume
        from VILAM3SlicerLib.protocol.content_hash import volume_hash
        from VILAM3SlicerLib.protocol.messages import IDENTITY
        from VILAM3SlicerLib.protocol.nrrd import nrrd_header

        shape = (512, 512, SLICES)
        voxels = memoryview(os.urandom(512 * 512) * 2 * SLICES)
        name = volume_hash("int16", shape, IDENTITY, (voxels,))
        volume = PackedVolume(name, (nrrd_header("int16", shape, IDENTITY, "raw"), voxels))
        told = []
        until = time.monotonic() + 5.0
        self.run.watch.begin("idling")
        yield lambda: time.monotonic() > until, SHORT
        self.run.watch.begin("sending 315 MB")
        self.connection.transport.put_volume(
            volume, lambda: told.append(None), told.append, lambda _sent, _total: None
        )
        yield lambda: bool(told), LONG
        self.run.watch.begin("")
        stall, idle = (self.run.watch.longest[doing] for doing in ("sending 315 MB", "idling"))
        self.check("a large scan goes up", told == [None], told)
        detail = f"{stall:.0f} ms, {idle:.0f} ms while nothing is done on this machine"
        self.check("it stalls the event loop for less than 50 ms", stall < 50 or stall < 1.5 * idle, detail)
        yield lambda: self._exchanges() < 3, SHORT
        self.check("what was sent is let go", True, f"{self._exchanges()} exchanges")

    def _exchanges(self):
        """Requests that are still in memory; one may be on its way."""
        gc.collect()
        return sum(type(one).__name__ == "_Exchange" for one in gc.get_objects())

    def _weights(self):
        self.ui.weightsToggle.click()
        table = self.widget.panels.connection._weights._ui.table
        yield lambda: table.rowCount > 3, SHORT
        self.run.picture("backend_3_weights")
        names = [table.item(row, 0).text() for row in range(table.rowCount)]
        self.check("models and experts are listed", any("VISTA3D" in name for name in names), names)
        self.ui.weightsToggle.click()
        self.ui.stopButton.click()
        yield lambda: self.connection.state.address is None, SHORT

    def _install(self):
        from Testing.VILAM3SlicerLib.connection.programs import backend_python, setup_source
        from VILAM3SlicerLib.desktop.backend import desktop_connection
        from VILAM3SlicerLib.desktop.host import QtHost
        from VILAM3SlicerLib.protocol import PROTOCOL_VERSION

        root = Path(tempfile.mkdtemp())
        python = backend_python(root, {"protocol_version": PROTOCOL_VERSION, "readiness": "ready"})
        setup_source(root / "VILAM3SlicerBackend", python)
        host = QtHost()
        own = desktop_connection(host, root)
        own.settings.change(folder=str(root / "backend"), python="", mode="", address="")
        (root / "backend").mkdir()
        own.open()
        own.desk.prepare()
        yield lambda: own.state.setup == "planned" or own.state.error is not None, LONG
        self.check("a Python of this machine is found", own.state.pythons, own.state.pythons)
        slicer_home = str(Path(slicer.app.slicerHome).resolve())
        outside = all(not one.path.startswith(slicer_home) for one in own.state.pythons)
        self.check("it is not Slicer's own", outside)
        own.desk.agree()
        yield lambda: own.state.phase == "ready" or own.state.error is not None, LONG
        self.check("it is installed, started and answers", own.state.phase == "ready", own.state.error)
        (root / "crash").touch()
        yield lambda: own.state.error is not None and not own.local.is_running, LONG
        self.check("a crash is told with the log", "exit code 9" in own.state.error.message)
        (root / "crash").unlink()
        own.start()
        yield lambda: own.state.phase == "ready", LONG
        own.stop()
        yield lambda: not own.local.is_running, SHORT
        own.desk.remove(False)
        yield lambda: not own.state.setup and not own.state.is_installed, SHORT
        self.check("it is removed", own.state.phase == "absent")
        own.close()
        host.close()

    def _settings(self):
        dialog = slicer.app.settingsDialog()
        dialog.setCurrentPanel("VILAM3Slicer")
        dialog.show()
        yield lambda: dialog.visible, SHORT
        slicer.app.processEvents()
        dialog.grab().save(str(self.run.output / "backend_4_settings.png"))
        ui = self.widget._settingsPage._ui
        ui.proxyEdit.text = "http://proxy.example:8080"
        ui.proxyEdit.editingFinished()
        ui.startBox.click()
        settings = self.connection.settings
        kept = settings.now.proxy, settings.now.starts_with_module
        self.check("a setting is kept", kept == ("http://proxy.example:8080", "yes"), kept)
        dialog.reject()
        kept = settings.now.proxy, settings.now.starts_with_module
        self.check("Cancel brings the settings back", kept == ("", "") and not ui.startBox.checked, kept)

    def _other_colours(self):
        """The application takes on other colours while nothing goes on."""
        page = self.widget.panels.chat._ui.transcriptBrowser
        palette = qt.QPalette(page.palette)
        for ground, text, link in (("#202020", "#f0f0f0", "#7fb4ff"), ("#ffffff", "#000000", "#1a5fb4")):
            palette.setColor(qt.QPalette.Base, qt.QColor(ground))
            palette.setColor(qt.QPalette.Text, qt.QColor(text))
            page.setPalette(palette)
            yield lambda link=link: link in page.toHtml(), SHORT
            self.check(f"links are easy to read on {ground}", link in page.toHtml())
        page.setPalette(qt.QPalette())
