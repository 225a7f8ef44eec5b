"""Which checkpoints may be loaded here, and which of them is."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_backend.vila_m3.checkpoint import COPY_AGAIN, Checkpoint, read_checkpoint
from inference_backend.vila_m3.precision import Precision
from inference_backend.weights.catalogue import Catalogue, Entry, Kind, LanguageModel, Licence
from inference_backend.weights.choice import Choice, Machine, choose_model
from inference_backend.weights.errors import ConsentNeeded, WeightsMissing
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.permission import require_consent
from VILAM3SlicerLib.protocol.errors import CheckpointError, InvalidRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A checkpoint folder that may be loaded; ``entry`` is None for one that the catalogue does not know."""

    folder: Path
    entry: Entry | None = None


def candidates(wanted: str | None, catalogue: Catalogue, weights: WeightsFolder) -> tuple[Candidate, ...]:
    """The checkpoint that a person wants (a name of the catalogue or a folder), else all that are here.

    Raises:
        NotFound: there is neither such a name nor such a folder.
        WeightsMissing: the one that is wanted is not here, or none is.
        ConsentNeeded: its licence is not accepted.
        InvalidRequest: it answers no questions.
    """
    if wanted is None:
        return _all_usable(catalogue, weights)
    if wanted in catalogue:
        entry = catalogue[wanted]
        if not entry.is_model:
            raise InvalidRequest(
                f"{entry.id} is an expert, no model.", "Experts are used where they are here."
            )
        return (Candidate(weights.usable(entry), entry),)
    folder = Path(wanted)
    if len(folder.parts) == 1 and not folder.exists():
        catalogue[wanted]  # raises NotFound, which names those that there are
    return (Candidate(folder, require_consent(folder, catalogue, weights)),)


def _all_usable(catalogue: Catalogue, weights: WeightsFolder) -> tuple[Candidate, ...]:
    found = []
    for entry in catalogue:
        if entry.is_model and weights.state(entry) == "present":
            try:
                found.append(Candidate(weights.usable(entry), entry))
            except ConsentNeeded as error:
                log.warning("%s is left out: %s", entry.id, error.message)
    if not found:
        raise WeightsMissing("No model is here.", "setup_backend.py demo builds the demo model.")
    return tuple(found)


def choose(
    found: Sequence[Candidate], machine: Machine, asked: Precision | None, reserved_bytes: int = 0
) -> tuple[Path, Choice]:
    """The folder to load, and in which precision. The experts' ``reserved_bytes`` are memory of a GPU.

    Raises:
        CheckpointError: a folder that the catalogue does not know is damaged or of another architecture.
        ModelError: nothing fits.
        InvalidRequest: the machine cannot compute in what was asked for.
    """
    entries = [candidate.entry or entry_of(read_checkpoint(candidate.folder)) for candidate in found]
    reserved = reserved_bytes if machine.kind == "cuda" else 0
    choice = choose_model(entries, machine, asked, reserved)
    return found[entries.index(choice.entry)].folder, choice


def entry_of(checkpoint: Checkpoint) -> Entry:
    """What the catalogue would say of a checkpoint that it does not know; sizes are those of its files.

    Raises:
        CheckpointError: its configuration lacks a figure.
    """
    return Entry(
        id=checkpoint.display_name,
        kind=Kind.VILA_M3,
        title=checkpoint.display_name,
        licence=Licence("as its publisher says", (), False),
        files={
            f"{part.folder.name}/{file.name}": file.stat().st_size
            for part in (checkpoint.llm, checkpoint.vision_tower, checkpoint.projector)
            for file in part.weight_files
        },
        rank=1,
        language_model=_shape(checkpoint),
    )


def _shape(checkpoint: Checkpoint) -> LanguageModel:
    try:
        return _shape_in(checkpoint.llm.config, checkpoint.context_length)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"llm/config.json has no usable {error}.", COPY_AGAIN) from error


def _shape_in(config: Mapping[str, Any], context: int) -> LanguageModel:
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    return LanguageModel(
        hidden_size=hidden,
        intermediate_size=int(config["intermediate_size"]),
        layers=int(config["num_hidden_layers"]),
        heads=heads,
        key_value_heads=int(config.get("num_key_value_heads") or heads),
        head_size=int(config.get("head_dim") or hidden // heads),
        vocabulary=int(config["vocab_size"]),
        context=context,
        tied_embeddings=bool(config.get("tie_word_embeddings", False)),
    )
