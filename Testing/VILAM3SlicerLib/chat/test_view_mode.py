"""Which image a model is shown unless the person chooses: the published one where it was trained so."""

from __future__ import annotations

import pytest

from VILAM3SlicerLib.chat.view_mode import default_mode
from VILAM3SlicerLib.protocol.messages import ModelDescription

RELEASED = ModelDescription("VILA-M3-8B", "llama_3", 196, 384, 4096, False, "cuda", "bf16")
DEMO = ModelDescription("demo", "vicuna_v1", 16, 224, 2048, True, "cpu", "fp32")


@pytest.mark.parametrize(
    ("model", "modality", "plane", "mode"),
    [
        (RELEASED, "CT", "axial", "published"),
        (RELEASED, "CT", "coronal", "as_seen"),
        (RELEASED, "MRI", "oblique", "as_seen"),
        (RELEASED, "MRI", "axial", "published"),
        (RELEASED, "CXR", "axial", "as_seen"),
        (RELEASED, "Unknown", "axial", "as_seen"),
        (DEMO, "CT", "axial", "as_seen"),
        (None, "CT", "axial", "as_seen"),
    ],
)
def test_a_released_model_gets_the_slices_that_it_was_trained_with(
    model: ModelDescription | None, modality: str, plane: str, mode: str
) -> None:
    assert default_mode(model, modality, plane) == mode
