"""The images of a conversation by their SHA-256, and which of them the backend has."""

from __future__ import annotations

import base64


def data_url(png: bytes) -> str:
    """A PNG as an address that carries it."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


class ImageShelf:
    """Holds PNG bytes for as long as the conversation lasts.

    ``at_backend`` names the images that can be sent by hash; a backend that was restarted has none of them.
    """

    def __init__(self) -> None:
        self._png: dict[str, bytes] = {}
        self.at_backend: set[str] = set()

    def put(self, sha256: str, png: bytes) -> None:
        """Keep an image."""
        self._png[sha256] = png

    def get(self, sha256: str) -> bytes | None:
        """The PNG bytes, or None where the image never came here."""
        return self._png.get(sha256)

    def data_url(self, sha256: str) -> str | None:
        """The image as an address that carries it, or None where it never came here."""
        png = self.get(sha256)
        return data_url(png) if png else None

    def forget_backend(self) -> None:
        """The backend says that it knows an image no more: send all of them whole again."""
        self.at_backend.clear()

    def clear(self) -> None:
        """A new conversation begins."""
        self._png.clear()
        self.at_backend.clear()
