"""Entries of the catalogue that are here, as far as their records say, and consent to them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from inference_backend.weights.catalogue import Entry
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.manifest import FileRecord, Manifest
from VILAM3SlicerLib.protocol.weights import LicenceText


def put(folder: WeightsFolder, entry: Entry) -> Path:
    """An entry that is here whole, as far as its record says."""
    place = folder.path(entry)
    place.mkdir(parents=True, exist_ok=True)
    for file in entry.licence.files:
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_text(f"{file} of {entry.id}")
    Manifest(entry.id, "a test", "", "now", (FileRecord("LICENSE", 1, "0"),)).write(place)
    return place


def consent(folder: WeightsFolder, entry: Entry) -> None:
    texts = [f"{file} of {entry.id}" for file in entry.licence.files]
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    given = [
        LicenceText(file, sha256, text, False)
        for file, sha256, text in zip(entry.licence.files, hashes, texts, strict=True)
    ]
    folder.consents.accept(entry, given, hashes, "A. Person")
