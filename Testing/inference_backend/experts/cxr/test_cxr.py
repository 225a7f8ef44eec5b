"""Eight models with random weights: conversion and votes."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from inference_backend.conversation.model_cards import CXR
from inference_backend.experts.cxr import VOTE_VARIABLE, create
from inference_backend.experts.cxr.convert import convert, main
from inference_backend.experts.cxr.ensemble import (
    FINDINGS,
    MEMBERS,
    RESNET,
    Ensemble,
    empty_network,
    member,
)
from inference_backend.experts.cxr.expert import Cxr
from inference_backend.experts.feedback import feedback
from inference_backend.experts.interface import ENTRY_POINT_GROUP, ExpertRequest
from inference_backend.experts.registry import registry_of
from inference_backend.experts.state_dict import read_state_dict
from inference_backend.experts.weights import WeightsAt
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.cxr.released import released_names
from VILAM3SlicerLib.protocol.errors import ExpertError

SHOWN = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Columns to the patient's left, rows to the back: how a radiograph without geometry is loaded."""


class Constant(nn.Module):
    """A network with given logits, and last layers named as in the DenseNets and in the ResNet."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self._logits = torch.tensor([logits])
        self.layer4, self.fc = nn.Identity(), nn.Linear(2, len(FINDINGS))
        self.class_layers = nn.ModuleDict({"relu": nn.Identity(), "out": nn.Linear(2, len(FINDINGS))})

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        for layer in (self.layer4, self.class_layers["relu"]):
            layer(torch.ones(1, 2, 3, 3))
        return self._logits


@pytest.fixture(scope="module")
def logits() -> dict[str, list[float]]:
    generator = np.random.default_rng(9)
    return {name: generator.normal(-2, 1, len(FINDINGS)).tolist() for name in MEMBERS}


@pytest.fixture(scope="module")
def cxr(logits: dict[str, list[float]]) -> Cxr:
    return loaded(logits)


def loaded(logits: dict[str, list[float]], as_published: bool = False) -> Cxr:
    members = [member(name, Constant(logits[name])) for name in MEMBERS]
    expert = Cxr(WeightsAt(Path()), as_published, lambda folder, device: Ensemble(members, device))
    expert.load("cpu")
    return expert


@pytest.fixture(scope="module")
def image() -> Volume:
    pixels = np.random.default_rng(1).integers(0, 255, (120, 100, 1)).astype(np.uint8)
    return Volume(pixels, SHOWN)


def votes(expert: Cxr, volume: Volume) -> dict[str, float]:
    found = expert.run(ExpertRequest("", volume), lambda fraction, words: None, lambda: False)
    return {finding.name: finding.probability for finding in found.findings}


def test_the_published_list_is_told(cxr: Cxr, image: Volume) -> None:
    found = cxr.run(ExpertRequest("", image), lambda fraction, words: None, lambda: False)
    lines = feedback(found, [], tells_sizes=False).text.splitlines()
    assert lines[0] == "The resulting predictions are:"
    assert [line.partition(":")[0] for line in lines[1:4]] == ["atelectasis", "cardiomegaly", "consolidation"]
    assert lines[-1] == "."
    assert len(lines) == 20


def test_votes_are_the_published_rule_or_only_of_those_who_know(
    cxr: Cxr, logits: dict[str, list[float]], image: Volume
) -> None:
    black = torch.zeros(1, 1, 8, 8)
    single = {name: member(name, Constant(each)).probabilities(black) for name, each in logits.items()}
    place = FINDINGS.index
    four = [f"densenet121-res224-{name}" for name in ("all", "chex", "pc")] + [RESNET]
    told, as_published = votes(cxr, image), votes(loaded(logits, as_published=True), image)
    assert told["pneumothorax"] == pytest.approx(single[RESNET][place("Pneumothorax")])
    edema = np.mean([single[name][place("Edema")] for name in four])
    assert told["edema"] == as_published["edema"] == pytest.approx(edema)
    hernia = {name: single[name][place("Hernia")] for name in MEMBERS}
    assert as_published["hernia"] == pytest.approx(np.mean(list(hernia.values())))
    knowing = [value for value in hernia.values() if value != 0.5]
    assert 0 < len(knowing) < len(MEMBERS)
    assert told["hernia"] == pytest.approx(np.mean(knowing))


@pytest.mark.parametrize("name", [MEMBERS[0], RESNET])
def test_networks_compute_what_the_library_computes(name: str) -> None:
    """Against torchxrayvision 1.5.7 and torchvision 0.28.0, run once on the same numbers as weights."""
    expected = json.loads(Path(__file__).with_name("torchxrayvision.json").read_text())[name]
    network = empty_network(name)
    fill_with_waves(network.state_dict(), released_names(network, name))
    one = member(name, network.eval())
    pixels = torch.sin(torch.arange(300 * 300, dtype=torch.float64) * 0.013).reshape(1, 1, 300, 300)
    picture = Ensemble([one], "cpu").pictures(pixels[0, 0].float().numpy() * 1000)[one.resolution]
    with torch.no_grad():
        np.testing.assert_allclose(network(picture)[0], expected["logits"], rtol=1e-3, atol=0.05)
        np.testing.assert_allclose(one.probabilities(picture), expected["probabilities"], atol=1e-3)


def fill_with_waves(tensors: dict[str, torch.Tensor], released: dict[str, str]) -> None:
    """Weights that two programs can make alike: sine waves, numbered by the released names."""
    for number, key in enumerate(sorted(tensors, key=lambda key: released[key])):
        tensor = tensors[key]
        if not tensor.is_floating_point():
            tensor.zero_()
            continue
        wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 0.7 + number)
        wave = wave.reshape(tensor.shape)
        if key.endswith("running_var"):
            tensor.copy_(1.5 + 0.5 * wave)
        elif tensor.dim() > 1:
            tensor.copy_(wave * (2.0 / tensor[0].numel()) ** 0.5)
        else:
            tensor.copy_(1 + 0.2 * wave if key.endswith("weight") else 0.1 * wave)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (tmp_path / "run",)

    torch.save({"layer": Bomb()}, tmp_path / "bomb.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb()))
    for name in ("bomb.pt", "plain.pt"):
        with pytest.raises(ExpertError, match="more than layers"):
            convert(tmp_path / name, tmp_path / "converted" / "x.safetensors")
    assert not (tmp_path / "run").exists()


def test_conversion_asks_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert main([str(tmp_path)]) == 1
    assert not list(tmp_path.iterdir())
    assert main([str(tmp_path), "--yes"]) == 1  # nothing to convert: told, not raised


def test_a_pickled_model_of_the_library_becomes_plain_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file as the library released them: a whole pickled module, its class found by name."""
    package, models = ModuleType("torchxrayvision"), ModuleType("torchxrayvision.models")
    released = type("DenseNet", (torch.nn.Module,), {"__module__": models.__name__})
    models.DenseNet, package.models = released, models  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, package.__name__, package)
        patch.setitem(sys.modules, models.__name__, models)
        network = released()
        network.features = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
        network.classifier = torch.nn.Linear(2, 3)
        torch.save(network, tmp_path / "released.pt")
    command = [sys.executable, "-m", "inference_backend.experts.cxr.convert", "--one"]
    target = tmp_path / "converted" / "a.safetensors"
    subprocess.run([*command, str(tmp_path / "released.pt"), str(target)], check=True)
    found = read_state_dict(target)
    assert found.keys() == network.state_dict().keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in network.state_dict().items())


def test_unconverted_weights_are_told_with_the_command(tmp_path: Path) -> None:
    assert "weights convert CXR" in Cxr(WeightsAt(tmp_path)).unavailable_because
    assert Cxr(WeightsAt(tmp_path)).card == CXR


@pytest.mark.parametrize(
    ("said", "version"), [("", "v1"), ("known", "v1"), ("published", "v1, published vote")]
)
def test_the_vote_is_chosen_in_the_environment_and_told(
    monkeypatch: pytest.MonkeyPatch, said: str, version: str
) -> None:
    monkeypatch.setenv(VOTE_VARIABLE, said)
    assert create().version == f"torchxrayvision {version}"


def test_an_unknown_vote_is_listed_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VOTE_VARIABLE, "majority")
    point = EntryPoint("cxr", "inference_backend.experts.cxr:create", ENTRY_POINT_GROUP)
    (expert,) = registry_of([point]).experts
    assert "VILAM3_CXR_VOTE is 'majority'" in expert.unavailable_because
