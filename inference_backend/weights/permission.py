"""Whether a folder of weights may be loaded, whoever asks and however it came here.

A folder that the catalogue knows, wherever it lies, needs the consent that the catalogue says; a person's own
folder needs none. All that loads weights asks here: the model's and the experts' own interfaces too.
"""

from __future__ import annotations

from pathlib import Path

from inference_backend.vila_m3.checkpoint import read_json
from inference_backend.weights.catalogue import Catalogue, Entry, read_catalogue
from inference_backend.weights.errors import ConsentNeeded
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.manifest import read_manifest
from VILAM3SlicerLib.protocol.errors import CheckpointError


def require_consent(
    folder: Path, catalogue: Catalogue | None = None, weights: WeightsFolder | None = None
) -> Entry | None:
    """The entry of the catalogue that lies in ``folder``, None for a person's own weights.

    Without ``catalogue`` and ``weights`` those of this machine are meant. The folder need not exist.

    Raises:
        ConsentNeeded: its licence was not accepted on this machine, or its text is not there.
    """
    known, place = catalogue or read_catalogue(), weights or WeightsFolder()
    entry = _entry_in(folder, known, place)
    if entry is None:
        return None
    try:
        place.consents.require(entry, folder)
    except ConsentNeeded as error:
        error.hint = f"Read and accept it: setup_backend.py weights accept {entry.id} --from {folder}"
        raise
    return entry


def _entry_in(folder: Path, catalogue: Catalogue, weights: WeightsFolder) -> Entry | None:
    """By its place, by the record that a download leaves, or by its files, as ``git clone`` brings them."""
    manifest = read_manifest(folder)
    if manifest is not None and manifest.id in catalogue:
        return catalogue[manifest.id]
    found = (
        entry for entry in catalogue if _is_place_of(entry, folder, weights) or _is_release(folder, entry)
    )
    return next(found, None)


def _is_place_of(entry: Entry, folder: Path, weights: WeightsFolder) -> bool:
    places = (weights.path(entry), weights.unfinished(entry))
    return folder.resolve() in [place.resolve() for place in places]


def _is_release(folder: Path, entry: Entry) -> bool:
    """Whether a folder holds the licences and a language model of the size of a released model."""
    shape, licences = entry.language_model, entry.licence.files
    if shape is None or not licences or not all((folder / file).is_file() for file in licences):
        return False
    try:
        config = read_json(folder / "llm" / "config.json")
    except CheckpointError:  # the model's process tells what is wrong with it
        return False
    sizes = (config.get(name) for name in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    return tuple(sizes) == (shape.hidden_size, shape.intermediate_size, shape.layers)
