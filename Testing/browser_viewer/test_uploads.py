"""Files from the browser: their names, and which of them is opened."""

from __future__ import annotations

import pytest

from browser_viewer import uploads as uploads_module
from browser_viewer.uploads import Uploads
from VILAM3SlicerLib.protocol.errors import InvalidRequest


@pytest.fixture
def uploads(tmp_path):
    return Uploads(tmp_path / "uploads")


def send(uploads: Uploads, *names: str, folder: str = "") -> None:
    uploads.begin(folder)
    for name in names:
        with uploads.new_file(name) as file:
            file.write(b"x")


def test_one_file_is_opened_under_its_own_name(uploads):
    send(uploads, "chest.nii.gz")
    assert uploads.what_to_open().name == "chest.nii.gz"


def test_a_header_is_opened_with_its_data_beside_it(uploads):
    send(uploads, "scan.raw", "scan.mhd")
    chosen = uploads.what_to_open()
    assert chosen.name == "scan.mhd"
    assert (chosen.parent / "scan.raw").exists()


def test_a_series_is_opened_as_a_folder_with_its_name(uploads):
    send(uploads, "1.dcm", "2.dcm", folder="Thorax")
    assert uploads.what_to_open().name == "Thorax"
    assert len(list(uploads.what_to_open().iterdir())) == 2


def test_equal_names_from_subfolders_are_all_kept(uploads):
    send(uploads, "0001", "0001", "0001", folder="study")
    assert len(list(uploads.what_to_open().iterdir())) == 3


@pytest.mark.parametrize(
    "name", ["../../escape.nrrd", "/etc/escape.nrrd", "..\\escape.nrrd", "a/../escape.nrrd"]
)
def test_no_name_leads_out_of_the_folder(uploads, tmp_path, name):
    send(uploads, name, folder="../..")
    assert uploads.what_to_open().name == "escape.nrrd"
    assert uploads.what_to_open().resolve().is_relative_to(tmp_path / "uploads")


def test_new_files_replace_the_old_ones(uploads):
    send(uploads, "first.nrrd")
    send(uploads, "second.nrrd")
    assert uploads.what_to_open().name == "second.nrrd"
    uploads.remove()
    assert uploads.what_to_open() is None


def test_too_much_is_refused(uploads, monkeypatch):
    monkeypatch.setattr(uploads_module, "MAX_BYTES", 10)
    uploads.begin("")
    uploads.count(10)
    with pytest.raises(InvalidRequest, match="larger than"):
        uploads.count(1)
