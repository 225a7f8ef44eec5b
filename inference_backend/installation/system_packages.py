"""What pip cannot bring: OpenGL without a screen (EGL) for the views, a Chromium for the browser test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inference_backend.installation.errors import SetupError
from inference_backend.installation.layout import Layout
from inference_backend.installation.processes import run_quietly
from inference_backend.installation.progress import Progress
from inference_backend.installation.steps import Step


@dataclass(frozen=True)
class SystemPackage:
    """Something of the operating system, how to see whether it is there, and what brings it.

    Attributes:
        debian: names of the Debian packages.
        elsewhere: what to do on systems without apt-get.
    """

    title: str
    is_present: Callable[[], bool]
    debian: tuple[str, ...]
    elsewhere: str

    @property
    def remedy(self) -> str:
        """The command, or the advice, that brings it on this machine."""
        if shutil.which("apt-get") is None:
            return self.elsewhere
        prefix = "" if is_root() else "sudo "
        return f"{prefix}apt-get update && {prefix}apt-get install -y {' '.join(self.debian)}"


def rendering(layout: Layout) -> SystemPackage:
    """OpenGL without a screen."""
    return SystemPackage(
        title="OpenGL without a screen (EGL)",
        is_present=lambda: can_render(layout),
        debian=("libegl1", "libgl1-mesa-dri"),
        elsewhere="install the EGL library and a Mesa driver of your distribution, "
        "for instance: dnf install mesa-libEGL mesa-dri-drivers",
    )


def chromium() -> SystemPackage:
    """The browser that the browser test drives."""
    return SystemPackage(
        title="Chromium for the browser test",
        is_present=lambda: chromium_path() is not None,
        debian=("chromium",),
        elsewhere="install Chromium or Google Chrome",
    )


def can_render(layout: Layout) -> bool:
    """Probe EGL in a process of its own; Windows and macOS bring their own OpenGL."""
    if sys.platform != "linux":
        return True
    python = str(layout.python) if layout.python.exists() else sys.executable
    probe = [python, str(Path(__file__).with_name("egl_probe.py"))]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)


def chromium_path() -> Path | None:
    """Where Chromium or Chrome lies, if it is installed."""
    found = [path for name in CHROMIUM_NAMES if (path := shutil.which(name))]
    places = [*found, *(place for place in CHROMIUM_PLACES if Path(place).exists())]
    return Path(places[0]) if places else None


def is_root() -> bool:
    """Whether we may install system packages ourselves."""
    return sys.platform != "win32" and os.geteuid() == 0


def step_for(package: SystemPackage, marker: Path, agree: Callable[[str], bool]) -> Step:
    """A step that sees to it that ``package`` is there.

    ``agree`` is asked before anything is installed, which only happens as root on Debian and its kin.
    """
    return Step(
        title=f"Checking {package.title}",
        marker=marker,
        inputs=lambda: [package.title],
        action=lambda progress: ensure(package, agree, progress),
    )


def ensure(package: SystemPackage, agree: Callable[[str], bool], progress: Progress) -> None:
    """Install ``package`` if it is missing and we may.

    Raises:
        SetupError: it is missing still; the hint is the command that brings it.
    """
    if package.is_present():
        return
    if (
        is_root()
        and shutil.which("apt-get")
        and agree(f"{package.title} is missing. Install it now? {package.remedy}")
    ):
        _install(package, progress)
    if not package.is_present():
        raise SetupError(f"{package.title} is missing on this machine.", package.remedy)


def _install(package: SystemPackage, progress: Progress) -> None:
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", *package.debian]):
        run_quietly(["apt-get", *command], progress.update, progress.update, env)
