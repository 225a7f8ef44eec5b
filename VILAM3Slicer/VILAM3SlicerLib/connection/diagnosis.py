"""What went wrong between here and a backend, in plain words, and what to do about it."""

from __future__ import annotations

import json
from typing import Any, Literal

from VILAM3SlicerLib.connection.address import BackendAddress
from VILAM3SlicerLib.connection.http import HttpAnswer
from VILAM3SlicerLib.protocol import PROTOCOL_VERSION
from VILAM3SlicerLib.protocol.codec import from_json
from VILAM3SlicerLib.protocol.errors import (
    ConnectionLost,
    InvalidRequest,
    ModelError,
    Unauthorized,
    VilaM3Error,
    error_from_json,
)
from VILAM3SlicerLib.protocol.messages import BackendStatus
from VILAM3SlicerLib.protocol.phrases import Phrase, joined, phrases

_ = phrases(__name__)

Cause = Literal["refused", "unknown_host", "timed_out", "tls", "proxy", "closed", "unreachable"]
"""What a toolkit's network classes can tell apart."""

_LOST: dict[Cause, tuple[str, Phrase, Phrase]] = {
    "refused": (
        "nothing_listens",
        _("Nothing listens at {url}."),
        _(
            "See whether the backend still runs there and start it again if not, or correct the port. "
            "Nothing here is lost."
        ),
    ),
    "unknown_host": (
        "host_unknown",
        _("No machine named {host} is known here."),
        _("Correct the name, or give the machine's IP address."),
    ),
    "timed_out": (
        "timed_out",
        _("{url} does not answer."),
        _("See whether the machine is on and its firewall lets port {port} through."),
    ),
    "tls": (
        "tls_failed",
        _("The encrypted connection to {url} was refused{detail}."),
        _(
            "If the hospital signs its certificates itself, name its CA file in the settings. "
            "If the backend speaks plain http, write http:// in the address."
        ),
    ),
    "proxy": (
        "proxy_failed",
        _("A proxy stands between here and {url} and did not let this through{detail}."),
        _("Except this address from the proxy (NO_PROXY), or correct the proxy of this machine."),
    ),
    "closed": (
        "connection_lost",
        _("The connection to the backend was lost{detail}."),
        _("See whether the backend still runs, start it again if not, and ask again. Nothing here is lost."),
    ),
    "unreachable": (
        "unreachable",
        _("{url} cannot be reached{detail}."),
        _("See whether this machine is on the network (VPN) and the address is right."),
    ),
}


def connection_error(cause: Cause, address: BackendAddress, detail: str = "") -> ConnectionLost:
    """What a person is told when no answer came. ``detail`` is what the toolkit says of it."""
    code, message, hint = _LOST[cause]
    said = f" ({detail.rstrip('.')})" if detail else ""
    words = {"url": address.url, "host": address.host, "port": address.port, "detail": said}
    told = [hint.format(**words)]
    if cause == "closed" and not (address.is_encrypted or address.is_loopback):
        told.append(_("If it is reached over TLS, write https:// in its address."))
    return ConnectionLost(message.format(**words), joined(" ", told), code)


def answer_error(answer: HttpAnswer, address: BackendAddress) -> VilaM3Error:
    """The error that an answer with a bad status stands for."""
    body = _json_object(answer.body)
    if isinstance(body.get("error"), dict) and "code" in body["error"]:
        return error_from_json(body)
    return _foreign(answer, address)


def head_error(answer: HttpAnswer, address: BackendAddress) -> VilaM3Error:
    """The same for an answer to HEAD, which has no body that says more."""
    if answer.status == 401:
        return Unauthorized(
            _("The key for {url} is missing or wrong.").format(url=address.url), _("Enter its present key.")
        )
    return answer_error(answer, address)


def _foreign(answer: HttpAnswer, address: BackendAddress) -> VilaM3Error:
    """An answer that is none of our backend's: something else listens, or stands in between."""
    if answer.status == 407:
        return connection_error("proxy", address, _("it wants a user name"))
    if answer.status in (502, 503, 504):
        return VilaM3Error(
            _("A server at {url} answers, but the backend behind it does not ({status}).").format(
                url=address.url, status=answer.status
            ),
            _("Start the backend on that machine, or ask who runs it."),
            "gateway",
        )
    if answer.status == 400 and not address.is_encrypted and b"https" in answer.body.lower():
        return VilaM3Error(
            _("{url} wants an encrypted connection.").format(url=address.url),
            _("Write https://."),
            "tls_wanted",
        )
    if 300 <= answer.status < 400:
        return not_our_backend(address, _("it leads on to another address"))
    return not_our_backend(address, _("status {number}").format(number=answer.status))


def not_our_backend(address: BackendAddress, detail: str) -> VilaM3Error:
    """Something answers, and it is not VILAM3Slicer's backend."""
    return VilaM3Error(
        _("Something answers at {url}, but it is not a backend of VILAM3Slicer ({detail}).").format(
            url=address.url, detail=detail
        ),
        _("Correct the address or the port; the backend prints its address when it starts."),
        "not_our_backend",
    )


def read_status(answer: HttpAnswer, address: BackendAddress) -> BackendStatus:
    """The handshake.

    Raises:
        InvalidRequest: the backend speaks another version of the protocol (``wrong_version``).
        VilaM3Error: it refuses us, or is no backend of ours.
    """
    if answer.is_error:
        raise answer_error(answer, address)
    body = _json_object(answer.body)
    version = body.get("protocol_version")
    if not isinstance(version, int):
        raise not_our_backend(address, _("it says something else"))
    if version != PROTOCOL_VERSION:  # known before the rest is read, which may differ
        raise InvalidRequest(
            _("The backend speaks version {version} of the protocol, this viewer version {ours}.").format(
                version=version, ours=PROTOCOL_VERSION
            ),
            _("Install both from the same release."),
            "wrong_version",
        )
    return from_json(BackendStatus, body)


def readiness_error(status: BackendStatus) -> VilaM3Error | None:
    """Why a backend that answers cannot answer questions yet; None where it can."""
    if status.readiness == "loading":
        detail = status.detail or "this takes from seconds to some minutes"
        return VilaM3Error(
            _("The model is still loading: {detail}.").format(detail=detail), _("Wait a moment."), "loading"
        )
    if status.readiness == "failed":
        detail = status.detail.rstrip(".") or "no reason is told"
        return ModelError(f"The model could not be loaded: {detail}.", "See the backend's log.")
    return None


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:  # also where it is no text
        return {}
    return value if isinstance(value, dict) else {}
