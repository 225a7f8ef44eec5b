"""What the hub's library raises, as errors that a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from inference_backend.weights.errors import DownloadError

GO_ON = "Start the same command again: it goes on from here."
OTHER_WAYS = (
    "Check the network; behind a proxy set HTTPS_PROXY, for a mirror HF_ENDPOINT; "
    "without a network copy the folder from another machine and give it with --from FOLDER."
)
_FORBIDDEN = (401, 403)
_TOO_MANY = 429


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the library's errors of the block into :class:`DownloadError`; ``what`` names what was fetched."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise DownloadError(
            f"No data came for {what} for too long.", GO_ON, "download_stalled", passing=True
        ) from error
    except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError) as error:
        raise DownloadError(
            f"The connection was cut while {what} was fetched.", GO_ON, "download_cut", passing=True
        ) from error
    except httpx2.ConnectError as error:
        raise DownloadError(
            f"The server of {what} cannot be reached: {error}", OTHER_WAYS, "hub_unreachable", passing=True
        ) from error
    except (OfflineModeIsEnabled, httpx2.ProxyError, httpx2.UnsupportedProtocol) as error:
        raise DownloadError(
            f"The server of {what} cannot be reached: {error}", OTHER_WAYS, "hub_unreachable"
        ) from error
    except HfHubHTTPError as error:
        raise _of_response(what, error) from error
    except httpx2.HTTPError as error:
        raise DownloadError(f"{what} could not be fetched: {error}", OTHER_WAYS) from error


def _of_response(what: str, error: HfHubHTTPError) -> DownloadError:
    status = error.response.status_code
    if isinstance(error, GatedRepoError) or (
        status in _FORBIDDEN and not isinstance(error, RepositoryNotFoundError)
    ):
        return _refused(what, status)
    if isinstance(error, RepositoryNotFoundError | RevisionNotFoundError | EntryNotFoundError):
        return _not_found(what, status)
    if status == _TOO_MANY:
        return DownloadError(
            f"The server has had too many requests ({what}).",
            "Wait some minutes, then start the same command again: it goes on from here.",
            "rate_limited",
            passing=True,
            wait_s=retry_after(error.response),
        )
    return DownloadError(
        f"The server answered with HTTP status {status} for {what}.",
        GO_ON if status >= 500 else OTHER_WAYS,
        "hub_failed",
        passing=status >= 500 or status == 408,
        wait_s=retry_after(error.response),
    )


def _refused(what: str, status: int) -> DownloadError:
    return DownloadError(
        f"The server does not give {what} to this account (HTTP status {status}).",
        "Accept the terms on the repository's page, then set HF_TOKEN to a token of that account.",
        "access_denied",
    )


def _not_found(what: str, status: int) -> DownloadError:
    return DownloadError(
        f"The server has no {what} (HTTP status {status}).",
        "If HF_ENDPOINT names a mirror, see whether it holds this repository and revision; "
        "if the repository is private, set HF_TOKEN.",
        "not_found",
    )


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds that the header Retry-After asks to wait; None without or with an unreadable one."""
    value = response.headers.get("Retry-After", "")
    if value.isdigit():
        return float(value)
    date: Any = response.headers.get("Date")
    try:
        return max(0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(date)).total_seconds())
    except (TypeError, ValueError):
        return None
