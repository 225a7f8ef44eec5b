"""Experts are found, and broken ones reported, never fatal."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType, SimpleNamespace

import pytest

from inference_backend.conversation.model_cards import ModelCard
from inference_backend.experts.interface import ENTRY_POINT_GROUP, Expert
from inference_backend.experts.registry import ExpertRegistry, installed_experts, registry_of
from VILAM3SlicerLib.protocol.errors import ExpertError, NotFound


def fake_expert(name: str, unavailable_because: str = "") -> Expert:
    return SimpleNamespace(
        card=ModelCard(name, "CT", "segmentation", "", ""),
        version="1",
        tells_sizes=False,
        unavailable_because=unavailable_because,
        load=lambda device: None,
        run=lambda *arguments: None,
    )


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("a_plug_in")
    monkeypatch.setitem(sys.modules, "a_plug_in", module)
    return module


def point(name: str) -> EntryPoint:
    return EntryPoint(name, f"a_plug_in:{name}", ENTRY_POINT_GROUP)


def test_the_expert_of_this_package_is_found_whatever_the_case() -> None:
    registry = installed_experts()
    assert registry.find(" ct_Tissue ").card.name == "CT_TISSUE"
    assert "CT_TISSUE" in [expert.card.name for expert in registry.available()]


def test_broken_plug_ins_are_reported_with_their_reason(plug_in: ModuleType) -> None:
    def raises() -> Expert:
        raise RuntimeError("weights of another version")

    plug_in.good = lambda: fake_expert("GOOD")
    plug_in.raises = raises
    plug_in.wrong = object
    registry = registry_of([point("wrong"), point("raises"), point("missing"), point("good")])
    assert [expert.card.name for expert in registry.available()] == ["GOOD"]
    assert "weights of another version" in registry.find("raises").unavailable_because
    assert registry.find("missing").unavailable_because
    assert registry.find("wrong").unavailable_because
    with pytest.raises(ExpertError, match="cannot be loaded"):
        registry.find("missing").load("cpu")


def test_an_expert_that_cannot_run_is_listed_but_not_available() -> None:
    registry = ExpertRegistry([fake_expert("A"), fake_expert("B", "its weights are missing")])
    assert [expert.card.name for expert in registry.experts] == ["A", "B"]
    assert [expert.card.name for expert in registry.available()] == ["A"]


def test_the_first_of_two_with_the_same_name_counts() -> None:
    first, second = fake_expert("Same"), fake_expert("SAME")
    assert ExpertRegistry([first, second]).experts == (first,)


def test_an_unknown_name_is_refused_with_what_there_is() -> None:
    with pytest.raises(NotFound) as error:
        ExpertRegistry([fake_expert("A"), fake_expert("B", "broken")]).find("C")
    assert error.value.hint == "Available experts: A."
