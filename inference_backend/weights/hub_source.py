"""Files of a repository on the hub or a mirror of it (``HF_ENDPOINT``), and files at plain addresses.

``huggingface_hub`` gives the session (proxy, certificates), the headers (token), the addresses and the
errors. The bytes are read here, because its own download keeps no part of a file beyond the process: a
download of 5 GB that was cut would start again. Plain HTTP is what every mirror speaks, so the chunked
transfer of the hub (xet) is not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    get_session,
    hf_raise_for_status,
)

from inference_backend.weights.catalogue import Entry
from inference_backend.weights.errors import DownloadError
from inference_backend.weights.hub_errors import OTHER_WAYS, explained
from inference_backend.weights.source import SourceFile, Stream, safe_path

_WHOLE_COMMIT = 40
_PLAIN = {"Accept-Encoding": "identity"}
"""No compression on the way: sizes and places in a file are those of the file itself."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds: until a connection stands, and without any byte before it counts as stalled."""

    connect: float = 10.0
    silence: float = 20.0

    @property
    def of_http(self) -> httpx2.Timeout:
        return httpx2.Timeout(self.silence, connect=self.connect)


class HubSource:
    """The needed files of one repository, at the catalogue's revision."""

    def __init__(self, entry: Entry, endpoint: str | None = None, timeouts: Timeouts | None = None) -> None:
        """``endpoint`` overrides ``HF_ENDPOINT``."""
        if entry.hub is None:
            raise ValueError(f"{entry.id} is not on the hub")
        self._entry = entry
        self._repository = entry.hub.repository
        self._asked = entry.hub.revision
        self._timeouts = timeouts or Timeouts()
        self._api = HfApi(endpoint=endpoint)
        self._info: Any = None

    @property
    def description(self) -> str:
        return f"{self._repository} on {self._api.endpoint}"

    def revision(self) -> str:
        """The whole commit. Raises DownloadError where it is not the one that the catalogue pins."""
        return str(self._repository_info().sha)

    def files(self) -> tuple[SourceFile, ...]:
        found = [self._file(sibling) for sibling in self._repository_info().siblings or []]
        return tuple(file for file in found if self._entry.needs(file.path))

    @contextmanager
    def open(self, file: SourceFile, offset: int) -> Iterator[Stream]:
        url = hf_hub_url(self._repository, file.path, revision=self.revision(), endpoint=self._api.endpoint)
        with _open(url, build_hf_headers(), file.path, offset, self._timeouts) as stream:
            yield stream

    def _repository_info(self) -> Any:
        if self._info is None:
            with explained(f"{self._repository} at {self._asked}"):
                info = self._ask(self._whole_revision())
            self._require_pinned(info.sha)
            self._info = info
        return self._info

    def _ask(self, revision: str) -> Any:
        try:
            return self._api.model_info(
                self._repository, revision=revision, files_metadata=True, timeout=self._timeouts.silence
            )
        except (ValueError, TypeError, KeyError) as error:  # a login page of a network, say
            raise DownloadError(
                f"{self._api.endpoint} does not answer as the hub does.", OTHER_WAYS, "hub_failed"
            ) from error

    def _whole_revision(self) -> str:
        """The pinned commit; its first digits are looked up among the repository's commits."""
        if len(self._asked) == _WHOLE_COMMIT:
            return self._asked
        commits = (commit.commit_id for commit in self._api.list_repo_commits(self._repository))
        return next((commit for commit in commits if commit.startswith(self._asked)), self._asked)

    def _require_pinned(self, commit: str | None) -> None:
        if not commit or not commit.startswith(self._asked):
            raise DownloadError(
                f"{self._api.endpoint} gives {self._repository} at {commit}, not at {self._asked}.",
                "Use the hub itself, or a mirror that holds this revision.",
                "wrong_revision",
            )

    def _file(self, sibling: Any) -> SourceFile:
        """A file as the listing describes it; where a mirror's listing has no sizes, as its headers do."""
        path = safe_path(sibling.rfilename)
        if sibling.size is None and self._entry.needs(path):
            return self._file_by_headers(path)
        sha256 = sibling.lfs.sha256 if sibling.lfs else None
        return SourceFile(path, sibling.size, sha256, None if sha256 else sibling.blob_id)

    def _file_by_headers(self, path: str) -> SourceFile:
        url = hf_hub_url(self._repository, path, revision=self._whole_revision(), endpoint=self._api.endpoint)
        with explained(path):
            found = get_hf_file_metadata(url, timeout=self._timeouts.silence, endpoint=self._api.endpoint)
        etag = found.etag or ""
        return SourceFile(path, found.size, _hash_of(etag, 64), _hash_of(etag, 40))


def _hash_of(etag: str, digits: int) -> str | None:
    return etag if re.fullmatch(f"[0-9a-f]{{{digits}}}", etag) else None


class UrlSource:
    """Files at plain addresses below one base, which tell their size and nothing else."""

    def __init__(self, base_url: str, paths: Sequence[str], timeouts: Timeouts | None = None) -> None:
        self._base_url = base_url
        self._paths = tuple(paths)
        self._timeouts = timeouts or Timeouts()

    @property
    def description(self) -> str:
        return self._base_url

    def revision(self) -> str:
        return ""

    def files(self) -> tuple[SourceFile, ...]:
        return tuple(SourceFile(path, self._size(path)) for path in self._paths)

    def _size(self, path: str) -> int | None:
        with explained(path):
            response = get_session().head(
                self._base_url + path, headers=_PLAIN, timeout=self._timeouts.of_http
            )
            hf_raise_for_status(response)
        length = response.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None

    @contextmanager
    def open(self, file: SourceFile, offset: int) -> Iterator[Stream]:
        with _open(self._base_url + file.path, {}, file.path, offset, self._timeouts) as stream:
            yield stream


@contextmanager
def _open(
    url: str, headers: Mapping[str, str], what: str, offset: int, timeouts: Timeouts
) -> Iterator[Stream]:
    """Read ``url`` from ``offset`` on. The address is asked anew each time: those it leads to expire."""
    asked = {**headers, **_PLAIN}
    if offset:
        asked["Range"] = f"bytes={offset}-"
    with (
        explained(what),
        get_session().stream("GET", url, headers=asked, timeout=timeouts.of_http) as response,
    ):
        hf_raise_for_status(response)
        yield Stream(_start(response), response.iter_bytes())


def _start(response: httpx2.Response) -> int:
    """Where in the file the body begins: a server may ignore the range and send it all."""
    if response.status_code != httpx2.codes.PARTIAL_CONTENT:
        return 0
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match.group(1)) if match else 0
