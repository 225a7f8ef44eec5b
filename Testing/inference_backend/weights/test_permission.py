"""Without consent nothing of the catalogue is loaded, by whichever door; a person's own weights are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_backend.experts.weights import WeightsAt
from inference_backend.runtime.model_process import LoadVilaM3
from inference_backend.vila_m3.engine import VilaM3Engine
from inference_backend.vila_m3.loading import load_model
from inference_backend.weights.candidates import Candidate
from inference_backend.weights.catalogue import Entry, read_catalogue
from inference_backend.weights.errors import ConsentNeeded
from inference_backend.weights.folder import FOLDER_VARIABLE, WeightsFolder
from Testing.inference_backend.weights.placed import consent, put

CATALOGUE = read_catalogue()
ENTRY = CATALOGUE["VILA-M3-3B"]


def load_for_the_service(folder: Path) -> Any:
    """As the model's process does, also where the one that started it did not look."""
    return LoadVilaM3((Candidate(folder),), "cpu")()


DOORS = (load_model, VilaM3Engine, load_for_the_service)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightsFolder:
    """This machine's weights folder, empty."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "here"))
    return WeightsFolder()


@pytest.fixture
def checkpoint(golden: Path) -> Path:
    return golden / "s3_vicuna3b" / "checkpoint"


@pytest.fixture
def downloaded(here: WeightsFolder, checkpoint: Path) -> Path:
    """A checkpoint that can be loaded, in the place and with the record of a released one."""
    shutil.copytree(checkpoint, here.path(ENTRY))
    return put(here, ENTRY)


@pytest.mark.parametrize("load", DOORS)
def test_a_downloaded_model_is_loaded_only_after_consent(
    here: WeightsFolder, downloaded: Path, load: Callable[[Path], Any]
) -> None:
    with pytest.raises(ConsentNeeded, match="licence of VILA-M3-3B is not accepted") as refused:
        load(downloaded)
    assert f"weights accept VILA-M3-3B --from {downloaded}" in refused.value.hint
    consent(here, ENTRY)
    assert load(downloaded) is not None


def test_a_licence_that_was_changed_or_taken_away_is_not_the_one_that_was_accepted(
    here: WeightsFolder, downloaded: Path
) -> None:
    consent(here, ENTRY)
    licence = downloaded / ENTRY.licence.files[0]
    licence.write_text("Other terms.")
    with pytest.raises(ConsentNeeded, match="not accepted"):
        load_model(downloaded)
    licence.unlink()
    with pytest.raises(ConsentNeeded, match="without its licence text"):
        load_model(downloaded)


@pytest.mark.parametrize("place", [WeightsFolder.path, WeightsFolder.unfinished])
def test_what_lies_in_a_models_place_is_that_model_whatever_record_is_lost(
    here: WeightsFolder, checkpoint: Path, tmp_path: Path, place: Callable[[WeightsFolder, Entry], Path]
) -> None:
    shutil.copytree(checkpoint, place(here, ENTRY))
    (tmp_path / "link").symlink_to(place(here, ENTRY))
    for folder in (place(here, ENTRY), tmp_path / "link"):
        with pytest.raises(ConsentNeeded, match="VILA-M3-3B"):
            load_model(folder)


@pytest.mark.parametrize("load", DOORS)
def test_a_researchers_own_folder_needs_no_consent(
    here: WeightsFolder, checkpoint: Path, tmp_path: Path, load: Callable[[Path], Any]
) -> None:
    own = shutil.copytree(checkpoint, here.root / "my model")
    (own / "LICENSE").write_text("Mine.")
    assert load(own) is not None
    assert not here.consents.file.exists()


def test_an_experts_weights_that_are_given_as_a_folder_need_consent_too(
    here: WeightsFolder, tmp_path: Path
) -> None:
    expert = CATALOGUE["VISTA3D"]
    downloaded = put(here, expert)
    with pytest.raises(ConsentNeeded, match="VISTA3D"):
        WeightsAt(downloaded).folder()
    consent(here, expert)
    assert WeightsAt(downloaded).folder() == downloaded
    assert WeightsAt(tmp_path).folder() == tmp_path
