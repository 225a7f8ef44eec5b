"""Looking at what this machine has free for a model.

:func:`measure` asks torch, so it is for the model's own process; :func:`measure_from_outside` asks the
NVIDIA driver and the system and needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inference_backend.weights.choice import Machine
from VILAM3SlicerLib.protocol.errors import ModelError

_FIRST_WITH_BFLOAT16 = (8, 0)
"""CUDA compute capability, of Ampere."""


def measure(device: str) -> Machine:
    """What is free on ``device``, as torch names it ("cuda", "cuda:1", "mps", "cpu"); ``auto`` is resolved.

    Raises:
        ModelError: there is no such device here.
    """
    import torch

    try:
        return _measured(torch, torch.device(resolve_device(device)))
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"The device '{device}' cannot be used: {reason}", "Use --device auto or cpu."
        ) from error


def resolve_device(device: str) -> str:
    """``auto`` is the first CUDA GPU where there is one, else the CPU; to be asked in a child only."""
    if device != "auto":
        return device
    if find_spec("torch") is None:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _measured(torch: Any, place: Any) -> Machine:
    if place.type == "cuda":
        return _cuda(torch, place)
    if place.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return Machine("mps", "the Apple GPU", free)
    return _cpu()


def _cuda(torch: Any, place: Any) -> Machine:
    free, _total = torch.cuda.mem_get_info(place)
    capable = torch.cuda.get_device_capability(place) >= _FIRST_WITH_BFLOAT16
    name = str(torch.cuda.get_device_name(place))
    return Machine("cuda", name, int(free), capable, _has_bitsandbytes())


def _cpu() -> Machine:
    return Machine("cpu", "the CPU", free_memory(), can_quantise=_has_bitsandbytes())


def _has_bitsandbytes() -> bool:
    return find_spec("bitsandbytes") is not None


def measure_from_outside() -> Machine:
    """The NVIDIA GPU with the most free memory, else the CPU; what the environment can do is presumed."""
    gpus = _nvidia_gpus()
    if gpus:
        return max(gpus, key=lambda gpu: gpu.free_bytes)
    return Machine("cpu", "the CPU", free_memory(), can_quantise=True)


def _nvidia_gpus() -> list[Machine]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=memory.free,compute_cap,name", "--format=csv,noheader,nounits"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    lines = answer.stdout.splitlines() if answer.returncode == 0 else []
    return [_nvidia_gpu(line) for line in lines]


def _nvidia_gpu(line: str) -> Machine:
    free_mib, capability, name = (part.strip() for part in line.split(",", 2))
    major = int(capability.partition(".")[0])
    return Machine("cuda", name, int(free_mib) * 1024**2, major >= _FIRST_WITH_BFLOAT16[0], True)


def free_memory() -> int:
    """Bytes of main memory that programs can still have; 0 where the system does not tell."""
    if find_spec("psutil") is not None:
        import psutil

        return int(psutil.virtual_memory().available)
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    return _total_memory()


def _total_memory() -> int:
    """All of it: macOS and Windows do not tell a program without help what is free."""
    if sys.platform == "win32":
        return 0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def main() -> None:
    """Print what is free as JSON, for a program without torch."""
    parser = argparse.ArgumentParser(prog="python -m inference_backend.weights.machine")
    parser.add_argument("--device", default="auto")
    print(json.dumps(asdict(measure(parser.parse_args().device))))


if __name__ == "__main__":
    main()
