"""Damaged and foreign checkpoint folders are refused with a message that names the cause."""

from __future__ import annotations

import json
import pickle
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference_backend.vila_m3.checkpoint import read_checkpoint
from inference_backend.vila_m3.loading import load_model
from inference_backend.vila_m3.messages import Message
from VILAM3SlicerLib.protocol.errors import CheckpointError, InvalidRequest, ModelError


def change_json(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture
def folder(copy_of_checkpoint: Callable[[str], Path]) -> Path:
    return copy_of_checkpoint("s3_vicuna3b")


def assert_refused(folder: Path, named: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(named)) as caught:
        load_model(folder)
    assert caught.value.hint
    assert caught.value.code == "checkpoint_unusable"


def test_missing_folder_is_named(tmp_path: Path) -> None:
    assert_refused(tmp_path / "nowhere", "nowhere")


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "llm/config.json",
        "llm/model-00002-of-00002.safetensors",
        "llm/tokenizer.model",
        "llm/tokenizer_config.json",
        "mm_projector/config.json",
        "mm_projector/model.safetensors",
        "vision_tower/preprocessor_config.json",
    ],
)
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert_refused(folder, Path(name).name)


@pytest.mark.parametrize("name", ["llm/model-00001-of-00002.safetensors", "vision_tower/model.safetensors"])
@pytest.mark.parametrize("kept", [0, 5, 0.5, 0.999])
def test_truncated_weights_are_refused(folder: Path, name: str, kept: float) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    assert_refused(folder, Path(name).name)


@pytest.mark.parametrize("name", ["config.json", "llm/config.json", "llm/tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b""])
def test_rubbish_in_place_of_json_is_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    assert_refused(folder, name)


@pytest.mark.parametrize("content", [b"", b"rubbish" * 99])
def test_rubbish_in_place_of_a_sentencepiece_model_is_refused(folder: Path, content: bytes) -> None:
    (folder / "llm/tokenizer.model").write_bytes(content)
    assert_refused(folder, "tokenizer.model")


def test_rubbish_in_place_of_a_bpe_tokenizer_is_refused(copy_of_checkpoint: Callable[[str], Path]) -> None:
    folder = copy_of_checkpoint("s8_llama3")
    (folder / "llm/tokenizer.json").write_bytes(b"{}")
    assert_refused(folder, "tokenizer.json")


@pytest.mark.parametrize(
    ("name", "values", "named"),
    [
        ("mm_projector/config.json", {"mm_projector_type": "mlp2x_gelu"}, "mlp2x_gelu"),
        ("config.json", {"model_type": "llava_mistral"}, "llava_mistral"),
        ("config.json", {"s2": True}, "s2"),
        ("config.json", {"image_aspect_ratio": "pad"}, "'pad'"),
        ("config.json", {"mm_vision_select_layer": -9}, "layer -9"),
        ("config.json", {"mm_vision_select_layer": "last"}, "layer last"),
        ("config.json", {"mm_vision_select_feature": "patch"}, "'patch'"),
        ("config.json", {"conversation_template": "hermes-2"}, "hermes-2"),
        ("config.json", {"prompt_layout": "scattered"}, "scattered"),
        ("llm/config.json", {"architectures": ["MistralForCausalLM"]}, "MistralForCausalLM"),
        ("llm/config.json", {"max_position_embeddings": None}, "max_position_embeddings"),
        ("llm/config.json", {"tokenizer_model_max_length": "long"}, "tokenizer_model_max_length"),
        ("vision_tower/config.json", {"patch_size": 0}, "patch_size"),
        ("vision_tower/config.json", {"patch_size": 500}, "patches"),
        ("vision_tower/preprocessor_config.json", {"size": {"height": 336, "width": 336}}, "336"),
        ("vision_tower/preprocessor_config.json", {"image_mean": [0.5]}, "image_mean"),
    ],
)
def test_another_architecture_is_refused(folder: Path, name: str, values: dict[str, Any], named: str) -> None:
    change_json(folder / name, **values)
    assert_refused(folder, named)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("llm/config.json", {"hidden_size": 48}),
        ("llm/config.json", {"num_hidden_layers": 5}),
        ("llm/config.json", {"vocab_size": 800}),
        ("llm/config.json", {"num_attention_heads": "two"}),
        ("vision_tower/config.json", {"num_hidden_layers": 4}),
    ],
)
def test_weights_that_do_not_fit_the_configuration_are_refused(
    folder: Path, name: str, values: dict[str, Any]
) -> None:
    change_json(folder / name, **values)
    assert_refused(folder, Path(name).parts[0])


