"""The virtual environment and what pip puts into it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from inference_backend.installation.errors import CommandFailed, SetupError
from inference_backend.installation.layout import Layout
from inference_backend.installation.processes import run_quietly
from inference_backend.installation.progress import Progress
from inference_backend.installation.steps import Step, gigabytes, require_space

TORCH_CUDA_BYTES = 2_600_000_000
"""What pip fetches for torch 2.13.0 with CUDA on Linux, the NVIDIA packages included."""
TORCH_CPU_BYTES = 200_000_000
PACKAGES_BYTES = 500_000_000
"""The others, without those for the viewer."""
ENVIRONMENT_BYTES = 4_000_000_000
CUDA_ENVIRONMENT_BYTES = 11_000_000_000


def pinned(constraints: Path, name: str) -> str:
    """``name==version`` as the constraints file pins it."""
    match = re.search(rf"^{re.escape(name)}==\S+$", constraints.read_text(), re.MULTILINE)
    if match is None:
        raise SetupError(f"{constraints} does not pin {name}.", "Take the file as it is in the repository.")
    return match.group()


class Pip:
    """pip of the virtual environment, with its own configuration left in force."""

    def __init__(self, layout: Layout, progress: Progress) -> None:
        self._layout = layout
        self._progress = progress

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> list[str]:
        """Run a pip command and show live what it is at; returns its last lines. ``env`` adds to ours."""
        reader = PipOutput(self._progress.update)
        command = [str(self._layout.python), "-m", "pip", *arguments]
        told = {"PYTHONUNBUFFERED": "1", **(env or {})}
        return run_quietly(command, reader.read, self._progress.update, told)

    def install(self, *requirements: str) -> None:
        """Install with every version pinned by the constraints file.

        Nothing is compiled ahead: Python does it for the tenth of the modules that are ever imported.
        """
        constraints = str(self._layout.constraints)
        options = ["--no-input", "--progress-bar", "raw", "--no-compile", "-c", constraints]
        self.run("install", *options, *requirements)


class PipOutput:
    """Turns pip's lines into one short text: what it collects, downloads (n of m MB) or installs."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._what = ""
        self._collected = 0

    def read(self, line: str) -> None:
        """Take one line of pip's output."""
        words = line.split()
        if line.startswith("Progress ") and len(words) == 4:
            self._show(f"{self._what} ({int(words[1]) / 1e6:.0f} of {int(words[3]) / 1e6:.0f} MB)")
        elif words and words[0] == "Collecting":
            self._collected += 1
            self._tell(f"package {self._collected}: {words[1]}")
        elif line.startswith("Requirement already satisfied:"):
            self._tell(f"there already: {words[3]}")
        elif line.startswith("  Downloading ") and not words[1].endswith(".metadata"):
            self._tell(f"downloading {words[1].split('/')[-1]}")
        elif line.startswith("Installing collected packages:"):
            self._tell(f"unpacking {len(words) - 3} packages")

    def _tell(self, text: str) -> None:
        self._what = text
        self._show(text)


def environment_steps(layout: Layout, extras: Iterable[str]) -> list[Step]:
    """The steps that make ``.venv`` and fill it, torch first."""
    constraints = layout.constraints.read_text
    wanted = f"{layout.root}[{','.join(extras)}]"
    return [
        Step(
            title="Making the virtual environment .venv",
            marker=layout.venv_markers / "environment",
            inputs=lambda: [pinned(layout.constraints, "pip")],
            action=lambda progress: make_environment(layout, progress),
            products=(layout.python,),
            disk_bytes=ENVIRONMENT_BYTES,
        ),
        Step(
            title="Installing torch",
            marker=layout.venv_markers / "torch",
            inputs=lambda: [pinned(layout.constraints, "torch")],
            action=lambda progress: install_torch(layout, progress),
            download_bytes=TORCH_CUDA_BYTES if sys.platform == "linux" else TORCH_CPU_BYTES,
        ),
        Step(
            title="Installing the other packages",
            marker=layout.venv_markers / f"packages-{'-'.join(extras)}",
            inputs=lambda: [constraints(), str(layout.root), *project_table(layout.root)],
            action=lambda progress: install_packages(layout, wanted, progress),
            download_bytes=PACKAGES_BYTES,
        ),
    ]


