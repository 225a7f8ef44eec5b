"""Downloads and checks in the background, one at a time for each entry, for the service.

Each runs in a thread of its own, which writes only its own job; requests read the jobs and cancel them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from inference_backend.failures import as_project_error, traceback_without_data
from inference_backend.weights.catalogue import Catalogue, Entry
from inference_backend.weights.conversion import convert
from inference_backend.weights.describe import describe
from inference_backend.weights.download import Acceptance, Downloader, source_of
from inference_backend.weights.errors import WeightsBusy, WeightsDamaged, WeightsMissing
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.progress import Tracker
from inference_backend.weights.source import Source
from VILAM3SlicerLib.protocol.errors import Cancelled, NotFound, VilaM3Error
from VILAM3SlicerLib.protocol.weights import (
    DownloadProgress,
    JobKind,
    LicenceText,
    Removed,
    WeightsJob,
    WeightsList,
)

log = logging.getLogger(__name__)

ENDING_S = 2.0
"""How long the end of the service waits for a thread; what it has fetched is kept in any case."""

FindSource = Callable[[Entry, Path | None], Source]


class WeightsManager:
    """The weights as the service's routes know them."""

    def __init__(
        self, catalogue: Catalogue, downloader: Downloader, find_source: FindSource = source_of
    ) -> None:
        self._catalogue = catalogue
        self._downloader = downloader
        self._find_source = find_source
        self._jobs: dict[str, _Job] = {}
        self._starting = threading.Lock()

    @property
    def _folder(self) -> WeightsFolder:
        return self._downloader.folder

    def list(self) -> WeightsList:
        """The catalogue and what is here of it."""
        return describe(self._catalogue, self._folder)

    def licences(self, name: str) -> tuple[LicenceText, ...]:
        """The texts that have to be accepted; fetches them. Raises DownloadError, NotFound."""
        entry = self._catalogue[name]
        return self._downloader.licences(entry, self._find_source(entry, None), Tracker())

    def download(self, name: str, accepted: Sequence[str], accepted_by: str) -> WeightsJob:
        """Begin to fetch; ``accepted`` are the SHA-256 of the licence texts that the person accepts.

        Raises:
            WeightsBusy: it is being fetched or checked.
            InvalidRequest: it is not downloaded at all.
        """
        entry = self._catalogue[name]
        source = self._find_source(entry, None)
        acceptance = Acceptance(tuple(accepted), accepted_by)

        def work(tracker: Tracker) -> None:
            self._downloader.download(entry, source, tracker, acceptance)

        return self._start(entry, "download", work)

    def convert(self, name: str, agreed: bool) -> WeightsJob:
        """Begin to turn pickles into plain tensors, which the person has to agree to.

        Raises:
            InvalidRequest: it needs no conversion.
            WeightsBusy, WeightsMissing: it is being fetched, or is not here.
        """
        entry = self._catalogue[name]
        if entry.conversion is None or self._folder.state(entry) != "present":
            convert(entry, self._folder, agreed, Tracker())
        return self._start(entry, "convert", lambda tracker: convert(entry, self._folder, agreed, tracker))

    def verify(self, name: str) -> WeightsJob:
        """Begin to compare files with what they were. Raises WeightsBusy, WeightsMissing."""
        entry = self._catalogue[name]
        if self._folder.state(entry) != "present":
            raise WeightsMissing(f"{entry.id} is not here.", "Download it.")
        return self._start(entry, "verify", lambda tracker: _verify(self._folder, entry, tracker))

    def job(self, name: str) -> WeightsJob:
        """The download or check that runs or was the last. Raises NotFound where there was none."""
        return self._job(name).state

    def cancel(self, name: str) -> WeightsJob:
        """Ask a job to end; a download goes on from there when it is started again."""
        job = self._job(name)
        job.tracker.cancel()
        return job.state

    def remove(self, name: str) -> Removed:
        """Delete what is here. Raises WeightsMissing, WeightsBusy."""
        return Removed(self._folder.remove(self._catalogue[name]))

    def close(self) -> None:
        """End all jobs."""
        for job in self._jobs.values():
            job.tracker.cancel()
        for job in self._jobs.values():
            job.thread.join(ENDING_S)

    def _job(self, name: str) -> _Job:
        entry = self._catalogue[name]
        if entry.id not in self._jobs:
            raise NotFound(
                f"Nothing was done with {entry.id} since the backend started.", "Start a download."
            )
        return self._jobs[entry.id]

    def _start(self, entry: Entry, kind: JobKind, work: Callable[[Tracker], None]) -> WeightsJob:
        with self._starting:
            before = self._jobs.get(entry.id)
            if before is not None and before.thread.is_alive():
                raise WeightsBusy(
                    f"{entry.id} is being fetched or checked already.",
                    "Wait until that has ended, or cancel it.",
                )
            self._jobs[entry.id] = job = _Job(entry, kind, work)
            job.thread.start()
            return job.state


class _Job:
    """One piece of work in a thread; ``state`` is replaced as a whole, so that it can be read at any time."""

    def __init__(self, entry: Entry, kind: JobKind, work: Callable[[Tracker], None]) -> None:
        self.state = WeightsJob(entry.id, kind, "running")
        self.tracker = Tracker(self._progressed)
        self.thread = threading.Thread(target=self._run, args=(work,), name=f"{kind} {entry.id}", daemon=True)

    def _progressed(self, progress: DownloadProgress) -> None:
        self.state = WeightsJob(self.state.id, self.state.kind, "running", progress)

    def _run(self, work: Callable[[Tracker], None]) -> None:
        try:
            work(self.tracker)
        except Cancelled as error:
            self._ended("cancelled", error)
        except Exception as error:  # the edge of a thread: a job that fails is read, never lost
            if not isinstance(error, VilaM3Error):
                log.error("unexpected error\n%s", traceback_without_data(error))
            self._ended("failed", as_project_error(error, f"The {self.state.kind} of {self.state.id}"))
        else:
            self.state = WeightsJob(self.state.id, self.state.kind, "done", self.state.progress)

    def _ended(self, state: Literal["failed", "cancelled"], error: VilaM3Error) -> None:
        now = self.state
        self.state = WeightsJob(now.id, now.kind, state, now.progress, error.code, error.message, error.hint)


def _verify(folder: WeightsFolder, entry: Entry, tracker: Tracker) -> None:
    """Raises WeightsDamaged, which names every damage."""
    manifest = folder.manifest(entry)
    tracker.expect({file.path: file.size for file in manifest.files} if manifest else {})
    found = []
    for path, size, damage in folder.damages(entry):
        tracker.at(path, size)
        found += [f"{damage.path} {damage.reason}"] if damage else []
    if found:
        raise WeightsDamaged(f"{entry.id} is damaged: {'; '.join(found)}.", "Download it again to mend it.")
