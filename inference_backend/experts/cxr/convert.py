"""Turn the released X-ray models into plain tensors, once.

``setup_backend.py weights convert CXR`` runs it; as a program of its own it asks before it begins. The
released DenseNets are pickled Python objects, which can run anything when they are opened; here a child
process opens them with torch's ``weights_only``, which makes nothing but the classes listed below.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from inference_backend.experts.cxr.ensemble import MEMBERS, converted_file, released_file
from inference_backend.weights.catalogue import read_catalogue
from VILAM3SlicerLib.protocol.errors import ExpertError


def _question() -> str:
    needed = read_catalogue()["CXR"].conversion
    assert needed is not None
    return f"{needed.question} Go on? [y/N] "


def convert(released: Path, converted: Path) -> None:
    """Convert one file; to be called in a process that holds nothing else.

    Raises:
        ExpertError: it holds more than layers of neural networks, or is damaged.
    """
    import pickle

    import torch
    from safetensors.torch import save_file

    try:
        with torch.serialization.safe_globals(_allowed_classes()):
            content = torch.load(released, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, OSError, RuntimeError, EOFError, LookupError) as error:
        raise ExpertError(
            f"{released.name} is damaged, or holds more than layers of neural networks.",
            "Delete it and fetch it again.",
        ) from error
    tensors = content if isinstance(content, dict) else _tensors_of(content)
    converted.parent.mkdir(exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, converted)


def _allowed_classes() -> list[Any]:
    """torch's layers, and for the library's own a stand-in that only holds its parts."""
    from torch import nn

    layers = [nn.Sequential, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.Linear]
    own = [
        (type(name, (), {}), f"torchxrayvision.models.{name}")
        for name in ("DenseNet", "_DenseBlock", "_DenseLayer", "_Transition")
    ]
    return [*layers, *own, set]


def _tensors_of(network: Any) -> dict[str, Any]:
    """Parameters and buffers, read off the objects: files of old versions lack what newer methods need."""
    found: dict[str, Any] = {}
    pending = [("", network)]
    while pending:
        prefix, module = pending.pop()
        state = vars(module)
        for kind in ("_parameters", "_buffers"):
            for name, tensor in state[kind].items():
                if tensor is not None and name != "op_threshs":
                    found[prefix + name] = tensor.detach()
        pending += [(f"{prefix}{name}.", child) for name, child in state["_modules"].items()]
    return found


def convert_all(folder: Path) -> None:
    """Convert each model of a folder in a child process of its own.

    Raises:
        ExpertError: a file is missing, damaged, or holds more than layers of neural networks.
    """
    for name in MEMBERS:
        released, converted = folder / released_file(name), folder / converted_file(name)
        if not released.is_file():
            raise ExpertError(f"{released.name} is missing.", "Fetch the weights of CXR again.")
        command = [sys.executable, "-m", __spec__.name, "--one", str(released), str(converted)]
        child = subprocess.run(command, check=False, capture_output=True, text=True)
        if child.returncode:
            reason = child.stderr.strip().splitlines()[-1:] or ["it ended unexpectedly"]
            raise ExpertError(f"{released.name} could not be converted: {reason[0]}", "Fetch it again.")


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 when everything is converted."""
    parser = argparse.ArgumentParser(description="Convert the released chest X-ray models to plain tensors.")
    parser.add_argument("folder", type=Path, nargs="?", help="where the released files lie")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--one", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        if options.one:
            convert(*options.one)
        elif options.folder is None:
            parser.error("name the folder")
        elif options.yes or input(_question()).strip().lower() in ("y", "yes"):
            convert_all(options.folder)
        else:
            return 1
    except ExpertError as error:
        print(f"{error.message} {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