def project_table(root: Path) -> list[str]:
    """The parts of pyproject.toml that decide what is installed."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    return [json.dumps(settings[table], sort_keys=True) for table in ("build-system", "project")]


def make_environment(layout: Layout, progress: Progress) -> None:
    """Make ``.venv``, or keep one that works; one that is half made is made anew."""
    if layout.venv.exists() and not _works(layout.python):
        progress.note("The .venv of an earlier run is not whole: it is made anew.")
        shutil.rmtree(layout.venv)
    if not layout.venv.exists():
        _create(layout, progress)
    Pip(layout, progress).run("install", "--no-input", pinned(layout.constraints, "pip"))


def _create(layout: Layout, progress: Progress) -> None:
    try:
        run_quietly([sys.executable, "-m", "venv", str(layout.venv)], on_tick=progress.update)
    except CommandFailed as error:
        error.hint = "On Debian and Ubuntu this is mended by: apt-get install -y python3-venv"
        raise


def _works(python: Path) -> bool:
    """Whether an interpreter starts, has pip, and is of a version that we support."""
    probe = "import pip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
    try:
        return subprocess.run([str(python), "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@dataclass(frozen=True)
class TorchChoice:
    """What pip would install for torch, as its dry run reports it."""

    version: str
    cuda: bool
    download_bytes: int
    """Zero if nothing has to be fetched."""

    @property
    def text(self) -> str:
        build = "CUDA build" if self.cuda else "CPU build"
        size = gigabytes(self.download_bytes)
        return f"torch {self.version}, {build}: {size} to fetch or copy"


def choose_torch(report: dict[str, list[dict[str, dict[str, str]]]]) -> TorchChoice | None:
    """Read pip's installation report; None if torch is there already."""
    found = {entry["metadata"]["name"]: entry for entry in report["install"]}
    if "torch" not in found:
        return None
    torch = found["torch"]
    cuda = any(name.startswith(("nvidia-", "cuda-")) for name in found)
    address = urlparse(torch["download_info"]["url"])
    wheel = Path(unquote(address.path))
    if address.scheme == "file" and wheel.is_file():
        size = wheel.stat().st_size
    else:
        size = TORCH_CUDA_BYTES if cuda else TORCH_CPU_BYTES
    return TorchChoice(torch["metadata"]["version"], cuda, size)


def install_torch(layout: Layout, progress: Progress) -> None:
    """Install torch by plain pip: a CPU build if pip's configuration offers one, else what the index has."""
    pip = Pip(layout, progress)
    requirement = pinned(layout.constraints, "torch")
    report = layout.venv_markers / "torch_report.json"
    report.parent.mkdir(exist_ok=True)
    progress.update("asking pip which build fits this machine")
    pip.run(
        "install",
        "--dry-run",
        "--no-input",
        "-c",
        str(layout.constraints),
        "--report",
        str(report),
        requirement,
    )
    choice = choose_torch(json.loads(report.read_text()))
    if choice is None:
        return
    progress.note(choice.text)
    for line in torch_notes(choice, has_nvidia_gpu()):
        progress.note(line)
    needed = CUDA_ENVIRONMENT_BYTES if choice.cuda else ENVIRONMENT_BYTES
    require_space(layout.root, needed, "The installation")
    pip.install(requirement)


def torch_notes(choice: TorchChoice, gpu: bool) -> list[str]:
    """What a person should know about the build of torch on this machine."""
    if choice.cuda and not gpu:
        return [
            "No NVIDIA GPU was found, but the package index has only this build for Linux; it runs anyway.",
            "A CPU wheel of this version that pip finds (PIP_FIND_LINKS=FOLDER) is taken instead.",
        ]
    if gpu and not choice.cuda and sys.platform == "linux":
        return [
            "There is an NVIDIA GPU, but pip's configuration offers a CPU build: the model runs on the CPU."
        ]
    return []


def has_nvidia_gpu() -> bool:
    """Whether the NVIDIA driver's own tool lists a GPU."""
    return bool(nvidia_gpus())


def nvidia_gpus() -> list[str]:
    """Name and total memory of each GPU, as ``nvidia-smi`` prints them; empty without a driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    result = subprocess.run(query, capture_output=True, text=True, check=False)
    return result.stdout.splitlines() if result.returncode == 0 else []


def install_packages(layout: Layout, wanted: str, progress: Progress) -> None:
    """Install this project (editable) with everything that it imports, and check that it fits together."""
    pip = Pip(layout, progress)
    pip.install("-e", wanted)
    progress.update("checking that the packages fit together")
    pip.run("check")
