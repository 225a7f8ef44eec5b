"""Weights at each precision: what they become, how far the results move, how they are loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from inference_backend.vila_m3.loading import load_model
from inference_backend.vila_m3.precision import Precision
from inference_backend.vila_m3.projector import Projector
from VILAM3SlicerLib.protocol.errors import InvalidRequest, ModelError

needs_bitsandbytes = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="bitsandbytes exists for Linux and Windows"
)
TEXT = "The liver is enlarged; the spleen and both kidneys are of normal size."


def logits_of(model: Any) -> torch.Tensor:
    embeds = model.inputs_embeds(model.input_ids(TEXT))
    with torch.inference_mode():
        logits: torch.Tensor = model.llm(inputs_embeds=embeds[None]).logits[0].float()
    return logits


@pytest.fixture(scope="module")
def enlarged(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose layers are wide enough for the blocks of 64 weights that share a scale."""
    folder = tmp_path_factory.mktemp("enlarged") / "checkpoint"
    shutil.copytree(golden / "s3_vicuna3b" / "checkpoint", folder)
    enlarge(folder, shards=2, intermediate_size=512)
    return folder


@needs_bitsandbytes
@pytest.mark.parametrize(
    ("precision", "stored", "bound"), [("int8", torch.int8, 0.05), ("nf4", torch.uint8, 0.35)]
)
def test_quantised_linear_layers_stay_near_the_exact_ones(
    enlarged: Path, precision: str, stored: torch.dtype, bound: float
) -> None:
    quantised = load_model(enlarged, "cpu", precision)
    assert quantised.llm.model.layers[0].mlp.down_proj.weight.dtype == stored
    assert quantised.llm.lm_head.weight.dtype.is_floating_point
    assert quantised.vision_tower.dtype == quantised.projector.layers[2].weight.dtype == quantised.dtype
    expected = logits_of(load_model(enlarged))
    # Errors of a layer (1 % and 10 %) add up over some ten layers; unrelated models differ by 1.4.
    error = (logits_of(quantised) - expected).square().mean().sqrt() / expected.std()
    assert 0 < error < bound


@needs_bitsandbytes
def test_nf4_error_of_a_layer_is_that_of_four_bits(enlarged: Path) -> None:
    models = [load_model(enlarged, "cpu", precision) for precision in (Precision.FP32, Precision.NF4)]
    inputs = torch.randn(50, 256, generator=torch.Generator().manual_seed(3))
    expected, found = (model.llm.model.layers[0].self_attn.q_proj(inputs) for model in models)
    relative = (found - expected).norm() / expected.norm()
    assert 0.07 < relative < 0.12  # normally distributed weights at 4 bits


def test_quantisation_without_bitsandbytes_says_what_to_do(
    golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference_backend.vila_m3.quantisation.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="bitsandbytes") as caught:
        load_model(golden / "s3_vicuna3b" / "checkpoint", "cpu", "nf4")
    assert "bf16" in caught.value.hint


@pytest.mark.parametrize("name", ["float16", "4bit", ""])
def test_unknown_precision_is_refused_with_the_known_ones(golden: Path, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        load_model(golden / "s3_vicuna3b" / "checkpoint", "cpu", name)
    assert "fp32, bf16, fp16, int8, nf4" in caught.value.hint


_LOAD_AND_WATCH = """
import ctypes, psutil, resource, sys, threading, time
import torch, transformers
from transformers.models.llama.modeling_llama import LlamaForCausalLM
from transformers.models.siglip.modeling_siglip import SiglipVisionModel
from inference_backend.vila_m3.loading import load_model

def own():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

before, peak, done = own(), 0, False
def watch():
    global peak
    while not done:
        peak = max(peak, own())
        time.sleep(0.001)
thread = threading.Thread(target=watch)
thread.start()
model = load_model(sys.argv[1], "cpu", sys.argv[2])
done = True
thread.join()
size = sum(p.nbytes for part in (model.llm, model.vision_tower, model.projector) for p in part.parameters())
print(size, peak - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_weights_are_never_twice_in_memory(copy_of_checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copy_of_checkpoint("s3_vicuna3b")
    enlarge(folder, shards=4, intermediate_size=8 * 1024)
    script = tmp_path / "load.py"
    script.write_text(_LOAD_AND_WATCH)
    run = subprocess.run([sys.executable, script, folder, "bf16"], capture_output=True, text=True, check=True)
    size, grown = map(int, run.stdout.split())
    assert size > 90e6
    assert grown < 1.35 * size  # a shard of a quarter may be on its way


def enlarge(folder: Path, shards: int, intermediate_size: int) -> None:
    """Give a checkpoint a wider language model of two layers a shard, with random weights."""
    for path in (folder / "llm").glob("*.safetensors*"):
        path.unlink()
    path = folder / "llm" / "config.json"
    config = json.loads(path.read_text())
    config |= {"num_hidden_layers": shards * 2, "intermediate_size": intermediate_size, "hidden_size": 256}
    config |= {"num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 32}
    path.write_text(json.dumps(config))
    torch.manual_seed(0)
    weights = LlamaForCausalLM(LlamaConfig(**config)).state_dict()
    weight_map = {}
    for shard in range(shards):
        name = f"model-{shard:05}.safetensors"
        part = {key: weights[key] for index, key in enumerate(weights) if index % shards == shard}
        save_file(part, folder / "llm" / name, {"format": "pt"})
        weight_map |= dict.fromkeys(part, name)
    index = folder / "llm" / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    vision = json.loads((folder / "vision_tower" / "config.json").read_text())
    projector = Projector(vision["hidden_size"], 256).state_dict()
    save_file(projector, folder / "mm_projector" / "model.safetensors", {"format": "pt"})
