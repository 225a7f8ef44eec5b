"""A backend in a folder of its own: copied, recorded, stopped and resumed, taken away without a trace."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference_backend.installation import commands, install_commands
from inference_backend.installation.errors import SetupError
from inference_backend.installation.installed import OURS, read_installed
from inference_backend.installation.layout import Layout
from inference_backend.installation.progress import Progress
from inference_backend.installation.source import FILES, FOLDERS, copy_source, source_digest, source_files
from inference_backend.installation.steps import Step
from inference_backend.store.folder import ServiceFolder
from VILAM3SlicerLib.protocol.places import store_folder, user_data_folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small checkout: a file for each that is copied, and one that is not."""
    root = tmp_path / "extension"
    for name in (*FILES, *(f"{folder}/part.py" for folder in FOLDERS), "Testing/test.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    cached = root / FOLDERS[0] / "__pycache__" / "part.pyc"
    cached.parent.mkdir()
    cached.touch()
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home of ü" / "backend"


@pytest.fixture(autouse=True)
def light_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Instead of a gigabyte from the network: files where the real steps leave theirs."""
    ran: list[str] = []
    real = install_commands.install_steps

    def steps(layout: Layout, target: Layout) -> list[Step]:
        def install(progress: Progress) -> None:
            ran.append("packages")
            progress.update("downloading torch (12 of 48 MB)")
            progress.note("CPU build")
            (target.cache / "pip").mkdir(parents=True)
            target.python.parent.mkdir(parents=True)
            target.python.touch()

        packages = Step(
            "Installing", target.venv_markers / "packages", lambda: ["1"], install, download_bytes=10**9
        )
        return [real(layout, target)[0], packages]

    monkeypatch.setattr(install_commands, "install_steps", steps)
    monkeypatch.setenv("PIP_CACHE_DIR", "of the person")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    return ran


def run(source: Path, *arguments: str) -> int:
    return commands.main(list(arguments), source)


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_plan_tells_everything_and_changes_nothing(
    source: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(source, "install", "--folder", str(folder), "--plan", "--json") == 0
    (plan,) = lines(capsys.readouterr().out)
    assert plan["state"] == "absent"
    assert plan["steps"] == ["Copying the program", "Installing"]
    assert plan["download_bytes"] == 10**9
    assert ["PyTorch", "BSD-3-Clause"] in plan["licences"]
    assert plan["folder"] == str(folder)
    assert not folder.exists()


def test_nothing_is_installed_without_consent(source: Path, folder: Path) -> None:
    assert run(source, "install", "--folder", str(folder)) == SetupError.exit_code
    assert not folder.exists()


def test_installation_is_whole_recorded_and_told_line_by_line(
    source: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(source, "install", "--folder", str(folder), "--yes", "--json") == 0
    told = lines(capsys.readouterr().out)
    steps = [(line["title"], line["state"]) for line in told if line["kind"] == "step"]
    assert steps[0] == ("Copying the program", "running")
    assert steps[-1] == ("Installing", "done")
    assert {"kind": "note", "text": "CPU build"} in told
    assert told[-1]["kind"] == "installed"
    record = read_installed(folder)
    assert record is not None
    assert record.state == "complete"
    assert Path(record.python) == Layout(folder).python
    assert sorted(source_files(folder)) == sorted(source_files(source))
    assert not (folder / "Testing").exists()
    assert not (folder / ".cache" / "pip").exists()


def test_second_run_does_nothing_and_a_new_version_is_copied(
    source: Path, folder: Path, light_steps: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(source, "install", "--folder", str(folder), "--yes")
    run(source, "install", "--folder", str(folder), "--yes")
    assert light_steps == ["packages"]
    (source / FOLDERS[0] / "part.py").rename(source / FOLDERS[0] / "new_part.py")
    capsys.readouterr()
    run(source, "install", "--folder", str(folder), "--plan", "--json")
    (plan,) = lines(capsys.readouterr().out)
    assert plan["state"] == "outdated"
    assert plan["steps"] == ["Copying the program"]
    assert plan["download_bytes"] == 0
    run(source, "install", "--folder", str(folder), "--yes")
    assert source_digest(folder) == source_digest(source)
    assert not (folder / FOLDERS[0] / "part.py").exists()


def test_a_folder_of_somebody_else_is_not_touched(
    source: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("all of it")
    for command in (["install", "--yes"], ["uninstall"]):
        assert run(source, *command, "--folder", str(folder), "--json") == SetupError.exit_code
        assert lines(capsys.readouterr().out)[-1]["code"] in ("folder_unusable", "not_installed")
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("inside", ["", "Testing/backend", ".."])
def test_folders_inside_each_other_are_refused(source: Path, inside: str) -> None:
    assert run(source, "install", "--folder", str(source / inside), "--yes") == SetupError.exit_code


def test_uninstalling_leaves_no_trace(source: Path, folder: Path) -> None:
    run(source, "install", "--folder", str(folder), "--yes")
    (folder / "logs").mkdir()
    (folder / FOLDERS[0] / "__pycache__").mkdir()
    with ServiceFolder(store_folder()):
        pass
    assert run(source, "uninstall", "--folder", str(folder)) == 0
    assert not folder.exists()
    assert folder.parent.exists()
    assert not user_data_folder().exists()


def test_scans_of_a_service_that_runs_are_left_alone(source: Path, folder: Path) -> None:
    run(source, "install", "--folder", str(folder), "--yes")
    with ServiceFolder(store_folder()) as service:
        assert run(source, "uninstall", "--folder", str(folder)) == 0
        assert service.path.exists()


def test_uninstalling_leaves_what_is_not_ours_and_where_links_lead(
    source: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(source, "install", "--folder", str(folder), "--yes")
    elsewhere = tmp_path / "weights on the large disk"
    elsewhere.mkdir()
    (elsewhere / "weights.bin").write_text("large")
    (folder / "logs").symlink_to(elsewhere)
    (folder / "notes.txt").write_text("mine")
    assert run(source, "uninstall", "--folder", str(folder)) == 0
    assert "notes.txt" in capsys.readouterr().out
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert (elsewhere / "weights.bin").exists()


def test_weights_can_be_kept_and_are_found_by_the_next_installation(source: Path, folder: Path) -> None:
    run(source, "install", "--folder", str(folder), "--yes")
    weights = folder / ".cache" / "weights" / "VILA-M3-3B" / "model.bin"
    weights.parent.mkdir(parents=True)
    weights.write_text("large")
    assert run(source, "uninstall", "--folder", str(folder), "--keep-weights") == 0
    assert sorted(path.name for path in folder.iterdir()) == [".cache", "installed.json"]
    record = read_installed(folder)
    assert record is not None
    assert record.state == "unfinished"
    assert run(source, "install", "--folder", str(folder), "--yes") == 0
    assert weights.exists()
    assert run(source, "uninstall", "--folder", str(folder)) == 0
    assert not folder.exists()


def test_everything_that_is_copied_is_also_removed() -> None:
    assert {path.parts[0] for path in map(Path, (*FILES, *FOLDERS))} <= set(OURS)


WATCHED = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from inference_backend.installation import commands, install_commands
from inference_backend.installation.processes import run_quietly
from inference_backend.installation.steps import Step

def steps(layout, target):
    pip = [sys.executable, "-c", "import time; print('pip', flush=True); time.sleep(60)"]
    return [Step("Slow", target.markers / "slow", lambda: ["1"], lambda _: run_quietly(pip, print))]

install_commands.install_steps = steps
command = ["install", "--yes", "--watch-stdin", "--folder", sys.argv[4]]
sys.exit(commands.main(command, Path(sys.argv[3])))
"""


def test_closing_its_input_stops_an_installation_with_its_children(
    repository: Path, source: Path, folder: Path
) -> None:
    places = [str(repository), str(repository / "VILAM3Slicer"), str(source), str(folder)]
    began = time.monotonic()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-u", "-c", WATCHED, *places], stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        while process.stdout.readline() != "pip\n":
            assert process.poll() is None
        process.stdin.close()
        assert process.wait(20) == commands.INTERRUPTED
    assert time.monotonic() - began < 20
    record = read_installed(folder)
    assert record is not None
    assert record.state == "unfinished"


def test_copying_replaces_a_file_whole(source: Path, folder: Path) -> None:
    copy_source(source, folder)
    before = (folder / "setup_backend.py").stat().st_ino
    (source / "setup_backend.py").write_text("new")
    copy_source(source, folder)
    assert (folder / "setup_backend.py").read_text() == "new"
    assert (folder / "setup_backend.py").stat().st_ino != before
    assert not list(folder.rglob("*.part"))
