"""What an installation will do, told before the person agrees to it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from inference_backend.installation.environment import (
    CUDA_ENVIRONMENT_BYTES,
    ENVIRONMENT_BYTES,
)
from inference_backend.installation.installed import read_installed
from inference_backend.installation.layout import Layout
from inference_backend.installation.steps import Step, existing_parent
from inference_backend.weights.folder import size_of
from VILAM3SlicerLib.protocol.installation import InstallPlan

LICENCES = (
    ("VILAM3Slicer, its demo model and the language model SmolLM2-135M in it", "Apache-2.0"),
    ("PyTorch", "BSD-3-Clause"),
    (
        "MONAI, Transformers, Accelerate, PEFT, SimpleITK, nibabel and other packages",
        "Apache-2.0, BSD or MIT",
    ),
)
CUDA_LICENCE = ("NVIDIA's CUDA libraries, which PyTorch brings along on Linux", "NVIDIA's own licence")


def make_plan(layout: Layout, steps: Sequence[Step]) -> InstallPlan:
    """What ``install`` would still do in ``layout.root``; changes nothing."""
    cuda = sys.platform == "linux"
    left = [step for step in steps if not step.is_done()]
    titles = tuple(step.title for step in left)
    return InstallPlan(
        folder=str(layout.root),
        state=state_of(layout, titles),
        steps=titles,
        download_bytes=sum(step.download_bytes for step in left),
        disk_bytes=CUDA_ENVIRONMENT_BYTES if cuda else ENVIRONMENT_BYTES,
        free_bytes=shutil.disk_usage(existing_parent(layout.root / "any")).free,
        installed_bytes=size_of(layout.root) if layout.root.is_dir() else 0,
        weights_bytes=size_of(layout.cache / "weights"),
        licences=(*LICENCES, CUDA_LICENCE) if cuda else LICENCES,
        python=f"{sys.version.split()[0]} ({sys.executable})",
    )


def state_of(layout: Layout, left: Sequence[str]) -> str:
    """``absent``, ``unfinished``, ``outdated`` (we are of another version) or ``complete``."""
    record = read_installed(layout.root)
    if record is None:
        return "absent"
    if record.state != "complete":
        return "unfinished"
    return "outdated" if left else "complete"
