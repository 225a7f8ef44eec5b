"""Reading released weights: plain tensors only, nothing that a file could run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

from VILAM3SlicerLib.protocol.errors import ExpertError

if TYPE_CHECKING:
    from torch import Tensor, nn

_UNREADABLE = (
    pickle.UnpicklingError,
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    AssertionError,
)
"""What torch raises on files that are not its own, or hold more than tensors."""

_DAMAGED = "Delete the file and fetch the weights again."


def read_state_dict(file: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file or of a PyTorch file, on the CPU.

    PyTorch files are read with ``weights_only``: one that holds more than tensors is refused.

    Raises:
        ExpertError: the file is damaged, or holds something else than named tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, *_UNREADABLE) as error:
        message = f"The weights in {file.name} are damaged or not plain tensors."
        raise ExpertError(message, _DAMAGED) from error
    tensors = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(tensors, dict) or not all(map(torch.is_tensor, tensors.values())):
        raise ExpertError(f"{file.name} does not hold named tensors.", _DAMAGED)
    return dict(tensors)


def fill(network: nn.Module, tensors: dict[str, Tensor], name: str) -> None:
    """Put weights into a network, every one of them.

    Raises:
        ExpertError: the weights are of another network.
    """
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ExpertError(f"The weights in {name} are of another network.", _DAMAGED) from error
