"""The images of a conversation by their SHA-256, and which of them the backend has."""

from __future__ import annotations


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

    def forget_backend(self) -> None:
        """The backend says that it knows an image no more: send all of them whole again."""
        self.at_backend.clear()

    def clear(self) -> None:
        """A new conversation begins."""
        self._png.clear()
        self.at_backend.clear()
