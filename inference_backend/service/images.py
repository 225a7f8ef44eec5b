"""The images of a request: data URLs and names of images that were sent before. Nothing is ever fetched."""

from __future__ import annotations

import base64
import binascii
import io
import re

from PIL import Image, UnidentifiedImageError

from inference_backend.service.settings import Limits
from inference_backend.store.store import Store
from VILAM3SlicerLib.protocol.errors import InvalidRequest, TooLarge

_DATA_URL = re.compile(r"data:image/(?:png|jpeg);base64,", re.ASCII)
_BY_HASH = "sha256:"
_FORMATS = ("PNG", "JPEG")


class ImageReader:
    """Turns the image parts of messages into PNG bytes and keeps them for later turns."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits

    def read(self, url: str) -> bytes:
        """The PNG that ``url`` carries or names.

        Raises:
            NotFound: an image that is not here (any more), code ``image_unknown``.
            InvalidRequest: another kind of URL, or damaged data.
            TooLarge: too many bytes or pixels.
        """
        if url.startswith(_BY_HASH):
            return self._store.image(url.removeprefix(_BY_HASH))
        prefix = _DATA_URL.match(url)
        if prefix is None:
            raise InvalidRequest(
                "An image must come as a PNG or JPEG data URL or as sha256:<hex>.",
                "Send the image itself; the backend fetches nothing.",
            )
        png = self._as_png(self._decode(url[prefix.end() :]))
        self._store.keep(png)
        return png

    def _decode(self, encoded: str) -> bytes:
        if len(encoded) * 3 // 4 > self._limits.image_bytes + 2:
            raise TooLarge(
                f"An image has more than {self._limits.image_bytes / 1e6:.0f} MB.", "Send a smaller image."
            )
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidRequest("The base64 data of an image is damaged.", "Send it again.") from None

    def _as_png(self, data: bytes) -> bytes:
        """A PNG stays as it is, to the byte, so that client and backend name it alike."""
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                self._check_pixels(image)
                image.load()
                return data if image.format == "PNG" else _encode_png(image)
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise InvalidRequest("An image cannot be read.", "Send a PNG or JPEG image.") from None

    def _check_pixels(self, image: Image.Image) -> None:
        if image.width * image.height > self._limits.image_pixels:
            raise TooLarge(
                f"An image has {image.width} x {image.height} pixels; "
                f"{self._limits.image_pixels / 1e6:.0f} million are allowed.",
                "Send a smaller image.",
            )


def _encode_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG")
    return buffer.getvalue()