def test_projector_with_a_tensor_missing_is_refused(folder: Path) -> None:
    path = folder / "mm_projector/model.safetensors"
    tensors = load_file(path)
    del tensors["layers.4.bias"]
    save_file(tensors, path)
    assert_refused(folder, "layers.4.bias")


def test_shard_that_lacks_a_promised_tensor_is_refused(folder: Path) -> None:
    path = folder / "llm/model-00002-of-00002.safetensors"
    tensors = load_file(path)
    del tensors["lm_head.weight"]
    save_file(tensors, path)
    assert_refused(folder, "lm_head.weight")


def test_tied_embeddings_need_no_output_weights(folder: Path) -> None:
    change_json(folder / "llm/config.json", tie_word_embeddings=True)
    (folder / "llm/model.safetensors.index.json").unlink()
    shards = [load_file(path) for path in sorted((folder / "llm").glob("*.safetensors"))]
    tensors = {name: tensor for shard in shards for name, tensor in shard.items() if name != "lm_head.weight"}
    save_file(tensors, folder / "llm/model.safetensors", {"format": "pt"})
    llm = load_model(folder).llm
    assert torch.equal(llm.lm_head.weight, llm.model.embed_tokens.weight)


@pytest.mark.parametrize("shard", ["../config.json", "/etc/hostname"])
def test_index_that_points_outside_is_refused(folder: Path, shard: str) -> None:
    change_json(folder / "llm/model.safetensors.index.json", weight_map={"lm_head.weight": shard})
    assert_refused(folder, "outside")


class _WritesAFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_pickled_weights_are_never_opened(folder: Path, tmp_path: Path) -> None:
    trap = tmp_path / "unpickled"
    for name in ("llm", "vision_tower", "mm_projector"):
        for weights in (folder / name).glob("*.safetensors*"):
            weights.unlink()
        (folder / name / "pytorch_model.bin").write_bytes(pickle.dumps(_WritesAFile(trap)))
    assert_refused(folder, "pickle")
    assert not trap.exists()


def test_loading_opens_no_connection(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load_model(folder)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("device", ["cuda", "nonsense"])
def test_device_that_is_not_there_is_named(folder: Path, device: str) -> None:
    with pytest.raises(ModelError, match=device) as caught:
        load_model(folder, device=device)
    assert not isinstance(caught.value, CheckpointError)


def test_unknown_precision_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="float8"):
        load_model(folder, precision="float8")


@pytest.mark.parametrize(
    ("values", "layout"),
    [({}, "training"), ({"demo_model": True}, "lines"), ({"prompt_layout": "published"}, "published")],
)
def test_layout_of_prompts_is_the_checkpoints(folder: Path, values: dict[str, Any], layout: str) -> None:
    change_json(folder / "config.json", **values)
    assert read_checkpoint(folder).prompt_layout == layout


def test_facts_are_read_from_the_files(folder: Path) -> None:
    change_json(folder / "config.json", demo_model=True, display_name="Tiny", conversation_template="llama_3")
    checkpoint = read_checkpoint(folder)
    assert (checkpoint.display_name, checkpoint.is_demo) == ("Tiny", True)
    assert (checkpoint.patch_grid, checkpoint.tokens_per_image) == (27, 196)
    assert checkpoint.context_length == 4096
    assert load_model(folder).template.name == "llama_3"


def test_prompt_with_images_is_cut_where_the_checkpoint_says(folder: Path) -> None:
    change_json(folder / "llm/config.json", tokenizer_model_max_length=230)
    model = load_model(folder)
    ids = model.input_ids(model.prompt([Message("user", "<image>" + "word " * 99)]))
    features = torch.zeros(1, 196, 32)
    assert len(model.inputs_embeds(ids, features)) == 230
    assert len(model.inputs_embeds(ids, features, truncate=False)) == len(ids) + 195
    text_only = [token_id for token_id in ids if token_id >= 0] * 2
    assert len(model.inputs_embeds(text_only)) == len(text_only) > 230
