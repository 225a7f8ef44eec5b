"""Scans that the CT experts cannot work on, asked of the service with the experts in their real process.

Each is refused with the reason before the work begins, or handled; the chat goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_backend.imaging.volume import Volume
from inference_backend.runtime.expert_process import ExpertProcess, LoadInstalledExperts
from inference_backend.runtime.model_process import ModelProcess
from Testing.inference_backend.experts.conftest import read
from Testing.inference_backend.experts.storage import cropped
from Testing.inference_backend.experts.vista3d.bundle import write_bundle
from Testing.inference_backend.experts.vista3d.test_in_a_chat import fetched
from Testing.inference_backend.runtime.workers import CallsExperts, LoadExpertsWithLittleMemory
from Testing.inference_backend.service.running import RunningService, running
from VILAM3SlicerLib.protocol.events import Answer, Event, ExpertFailed, ExpertProgress, ExpertResult
from VILAM3SlicerLib.protocol.nrrd import decode_nrrd

CALLS = ("CT_TISSUE(body)", "VISTA3D(spleen)")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """VISTA3D with small random weights, as a download would have left it."""
    folder = tmp_path_factory.mktemp("fetched")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VILAM3_WEIGHTS", str(folder))
        fetched(write_bundle(tmp_path_factory.mktemp("weights") / "vista3d"), folder / "VISTA3D")
        yield


@pytest.fixture(scope="module")
def service(weights: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    def processes(store: Any) -> tuple[Any, Any]:
        return ModelProcess(CallsExperts), ExpertProcess(LoadInstalledExperts("cpu"), store)

    with running(tmp_path_factory.mktemp("store"), backends=processes) as started:
        yield started


@pytest.fixture(scope="module")
def ct(abdomen_ct: Volume) -> Volume:
    """A piece with soft tissue, fat, bone and air."""
    return cropped(abdomen_ct, slice(0, 40), slice(30, 70), slice(80, 104))


def asked(service: RunningService, volume: Volume, call: str, modality: str = "CT") -> list[Event]:
    assert service.put(volume).status_code in (200, 201)
    events = service.events(service.ask(f"call {call}", volume=volume.content_hash, modality=modality))
    assert isinstance(events[-1].payload, Answer)
    assert events[-1].payload.text == "Done."
    return events


def refusal(events: list[Event]) -> str:
    """The message, which was also told to the model; the hint says what to do. No work was begun."""
    (failed,) = (event.payload for event in events if isinstance(event.payload, ExpertFailed))
    assert not any(isinstance(event.payload, ExpertProgress) for event in events)
    assert failed.error.hint
    assert failed.error.message in failed.feedback_text
    return f"{failed.error.message} {failed.error.hint}"


REFUSED: dict[str, tuple[Callable[[Volume], np.ndarray], str]] = {
    "two slices": (lambda ct: ct.voxels[:, :, :2], "2 slice"),
    "all air": (lambda ct: np.full_like(ct.voxels, -1000), "No body tissue"),
    "padding only": (lambda ct: np.full_like(ct.voxels, -2048), "No body tissue"),
    "intercept lost": (lambda ct: ct.voxels.clip(-1024) + np.int16(1024), "rescale intercept"),
    "intercept twice": (lambda ct: ct.voxels.clip(-1024) - np.int16(1024), "rescale intercept"),
    "no numbers": (lambda ct: np.full(ct.voxels.shape, np.nan, np.float32), "No body tissue"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_usable_ct_is_refused_with_the_reason(
    service: RunningService, ct: Volume, case: str, call: str
) -> None:
    spoil, reason = REFUSED[case]
    volume = ct.with_voxels(np.asfortranarray(spoil(ct)))
    assert reason in refusal(asked(service, volume, call))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("millimetres", [0.001, 1000.0])
def test_a_spacing_that_no_body_has_is_refused(
    service: RunningService, ct: Volume, millimetres: float, call: str
) -> None:
    volume = Volume(ct.voxels, np.diag([millimetres] * 3 + [1.0]))
    assert "the size of its voxels is not right" in refusal(asked(service, volume, call))


@pytest.mark.parametrize("call", CALLS)
def test_what_is_said_to_be_an_mri_is_refused_whatever_its_values(
    service: RunningService, ct: Volume, call: str
) -> None:
    assert "said to be MRI, not CT" in refusal(asked(service, ct, call, "MRI"))


@pytest.mark.parametrize("call", CALLS)
def test_a_real_mri_is_refused(service: RunningService, abdomen_folder: Path, call: str) -> None:
    volume = read(abdomen_folder / "example_mr_sm.nii.gz")
    assert "not Hounsfield units" in refusal(asked(service, volume, call))


@pytest.mark.parametrize("call", CALLS)
def test_holes_without_numbers_are_air(service: RunningService, ct: Volume, call: str) -> None:
    holed = ct.voxels.astype(np.float32)
    holed[:4] = np.nan
    events = asked(service, ct.with_voxels(holed), call)
    (result,) = (event.payload for event in events if isinstance(event.payload, ExpertResult))
    body = service.http.get(f"/v1/results/{result.result_id}").content
    labels = Volume.from_nrrd(decode_nrrd(body)).voxels
    assert labels.dtype.kind == "u"
    if call.startswith("CT_TISSUE"):
        assert labels[8:].any()
        assert not labels[:3].any()


@pytest.mark.parametrize("call", ["VISTA3D(splen)", "CT_TISSUE(spleen)"])
def test_an_argument_that_is_none_is_refused_with_those_that_are(
    service: RunningService, ct: Volume, call: str
) -> None:
    assert "Valid arguments are" in refusal(asked(service, ct, call))


def test_an_expert_that_does_not_fit_the_device_says_so_and_another_works(
    weights: None, ct: Volume, tmp_path: Path
) -> None:
    def processes(store: Any) -> tuple[Any, Any]:
        return ModelProcess(CallsExperts), ExpertProcess(LoadExpertsWithLittleMemory(), store)

    with running(tmp_path, backends=processes) as service:
        events = asked(service, ct, "VISTA3D(spleen)")
        (failed,) = (event.payload for event in events if isinstance(event.payload, ExpertFailed))
        assert failed.error.message == "VISTA3D needs 6.4 GB of device memory; 1.0 GB are free."
        assert failed.error.code == "out_of_memory"
        events = asked(service, ct, "CT_TISSUE(body)")
        assert any(isinstance(event.payload, ExpertResult) for event in events)
