"""Runs inside 3D Slicer: what a person does with the module, step by step, and what is then true.

A step yields a condition and goes on when it holds; the event loop is Slicer's own, so stalls are real.
"""

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import qt
import slicer

sys.path.insert(0, str(Path(__file__).resolve().parent))
from backend_steps import BackendCourse
from clicks_steps import ClicksCourse
from heavy_steps import HeavyCourse
from stall_watch import StallWatch
from steps import Visit
from trouble_steps import TroubleCourse

STEP_MS = 20


class Run:
    """Takes one step after the other, writes down what was found, and ends Slicer."""

    def __init__(self, task):
        self.output = Path(task["output"])
        self.task = task
        self.watch = StallWatch()
        self.checks = []
        courses = {
            "visit": Visit,
            "heavy": HeavyCourse,
            "backend": BackendCourse,
            "trouble": TroubleCourse,
            "clicks": ClicksCourse,
        }
        self._steps = courses[task["course"]](self).steps()
        self._wait = None
        self._deadline = 0.0
        slicer.util.mainWindow().setGeometry(0, 0, 1600, 1000)
        slicer.util.findChild(slicer.util.mainWindow(), "DataProbeCollapsibleWidget").collapsed = True
        self._timer = qt.QTimer()
        self._timer.setInterval(STEP_MS)
        self._timer.connect("timeout()", self._go_on)
        self._timer.start()

    def check(self, name, ok, detail=""):
        self.checks.append({"name": name, "ok": bool(ok), "detail": str(detail)})
        print("CHECK", "ok" if ok else "FAIL", name, detail, flush=True)

    def picture(self, name):
        slicer.app.processEvents()
        slicer.util.forceRenderAllViews()
        slicer.util.mainWindow().grab().save(str(self.output / f"{name}.png"))

    def kill_backend(self):
        os.kill(json.loads(Path(self.task["backend"]).read_text())["pid"], signal.SIGKILL)

    def _go_on(self):
        self._timer.stop()
        try:
            if self._wait is not None and not self._wait():
                if time.monotonic() < self._deadline:
                    return
                self.check(f"{_places(self._steps)} came to its end", False, "it took too long")
                self.picture("too_long")
                raise StopIteration
            self._wait, patience = next(self._steps)
            self._deadline = time.monotonic() + patience
        except StopIteration:
            self._end()
            return
        except Exception:
            self.check("no step failed", False, traceback.format_exc())
            self._end()
            return
        finally:
            if not self._ended:
                self._timer.start()

    _ended = False

    def _end(self):
        self._ended = True
        watch = self.watch
        stalls = {"stalls_ms": watch.longest, "computed_ms": watch.computed, "ours_ms": watch.ours}
        report = {"checks": self.checks, **stalls}
        (self.output / "report.json").write_text(json.dumps(report, indent=1))
        slicer.util.exit(0 if all(check["ok"] for check in self.checks) else 1)


def _places(steps):
    """The steps that wait for one another, each with its line."""
    names = []
    while steps is not None:
        names.append(f"{steps.__name__} {steps.gi_frame.f_lineno}")
        steps = steps.gi_yieldfrom
    return ", ".join(names)


run = Run(json.loads(Path(os.environ["VILAM3_DESKTOP_TASK"]).read_text()))
