"""One ledger of device memory: the least recently used expert gives way, and that is said."""

from __future__ import annotations

import pytest

from inference_backend.conversation.model_cards import ModelCard
from inference_backend.experts.registry import UnavailableExpert
from inference_backend.runtime.loaded_experts import LoadedExperts
from VILAM3SlicerLib.protocol.errors import ExpertError


class Device:
    """Device memory in bytes."""

    def __init__(self, free: int) -> None:
        self.free = free


class Heavy(UnavailableExpert):
    """Takes its memory from the device while it is loaded."""

    def __init__(self, name: str, memory_bytes: int, device: Device) -> None:
        super().__init__(ModelCard(name, "CT", "t", "o", "a"), "")
        self.memory_bytes = memory_bytes
        self._device = device
        self.loadings = 0

    def load(self, device: str) -> None:
        self.loadings += 1
        self._device.free -= self.memory_bytes

    def unload(self) -> None:
        self._device.free += self.memory_bytes


@pytest.fixture
def device() -> Device:
    return Device(10)


def test_the_least_recently_used_gives_way_and_the_person_is_told(device: Device) -> None:
    first, second, third = (Heavy(name, 4, device) for name in ("A", "B", "C"))
    experts, said = LoadedExperts("cpu", lambda: device.free), list[str]()
    for expert in (first, second, first, third):
        experts.ready(expert, said.append)
    assert [experts.holds(expert) for expert in (first, second, third)] == [True, False, True]
    assert [expert.loadings for expert in (first, second, third)] == [1, 1, 1]
    assert said == ["B was unloaded to make room for C; it takes longer when next asked."]


def test_what_never_fits_is_refused_with_the_figures(device: Device) -> None:
    experts = LoadedExperts("cpu", lambda: device.free)
    experts.ready(Heavy("A", 4, device), lambda words: None)
    with pytest.raises(ExpertError, match=r"BIG needs 0\.0 GB") as error:
        experts.ready(Heavy("BIG", 11, device), lambda words: None)
    assert error.value.code == "out_of_memory"
    assert device.free == 10


def test_without_a_bound_everything_stays_loaded(device: Device) -> None:
    experts = LoadedExperts("cpu", lambda: None)
    heavy = [Heavy(str(number), 100, device) for number in range(5)]
    for expert in heavy:
        experts.ready(expert, lambda words: None)
    assert all(experts.holds(expert) for expert in heavy)
