"""What may be loaded: what is here, whole and consented to; a person's word goes before ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from inference_backend.vila_m3.checkpoint import read_checkpoint
from inference_backend.weights.candidates import Candidate, candidates, choose, entry_of
from inference_backend.weights.catalogue import Catalogue, read_catalogue
from inference_backend.weights.choice import Machine
from inference_backend.weights.errors import ConsentNeeded, WeightsMissing
from inference_backend.weights.folder import WeightsFolder
from Testing.inference_backend.weights.placed import consent, put
from VILAM3SlicerLib.protocol.errors import CheckpointError, InvalidRequest, NotFound

CATALOGUE = read_catalogue()
GPU = Machine("cuda", "a GPU", 24_000_000_000, can_quantise=True)


@pytest.fixture
def catalogue() -> Catalogue:
    return CATALOGUE


def test_without_a_wish_all_that_may_be_used_is_offered(folder: WeightsFolder, catalogue: Catalogue) -> None:
    consented, refused = catalogue["VILA-M3-8B"], catalogue["VILA-M3-13B"]
    place = put(folder, consented)
    consent(folder, consented)
    put(folder, refused)
    put(folder, catalogue["CXR"])
    demo = folder.path(catalogue["demo"])
    demo.mkdir(parents=True)
    (demo / "config.json").write_text("{}")
    assert candidates(None, catalogue, folder) == (
        Candidate(place, consented),
        Candidate(demo, catalogue["demo"]),
    )


def test_a_model_without_consent_is_refused_by_name_and_by_folder(
    folder: WeightsFolder, catalogue: Catalogue, tmp_path: Path
) -> None:
    entry = catalogue["VILA-M3-3B"]
    place = put(folder, entry)
    elsewhere = shutil.copytree(place, tmp_path / "elsewhere")
    for wanted in ("vila-m3-3b", str(place), str(elsewhere)):
        with pytest.raises(ConsentNeeded) as raised:
            candidates(wanted, catalogue, folder)
        assert "setup_backend.py weights " in raised.value.hint
    consent(folder, entry)
    assert candidates("vila-m3-3b", catalogue, folder) == (Candidate(place, entry),)
    assert candidates(str(elsewhere), catalogue, folder) == (Candidate(elsewhere, entry),)


def test_a_released_model_that_others_fetched_needs_consent_too(
    folder: WeightsFolder, catalogue: Catalogue, tmp_path: Path
) -> None:
    """As ``git clone`` leaves it: no record of ours, but the licences and the language model's size."""
    entry = catalogue["VILA-M3-3B"]
    clone = tmp_path / "clone"
    (clone / "llm").mkdir(parents=True)
    config = {"hidden_size": 2560, "intermediate_size": 6912, "num_hidden_layers": 32}
    (clone / "llm/config.json").write_text(json.dumps(config))
    for file in entry.licence.files:
        (clone / file).write_text(f"{file} of {entry.id}")
    with pytest.raises(ConsentNeeded) as raised:
        candidates(str(clone), catalogue, folder)
    assert f"weights accept VILA-M3-3B --from {clone}" in raised.value.hint
    consent(folder, entry)
    assert candidates(str(clone), catalogue, folder) == (Candidate(clone, entry),)
    (clone / "llm/config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    assert candidates(str(clone), catalogue, folder) == (Candidate(clone),)


def test_what_is_not_here_says_how_to_get_it(folder: WeightsFolder, catalogue: Catalogue) -> None:
    with pytest.raises(WeightsMissing, match="VILA-M3-8B is not here") as raised:
        candidates("VILA-M3-8B", catalogue, folder)
    assert "weights download VILA-M3-8B" in raised.value.hint
    with pytest.raises(WeightsMissing, match="No model is here"):
        candidates(None, catalogue, folder)
    with pytest.raises(NotFound, match="no weights called 'VILA-M3-70B'"):
        candidates("VILA-M3-70B", catalogue, folder)


def test_an_expert_is_no_model(folder: WeightsFolder, catalogue: Catalogue) -> None:
    with pytest.raises(InvalidRequest, match="expert"):
        candidates("VISTA3D", catalogue, folder)


def test_a_persons_own_checkpoint_is_measured_by_its_own_files(
    folder: WeightsFolder, catalogue: Catalogue, golden: Path
) -> None:
    own = golden / "s8_llama3" / "checkpoint"
    (candidate,) = candidates(str(own), catalogue, folder)
    place, choice = choose((candidate,), GPU, None)
    assert place == own
    assert choice.precision == "bf16"
    shape = entry_of(read_checkpoint(own)).language_model
    config = json.loads((own / "llm/config.json").read_text())
    assert shape is not None
    assert shape.layers == config["num_hidden_layers"]
    assert shape.key_value_heads == config["num_key_value_heads"]


def test_a_folder_that_is_no_checkpoint_says_so(
    folder: WeightsFolder, catalogue: Catalogue, tmp_path: Path
) -> None:
    found = candidates(str(tmp_path / "nothing"), catalogue, folder)
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        choose(found, GPU, None)


def test_experts_have_no_claim_on_the_memory_of_a_cpu(tmp_path: Path) -> None:
    candidate = Candidate(tmp_path, CATALOGUE["VILA-M3-8B"])
    cpu = Machine("cpu", "the CPU", 24_000_000_000, can_quantise=True)
    assert choose((candidate,), cpu, None, 12_000_000_000)[1].precision == "bf16"
    assert choose((candidate,), GPU, None, 12_000_000_000)[1].precision == "int8"
