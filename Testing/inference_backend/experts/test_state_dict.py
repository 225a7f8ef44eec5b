"""Weights are read as plain tensors; a file that would run code is refused unread."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from inference_backend.experts.state_dict import fill, read_state_dict
from VILAM3SlicerLib.protocol.errors import ExpertError


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


def test_the_same_tensors_from_every_kind_of_file(tmp_path: Path) -> None:
    tensors = {"weight": torch.arange(6.0).reshape(2, 3)}
    torch.save(tensors, tmp_path / "a.pt")
    torch.save({"model": tensors}, tmp_path / "b.pt")
    save_file(tensors, tmp_path / "c.safetensors")
    for name in ("a.pt", "b.pt", "c.safetensors"):
        assert torch.equal(read_state_dict(tmp_path / name)["weight"], tensors["weight"])


def test_a_file_that_would_run_code_does_not(tmp_path: Path) -> None:
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "run")))
    torch.save({"weight": torch.zeros(1), "more": Bomb(tmp_path / "run")}, tmp_path / "torch.pt")
    for name in ("plain.pt", "torch.pt"):
        with pytest.raises(ExpertError, match="damaged or not plain tensors"):
            read_state_dict(tmp_path / name)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_damaged_file_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"half of a downl")
    with pytest.raises(ExpertError):
        read_state_dict(tmp_path / name)


def test_other_things_than_tensors_are_told(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    with pytest.raises(ExpertError, match="named tensors"):
        read_state_dict(tmp_path / "list.pt")


def test_weights_of_another_network_are_told() -> None:
    with pytest.raises(ExpertError, match="another network"):
        fill(torch.nn.Linear(2, 2), {"weight": torch.zeros(3, 3)}, "model.pt")
