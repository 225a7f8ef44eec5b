"""What can go wrong between a person's wish for weights and their use; all in the project's one tree."""

from __future__ import annotations

from VILAM3SlicerLib.protocol.errors import VilaM3Error


class DownloadError(VilaM3Error):
    """A file could not be fetched.

    Attributes:
        passing: whether trying again in a moment may help.
        wait_s: how many seconds the server asks to wait before that, if it does.
    """

    code = "download_failed"

    def __init__(
        self,
        message: str,
        hint: str = "",
        code: str | None = None,
        passing: bool = False,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(message, hint, code)
        self.passing = passing
        self.wait_s = wait_s


class ConsentNeeded(VilaM3Error):
    """A licence has not been accepted, or its text is no longer the one that was."""

    code = "consent_needed"


class WeightsMissing(VilaM3Error):
    """The weights are not here, or not whole."""

    code = "weights_missing"


class WeightsBusy(VilaM3Error):
    """Something else works on these weights, or with them."""

    code = "in_use"


class WeightsDamaged(VilaM3Error):
    """Files are not as they were when they were fetched."""

    code = "weights_damaged"
