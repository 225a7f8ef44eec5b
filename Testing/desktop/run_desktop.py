"""Drives the module in a real desktop 3D Slicer, from the first click to a scene that was saved and loaded.

    python Testing/desktop/run_desktop.py --slicer /path/to/Slicer --output DIR

Starts the demo backend, opens Slicer with the module from its folder and does in it what the course says.
Writes screenshots and ``report.json`` to DIR and prints what was checked; the exit status is 0 if all was
well. Without a display Slicer runs in Xvfb.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "VILAM3Slicer")]
KEY = "a-key-for-this-run-only"
NEW_KEY = "new_key"
PATIENCE = 900.0
"""Seconds that the whole run in Slicer may take."""

COURSES = {
    "visit": "a whole visit (default)",
    "heavy": "stalls with a large scan",
    "backend": "everything around the backend",
    "trouble": "bad input and bad luck",
    "clicks": "by mouse and keyboard alone; needs xdotool",
}
SCRIPTED = ("heavy", "trouble", "clicks")
"""The courses whose backend answers from a script."""


class Backend:
    """The demo backend, started again at the same address when Slicer has killed it."""

    key = KEY

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key_file = folder / "key"
        self._key_file.write_text(KEY)
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> None:
        command = [sys.executable, "-m", "inference_backend", "serve", "--port", str(self._port)]
        command += ["--key-file", str(self._key_file), "--store", str(self._folder / "store")]
        command += ["--model", str(REPOSITORY / ".cache" / "demo_model")]
        path = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "VILAM3Slicer")))
        environment = {**os.environ, "PYTHONPATH": path}
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment
        )
        assert self._process.stdout is not None
        self.url = json.loads(self._process.stdout.readline())["url"]
        self._port = int(self.url.rpartition(":")[2])
        (self._folder / "backend.json").write_text(json.dumps({"pid": self._process.pid}))

    def look_after(self) -> None:
        """Do what is due while Slicer runs."""
        if self._process is not None and self._process.poll() is not None:
            self.start()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)


class ScriptedBackend:
    """The backend that answers from a script, for measuring the front end alone.

    It comes back with another key when Slicer writes one to the file ``new_key``.
    """

    key = KEY

    def __init__(self, folder: Path) -> None:
        from Testing.browser_viewer.fake_backend import FakeBackend

        self._new_key = folder / NEW_KEY
        self._make = partial(FakeBackend, pause=0.02)
        self._backend = self._make(key=KEY)

    @property
    def url(self) -> str:
        return self._backend.url

    def start(self) -> None:
        self._backend.start()

    def look_after(self) -> None:
        if self._new_key.is_file():
            key = self._new_key.read_text()
            self._new_key.unlink()
            self._backend.stop()
            self._backend = self._make(port=self._backend.port, key=key).start()

    def stop(self) -> None:
        self._backend.stop()


def slicer_command(slicer: str) -> list[str]:
    """Slicer with the module from its folder, and the script that it is to run."""
    command = [slicer, "--no-splash", "--ignore-slicerrc", "--disable-settings"]
    command += ["--additional-module-paths", str(REPOSITORY / "VILAM3Slicer")]
    command += ["--python-script", str(Path(__file__).with_name("in_slicer.py"))]
    if os.environ.get("DISPLAY"):
        return command
    return ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24", *command]


def run(slicer: str, scan: Path, output: Path, course: str = "visit") -> dict[str, Any]:
    """Do it all; what was checked and measured. The course is one of ``COURSES``."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vilam3-desktop-") as name:
        folder = Path(name)
        backend = ScriptedBackend(folder) if course in SCRIPTED else Backend(folder)
        backend.start()
        task = {
            "course": course,
            "url": backend.url,
            "key": backend.key,
            "scan": str(scan),
            "output": str(output),
            "backend": str(folder / "backend.json"),
            "new_key": str(folder / NEW_KEY),
        }
        (folder / "task.json").write_text(json.dumps(task))
        (output / "report.json").unlink(missing_ok=True)
        try:
            _run_slicer(slicer, folder, backend, output / "slicer.log")
        finally:
            backend.stop()
    report = output / "report.json"
    if not report.is_file():
        return {"checks": [{"name": "Slicer ran to the end", "ok": False, "detail": "see slicer.log"}]}
    result: dict[str, Any] = json.loads(report.read_text())
    return result


def _run_slicer(slicer: str, folder: Path, backend: Backend | ScriptedBackend, log_file: Path) -> None:
    home = folder / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "VILAM3_DESKTOP_TASK": str(folder / "task.json")}
    environment.pop("PYTHONPATH", None)
    environment.pop("PYTHONHOME", None)
    with log_file.open("w") as log:
        process = subprocess.Popen(
            slicer_command(slicer), env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        end = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < end:
            backend.look_after()
            time.sleep(0.2)
        if process.poll() is None:
            process.terminate()
            process.wait(30)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slicer", default=shutil.which("Slicer"), help="the executable of 3D Slicer")
    scan = REPOSITORY / ".cache" / "data" / "chest_ct" / "cxr.nii.gz"
    parser.add_argument("--scan", type=Path, default=scan, help="a CT; the one of the set-up if left out")
    parser.add_argument(
        "--course",
        choices=COURSES,
        default="visit",
        help="; ".join(f"{name}: {what}" for name, what in COURSES.items()),
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for pictures and report")
    arguments = parser.parse_args()
    if arguments.slicer is None:
        parser.error("There is no Slicer on the path; name one with --slicer.")
    scan, output = arguments.scan.resolve(), arguments.output.resolve()
    report = run(arguments.slicer, scan, output, arguments.course)
    for check in report["checks"]:
        print("ok  " if check["ok"] else "FAIL", check["name"], check["detail"])
    for step, stall in report.get("stalls_ms", {}).items():
        computed, ours = (report[kind].get(step, 0.0) for kind in ("computed_ms", "ours_ms"))
        print(f"longest stall while {step}: {stall:.0f} ms")
        print(f"    computed at once, undrawn: {computed:.0f} ms; longest piece of ours: {ours:.0f} ms")
    return 0 if all(check["ok"] for check in report["checks"]) else 1


if __name__ == "__main__":
    sys.exit(main())
