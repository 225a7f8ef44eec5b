"""The builder makes a whole checkpoint or none, and says what is wrong."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from inference_backend.demo_model import layout
from inference_backend.demo_model.build import build, main
from inference_backend.vila_m3.checkpoint import read_checkpoint
from inference_backend.vila_m3.loading import load_model
from VILAM3SlicerLib.protocol.errors import CheckpointError, OutOfSpace


def test_the_built_checkpoint_is_complete_and_says_what_it_is(checkpoint: Path) -> None:
    read = read_checkpoint(checkpoint)
    assert read.is_demo
    assert read.display_name == layout.DISPLAY_NAME
    assert read.config["conversation_template"] == "vicuna_v1"
    assert (read.image_size, read.patch_grid, read.tokens_per_image) == (224, 7, 16)


def test_it_loads_and_its_stop_text_is_one_token(checkpoint: Path) -> None:
    model = load_model(checkpoint)
    assert len(model.tokenizer.encode("</s>")) == 1
    assert model.llm.config.vocab_size == 49152
    assert model.dtype == torch.float32


def test_nothing_is_left_beside_the_checkpoint(checkpoint: Path) -> None:
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


def test_a_missing_part_is_named_and_an_older_checkpoint_kept(tmp_path: Path) -> None:
    resources, output = tmp_path / "resources", tmp_path / "checkpoint"
    shutil.copytree(layout.RESOURCES, resources)
    (resources / layout.PROJECTOR_FILE).unlink()
    output.mkdir()
    (output / "config.json").write_text("old")
    with pytest.raises(CheckpointError, match=layout.PROJECTOR_FILE):
        build(output, resources=resources)
    assert (output / "config.json").read_text() == "old"


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1_000_000))
    with pytest.raises(OutOfSpace, match="MB"):
        build(tmp_path / "checkpoint")
    assert not list(tmp_path.iterdir())


def test_a_language_model_that_was_not_fetched_is_told_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VILAM3_DATA", str(tmp_path / "data"))
    assert main(["--output", str(tmp_path / "checkpoint")]) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / "data") in said
    assert "setup_backend.py demo" in said
    assert not list(tmp_path.iterdir())


def test_a_damaged_language_file_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + bytes(200))
    code = main(["--output", str(tmp_path / "checkpoint"), "--gguf", str(damaged)])
    assert code == 1
    assert "damaged.gguf" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["damaged.gguf"]


def test_what_is_committed_stays_under_25_megabytes() -> None:
    committed = [path for path in layout.RESOURCES.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in committed) < 25_000_000


def test_the_adapter_is_of_rank_16_on_every_linear_layer() -> None:
    config = json.loads((layout.RESOURCES / layout.ADAPTER_FOLDER / "adapter_config.json").read_text())
    assert config["r"] == 16
    assert len(config["target_modules"]) == 7
