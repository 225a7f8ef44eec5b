"""Consent to send pixel data to another machine: asked once for each address, recorded, checked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from VILAM3SlicerLib.connection.address import BackendAddress
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.phrases import joined, phrases

_ = phrases(__name__)

CONSENT_NEEDED = "scan_consent_needed"
"""Code of the error with which a scan is held back."""


class ScanGate(Protocol):
    """Decides whether anything of a scan may go to an address."""

    def require(self, address: BackendAddress) -> None:
        """Raises VilaM3Error (``CONSENT_NEEDED``) unless it may."""


@dataclass(frozen=True)
class ScanConsent:
    """One line of the record; ``given_at`` is UTC in ISO 8601."""

    address: str
    given_at: str


class RecordedConsents:
    """Implements ``ScanGate`` by a record on the disk, one JSON object a line.

    It is read anew each time, so that what one Slicer records or takes back holds in the next at once.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def is_given(self, address: BackendAddress) -> bool:
        """Whether scans may go there; what stays on this machine needs no consent."""
        return address.is_loopback or any(one.address == address.url for one in self.all())

    def require(self, address: BackendAddress) -> None:
        """Raises VilaM3Error (``CONSENT_NEEDED``) where consent is needed and was not given."""
        if not self.is_given(address):
            raise VilaM3Error(
                _("Nothing of the scan was sent: you have not agreed yet that it may go to {url}.").format(
                    url=address.url
                ),
                _("Agree to that in the panel Backend, or use a backend on this machine."),
                CONSENT_NEEDED,
            )

    def give(self, address: BackendAddress) -> None:
        """Record the person's consent."""
        if self.is_given(address):
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        consent = ScanConsent(address.url, datetime.now(UTC).isoformat(timespec="seconds"))
        with self._file.open("a", encoding="utf-8") as record:
            record.write(json.dumps(asdict(consent)) + "\n")

    def take_back(self, address: BackendAddress) -> None:
        """Forget a consent."""
        kept = [json.dumps(asdict(one)) + "\n" for one in self.all() if one.address != address.url]
        part = self._file.with_suffix(".part")
        if self._file.exists():
            part.write_text("".join(kept), encoding="utf-8")
            os.replace(part, self._file)

    def all(self) -> tuple[ScanConsent, ...]:
        """Every consent that holds."""
        return tuple(self._read())

    def _read(self) -> Iterator[ScanConsent]:
        """Lines that cannot be read count as no consent."""
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, UnicodeDecodeError):
            return
        for line in lines:
            try:
                yield ScanConsent(**json.loads(line))
            except (ValueError, TypeError):
                continue


def consent_question(address: BackendAddress) -> str:
    """What a person is asked before the first scan goes to another machine."""
    said = [
        _(
            "Slices of your scan and the scan itself will be sent to {url}, which is another machine. "
            "Names, dates and other DICOM headers are not sent, but a scan can show who a person is."
        ).format(url=address.url)
    ]
    if not address.is_encrypted:
        said.append(_("The connection is not encrypted: others on the way can read it."))
    return joined(" ", (*said, _("Do you agree to send scans to this address?")))
