"""Making torchvision importable beside a CPU build of torch.

The registry's torchvision for Linux is built for CUDA. Beside a CPU torch its library does not load, and its
import fails over two operators that were never defined, as does that of transformers, which imports it where
it is installed. Nothing here calls the two.
"""

from __future__ import annotations

import functools
import importlib
import sys
from importlib.util import find_spec
from typing import Any

_OPERATORS = ("nms", "qnms")


def make_torchvision_importable() -> None:
    """To be called before something imports torchvision; does nothing where it is not installed."""
    if find_spec("torchvision") is None or "torchvision" in sys.modules:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        _define_operators()
        importlib.import_module("torchvision")


@functools.cache
def _define_operators() -> Any:
    """Declares the operators; the result keeps them alive."""
    import torch

    make: Any = torch.library.Library  # untyped
    library = make("torchvision", "DEF")
    for name in _OPERATORS:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
