"""The catalogue is complete, and nothing in it can run code that we did not mean to run."""

from __future__ import annotations

import re

import pytest

from inference_backend.weights.catalogue import Entry, Kind, read_catalogue
from VILAM3SlicerLib.protocol.errors import NotFound

CATALOGUE = read_catalogue()
RELEASED = [entry for entry in CATALOGUE if entry.kind is Kind.VILA_M3]


def test_it_names_the_released_models_the_experts_and_the_demo() -> None:
    assert [entry.id for entry in CATALOGUE] == [
        "VILA-M3-3B",
        "VILA-M3-8B",
        "VILA-M3-13B",
        "demo",
        "VISTA3D",
        "BRATS",
        "CXR",
    ]


@pytest.mark.parametrize("entry", list(CATALOGUE), ids=lambda entry: entry.id)
def test_every_entry_says_what_a_person_must_know(entry: Entry) -> None:
    assert entry.title
    assert entry.licence.name
    assert entry.size > 10_000_000
    assert entry.source
    assert entry.hub is None or re.fullmatch(r"[0-9a-f]{7,40}", entry.hub.revision)
    assert not entry.licence.needs_consent or entry.licence.files
    assert all(entry.needs(path) for path in entry.licence.files) or entry.hub is None


@pytest.mark.parametrize("entry", RELEASED, ids=lambda entry: entry.id)
def test_of_a_released_model_all_that_it_needs_is_taken_and_no_pickle(entry: Entry) -> None:
    assert all(entry.needs(path) for path in entry.files)
    assert entry.licence.needs_consent
    for path in (
        "trainer_state.json",
        "pytorch_model.bin",
        "llm/model.pt",
        "optimizer.pt",
        ".gitattributes",
        "x.py",
    ):
        assert not entry.needs(path), path


@pytest.mark.parametrize(("name", "gigabytes"), [("3B", 6.3), ("8B", 17.0), ("13B", 27.0)])
def test_sizes_are_those_of_the_release(name: str, gigabytes: float) -> None:
    assert CATALOGUE[f"VILA-M3-{name}"].size == pytest.approx(gigabytes * 1e9, rel=0.01)


def test_names_are_found_in_any_case_and_a_wrong_one_is_told_the_right_ones() -> None:
    assert CATALOGUE["vila-m3-8b"].id == "VILA-M3-8B"
    with pytest.raises(NotFound) as raised:
        CATALOGUE["VILA-M3-40B"]
    assert "VILA-M3-13B" in raised.value.hint
