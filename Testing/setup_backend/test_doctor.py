"""The doctor names each lack with the command that mends it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from inference_backend.installation import model_fit, system_check, system_packages
from inference_backend.installation.errors import SetupError
from inference_backend.installation.layout import Layout
from inference_backend.installation.progress import Progress
from inference_backend.installation.system_check import Finding
from inference_backend.installation.system_packages import SystemPackage

NOWHERE = {"__EGL_VENDOR_LIBRARY_FILENAMES": "/nonexistent.json"}
"""Hides every OpenGL driver from EGL."""


def test_empty_checkout_lacks_packages_model_and_scan(layout: Layout) -> None:
    findings = {finding.name: finding for finding in system_check.examine(layout)}
    for name in ("Packages", "Weights", "Sample scan"):
        assert findings[name].mark == "LACKS"
        assert "setup_backend.py demo" in findings[name].remedy
    assert findings["Python"].mark == "ok"
    assert not system_check.is_fit(list(findings.values()))


def test_set_up_checkout_lacks_none_of_them(layout: Layout) -> None:
    for made in (
        layout.venv_markers / "packages-viewer",
        layout.demo_model / "config.json",
        layout.sample_scan,
    ):
        made.parent.mkdir(parents=True)
        made.touch()
    findings = {finding.name: finding.mark for finding in system_check.examine(layout)}
    assert findings["Packages"] == findings["Weights"] == findings["Sample scan"] == "ok"


def test_report_puts_the_remedy_under_the_lack() -> None:
    text = system_check.report(
        [Finding("EGL", "missing", "apt-get install -y libegl1"), Finding("GPU", "H200")]
    )
    assert text == "LACKS  EGL  missing\n            -> apt-get install -y libegl1\nok     GPU  H200"


def test_wish_is_no_lack() -> None:
    assert system_check.is_fit([Finding("Port", "8741 is in use", "take another", needed=False)])


def test_port_in_use_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert "in use" in system_check.port_finding(other.getsockname()[1]).text


def test_gpus_are_listed_with_their_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert system_check.nvidia_gpus() == ["NVIDIA H200, 143771 MiB"]
    tool.write_text("#!/bin/sh\necho 'Failed to initialize NVML'\nexit 9\n")
    assert system_check.nvidia_gpus() == []


@pytest.mark.skipif(sys.platform != "linux", reason="EGL is Linux's")
def test_missing_driver_is_a_finding_not_a_crash(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    layout.python.parent.mkdir(parents=True)
    layout.python.symlink_to(sys.executable)
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)
    finding = system_check.rendering_finding(layout)
    assert finding.mark == "LACKS"
    assert "libegl1" in finding.remedy or "mesa" in finding.remedy


@pytest.mark.skipif(sys.platform != "linux", reason="EGL is Linux's")
def test_probe_without_vtk_agrees_with_the_one_with_it() -> None:
    probe = str(Path(system_packages.__file__).with_name("egl_probe.py"))
    with_vtk = subprocess.run([sys.executable, probe], capture_output=True).returncode == 0
    without = subprocess.run([sys.executable, "-S", "-E", probe], capture_output=True).returncode == 0
    assert with_vtk == without


@pytest.fixture
def as_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where we are root, whose apt-get leaves a file behind."""
    installed = tmp_path / "installed"
    tool = tmp_path / "apt-get"
    tool.write_text(f'#!/bin/sh\n[ "$1" = install ] && : > {installed}\nexit 0\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(system_packages, "is_root", lambda: True)
    return installed


def test_system_package_is_installed_only_with_consent(as_root: Path, progress: Progress) -> None:
    package = SystemPackage("A library", as_root.exists, ("libexample",), "ask your distribution")
    with pytest.raises(SetupError) as raised:
        system_packages.ensure(package, lambda _question: False, progress)
    assert raised.value.hint == "apt-get update && apt-get install -y libexample"
    system_packages.ensure(package, lambda _question: True, progress)
    assert as_root.exists()


def test_nothing_is_installed_without_root(
    as_root: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_packages, "is_root", lambda: False)
    package = SystemPackage("A library", as_root.exists, ("libexample",), "ask your distribution")
    with pytest.raises(SetupError) as raised:
        system_packages.ensure(package, lambda _question: True, progress)
    assert "sudo apt-get install -y libexample" in raised.value.hint
    assert not as_root.exists()


def test_the_doctor_says_of_each_model_whether_it_fits_and_why(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '11000, 8.6, NVIDIA GeForce RTX 3060'\necho '900, 8.6, NVIDIA T4'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setenv("VILAM3_WEIGHTS", str(tmp_path / "weights"))
    findings = {finding.name: finding for finding in system_check.fit_findings(layout)}
    assert list(findings) == ["VILA-M3-3B", "VILA-M3-8B", "VILA-M3-13B", "demo"]
    assert findings["VILA-M3-8B"].mark == "ok"
    assert "in nf4: needs about 8.4 GB of 11.5 GB free" in findings["VILA-M3-8B"].text
    assert "RTX 3060" in findings["VILA-M3-8B"].text
    assert "int8 would need 11.8 GB" in findings["VILA-M3-8B"].text
    assert "not downloaded" in findings["VILA-M3-8B"].text
    assert findings["VILA-M3-13B"].mark == "note"
    assert "does not fit" in findings["VILA-M3-13B"].text
    assert "--model" in findings["VILA-M3-13B"].remedy


def test_a_driver_without_a_gpu_leaves_the_cpu(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'Failed to initialize NVML'\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert "free on the CPU" in system_check.fit_findings(layout)[0].text


def test_with_an_environment_torch_is_asked(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    layout.python.parent.mkdir(parents=True)
    layout.python.symlink_to(sys.executable)
    asked = model_fit.look_at_machine(layout)
    import torch

    assert asked.kind == ("cuda" if torch.cuda.is_available() else "cpu")
    assert asked.free_bytes > 0
