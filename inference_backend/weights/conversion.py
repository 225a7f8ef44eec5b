"""Weights that were released as Python pickles, turned into plain tensors once, when a person agrees to it.

The program that does it is the entry's own; it runs in a process of its own, which opens the files with
torch's ``weights_only`` and a list of allowed classes.
"""

from __future__ import annotations

import subprocess
import sys

from inference_backend.weights.catalogue import Conversion, Entry
from inference_backend.weights.errors import ConsentNeeded, WeightsDamaged
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.progress import Tracker
from VILAM3SlicerLib.protocol.errors import InvalidRequest

_LOOK_S = 0.2


def open_question(entry: Entry, folder: WeightsFolder) -> str:
    """What a person has to agree to before the files that are here can be used; empty for nothing."""
    needed = entry.conversion
    if needed is None or folder.state(entry) != "present":
        return ""
    return "" if (folder.path(entry) / needed.makes).is_file() else needed.question


def convert(entry: Entry, folder: WeightsFolder, agreed: bool, tracker: Tracker) -> None:
    """Run the conversion of an entry.

    Raises:
        InvalidRequest: it needs none.
        WeightsMissing: it is not here.
        ConsentNeeded: the person has not agreed.
        WeightsBusy: it is being fetched or converted.
        WeightsDamaged: a file is damaged, or holds more than weights; nothing of it was run.
        Cancelled: the tracker was cancelled.
    """
    needed = _needed(entry)
    place = folder.usable(entry)
    if not agreed:
        raise ConsentNeeded(needed.question, f"Agree to it: setup_backend.py weights convert {entry.id}")
    with folder.locked(entry):
        command = [sys.executable, "-m", needed.module, "--yes", str(place)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
            try:
                while child.poll() is None:
                    tracker.wait(_LOOK_S)
            finally:
                child.kill()
            assert child.stderr is not None
            said = child.stderr.read().strip().splitlines()
    if child.returncode:
        raise WeightsDamaged(said[-1] if said else f"{entry.id} could not be converted.", "Fetch it again.")


def _needed(entry: Entry) -> Conversion:
    if entry.conversion is None:
        raise InvalidRequest(f"{entry.id} needs no conversion.", "It can be used as it was fetched.")
    return entry.conversion
