"""The address of a backend, as a person types it and as it is used."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from VILAM3SlicerLib.protocol.errors import InvalidRequest

DEFAULT_PORT = 8741
"""Where ``setup_backend.py serve`` listens unless it is told otherwise."""

_HTTPS_PORT = 443
_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1", "0:0:0:0:0:0:0:0": "::1"}
_EXAMPLE = f"Write it like http://127.0.0.1:{DEFAULT_PORT} or https://gpu.hospital.example."


@dataclass(frozen=True)
class BackendAddress:
    """Where a backend listens. ``path`` is the folder under which a reverse proxy shows it, or empty."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def url(self) -> str:
        """The one spelling of this address, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    @property
    def is_encrypted(self) -> bool:
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent there surely stays on this machine."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            address = ipaddress.ip_address(self.host.partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback


def read_address(text: str) -> BackendAddress:
    """Make out an address, forgiving what people leave out or paste along.

    A missing ``http://``, spaces, quotes, a slash or a route such as ``/v1/models`` at the end are mended;
    "any interface" (0.0.0.0) becomes this machine. Without a port, http means 8741 and https 443.

    Raises:
        InvalidRequest: it cannot be made out; the message says why.
    """
    cleaned = re.sub(r"""[\s"'<>]""", "", text)
    if not cleaned:
        raise _unusable("There is no address.")
    scheme, rest = _scheme(cleaned)
    parts = _split(scheme, rest)
    host = (parts.hostname or "").rstrip(".")
    if not host or not re.fullmatch(r"[\w.:%-]+", host):
        raise _unusable(f"'{host or text.strip()}' is not the name of a machine.")
    if parts.query or parts.fragment:
        raise _unusable(f"'{text.strip()}' has more than an address in it.")
    if parts.username is not None:
        raise _unusable("A user name or password in the address is not used; the key has its own field.")
    host = _ANY_HOST.get(host, host)
    port = parts.port or (_HTTPS_PORT if scheme == "https" else DEFAULT_PORT)
    return BackendAddress(scheme, host, port, _folder(parts.path))


def _scheme(text: str) -> tuple[str, str]:
    """Scheme and rest; forgives a missing colon or slash after http."""
    other = re.match(r"(\w[\w+.-]*)://", text)
    if other is not None and other.group(1).lower() not in ("http", "https"):
        raise _unusable(f"'{other.group(1)}://' is not how a backend is reached.")
    match = re.match(r"(https?)(?::/*|//+)(.*)", text, re.IGNORECASE)
    return (match.group(1).lower(), match.group(2)) if match else ("http", text.lstrip("/"))


def _split(scheme: str, rest: str) -> SplitResult:
    host, slash, path = rest.partition("/")
    if host.count(":") > 1 and "[" not in host:  # IPv6 without its brackets, so without a port
        host = f"[{host}]"
    try:
        parts = urlsplit(f"{scheme}://{host}{slash}{path}")
        _ = parts.port  # looked at only now
    except ValueError as error:
        raise _unusable(f"'{rest}' is not an address: {error}.") from error
    return parts


def _folder(path: str) -> str:
    """The path without the route that was pasted along."""
    return re.sub(r"/(v1(/.*)?|healthz|openapi\.json)?$", "", re.sub(r"//+", "/", path)).rstrip("/")


def _unusable(message: str) -> InvalidRequest:
    return InvalidRequest(message, _EXAMPLE, "address_unusable")
