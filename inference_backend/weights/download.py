"""Fetching all of an entry: licence first, then room, then files; in place only once all of it is right."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from inference_backend.installation.steps import gigabytes
from inference_backend.weights.catalogue import Entry, Kind
from inference_backend.weights.errors import DownloadError
from inference_backend.weights.folder import WeightsFolder, existing, how_to_get
from inference_backend.weights.manifest import MANIFEST_FILE, FileRecord, Manifest, read_manifest
from inference_backend.weights.patience import Patience, patiently
from inference_backend.weights.progress import Tracker
from inference_backend.weights.source import FolderSource, Source, SourceFile
from inference_backend.weights.transfer import Transfer, part_of
from VILAM3SlicerLib.protocol.errors import InvalidRequest, OutOfSpace
from VILAM3SlicerLib.protocol.weights import LicenceText

SPARE_BYTES = 500_000_000
"""What must stay free on the disk."""


@dataclass(frozen=True)
class Acceptance:
    """The licence texts that a person accepts now, by their SHA-256, and the person's name."""

    hashes: Sequence[str] = ()
    accepted_by: str = ""


@dataclass(frozen=True)
class Downloader:
    """Brings entries from their sources into the weights folder."""

    folder: WeightsFolder
    patience: Patience = field(default_factory=Patience)

    def licences(self, entry: Entry, source: Source, tracker: Tracker) -> tuple[LicenceText, ...]:
        """The texts that have to be accepted, fetched if they are not here.

        Raises:
            DownloadError: they could not be fetched.
        """
        if not entry.licence.needs_consent:
            return ()
        if self.folder.manifest(entry) is not None:
            return self.folder.consents.read(entry, self.folder.path(entry))
        with self.folder.locked(entry):
            return self._licences(entry, source, self._needed(entry, source, tracker), tracker)

    def download(self, entry: Entry, source: Source, tracker: Tracker, acceptance: Acceptance) -> Manifest:
        """Fetch what is missing of ``entry``.

        Raises:
            ConsentNeeded: a licence is not accepted; nothing but its text was fetched.
            OutOfSpace: the disk has no room for what is missing.
            DownloadError: a file could not be fetched; the next call goes on from there.
            CheckpointError: all files are as published, but they are no usable checkpoint.
            Cancelled: the tracker was cancelled.
        """
        with self.folder.locked(entry):
            files = self._needed(entry, source, tracker)
            if (manifest := self._whole_already(entry, source)) is not None:
                self._agree(entry, self.folder.path(entry), acceptance)
                return manifest
            self._licences(entry, source, files, tracker)
            unfinished = self.folder.unfinished(entry)
            self._agree(entry, unfinished, acceptance)
            tracker.expect({file.path: file.size or 0 for file in files})
            _require_room(unfinished, files)
            transfer = Transfer(source, unfinished, tracker, self.patience)
            records = tuple(transfer.fetch(file) for file in files)
            return self._finish(entry, source, records)

    def accept(self, entry: Entry, source: Source, tracker: Tracker, acceptance: Acceptance) -> None:
        """Record consent and fetch nothing but the texts.

        Raises:
            ConsentNeeded: a text was not accepted.
            DownloadError: a text could not be fetched.
        """
        self.licences(entry, source, tracker)
        is_here = self.folder.manifest(entry) is not None
        self._agree(entry, self.folder.path(entry) if is_here else self.folder.unfinished(entry), acceptance)

    def _agree(self, entry: Entry, folder: Path, acceptance: Acceptance) -> None:
        texts = self.folder.consents.read(entry, folder)
        self.folder.consents.accept(entry, texts, acceptance.hashes, acceptance.accepted_by)
        self.folder.consents.require(entry, folder)

    def _whole_already(self, entry: Entry, source: Source) -> Manifest | None:
        """The manifest of an entry that is here undamaged; else it is taken out of use, to be mended."""
        manifest = self.folder.manifest(entry)
        if manifest is None:
            return None
        damaged = any(damage for *_, damage in self.folder.damages(entry))
        if manifest.revision == source.revision() and not damaged:
            return manifest
        self.folder.reopen(entry)
        return None

    def _needed(self, entry: Entry, source: Source, tracker: Tracker) -> tuple[SourceFile, ...]:
        files = patiently(source.files, tracker, self.patience)
        if not files:
            raise DownloadError(
                f"{source.description} holds no file of {entry.id}.", "Use another source.", "not_found"
            )
        return files

    def _licences(
        self, entry: Entry, source: Source, files: Iterable[SourceFile], tracker: Tracker
    ) -> tuple[LicenceText, ...]:
        unfinished = self.folder.unfinished(entry)
        transfer = Transfer(source, unfinished, tracker, self.patience)
        for file in files:
            if entry.licence.needs_consent and file.path in entry.licence.files:
                transfer.fetch(file)
        return self.folder.consents.read(entry, unfinished)

    def _finish(self, entry: Entry, source: Source, records: tuple[FileRecord, ...]) -> Manifest:
        unfinished = self.folder.unfinished(entry)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        manifest = Manifest(entry.id, source.description, source.revision(), now, records)
        _require_usable(entry, unfinished)
        manifest.write(unfinished)
        self.folder.finish(entry)
        return manifest


def source_of(entry: Entry, folder: Path | None = None) -> Source:
    """The place that the catalogue names, or a ``folder`` that was copied from another machine.

    Raises:
        InvalidRequest: the entry is not downloaded.
        DownloadError: the folder is not there.
    """
    if entry.kind is Kind.DEMO:
        raise InvalidRequest("The demo model is not downloaded.", how_to_get(entry))
    if folder is not None:
        return _folder_source(entry, folder)
    from inference_backend.weights.hub_source import HubSource, UrlSource  # takes a second to import

    if entry.hub is not None:
        return HubSource(entry)
    return UrlSource(entry.base_url or "", tuple(entry.files))


def _folder_source(entry: Entry, folder: Path) -> FolderSource:
    """What lies in a folder; one that this program made says what its files must hash to."""
    if not folder.is_dir():
        raise DownloadError(f"There is no folder {folder}.", "Give the folder that was copied.", "not_found")
    manifest = read_manifest(folder)
    if manifest is not None and manifest.id == entry.id:
        files = tuple(SourceFile(file.path, file.size, file.sha256) for file in manifest.files)
        return FolderSource(folder, files, manifest.revision)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    found = (SourceFile(path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths)
    return FolderSource(folder, tuple(file for file in found if _belongs(entry, file.path)))


def _belongs(entry: Entry, path: str) -> bool:
    hidden = any(part.startswith(".") for part in path.split("/"))
    return not hidden and path != MANIFEST_FILE and (entry.needs(path) or path in entry.files)


def _require_room(folder: Path, files: Iterable[SourceFile]) -> None:
    missing = sum(max(0, (file.size or 0) - _here(folder / file.path)) for file in files)
    free = shutil.disk_usage(existing(folder)).free
    if missing + SPARE_BYTES > free:
        raise OutOfSpace(
            f"{gigabytes(missing + SPARE_BYTES)} of free disk space are needed; "
            f"the disk of {folder.parent.parent} has {gigabytes(free)}.",
            "Free some space, or set VILAM3_WEIGHTS to a folder on another disk.",
        )


def _here(target: Path) -> int:
    return sum(path.stat().st_size for path in (target, part_of(target)) if path.is_file())


def _require_usable(entry: Entry, folder: Path) -> None:
    """A checkpoint has to be one before it is called whole."""
    if entry.kind is Kind.VILA_M3:
        from inference_backend.vila_m3.checkpoint import read_checkpoint

        read_checkpoint(folder)
