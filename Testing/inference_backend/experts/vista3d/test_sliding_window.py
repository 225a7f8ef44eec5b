"""The slab-wise decision against the plain way: add up all logits of all classes, then choose."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from monai.inferers import sliding_window_inference

from inference_backend.experts import vista3d
from inference_backend.experts.vista3d.memory import GIB, fit, place
from inference_backend.experts.vista3d.sliding_window import Placement, Windows, segment
from VILAM3SlicerLib.protocol.errors import InvalidRequest

LABELS = (3, 200, 7, 1)
ONE = Placement(1, torch.device("cpu"))


class Blurs:
    """Features that depend on the window's content and on the place in the window."""

    def __init__(self) -> None:
        torch.manual_seed(3)
        self.convolution = torch.nn.Conv3d(1, 5, 5, padding=2).requires_grad_(False)
        self.vectors = torch.randn(len(LABELS), 5)
        self.batches: list[int] = []

    def features(self, windows: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(windows))
        return self.convolution(windows)

    def prompt_vectors(self, labels: Sequence[int]) -> torch.Tensor:
        return self.vectors


def plain(image: torch.Tensor, network: Blurs, windows: Windows) -> torch.Tensor:
    def logits(batch: torch.Tensor) -> torch.Tensor:
        return torch.einsum("lc,bcxyz->blxyz", network.vectors, network.convolution(batch))

    averaged = sliding_window_inference(
        image[None, None], windows.size, 1, logits, windows.overlap, padding_mode=windows.padding
    )[0]
    highest, index = averaged.max(0)
    return torch.where(highest > 0, torch.tensor(LABELS)[index], 0)


@pytest.mark.parametrize("shape", [(40, 23, 31), (16, 16, 16), (17, 50, 16), (9, 30, 12), (7, 7, 7)])
@pytest.mark.parametrize("padding", ["constant", "replicate"])
@pytest.mark.parametrize("batch", [1, 3])
def test_labels_are_those_of_the_averaged_logits(shape: tuple[int, ...], padding: str, batch: int) -> None:
    image = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    network, windows = Blurs(), Windows((16, 16, 16), 0.25, padding)
    progress: list[tuple[int, int]] = []
    found = segment(
        image,
        LABELS,
        network,
        windows,
        placement=Placement(batch, torch.device("cpu")),
        after_batch=lambda done, total: progress.append((done, total)),
    )
    assert found.dtype == torch.uint8
    assert (found.long() == plain(image, network, windows)).float().mean() > 0.9999
    assert max(network.batches) <= batch
    assert sum(network.batches) == progress[0][1]
    assert [done for done, _ in progress] == sorted({done for done, _ in progress})


def test_never_more_than_a_slab_of_features_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = []
    zeros = torch.zeros

    def counting(*shape: object, **options: object) -> torch.Tensor:
        made = zeros(*shape, **options)  # type: ignore[call-overload]
        largest.append(made.numel())
        return made

    monkeypatch.setattr(torch, "zeros", counting)
    image = torch.randn(200, 20, 20)
    segment(image, LABELS, Blurs(), Windows((16, 16, 16), 0.25), placement=ONE, after_batch=lambda *_: None)
    assert max(largest) <= max(image.numel(), 5 * 16 * 20 * 20)


def test_a_person_may_stop_between_windows() -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    network = Blurs()
    with pytest.raises(KeyboardInterrupt):
        segment(
            torch.randn(60, 16, 16),
            LABELS,
            network,
            Windows((16,) * 3, 0.25),
            placement=ONE,
            after_batch=stop,
        )
    assert len(network.batches) == 2


def test_memory_is_bounded_by_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the plan for a card with 70 GiB free; on a card itself: the benchmark."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (70 * GIB, 80 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 1 * GIB)
    plans = [place((340, 340, 300), (128, 128, 128), "cuda", limit) for limit in (None, 17 * GIB, 8 * GIB)]
    assert [plan.batch for plan in plans] == [4, 2, 1]
    assert [plan.accumulate_on.type for plan in plans] == ["cuda", "cuda", "cpu"]


@pytest.mark.parametrize(("text", "limit"), [("8", 8_000_000_000), ("", None)])
def test_the_setting_is_read_from_the_environment(
    text: str, limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []
    monkeypatch.setenv("VILAM3_VISTA3D_GB", text)
    monkeypatch.setattr(vista3d, "Vista3d", lambda weights, memory_limit: asked.append(memory_limit))
    vista3d.create()
    assert asked == [limit]


def test_a_setting_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VILAM3_VISTA3D_GB", "plenty")
    with pytest.raises(InvalidRequest, match="plenty"):
        vista3d.create()


def test_less_memory_means_fewer_windows_at_once_then_sums_in_main_memory() -> None:
    shape, window = (340, 340, 300), (128, 128, 128)
    plans = [fit(shape, window, budget * GIB) for budget in (80, 16, 8, 1)]
    assert plans[0] == (4, True)
    assert plans[-1] == (1, False)
    assert [batch for batch, _ in plans] == sorted((batch for batch, _ in plans), reverse=True)
