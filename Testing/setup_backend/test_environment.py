"""A half made environment is mended; torch's build and size are told before it is fetched."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from inference_backend.installation import environment
from inference_backend.installation.environment import PipOutput, TorchChoice, choose_torch, torch_notes
from inference_backend.installation.errors import SetupError
from inference_backend.installation.layout import Layout
from inference_backend.installation.progress import Progress


class RecordedPip:
    """Notes pip's commands instead of fetching anything."""

    commands: list[tuple[str, ...]]

    def __init__(self, _layout: Layout, _progress: Progress) -> None:
        pass

    def run(self, *arguments: str) -> list[str]:
        type(self).commands.append(arguments)
        return []


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> type[RecordedPip]:
    RecordedPip.commands = []
    monkeypatch.setattr(environment, "Pip", RecordedPip)
    return RecordedPip


def test_half_made_environment_is_made_anew(
    layout: Layout, progress: Progress, display: io.StringIO, pip: type[RecordedPip]
) -> None:
    layout.venv.mkdir()
    (layout.venv / "pyvenv.cfg").write_text("home = /nowhere\n")
    environment.make_environment(layout, progress)
    assert "made anew" in display.getvalue()
    subprocess.run([layout.python, "-c", "import pip"], check=True)
    assert pip.commands == [("install", "--no-input", "pip==26.3")]
    (layout.venv / "of_mine").touch()
    environment.make_environment(layout, progress)
    assert (layout.venv / "of_mine").exists()


def _report(*names: str, url: str = "https://index.example/torch.whl", version: str = "2.13.0") -> dict:
    return {
        "install": [
            {"metadata": {"name": name, "version": version}, "download_info": {"url": url}} for name in names
        ]
    }


def test_wheel_on_the_disk_is_told_with_its_own_size(tmp_path: Path) -> None:
    wheel = tmp_path / "torch-2.13.0+cpu.whl"
    wheel.write_bytes(b"0" * 5_000_000)
    choice = choose_torch(_report("torch", "sympy", url=wheel.as_uri(), version="2.13.0+cpu"))
    assert choice == TorchChoice("2.13.0+cpu", cuda=False, download_bytes=5_000_000)
    assert "CPU build: 5 MB" in choice.text


def test_cuda_build_is_told_with_all_its_packages() -> None:
    choice = choose_torch(_report("torch", "nvidia-cublas", "triton"))
    assert choice is not None
    assert "CUDA build" in choice.text
    assert "GB" in choice.text


def test_installed_torch_needs_nothing() -> None:
    assert choose_torch(_report()) is None


@pytest.mark.parametrize(
    ("cuda", "gpu", "said"), [(True, False, "No NVIDIA GPU"), (False, True, "There is an NVIDIA GPU")]
)
def test_build_that_does_not_fit_the_machine_is_told(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, gpu: bool, said: str
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert said in torch_notes(TorchChoice("2.13.0", cuda, 1), gpu)[0]


@pytest.mark.parametrize("both", [True, False])
def test_build_that_fits_needs_no_word(both: bool) -> None:
    assert torch_notes(TorchChoice("2.13.0", both, 1), both) == []


def test_output_of_pip_becomes_one_short_text() -> None:
    shown: list[str] = []
    reader = PipOutput(shown.append)
    for line in (
        "Collecting scipy==1.17.1 (from -c constraints.txt (line 3))",
        "  Downloading scipy-1.17.1.whl.metadata (62 kB)",
        "  Downloading scipy-1.17.1.whl (37.7 MB)",
        "Progress 1000000 of 37000000",
        "Installing collected packages: numpy, scipy",
        "Requirement already satisfied: numpy in ./.venv (2.4.6)",
        "Looking in links: somewhere",
    ):
        reader.read(line)
    assert shown == [
        "package 1: scipy==1.17.1",
        "downloading scipy-1.17.1.whl",
        "downloading scipy-1.17.1.whl (1 of 37 MB)",
        "unpacking 2 packages",
        "there already: numpy",
    ]


def test_missing_pin_is_an_error(layout: Layout) -> None:
    with pytest.raises(SetupError, match="does not pin vtk"):
        environment.pinned(layout.constraints, "vtk")
