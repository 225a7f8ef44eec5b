"""The doctor: what this machine has and lacks, each lack with the command that mends it."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference_backend.installation import system_packages
from inference_backend.installation.environment import ENVIRONMENT_BYTES, nvidia_gpus
from inference_backend.installation.layout import Layout
from inference_backend.installation.model_fit import look_at_machine, model_fits
from inference_backend.installation.steps import gigabytes
from inference_backend.weights.folder import WeightsFolder

DEFAULT_PORT = 8741
SETUP_COMMAND = f"{Path(sys.executable).stem} setup_backend.py demo"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        remedy: command or advice; empty if all is well.
        needed: whether the demo cannot run without it.
    """

    name: str
    text: str
    remedy: str = ""
    needed: bool = True

    @property
    def mark(self) -> str:
        if not self.remedy:
            return "ok"
        return "LACKS" if self.needed else "note"


def examine(layout: Layout) -> list[Finding]:
    """Look at everything that the demo and the tests need; changes nothing."""
    return [
        python_finding(),
        disk_finding(layout),
        memory_finding(),
        gpu_finding(nvidia_gpus()),
        rendering_finding(layout),
        port_finding(DEFAULT_PORT),
        environment_finding(layout),
        model_finding(layout),
        *fit_findings(layout),
        scan_finding(layout),
        chromium_finding(),
    ]


def report(findings: Sequence[Finding]) -> str:
    """The findings as aligned lines."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.mark:<6} {finding.name:<{width}}  {finding.text}")
        if finding.remedy:
            lines.append(f"{'':<6} {'':<{width}}  -> {finding.remedy}")
    return "\n".join(lines)


def is_fit(findings: Sequence[Finding]) -> bool:
    """Whether nothing that is needed is missing."""
    return all(finding.mark != "LACKS" for finding in findings)


def python_finding() -> Finding:
    """setup_backend.py has checked the version already, or we would not be here."""
    text = f"{platform.python_version()} ({sys.executable})"
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        return Finding("Python", f"{text}, without venv", "apt-get install -y python3-venv")
    return Finding("Python", text)


def disk_finding(layout: Layout) -> Finding:
    free = shutil.disk_usage(layout.root).free
    needed = 500_000_000 if layout.demo_model.exists() else ENVIRONMENT_BYTES
    text = f"{gigabytes(free)} free in {layout.root}"
    if free >= needed:
        return Finding("Disk", text)
    return Finding("Disk", text, f"free some space: {gigabytes(needed)} are needed, or clone to another disk")


def memory_finding() -> Finding:
    total = _memory_bytes()
    if total is None:
        return Finding("Memory", "unknown")
    if total < 6e9:
        return Finding(
            "Memory", gigabytes(total), "the demo needs about 6 GB; close other programs", needed=False
        )
    return Finding("Memory", gigabytes(total))


def _memory_bytes() -> int | None:
    if sys.platform == "win32":
        return None
    import os

    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def gpu_finding(gpus: Sequence[str]) -> Finding:
    if gpus:
        return Finding("GPU", "; ".join(gpus))
    if sys.platform == "darwin":
        return Finding("GPU", "no NVIDIA GPU: the demo model runs on the CPU")
    return Finding(
        "GPU",
        "none found: the demo model runs on the CPU",
        "the released checkpoints want an NVIDIA GPU and its driver; see what fits below",
        needed=False,
    )


def rendering_finding(layout: Layout) -> Finding:
    package = system_packages.rendering(layout)
    if package.is_present():
        return Finding("EGL", "draws without a screen")
    return Finding("EGL", "cannot draw without a screen", package.remedy)


def port_finding(port: int) -> Finding:
    if port_is_free(port):
        return Finding("Port", f"{port} is free on 127.0.0.1")
    return Finding(
        "Port", f"{port} is in use", "the demo takes any free one; `serve` takes --port NUMBER", needed=False
    )


def port_is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` of 127.0.0.1; 0 (any) always is."""
    with socket.socket() as probe:
        if sys.platform != "win32":  # there it would allow a port that is in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def environment_finding(layout: Layout) -> Finding:
    if any(layout.venv_markers.glob("packages-*")):
        return Finding("Packages", f"installed in {layout.venv}")
    return Finding("Packages", "not installed", SETUP_COMMAND)


def model_finding(layout: Layout) -> Finding:
    if (layout.demo_model / "config.json").is_file():
        return Finding("Weights", f"demo model in {layout.demo_model}")
    return Finding("Weights", "the demo model is not built", SETUP_COMMAND)


def fit_findings(layout: Layout) -> list[Finding]:
    """Which models would run here, in which precision and why; none of them is needed."""
    fits = model_fits(look_at_machine(layout), WeightsFolder())
    return [Finding(fit.name, fit.text, fit.remedy, needed=False) for fit in fits]


def scan_finding(layout: Layout) -> Finding:
    if layout.sample_scan.is_file():
        return Finding("Sample scan", str(layout.sample_scan))
    return Finding("Sample scan", "not fetched", SETUP_COMMAND)


def chromium_finding() -> Finding:
    package = system_packages.chromium()
    path = system_packages.chromium_path()
    if path:
        return Finding("Chromium", str(path))
    return Finding(
        "Chromium", "not found: the browser test needs it, the demo does not", package.remedy, needed=False
    )
