"""The catalogue with what is here of it, for the wire and for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from inference_backend.installation.steps import gigabytes
from inference_backend.vila_m3.precision import Precision
from inference_backend.weights.catalogue import Catalogue, Entry
from inference_backend.weights.conversion import open_question
from inference_backend.weights.errors import ConsentNeeded
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.memory import memory_needed
from VILAM3SlicerLib.protocol.weights import WeightsDescription, WeightsList

_SHOWN = (Precision.BF16, Precision.INT8, Precision.NF4)
_STATES = {"present": "here", "partial": "in part", "absent": "-"}


def describe(catalogue: Catalogue, folder: WeightsFolder) -> WeightsList:
    """Every entry, and how much room is left."""
    entries = tuple(_described(entry, folder) for entry in catalogue)
    return WeightsList(str(folder.root), folder.free_bytes(), entries)


def _described(entry: Entry, folder: WeightsFolder) -> WeightsDescription:
    return WeightsDescription(
        id=entry.id,
        kind=entry.kind.value,
        title=entry.title,
        source=entry.source,
        licence=entry.licence.name,
        needs_consent=entry.licence.needs_consent,
        accepted=_is_accepted(entry, folder),
        state=folder.state(entry),
        size_bytes=entry.size,
        here_bytes=folder.size(entry),
        memory_bytes=_memory(entry),
        conversion=open_question(entry, folder),
    )


def _is_accepted(entry: Entry, folder: WeightsFolder) -> bool:
    """For what is here its own texts count, else whether any text was accepted for it before."""
    if folder.state(entry) == "present":
        try:
            folder.consents.require(entry, folder.path(entry))
        except ConsentNeeded:
            return False
        return True
    accepted = {consent.licence for consent in folder.consents.all() if consent.weights == entry.id}
    return not entry.licence.needs_consent or accepted >= set(entry.licence.files)


def _memory(entry: Entry) -> dict[str, int]:
    if entry.memory_bytes is not None:
        return {"any": entry.memory_bytes}
    needed = memory_needed(entry)
    return {precision.value: needed[precision] for precision in _SHOWN if needed}


def table(listed: WeightsList) -> str:
    """The list as a person reads it in a terminal."""
    head = f"The weights lie in {listed.folder} ({gigabytes(listed.free_bytes)} free).\n"
    return "\n".join([head, *(line for one in listed.weights for line in _lines(one))])


def _lines(one: WeightsDescription) -> Iterable[str]:
    size = gigabytes(one.here_bytes if one.state == "present" else one.size_bytes)
    part = f" ({gigabytes(one.here_bytes)} of it)" if one.state == "partial" else ""
    yield f"{one.id:<12} {_STATES[one.state]:<8} {size:>8}  {one.title}{part}"
    memory = ", ".join(f"{gigabytes(size)} {name}" for name, size in one.memory_bytes.items())
    yield f"{'':<12} source: {one.source}" + (f"; memory: {memory.replace(' any', '')}" if memory else "")
    consent = {True: "accepted", False: "to be accepted"}[one.accepted] if one.needs_consent else ""
    yield f"{'':<12} licence: {one.licence}" + (f" ({consent})" if consent else "")
    if one.conversion:
        yield f"{'':<12} to be converted before it can be used: setup_backend.py weights convert {one.id}"
