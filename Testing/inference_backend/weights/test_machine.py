"""What is free, asked of a stand-in for torch where the hardware is not here, of the system where it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from inference_backend.weights import machine
from VILAM3SlicerLib.protocol.errors import ModelError

GIB = 1024**3


def torch_with_gpu(capability: tuple[int, int]) -> Any:
    """The four calls on torch's CUDA that are made."""
    cuda = SimpleNamespace(
        mem_get_info=lambda _place: (10 * GIB, 16 * GIB),
        get_device_capability=lambda _place: capability,
        get_device_name=lambda _place: "NVIDIA Something",
    )
    return SimpleNamespace(cuda=cuda)


@pytest.mark.parametrize(("capability", "has_bfloat16"), [((9, 0), True), ((8, 0), True), ((7, 5), False)])
def test_of_a_gpu_the_free_memory_counts_not_the_total(
    capability: tuple[int, int], has_bfloat16: bool
) -> None:
    found = machine._measured(torch_with_gpu(capability), SimpleNamespace(type="cuda"))
    assert (found.kind, found.name, found.free_bytes) == ("cuda", "NVIDIA Something", 10 * GIB)
    assert found.has_bfloat16 == has_bfloat16


def test_of_an_apple_gpu_what_metal_recommends_less_what_is_taken() -> None:
    mps = SimpleNamespace(recommended_max_memory=lambda: 12 * GIB, driver_allocated_memory=lambda: 2 * GIB)
    found = machine._measured(SimpleNamespace(mps=mps), SimpleNamespace(type="mps"))
    assert (found.kind, found.free_bytes, found.can_quantise) == ("mps", 10 * GIB, False)


def test_of_a_cpu_what_programs_can_still_have() -> None:
    found = machine.measure("cpu")
    assert found.kind == "cpu"
    assert found.free_bytes == pytest.approx(psutil.virtual_memory().available, rel=0.3)


@pytest.mark.gpu
def test_a_real_gpu_says_what_its_driver_says() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    outside = machine.measure_from_outside()
    assert machine.measure("cuda").free_bytes == pytest.approx(outside.free_bytes, rel=0.1)


def test_a_device_that_is_not_here_is_refused_with_a_way_out() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ModelError, match="'cuda' cannot be used") as raised:
        machine.measure("cuda")
    assert "cpu" in raised.value.hint
