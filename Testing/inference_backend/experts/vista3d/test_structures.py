"""What an argument asks for, against the published groups."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference_backend.conversation.model_cards import VISTA3D
from inference_backend.experts.vista3d.structures import NAMES, segments_of, structures_asked_for
from VILAM3SlicerLib.protocol.errors import InvalidRequest


@pytest.fixture(scope="module")
def published(golden: Path) -> dict[str, dict[str, int]]:
    groups = json.loads((golden / "label_groups.json").read_text())
    assert isinstance(groups.pop("everything"), str)  # left to the bundle
    return groups


def test_every_group_of_the_published_card_and_its_synonym(published: dict[str, dict[str, int]]) -> None:
    assert set(VISTA3D.arguments) - {"everything"} <= set(published)
    for group, labels in published.items():
        assert structures_asked_for(group.upper()).prompts == tuple(labels.values())


def test_every_single_structure_by_name(published: dict[str, dict[str, int]]) -> None:
    names = {name: label for labels in published.values() for name, label in labels.items()}
    assert {label: name for name, label in names.items()} == NAMES
    assert len(NAMES) == 127
    for name in set(names) - set(published):
        wanted = structures_asked_for(f" {name} ")
        assert (wanted.prompts, wanted.marked) == ((names[name],), names[name])


def test_everything_is_left_to_the_bundle() -> None:
    assert structures_asked_for("").prompts is structures_asked_for("Everything").prompts is None


def test_several_structures_and_plurals() -> None:
    assert structures_asked_for("liver, spleen,liver").prompts == (1, 3)
    assert structures_asked_for("lungs").prompts == (20,)


def test_a_tumour_group_takes_points_for_the_tumour() -> None:
    assert structures_asked_for("pancreatic tumor").marked == 24
    assert structures_asked_for("organs").marked is None


@pytest.mark.parametrize("argument", ["splen", "liver, splen", "prostate or uterus", "liver)("])
def test_what_is_not_known_is_refused_with_what_is(argument: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        structures_asked_for(argument)
    assert all(group in error.value.hint for group in VISTA3D.arguments)


def test_labels_without_a_name_get_no_segment() -> None:
    assert [segment.name for segment in segments_of((1, 200, 3))] == ["liver", "spleen"]


def test_terminology_is_in_slicers_list() -> None:
    trame_slicer = pytest.importorskip("trame_slicer")
    (listed,) = Path(trame_slicer.__file__).parent.rglob("*SlicerGeneralAnatomy.term.json")
    text = listed.read_text()
    coded = [segment for segment in segments_of(tuple(NAMES)) if segment.terminology]
    assert all(f'"3dSlicerLabel": "{segment.terminology}"' in text for segment in coded)
    assert len(coded) > 115
    same_name = [name for name in NAMES.values() if f'"3dSlicerLabel": "{name}"' in text]
    assert all(segment.terminology == segment.name for segment in coded if segment.name in same_name)
